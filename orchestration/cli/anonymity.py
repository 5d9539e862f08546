"""`glasshouse anonymity`: at the desk, how well a file would be protected, or how to protect it better.

Needs the charter's file and no house. Exact figures are shown: the data is the contributor's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import duckdb
import typer
from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.text import Text

from orchestration.charter import load_charter
from orchestration.charter.entities import ENTITIES, UNIT
from orchestration.charter.model import Dataset
from orchestration.cli.console import JsonFlag, emit, table
from orchestration.cli.progress import share_bar
from orchestration.engine.duck import connect
from orchestration.errors import ConfigError, ContributionError, Reason
from orchestration.scope.anonymity import Anonymity, measure
from orchestration.scope.class_counts import count_classes, distinct_values, is_unique
from orchestration.scope.floors import Limit, judge
from orchestration.scope.hierarchy import KINDS, Hierarchy, keep, make_hierarchy, read_hierarchy
from orchestration.scope.lattice import Proposal, propose
from orchestration.scope.local_suppression import reach_floor
from orchestration.scope.rehearsal import rehearse
from orchestration.settings import load_settings

NO_FILE = Reason("anonymity.no_file", "There is no such file to measure.", "Check the path.")
NOTHING_TO_MEASURE = Reason(
    "anonymity.nothing_to_measure",
    "{dataset} has no field by which a privacy unit could be found.",
    "Measure a dataset about privacy units with fields classified quasi_identifier.",
)
BAD_HIERARCHY = Reason(
    "anonymity.bad_hierarchy",
    "A hierarchy is written ATTRIBUTE=FILE or ATTRIBUTE=KIND, for one of: {known}.",
    "For example: --hierarchy age=age.csv --hierarchy occurred_on=date",
)
NO_K = Reason(
    "anonymity.no_k",
    "The charter sets no k for {dataset}, so the search does not know what is enough.",
    "Say how many must look alike: --k 5",
)
SEVERAL_ROWS = Reason(
    "anonymity.several_rows",
    "{dataset} has several rows of one unit; the search counts rows and would promise too much.",
    "Search over one row per unit, or try a coarser technique and measure again.",
)


@dataclass(frozen=True)
class _Measured:
    figures: Anonymity
    limits: tuple[Limit, ...]
    suppressed: int
    reached: bool


def anonymity(
    file: Annotated[Path, typer.Argument(help="CSV (UTF-8) or Parquet file, as it would be delivered.")],
    *,
    charter: Annotated[Path, typer.Option(help="The charter's file.")],
    dataset: Annotated[str, typer.Option(help="Dataset of the charter.")],
    search: Annotated[bool, typer.Option("--propose", help="Search for the least lossy setting.")] = False,
    hierarchy: Annotated[
        list[str] | None,
        typer.Option(help="ATTRIBUTE=FILE (value;level 1;…), or =bands:5,10, =prefix, =date; repeat it."),
    ] = None,
    k: Annotated[int | None, typer.Option(min=2, help="Of the search; default: the charter's.")] = None,
    suppress: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of rows; default: the charter's, or 0.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure k, l, t and risk of a file after the charter's techniques, against the charter's floor.

    Exit code 1 when the floor is not reached, even by suppressing what the charter allows.
    """
    declared = load_charter(charter).dataset(dataset)
    if not file.is_file():
        raise ConfigError(NO_FILE)
    if not ENTITIES[declared.entity].privacy_unit or not declared.quasi_identifiers:
        raise ConfigError(NOTHING_TO_MEASURE, dataset=dataset)
    with _desk() as connection:
        rows = rehearse(connection, declared, file)
        proposal = (
            _search(connection, rows, declared, hierarchy or [], k, suppress) if search else None
        )  # first: the floor is tried out on the same table
        measured = _measure(connection, rows, declared)
    document = _document(dataset, measured)
    if proposal is not None:
        document["proposal"] = _proposed(proposal)
    emit(document, lambda: _shown(declared, measured, proposal), as_json=as_json)
    if not measured.reached:
        raise typer.Exit(1)


