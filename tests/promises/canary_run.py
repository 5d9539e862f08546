"""A tiny collaboration whose every raw value is a canary, run whole through Dagster; and the search for them.

Belongs here: planting, running, searching. Must not be here: assertions (`test_canary.py`). Other promises
use copies of the finished home, because it holds every kind of thing a house can hold.
"""

from __future__ import annotations

import base64
import logging
import os
import re
import secrets
import sqlite3
import string
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest

from orchestration import cli
from orchestration.audit import checkpoint, forward
from orchestration.computation.runner import prepare_manifest
from orchestration.defs.build import build_defs
from orchestration.defs.instance import configure, open_instance
from orchestration.defs.local import LocalRuns, Step
from orchestration.defs.names import deliveries_name, intake_job_name
from orchestration.engine.duck import quote_text
from orchestration.engine.extension import load_httpfs
from orchestration.scope import deidentification
from orchestration.scope.manifest import PAYLOAD_TYPE
from orchestration.settings import Settings
from orchestration.stages import access, deidentify, refresh
from orchestration.stages import request as requests
from tests.support import CALLER, TinyHouse, csv_bytes, make_house, open_house, parquet_bytes
from tests.unit.portal.portal_house import client_of

UNITS = 120
ALPHABET = string.ascii_lowercase + string.digits

# What is planted where; the number is how long the charter lets it be.
PLACES = {
    "household": 40,
    "basket": 40,
    "product": 20,
    "department": 40,
    "dropped_column": 40,
    "undeclared_column_name": 40,
    "undeclared_column_value": 40,
    "quarantined_household": 40,
    "unconvertible_number": 40,
    "unconvertible_date": 40,
    "unconvertible_parquet": 40,
    "too_long": 40,
    "not_in_the_closed_set": 40,
    "refused_file": 40,
    "broken_quoting": 40,
    "truncated_parquet": 40,
    "first_customer_as_header": 40,
    "nothing_valid": 40,
    "failed_gate": 40,
    "failed_engine": 40,
    "undeclared_dataset": 40,
    "bad_manifest": 40,
    "provenance": 40,
}


@dataclass
class Canaries:
    """Random tokens by place: a stem of 16 or 28 characters, then a number of four digits."""

    stems: dict[str, str] = field(
        default_factory=lambda: {
            place: "".join(secrets.choice(ALPHABET) for _ in range(min(size, 32) - 4))
            for place, size in PLACES.items()
        }
    )

    def __call__(self, place: str, number: int = 0) -> str:
        return f"{self.stems[place]}{number:04d}"


@dataclass
class Run:
    """The finished run: `home` is what `support.open_house` takes; `outside` are the folders around it."""

    home: Path
    settings: Settings
    canaries: Canaries
    outside: tuple[Path, ...]
    steps: list[Step] = field(default_factory=list)
    releases: dict[str, str] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.settings.root


# --- planting


def good_deliveries(tiny: TinyHouse, plant: Canaries, scratch: Path) -> None:
    """Everything the charter names, with rows that go to quarantine and columns nobody declared."""
    sales = []
    for unit in range(UNITS):
        for visit in range(2):
            sales.append(
                {
                    "household_id": plant("household", unit),
                    "basket_id": plant("basket", 2 * unit + visit),
                    "product_id": plant("product", unit % 7),
                    "quantity": 1,
                    "sales_value": f"{1 + unit % 9}.{visit}5",
                    "week": 1 + visit,
                    "sold_at": "2024-01-02 10:15:00",
                    "reason": plant("dropped_column", unit),
                    plant("undeclared_column_name"): plant("undeclared_column_value", unit),
                }
            )
    bad = {**sales[0], "household_id": plant("quarantined_household")}
    sales += [
        {**bad, "quantity": plant("unconvertible_number")},
        {**bad, "sold_at": plant("unconvertible_date")},
        {**bad, "household_id": plant("too_long") * 2},
    ]
    tiny.deliver("sales", csv_bytes(sales), provenance=plant("provenance"))
    products = (
        f"SELECT '{plant.stems['product']}' || format('{{:04d}}', i) AS product_id,"
        f" '{plant.stems['department']}' || format('{{:04d}}', i) AS department,"
        f" CASE WHEN i = 7 THEN '{plant('not_in_the_closed_set')}'"
        " WHEN i % 2 = 0 THEN 'National' ELSE 'Private' END AS brand"
        " FROM range(8) AS t(i)"
    )
    tiny.deliver("products", parquet_bytes(products, scratch), rows=8, format_="parquet")
    tiny.deliver("people", csv_bytes(people(plant, "household", UNITS)))


