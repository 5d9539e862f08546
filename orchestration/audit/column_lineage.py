"""Which source columns a query's output columns depend on, read from its SQL alone.

A pure walk over SQL that sqlglot has qualified. DIRECT: the value travels into the output column. INDIRECT:
it decides which values there are; with output `""` it decides which rows there are (filter, join key,
grouping, order, all of them also of the subqueries the rows came through).

Two things sqlglot leaves open are settled here:
- `GROUP BY ALL` groups by every projection without an aggregate;
- `count(*)` reads rows, not a column: it depends INDIRECTly (GROUP_BY, masking) on the column that
  stands for the row in each source, which is the privacy unit or else the first column.

Refuses what it cannot follow (PIVOT, NATURAL JOIN, recursion, `COLUMNS(…)`): lineage that guesses is worse
than none. Must not be here: OpenLineage, a connection, any SQL text in a message.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

from orchestration.audit.column_flow import Schemas, UntraceableError, Walker
from orchestration.audit.lineage_datasets import ColumnEdge, Kind, Subtype
from orchestration.errors import ConfigError, Reason

UNTRACEABLE = Reason(
    "lineage.untraceable",
    "The SQL of {model} cannot be traced to its source columns: {why}.",
    "Write the model with plain SELECTs over declared columns, and declare every column in its YAML.",
)

_UNSUPPORTED: tuple[tuple[type[exp.Expr], str], ...] = (
    (exp.Pivot, "it uses PIVOT"),
    (exp.Columns, "it uses COLUMNS(…)"),
    (exp.ReadCSV, "it reads a file"),
    (exp.ReadParquet, "it reads a file"),
)


class Trace(NamedTuple):
    """Edges, and the `schema.table` of every table read, both sorted."""

    edges: tuple[ColumnEdge, ...]
    tables: tuple[str, ...]


def trace(
    sql: str, schemas: Schemas, dialect: str = "duckdb", *, model: str = "this query"
) -> tuple[ColumnEdge, ...]:
    """Every dependency of the query's output on a column of a table in `schemas`, sorted.

    Args:
        sql: one SELECT (or set operation); a catalog in front of `schema.table` is ignored.
        schemas: `schema.table` → column → type; the order of columns matters for `count(*)` alone.
        model: what messages call the query.

    Raises: ConfigError (`lineage.untraceable`), which never quotes the SQL.
    """
    return trace_query(sql, schemas, dialect, model=model).edges


def trace_query(sql: str, schemas: Schemas, dialect: str = "duckdb", *, model: str = "this query") -> Trace:
    """Like `trace`, and which tables the query reads."""
    frozen = tuple((table, tuple(columns.items())) for table, columns in schemas.items())
    try:
        return _cached_trace(sql, frozen, dialect)
    except UntraceableError as error:
        raise ConfigError(UNTRACEABLE, model=model, why=str(error)) from None


@lru_cache(maxsize=512)
def _cached_trace(
    sql: str, schemas: tuple[tuple[str, tuple[tuple[str, str], ...]], ...], dialect: str
) -> Trace:
    """The trace of one text of SQL: templates are fixed, so a request is traced once per process."""
    by_table = {table: dict(columns) for table, columns in schemas}
    nested: dict[str, object] = {}
    for schema in {table.partition(".")[0] for table in by_table}:
        nested[schema] = {
            table.partition(".")[2]: columns
            for table, columns in by_table.items()
            if table.startswith(f"{schema}.")
        }
    try:
        tree = sqlglot.parse_one(sql, dialect=dialect)
        _refuse_unsupported(tree)
        for table_node in tree.find_all(exp.Table):
            table_node.set("catalog", None)
        tree = qualify(tree, schema=nested, dialect=dialect, db="main", quote_identifiers=False)
        root = build_scope(tree)
    except SqlglotError:
        raise UntraceableError("it is not one valid SELECT over declared columns") from None
    if root is None:
        raise UntraceableError("it is not a SELECT")
    walker = Walker(by_table)
    result = walker.result(root)
    edges = [
        *((output, flow) for output, flows in result.columns.items() for flow in flows),
        *(("", flow) for flow in result.rows),
    ]
    # The same source may arrive masked by one branch and bare by another: then it is not masked.
    masked: dict[tuple[str, str, str, Kind, Subtype], bool] = {}
    for output, flow in edges:
        place = (output, flow.table, flow.column, flow.kind, flow.subtype)
        masked[place] = masked.get(place, True) and flow.masking
    return Trace(
        tuple(sorted(ColumnEdge(*place, masking) for place, masking in masked.items())),
        tuple(sorted(walker.tables)),
    )


def _refuse_unsupported(tree: exp.Expr) -> None:
    for kind, why in _UNSUPPORTED:
        if tree.find(kind):
            raise UntraceableError(why)
    if any(with_.args.get("recursive") for with_ in tree.find_all(exp.With)):
        raise UntraceableError("it is recursive")
    if any(join.method == "NATURAL" for join in tree.find_all(exp.Join)):
        raise UntraceableError("it uses NATURAL JOIN")
