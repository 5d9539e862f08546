"""What must hold after each case, found out without the code that decided it.

Plain Python over the log's events, the vault's rows, the sealed copies and the folders around the house.
Must not be here: making deliveries (`contribution_fuzzer`), running them (`fuzz_driver`).
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from stat import S_ISREG
from typing import Any

import duckdb

from orchestration.audit.stage_events import ContributionAccepted, ContributionRefused
from orchestration.charter.model import Dataset
from orchestration.engine.duck import quote_text
from orchestration.engine.extension import load_httpfs
from orchestration.errors import Reason
from tests.promises.contribution_fuzzer import STEM, Draft
from tests.support import TinyHouse

_READ_WHOLE = 64 << 20
_PARTS_OF_A_HOUSE = {
    "charters", "checkpoints", "control.db", "control.db-shm", "control.db-wal", "keys", "landing", "lineage",
    "master.key", "quarantine", "room", "shelf", "tmp", "vault",
}  # fmt: skip


@dataclass
class Outcome:
    """How a case ended: `accepted`, `waits`, or the code of its refusal; `problems` is what must not be."""

    end: str
    problems: list[str] = field(default_factory=list)


@dataclass
class Oracle:
    """Compares a house before and after each case."""

    tiny: TinyHouse
    outside: Path
    touched: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.vault = duckdb.connect()
        load_httpfs(self.vault)
        self._watch()

    def _watch(self) -> None:
        """Every file that Python opens, renames or removes outside, while a case runs."""
        self.watching = False
        outside = str(self.outside)

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if self.watching and event.split(".")[0] in ("open", "os", "shutil"):
                paths = [
                    os.fsdecode(each) for each in arguments if isinstance(each, str | bytes | os.PathLike)
                ]
                # A link that goes is looked at as a link; what it points to stays where it is.
                is_link = event in ("os.remove", "os.rename") and os.path.islink(paths[0])
                reached = [os.path.realpath(each) for each in paths if "\0" not in each and not is_link]
                if any(each.startswith(outside) for each in reached):
                    self.touched.append(event)

        sys.addaudithook(hook)

    def begin(self) -> None:
        self.size = self.tiny.house.log.size
        self.around = snapshot(self.outside)
        self.files = self._vault_files()
        self.touched.clear()

    def end(self, made: Draft, folder: Path, delivered: dict[str, bytes | None], said: str) -> Outcome:
        """Judge a case. `said` is every text that the stages gave out about it."""
        events = self.tiny.house.log.events(after=self.size - 1)
        payloads = [each.event.payload for each in events]
        accepted = [each for each in payloads if isinstance(each, ContributionAccepted)]
        refused = [each for each in payloads if isinstance(each, ContributionRefused)]
        problems = [f"outside was touched: {', '.join(sorted(set(self.touched)))}"] if self.touched else []
        if snapshot(self.outside) != self.around:
            problems.append("the folder outside is another one now")
        told = said + "".join(each.event.model_dump_json() for each in events)
        problems += [f"a canary is in {place}" for place in _leaks(told)]
        if strange := {path.name for path in self.tiny.root.iterdir()} - _PARTS_OF_A_HOUSE:
            problems.append(f"the house has new parts: {', '.join(sorted(strange))}")
        new = self._vault_files() - self.files
        if len(accepted) + len(refused) > 1:
            problems.append("it ended more than once")
        if failed := [each for each in payloads if each.type == "stage.failed"]:
            problems.append(f"a stage failed: {failed[0]}")
        if accepted:
            problems += self._accepted(made, accepted[0])
            problems += [] if len(new) == 1 else [f"{len(new)} new files in the vault"]
            problems += self._gone(folder)
            if set(delivered) != {made.file, "manifest.json"}:
                problems.append(f"accepted with {len(delivered)} files: those beside the data are lost")
            return Outcome("accepted", problems)
        problems += [f"the vault keeps {', '.join(sorted(new))}"] if new else []
        if refused:
            problems += self._refused(refused[0], delivered) + self._gone(folder)
            return Outcome(refused[0].code, problems)
        if not made.waits:
            problems.append("neither accepted nor refused")
        elif contents(folder) != delivered:
            problems.append("what waits was changed")
        return Outcome("waits", problems)

    def _gone(self, folder: Path) -> list[str]:
        left = [path.name for path in folder.parent.iterdir() if path.name != "sentinel"]
        return [f"left in the landing folder: {', '.join(map(ascii, left))}"] if left else []

    def _vault_files(self) -> set[str]:
        return {path.name for path in self.tiny.house.vault.folder.iterdir()} - {".lock"}

    def _refused(self, refused: ContributionRefused, delivered: dict[str, bytes | None]) -> list[str]:
        problems = []
        if refused.code not in _declared_codes() or not refused.message or not refused.next_step:
            problems.append(f"{refused.code} is no declared reason with a next step")
        if len(refused.message) > 2_000:
            problems.append("the message is endless")
        too_large = refused.code == "contribution.beyond_keeping" and (
            any(data is None for data in delivered.values())
            or len(delivered) > 1_000
            or max(name.count("/") for name in delivered) >= 16
        )
        if refused.sealed is None:
            if delivered and not too_large:
                problems.append("refused, and not sealed")
        elif (found := self.tiny.unsealed(refused.sealed)) != delivered:
            problems.append(
                f"sealed are {sorted(map(ascii, found))}, delivered {sorted(map(ascii, delivered))}"
            )
        return problems

    def _accepted(self, made: Draft, accepted: ContributionAccepted) -> list[str]:
        dataset = self.tiny.dataset(made.dataset)
        names, rows = self._rows(accepted.receipt.subject)
        problems = [
            problem for row in rows for problem in broken_rules(dataset, dict(zip(names, row, strict=True)))
        ]
        total = accepted.rows + sum(accepted.quarantined_rows.values())
        if len(rows) != accepted.rows:
            problems.append(f"the vault has {len(rows)} rows, the log says {accepted.rows}")
        counted = delivered_rows(made)
        if counted is not None and total != counted:
            problems.append(f"{accepted.rows} + rejected are {total} rows, delivered were {counted}")
        if made.known:
            kept = Counter(row[0] for row in rows)
            sent = Counter(row[made.columns.index(names[0])] for row in made.rows)
            sure = Counter(
                row[made.columns.index(names[0])] for i, row in enumerate(made.rows) if i not in made.touched
            )
            if not sure <= kept:
                problems.append(f"{(sure - kept).total()} rows in order were not kept")
            if not kept <= Counter({_text(key): count for key, count in sent.items()}):
                problems.append("a kept identifier was never delivered")
        return problems[:5]

    def _rows(self, contribution: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        vault = self.tiny.house.vault
        key = self.tiny.house.keys.secret(vault.key_id(contribution))
        found = self.vault.execute(
            f"SELECT * FROM read_parquet({quote_text(str(vault.path(contribution)))},"
            " encryption_config = {footer_key_value: ?})",
            [key],
        )
        names = [str(each[0]) for each in found.description or ()]
        return names, found.fetchall()


def broken_rules(dataset: Dataset, row: dict[str, Any]) -> Iterator[str]:
    """What the charter says of a row, in plain Python; nothing when the row obeys it."""
    prepared = "unit" in row
    fields = [each for each in dataset.fields if (each.attribute if prepared else each.name) in row]
    if len(fields) != len(row):
        yield "columns that the charter does not name"
    for each in fields:
        name = each.attribute if prepared else each.name
        value = row[name]
        if value is None or (isinstance(value, str) and not value.strip(" ")):
            if each.required:
                yield f"{name} is required"
            continue
        if prepared and name == "unit":
            if not re.fullmatch("[0-9a-f]{64}", value):
                yield f"{name} is no pseudonym"
            continue
        kind = {"string": str, "integer": int, "decimal": Decimal, "timestamp": datetime, "date": date}[
            each.type
        ]
        if not isinstance(value, kind):
            yield f"{name} is a {type(value).__name__}"
            continue
        if each.max_length is not None and len(value) > each.max_length:
            yield f"{name} is too long"
        if each.values and value not in each.values:
            yield f"{name} has a value that is not allowed"
        if isinstance(value, datetime):
            value = value.date()
        if each.minimum is not None and value < each.minimum:
            yield f"{name} is too small"
        if each.maximum is not None and value > each.maximum:
            yield f"{name} is too large"
        if isinstance(value, Decimal) and (not math.isfinite(value) or value != round(value, 2)):
            yield f"{name} is no amount"


def delivered_rows(made: Draft) -> int | None:
    """How many rows the bytes have, counted by the standard library; None: it cannot read them."""
    if made.format not in ("csv", "tsv", "ndjson"):
        return len(made.rows) if made.known else None
    try:
        text = made.data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    if made.claims.get("format") == "ndjson":
        return sum(bool(line.strip()) for line in re.split("[\r\n]+", text))
    delimiter = "," if made.claims.get("format") == "csv" else "\t"
    csv.field_size_limit(1 << 30)
    try:
        return sum(bool(row) for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)) - 1
    except csv.Error:
        return None


def contents(folder: Path) -> dict[str, bytes | None]:
    """Regular files of a delivery by relative name, nothing behind a link; None: too large to read."""
    if folder.is_symlink() or not folder.is_dir():
        return {}
    found: dict[str, bytes | None] = {}
    waiting = [""]
    while waiting:
        place = waiting.pop()
        for entry in os.scandir(folder / place):
            name = os.path.join(place, entry.name)
            if entry.is_dir(follow_symlinks=False):
                waiting.append(name)
            elif entry.is_file(follow_symlinks=False):
                size = entry.stat().st_size
                found[name] = Path(entry.path).read_bytes() if size <= _READ_WHOLE else None
    return found


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a folder: kind, size, moment of the last change, content of small files."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        stat = path.lstat()
        is_small = S_ISREG(stat.st_mode) and stat.st_size <= _READ_WHOLE
        data = path.read_bytes() if is_small else b""
        found[str(path.relative_to(folder))] = (stat.st_mode, stat.st_size, stat.st_mtime_ns, data)
    return found


def _leaks(told: str) -> list[str]:
    return [f"what was said: …{told[max(0, at - 60) : at + 5]!r}" for at in [told.find(STEM)] if at >= 0]


def _text(value: object) -> object:
    return value if value is None else str(value)


def _declared_codes() -> set[str]:
    """Of every module that is loaded; the one that refuses is."""
    modules = [module for name, module in sys.modules.items() if name.startswith("orchestration.")]
    return {each.code for module in modules for each in vars(module).values() if isinstance(each, Reason)}


def json_line(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=True) + "\n"