def people(plant: Canaries, place: str, units: int) -> list[dict[str, object]]:
    ages, incomes = ("young", "middle", "old"), ("low", "high")
    # Four households are the only old ones with a high income: a cell that has to be hidden.
    return [
        {
            "household_id": plant(place, unit),
            "age": "old" if unit < 4 else ages[unit % 3],
            "income": "high" if unit < 4 else "low" if ages[unit % 3] == "old" else incomes[unit % 2],
        }
        for unit in range(units)
    ]


def bad_deliveries(tiny: TinyHouse, plant: Canaries, scratch: Path) -> set[str]:
    """One delivery per way to be refused; returns their names."""

    def rows(place: str) -> list[dict[str, object]]:
        return people(plant, place, 30)

    truncated = parquet_bytes(
        f"SELECT '{plant.stems['truncated_parquet']}' || i AS household_id, 'young' AS age, 'low' AS income"
        " FROM range(30) AS t(i)",
        scratch,
    )
    unconvertible = parquet_bytes(
        f"SELECT '{plant('unconvertible_parquet')}' AS household_id, household_id AS age, [age] AS income",
        scratch,
    )
    headless = csv_bytes(rows("first_customer_as_header")).split(b"\n", 1)[1]
    closed = csv_bytes([{**row, "age": plant("nothing_valid")} for row in rows("nothing_valid")])
    undeclared = csv_bytes(rows("undeclared_dataset"))
    said = tiny.claims("people", undeclared, "csv", 30) | {"dataset": plant("undeclared_dataset")}
    signed = tiny.keys["panel.steward"].sign(said, PAYLOAD_TYPE)
    quoting = csv_bytes(rows("broken_quoting")) + f'"{plant("broken_quoting")}"x,young,"low\n'.encode()
    return {
        tiny.deliver("people", csv_bytes(rows("refused_file")), sha256=f"sha256:{'0' * 64}"),
        tiny.deliver("people", quoting, rows=31),
        tiny.deliver("people", truncated[:-20], rows=30, format_="parquet"),
        tiny.deliver("people", unconvertible, rows=1, format_="parquet"),
        tiny.deliver("people", headless, rows=29),
        tiny.deliver("people", closed),
        tiny.deliver("people", csv_bytes(rows("failed_gate"))),
        tiny.deliver("people", undeclared, envelope=signed),
        tiny.deliver("people", csv_bytes(rows("bad_manifest")), envelope=plant("bad_manifest").encode()),
    }


# --- running