@contextmanager
def _desk() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory; what it spills is encrypted, and gone afterwards."""
    with (
        TemporaryDirectory(prefix="glasshouse-") as folder,
        connect(load_settings(home=Path(folder))) as opened,
    ):
        yield opened


def _measure(connection: duckdb.DuckDBPyConnection, rows: str, dataset: Dataset) -> _Measured:
    names, sensitive, floor = dataset.quasi_identifiers, dataset.sensitive_attributes, dataset.anonymity
    figures = measure(connection, rows, names, sensitive, unit=UNIT)
    if floor is None:
        return _Measured(figures, (), 0, True)
    limits = judge(floor, figures)
    try:
        reached = reach_floor(connection, rows, names, sensitive, floor, unit=UNIT, subject=dataset.id)
    except ContributionError:
        return _Measured(figures, limits, 0, False)
    return _Measured(figures, limits, reached.suppressed, True)


def _search(
    connection: duckdb.DuckDBPyConnection,
    rows: str,
    dataset: Dataset,
    given: Sequence[str],
    k: int | None,
    suppress: float | None,
) -> Proposal:
    floor = dataset.anonymity
    wanted = k or (floor.k if floor else None)
    if wanted is None:
        raise ConfigError(NO_K, dataset=dataset.id)
    if not is_unique(connection, rows, UNIT):
        raise ConfigError(SEVERAL_ROWS, dataset=dataset.id)
    allowed = suppress if suppress is not None else float((floor.suppress if floor else None) or 0)
    hierarchies = _hierarchies(connection, rows, dataset, given)
    counts = count_classes(connection, rows, hierarchies)
    with share_bar("Searching the lattice") as advance:
        return propose(counts, hierarchies, k=wanted, suppress=allowed, on_progress=advance)


def _hierarchies(
    connection: duckdb.DuckDBPyConnection, rows: str, dataset: Dataset, given: Sequence[str]
) -> list[Hierarchy]:
    """One per quasi-identifier; one that was not given keeps its attribute as it is."""
    named: dict[str, str] = {}
    for each in given:
        attribute, equals, how = each.partition("=")
        if not equals or attribute not in dataset.quasi_identifiers or attribute in named:
            raise ConfigError(BAD_HIERARCHY, known=", ".join(dataset.quasi_identifiers))
        named[attribute] = how
    found = []
    for attribute in dataset.quasi_identifiers:
        if attribute not in named:
            found.append(keep(attribute, distinct_values(connection, rows, attribute)))
        elif named[attribute].partition(":")[0] in KINDS:
            values = distinct_values(connection, rows, attribute)
            found.append(make_hierarchy(attribute, named[attribute], values))
        else:
            found.append(read_hierarchy(attribute, Path(named[attribute])))
    return found


def _document(dataset: str, measured: _Measured) -> dict[str, JsonValue]:
    figures = measured.figures
    return {
        "dataset": dataset,
        "rows": figures.rows,
        "units": figures.units,
        "classes": figures.classes,
        "k": figures.k,
        "unique": figures.unique,
        "uniqueness": figures.uniqueness,
        "average_risk": figures.average_risk,
        "highest_risk": figures.highest_risk,
        "sensitive": [
            {
                "attribute": each.attribute,
                "distinct_l": each.distinct_l,
                "entropy_l": each.entropy_l,
                "t": each.t,
            }
            for each in figures.sensitive
        ],
        "limits": [
            {"limit": each.says, "needs": each.needs, "found": each.found, "met": each.met}
            for each in measured.limits
        ],
        "suppressed": measured.suppressed,
        "reached": measured.reached,
    }


def _proposed(proposal: Proposal) -> JsonValue:
    return {
        "rows": proposal.rows,
        "settings_in_all": proposal.nodes,
        "settings_looked_at": proposal.evaluated,
        "best": [
            {
                "levels": dict(zip(proposal.attributes, each.levels, strict=True)),
                "loss": each.loss,
                "suppressed": each.suppressed,
                "classes": each.classes,
                "k": each.k,
            }
            for each in proposal.settings
        ],
    }


def _shown(dataset: Dataset, measured: _Measured, proposal: Proposal | None) -> RenderableType:
    figures = measured.figures
    numbers = [
        ["Rows", f"{figures.rows:,}"],
        ["Privacy units", f"{figures.units:,}"],
        ["Classes of look-alikes", f"{figures.classes:,}"],
        ["k: units of the smallest class", f"{figures.k:,}"],
        ["Unique units", f"{figures.unique:,} ({figures.uniqueness:.2%})"],
        ["Average risk", f"{figures.average_risk:.2%}"],
        ["Highest risk", f"{figures.highest_risk:.2%}"],
    ]
    for each in figures.sensitive:
        spread = f"l {each.distinct_l}, entropy l {each.entropy_l:.2f}, t {each.t:.3f}"
        numbers.append([f"{each.attribute}, in its worst class", spread])
    parts: list[RenderableType] = [
        Text(f"Found by: {', '.join(dataset.quasi_identifiers)}\n"),
        table(["Figure", ("Value", "right")], numbers),
    ]
    if measured.limits:
        limits = [
            [each.says, f"{each.found:.4g}", "met" if each.met else "missed"] for each in measured.limits
        ]
        parts += [Text(), table(["The charter asks for", ("Found", "right"), ""], limits), Text()]
        parts.append(Text(_verdict(measured)))
    if proposal is not None:
        parts += [Text(), _settings(proposal)]
    return Group(*parts)


def _verdict(measured: _Measured) -> str:
    if not measured.reached:
        return "The floor is not reached: stage 2 would refuse this file. Try --propose."
    if measured.suppressed:
        share = measured.suppressed / measured.figures.rows
        return f"The floor is reached by suppressing {measured.suppressed:,} rows ({share:.2%})."
    return "The floor is reached."


def _settings(proposal: Proposal) -> RenderableType:
    looked = f"{proposal.evaluated:,} of {proposal.nodes:,} settings were looked at."
    if not proposal.settings:
        return Text(f"No setting of these hierarchies is enough. {looked}")
    rows = [
        [
            ", ".join(
                f"{name} {level}"
                for name, level in zip(proposal.attributes, each.levels, strict=True)
                if level
            )
            or "everything as it is",
            f"{each.loss:.4f}",
            f"{each.suppressed:,}",
            f"{each.k:,}",
        ]
        for each in proposal.settings
    ]
    heads: list[str | tuple[str, str]] = [
        "Levels, the best setting first",
        ("Loss", "right"),
        ("Suppressed", "right"),
        ("k", "right"),
    ]
    note = f"\n{looked} Loss: 0 as it is, 1 nothing left."
    if any(0 < each.suppressed < each.k for each in proposal.settings):
        note += "\nIn the room fewer suppressed rows than k take one more class along."
    return Group(table(heads, rows), Text(note))
