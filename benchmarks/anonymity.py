"""Figures of anonymity against the bare GROUP BY they rest on, and against `pycanon`; the search over Adult.

The sides, each in a process of its own, over the same Parquet file of made-up people whose attributes are
skewed as real ones are (258,048 possible classes):

- `house`: `measure` of six quasi-identifiers and one sensitive attribute: rows, classes, k, uniqueness, risk,
  distinct and entropy l, t;
- `ordered`: the same with a second, numeric attribute, whose t has to know the order of values;
- `bare`: the least SQL that any of it needs: count rows by the six and the sensitive attribute, and say how
  many groups there are. It computes no figure;
- `small` and `pycanon`: both on a million rows and four quasi-identifiers, which pycanon can hold.

Besides, one figure: the search over ARX's Adult, 9 hierarchies with 12,960 settings, k 5, 5 % suppression,
from reading the files to the optimum. It needs the public file beside the repository and is left out if not.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import PROJECT, Comparison, Figure, Sample, in_turns, report_side, run_side, scratch

TARGET_BARE, TARGET_PYCANON, TARGET_LATTICE = 1.5, 1 / 30, 10.0
SMALL = 1_000_000
_SIX = ("age", "region", "sex", "education", "status", "size")
_FOUR = ("age", "region", "sex", "status")
_ADULT = (
    *("sex", "age", "race", "marital-status", "education", "native-country", "workclass", "occupation"),
    "salary-class",
)


def compare(pairs: int, *, large: int = 10_000_000) -> tuple[list[Comparison], list[Figure]]:
    """Comparisons at the large and the small size, and the search's seconds where Adult is at hand."""
    with scratch() as folder:
        file = _people(folder / "large.parquet", large)
        house, ordered, bare = in_turns(
            pairs, *(partial(_side, name, file) for name in ("house", "ordered", "bare"))
        )
        fewer = _people(folder / "small.parquet", SMALL)
        small, pycanon = in_turns(1, *(partial(_side, name, fewer) for name in ("small", "pycanon")))
        figures = []
        adult = _adult()
        if adult is not None:
            search = _side("lattice", adult, 0)
            figures.append(Figure("Search of Adult's 12,960 settings", search.seconds, "s", TARGET_LATTICE))
    if small[0].details["figures"] != pycanon[0].details["figures"]:
        raise SystemExit("the sides do not find the same figures")
    title = f"k, l, t and uniqueness of {large:,} rows x 6"
    return [
        Comparison(f"{title}, vs the bare GROUP BY", house, bare, TARGET_BARE),
        Comparison(f"{title}, a numeric attribute too, vs the bare GROUP BY", ordered, bare),
        Comparison(f"k, l, t of {SMALL:,} rows x 4, vs pycanon", small, pycanon, TARGET_PYCANON),
    ], figures


def _people(path: Path, rows: int) -> Path:
    import duckdb

    def skewed(seed: int, values: int) -> str:
        """The smaller of two throws: low values are common, high ones rare."""
        throws = (f"hash(i + {1_000_000_007 * (seed + shift)}::BIGINT) % {values}" for shift in (0, 50))
        return f"least({', '.join(throws)})"

    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(
            f"COPY (SELECT 'age ' || hash(i + 1) % 12 AS age, 'region ' || hash(i + 2000000) % 16 AS region,"
            f" CASE hash(i + 3000000) % 2 WHEN 0 THEN 'f' ELSE 'm' END AS sex,"
            f" 'school ' || {skewed(4, 16)} AS education, 'status ' || {skewed(5, 7)} AS status,"
            f" (1 + {skewed(6, 6)})::BIGINT AS size, 'diagnosis ' || {skewed(7, 12)} AS diagnosis,"
            f" {skewed(8, 40)}::BIGINT AS visits FROM range({rows}) AS people(i))"
            f" TO '{path}' (FORMAT parquet)"
        )
    return path


def _adult() -> Path | None:
    folders = (parent / "shared" / "data" / "adult_arx" for parent in PROJECT.parents)
    return next((folder for folder in folders if folder.is_dir()), None)


def _side(name: str, file: Path, _pair: int) -> Sample:
    with scratch() as home:
        return run_side("anonymity", name, str(file), home=home)


# --- the sides, each in its own process


def _measure(file: Path, names: tuple[str, ...], sensitive: tuple[str, ...]) -> None:
    from orchestration.engine.duck import connect
    from orchestration.scope.anonymity import measure
    from orchestration.settings import load_settings

    found: dict[str, Any] = {}

    def work() -> None:
        with connect(load_settings()) as connection:
            figures = measure(connection, f"read_parquet('{file}')", names, sensitive)
            found["figures"] = [figures.k, figures.l_distinct, round(figures.t or 0, 9)]

    report_side(work, details=lambda: found)


def _bare(file: Path) -> None:
    from orchestration.engine.duck import connect
    from orchestration.settings import load_settings

    keys = ", ".join((*_SIX, "diagnosis"))

    def work() -> None:
        with connect(load_settings()) as connection:
            connection.execute(
                f"SELECT count(*), min(n) FROM (SELECT {keys}, count(*) AS n"
                f" FROM read_parquet('{file}') GROUP BY {keys})"
            ).fetchall()

    report_side(work)


def _pycanon(file: Path) -> None:
    import duckdb
    from pycanon import anonymity

    frame = duckdb.sql(f"SELECT * FROM read_parquet('{file}')").df()
    names, found = list(_FOUR), dict[str, Any]()

    def work() -> None:
        k = anonymity.k_anonymity(frame, names)
        distinct = anonymity.l_diversity(frame, names, ["diagnosis"])
        anonymity.entropy_l_diversity(frame, names, ["diagnosis"])
        distance = anonymity.t_closeness(frame, names, ["diagnosis"])
        found["figures"] = [int(k), int(distinct), round(float(distance), 9)]

    report_side(work, details=lambda: found)


def _lattice(folder: Path) -> None:
    import duckdb

    from orchestration.scope.class_counts import count_classes
    from orchestration.scope.hierarchy import read_hierarchy
    from orchestration.scope.lattice import propose

    def work() -> None:
        levels = [read_hierarchy(name, folder / f"adult_hierarchy_{name}.csv") for name in _ADULT]
        with duckdb.connect() as connection:
            relation = f"read_csv('{folder}/adult.csv', delim = ';', header = true)"
            counts = count_classes(connection, relation, levels)
        if not propose(counts, levels, k=5, suppress=0.05).settings:
            raise SystemExit("the search found nothing")

    report_side(work)


if __name__ == "__main__":
    _, side, path = sys.argv
    match side:
        case "house":
            _measure(Path(path), _SIX, ("diagnosis",))
        case "ordered":
            _measure(Path(path), _SIX, ("diagnosis", "visits"))
        case "small":
            _measure(Path(path), _FOUR, ("diagnosis",))
        case "bare":
            _bare(Path(path))
        case "pycanon":
            _pycanon(Path(path))
        case _:
            _lattice(Path(path))