def run_everything(home: Path, scratch: Path, dbt: Path) -> Run:
    """Init, good and bad deliveries, broken engines, requests, openings, checkpoints, exports.

    Whatever is printed or logged meanwhile, at any level, goes to `scratch/said`; temporary files, the user's
    home folder and the working folder lie under `scratch` too, so that they can be searched.

    Args:
        dbt: a prepared `dbt` folder of another house, to save parsing it again.
    """
    plant = Canaries()
    folders = {name: scratch / name for name in ("tmp", "user", "work", "said")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    making = scratch.parent / "making"  # where canary files are made, outside of what is searched
    making.mkdir()
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("GLASSHOUSE_HOME", str(home / "house"))
        patch.setenv("GLASSHOUSE_CHARTERS", str(home / "charters"))
        patch.setenv("GLASSHOUSE_DUCKDB_THREADS", "1")
        patch.setenv("HOME", str(folders["user"]))
        patch.setenv("TMPDIR", str(folders["tmp"]))
        patch.setattr(tempfile, "tempdir", str(folders["tmp"]))
        patch.chdir(folders["work"])
        stack.enter_context(everything_said(folders["said"]))
        tiny = make_house(home)
        stack.callback(tiny.house.log.close)
        prepare(tiny, dbt)
        run = Run(home, tiny.house.settings, plant, tuple(folders.values()))
        good_deliveries(tiny, plant, making)
        _run_all(run, tiny, patch)
        bad_deliveries(tiny, plant, making)
        _run_all(run, tiny, patch)
        _ask(run, tiny)
        _open(run, tiny)
        _break_the_engine(run, tiny, patch)
        checkpoint.make(tiny.house.log, tiny.house.operator, tiny.house.checkpoints)
        forward.forward(tiny.house.log, tiny.house.settings)
        _show_everything(run, tiny, patch)
    return run


def prepare(tiny: TinyHouse, dbt: Path | None = None) -> None:
    """What `glasshouse init` adds to a house of `support`: dbt's manifest and Dagster's configuration."""
    target = tiny.house.settings.dbt_target
    target.mkdir(parents=True, exist_ok=True)
    for path in dbt.glob("manifest.*") if dbt else ():
        (target / path.name).write_bytes(path.read_bytes())
    prepare_manifest(tiny.house.settings)
    configure(tiny.house.settings)


def _run_all(run: Run, tiny: TinyHouse, patch: pytest.MonkeyPatch) -> None:
    with LocalRuns(tiny.house, CALLER) as runs:
        if refresh.current(tiny.house, tiny.charter) is None:
            with patch.context() as broken:
                # dbt itself meets a value it cannot convert, and says so with the value.
                compiled = refresh.compile_views
                broken.setattr(
                    refresh,
                    "compile_views",
                    lambda tables: [
                        s.replace('"amount"', 'CAST("product" AS DECIMAL(12, 2)) AS "amount"', 1)
                        if '"transaction"' in s
                        else s
                        for s in compiled(tables)
                    ],
                )
                run.steps += runs.everything(tiny.charter)
        run.steps += runs.everything(tiny.charter)


def _break_the_engine(run: Run, tiny: TinyHouse, patch: pytest.MonkeyPatch) -> None:
    """A stage whose engine complains with a value, launched by hand with Dagster's own console logger."""
    dataset = tiny.dataset("people")
    delivery = tiny.deliver("people", csv_bytes(people(run.canaries, "failed_engine", UNITS)))
    compile_ = deidentification.compile_deidentification

    def failing(dataset: object, relation: str) -> object:
        compiled = compile_(dataset, relation)  # type: ignore[arg-type]
        query = f"SELECT CAST(household_id AS BIGINT) AS unit, age, income FROM {relation}"
        return deidentification.Deidentification(query, compiled.columns, compiled.techniques)

    with patch.context() as broken, open_instance(run.settings) as instance:
        broken.setattr(deidentify, "compile_deidentification", failing)
        instance.add_dynamic_partitions(deliveries_name(tiny.charter, dataset), [delivery])
        job = build_defs(run.settings).resolve_job_def(intake_job_name(tiny.charter, dataset))
        result = job.execute_in_process(instance=instance, partition_key=delivery, raise_on_error=False)
    run.steps.append(Step("engine", "people", result.success))


def _ask(run: Run, tiny: TinyHouse) -> None:
    asked = {
        "overlap": ("audience_overlap", {"left": "shoppers", "right": "profiled"}, "planning"),
        "segments": ("joint_segmentation", {"rows": "age", "columns": "income"}, "insight"),
        "denied": ("joint_segmentation", {"rows": "age", "columns": "none"}, "planning"),
    }
    for name, (template, parameters, purpose) in asked.items():
        run.requests[name] = tiny.request(template, parameters, purpose).request.id
    with LocalRuns(tiny.house, CALLER) as runs:
        run.steps += runs.everything(tiny.charter)
    for name, request_id in run.requests.items():
        release = requests.release_of(tiny.house, request_id)
        if release is not None:
            run.releases[name] = release


def _open(run: Run, tiny: TinyHouse) -> None:
    opened = tiny.open(run.releases["segments"])
    access.copy_release(opened, run.outside[2] / "copied")


def _show_everything(run: Run, tiny: TinyHouse, patch: pytest.MonkeyPatch) -> None:
    """All that commands print and pages show: standard output is searched, and so are the pages."""
    release = ("open", run.releases["segments"], "--as", "shop.analyst", "--why", "To read it.")
    for command in (
        ("status",), ("status", "--json"), ("lineage", "export"), ("audit", "verify"),
        ("audit", "log", "--json", "--limit", "999"), ("audit", "proof", "3", "--json"),
        release, (*release, "--json"),
    ):  # fmt: skip
        with patch.context() as given, suppress(SystemExit):
            given.setattr(sys, "argv", ["glasshouse", *command])
            cli.main()
    pages = run.outside[2] / "pages"
    pages.mkdir()
    with client_of(tiny.house, "panel.auditor", tiny.charter.collaboration) as client:
        for path in (
            "",
            "overview.json",
            "lineage",
            "lineage.json",
            "lineage.csv",
            "log",
            "log.json",
            "log.csv",
            "governance",
            "governance.json",
        ):
            answer = client.get(f"/{path}")
            assert answer.status_code == 200
            (pages / (path or "index.html")).write_bytes(answer.content)
        for seq in range(tiny.house.log.size):
            (pages / f"event-{seq}.html").write_bytes(client.get(f"/log/{seq}").content)


@contextmanager
def everything_said(folder: Path) -> Iterator[None]:
    """Standard output and error (of child processes too) and every log record, at any level, into files."""
    sys.stdout.flush()
    sys.stderr.flush()
    with ExitStack() as stack:
        out = stack.enter_context((folder / "stdout").open("w", encoding="utf-8"))
        err = stack.enter_context((folder / "stderr").open("w", encoding="utf-8"))
        for number, file in ((1, out), (2, err)):
            kept = os.dup(number)
            os.dup2(file.fileno(), number)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, number)
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        handler = logging.FileHandler(folder / "log", encoding="utf-8")
        root, level = logging.getLogger(), logging.getLogger().level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        stack.callback(handler.close)
        stack.callback(root.setLevel, level)
        stack.callback(root.removeHandler, handler)
        yield


