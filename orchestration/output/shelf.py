"""The shelf: the files of a release, written whole or not at all.

Belongs here: file formats, durability, digests. Must not be here: entitlement, checking the files at an
opening (`audit/passport`), or anything that is not already in the protected table, its finding and its chart.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Mapping
from pathlib import Path

import duckdb

from orchestration.digests import canonical_json, digest_file
from orchestration.engine.duck import quote_name
from orchestration.engine.files import sync, write_durably
from orchestration.errors import IntegrityError, Reason
from orchestration.output.charts import Chart
from orchestration.output.findings import Finding
from orchestration.output.protect import ProtectedTable

FILES = ("table.parquet", "table.csv", "table.json", "finding.json", "chart.vl.json", "chart.png")

_FORMULA_SIGNS = tuple("=+-@\t\r\n＝＋－＠")

OCCUPIED = Reason(
    "shelf.occupied",
    "A different release already stands under the name {release}; {file} differs.",
    "Releases are never overwritten: keep the one on the shelf, or submit a new request.",
)


def write_release(folder: Path, table: ProtectedTable, finding: Finding, chart: Chart) -> dict[str, str]:
    """Write a release into `folder` and return the digest of every file by its name.

    The folder appears under its name only when it is complete and on the disk. After a kill simply call
    again: leftovers are cleared, and a folder that already holds the same release is left as it is.

    Raises:
        IntegrityError: `shelf.occupied` when the folder holds anything else under these file names.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        _write_parquet(partial / "table.parquet", table)
        write_durably(partial / "table.csv", _csv(table).encode())
        write_durably(partial / "table.json", canonical_json(table.to_json()))
        write_durably(partial / "finding.json", canonical_json(finding.to_json()))
        write_durably(partial / "chart.vl.json", canonical_json(chart.spec))
        write_durably(partial / "chart.png", chart.png)
        digests = {name: digest_file(partial / name) for name in FILES}
        if folder.exists():
            changed = _first_difference(folder, digests)
            if changed is not None:
                raise IntegrityError(OCCUPIED, release=folder.name, file=changed)
        else:
            sync(partial)
            partial.rename(folder)
            sync(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return digests


def _first_difference(folder: Path, digests: Mapping[str, str]) -> str | None:
    for name, digest in digests.items():
        path = folder / name
        if path.is_symlink() or not path.is_file() or digest_file(path) != digest:
            return name
    return None


def _write_parquet(path: Path, table: ProtectedTable) -> None:
    """One row per cell or total; measures of hidden rows are NULL, and `status` says why."""
    types = {"count": "BIGINT", "money": "DECIMAL(38, 2)"}
    columns = [f"{quote_name(d.name)} VARCHAR" for d in table.dimensions]
    columns += ["status VARCHAR", "reason VARCHAR"]
    columns += [f"{quote_name(m.name)} {types[m.type]}" for m in table.measures]
    rows = [
        [*row.coordinates, row.status, row.reason]
        + [None if row.values is None else row.values[m.name] for m in table.measures]
        for row in table.rows
    ]
    with duckdb.connect(config={"threads": "1"}) as connection:
        connection.execute(f"CREATE TABLE released ({', '.join(columns)})")
        marks = ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO released VALUES ({marks})", rows)  # noqa: S608  # only "?"
        connection.execute("COPY released TO $path (FORMAT parquet)", {"path": str(path)})
    sync(path)


def _csv(table: ProtectedTable) -> str:
    """CSV for spreadsheets: no text can be taken for a formula, and a hidden figure reads "hidden"."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(
        [_harmless(d.name) for d in table.dimensions]
        + ["status", "reason"]
        + [_harmless(m.name) for m in table.measures]
    )
    for row in table.rows:
        values = ["hidden" if row.values is None else row.values[m.name] for m in table.measures]
        writer.writerow([*map(_harmless, row.coordinates), row.status, row.reason or "", *values])
    return file.getvalue()


def _harmless(text: str) -> str:
    """A leading apostrophe before what a spreadsheet would run as a formula."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA_SIGNS) else text