# --- searching


@dataclass(frozen=True, order=True)
class Hit:
    """Something that must not be there: what, in which file, in which form."""

    what: str
    file: str
    form: str


def forms(needle: bytes) -> dict[str, bytes]:
    """How bytes look when somebody wrote them in another form."""
    found = {
        "raw": needle,
        "hex": needle.hex().encode(),
        "HEX": needle.hex().upper().encode(),
        "utf-16-le": b"".join(bytes([b, 0]) for b in needle),
        "reversed": needle[::-1],
    }
    for shift in range(3):
        # Base64 of a longer text that holds the needle, without the characters that depend on its neighbours.
        text = base64.b64encode(b"\0" * shift + needle)
        inner = text[-(-shift * 8 // 6) : (shift + len(needle)) * 8 // 6]
        found[f"base64 +{shift}"] = inner
        found[f"base64url +{shift}"] = inner.replace(b"+", b"-").replace(b"/", b"_")
    return found


def readable(path: Path) -> Iterator[tuple[str, bytes]]:
    """A file's bytes, and what its own reader shows of it: databases and Parquet store text in pieces."""
    data = path.read_bytes()
    yield "", data
    yield " (as UTF-16 text)", data.replace(b"\0", b"")
    if data.startswith(b"SQLite format 3\0"):
        yield " (rows)", "\n".join(_sqlite_texts(path)).encode("utf-8", "replace")
    if data.startswith(b"PAR1"):
        with duckdb.connect() as connection:
            rows = connection.execute(f"SELECT * FROM read_parquet({quote_text(str(path))})").fetchall()
        yield " (rows)", repr(rows).encode()


def _sqlite_texts(path: Path) -> Iterator[str]:
    connection = sqlite3.connect(path)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    try:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            for row in connection.execute(f'SELECT * FROM "{name}"'):
                yield " ".join(
                    value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
                    for value in row
                )
    finally:
        connection.close()


def search(
    folders: Iterable[Path], needles: Mapping[str, bytes], *, allowed: Mapping[str, str] | None = None
) -> list[Hit]:
    """Every needle in every form in every file, its name included.

    Args:
        needles: what → bytes.
        allowed: what → regular expression of the one path (relative to its folder) where it belongs.
    """
    hits = []
    patterns = [
        (what, form, look) for what, needle in needles.items() for form, look in forms(needle).items()
    ]
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.is_file() or path.is_symlink()):
            name = path.relative_to(folder).as_posix()
            texts = [*readable(path), (" (name)", name.encode())]
            for what, form, look in patterns:
                if allowed and re.fullmatch(allowed.get(what, "(?!)"), name):
                    continue
                hits += [Hit(what, f"{name}{part}", form) for part, text in texts if look in text]
    return sorted(set(hits))


def decrypted_vault(tiny: TinyHouse) -> bytes:
    """All rows of all files of the vault, opened with their keys."""
    vault, rows = tiny.house.vault, []
    for path in sorted(vault.folder.glob("*.parquet")):
        contribution = path.name.split(".")[0]
        key = tiny.house.keys.secret(vault.key_id(contribution))
        with duckdb.connect() as connection:
            load_httpfs(connection)
            rows += connection.execute(
                f"SELECT * FROM read_parquet({quote_text(str(path))},"
                " encryption_config = {footer_key_value: ?})",
                [key],
            ).fetchall()
    return repr(rows).encode()


def reopened(run: Run) -> TinyHouse:
    return open_house(run.home)
