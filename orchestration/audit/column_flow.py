"""How columns flow through one qualified query: the walk behind `column_lineage.py`.

Belongs here: what each part of a SELECT does to the columns below it. Must not be here: parsing, caching,
coded errors; `UntraceableError` says why a walk stopped without naming any part of the SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from orchestration.audit.lineage_datasets import Kind, Subtype
from orchestration.charter.entities import UNIT

Schemas = Mapping[str, Mapping[str, str]]
"""`schema.table` → column → type."""

_STRENGTH: tuple[Subtype, ...] = ("IDENTITY", "TRANSFORMATION", "AGGREGATION")
_COUNTING = (exp.Count, exp.CountIf, exp.Sum)
_MASKING_AGGREGATES = (
    *_COUNTING,
    exp.ApproxDistinct,
    exp.Avg,
    exp.Stddev,
    exp.StddevPop,
    exp.StddevSamp,
    exp.Variance,
    exp.VariancePop,
)
_ROW_PICKERS = (exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.NthValue)
_MASKING_FUNCTIONS = (exp.SHA, exp.SHA2, exp.MD5, exp.TimestampTrunc, exp.DateTrunc)
_MASKING_NAMES = frozenset({"hash", "sha1", "md5_number"})


class Flow(NamedTuple):
    """One source column and how it arrives at some place of the query."""

    table: str
    column: str
    kind: Kind
    subtype: Subtype
    masking: bool


Flows = frozenset[Flow]


class Result(NamedTuple):
    """What a (sub)query hands to the query around it."""

    columns: dict[str, Flows]
    rows: Flows  # what decided which rows there are
    keys: frozenset[tuple[str, str]]  # the columns that stand for its rows, for count(*)


class UntraceableError(Exception):
    """Why the walk stopped; the text names no part of the SQL."""


def _through(flows: Iterable[Flow], subtype: Subtype, *, masking: bool = False) -> Flows:
    """The flows after one more step that hands the value on; an influence stays what it was."""
    return frozenset(
        flow._replace(
            subtype=max(flow.subtype, subtype, key=_STRENGTH.index), masking=flow.masking or masking
        )
        if flow.kind == "DIRECT"
        else flow
        for flow in flows
    )


def _influence(flows: Iterable[Flow], subtype: Subtype) -> Flows:
    """The flows where they only decide something: no value travels."""
    return frozenset(flow._replace(kind="INDIRECT", subtype=subtype) for flow in flows)


class Walker:
    """Follows columns from the scopes of one query down to the tables of `schemas`."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._results: dict[int, Result] = {}
        self.tables: set[str] = set()

    def result(self, scope: Scope) -> Result:
        found = self._results.get(id(scope))
        if found is None:
            found = self._results[id(scope)] = self._walk(scope)
        return found

    def _walk(self, scope: Scope) -> Result:
        tree = scope.expression
        if isinstance(tree, exp.SetOperation):
            return self._set_operation(scope, tree)
        if isinstance(tree, exp.Select):
            return self._select(scope, tree)
        # UNNEST, VALUES, LATERAL: whatever columns stand inside make every column of it.
        inside = self._of_columns(tree.find_all(exp.Column), scope)
        names = tree.alias_column_names or [tree.alias]
        return Result(dict.fromkeys(names, _through(inside, "TRANSFORMATION")), frozenset(), frozenset())

    def _set_operation(self, scope: Scope, tree: exp.SetOperation) -> Result:
        left, right = (self.result(part) for part in scope.set_operation_scopes)
        rows = left.rows | right.rows
        if isinstance(tree, exp.Union):
            by_name = tree.args.get("by_name")
            keys = list(left.columns) if not by_name else [*dict.fromkeys([*left.columns, *right.columns])]
            if not by_name and len(left.columns) != len(right.columns):
                raise UntraceableError("the sides of a UNION have different columns")
            others = right.columns if by_name else dict(zip(keys, right.columns.values(), strict=True))
            nothing: Flows = frozenset()
            columns = {key: left.columns.get(key, nothing) | others.get(key, nothing) for key in keys}
        else:  # INTERSECT, EXCEPT: the right side only decides which rows of the left stay
            columns = left.columns
            rows |= _influence(frozenset().union(*right.columns.values()), "FILTER")
        if tree.args.get("distinct"):
            rows |= _influence(frozenset().union(*columns.values()), "GROUP_BY")
        if order := tree.args.get("order"):
            names = {column.name for column in order.find_all(exp.Column)}
            rows |= _influence(frozenset().union(*(columns.get(name, ()) for name in names)), "SORT")
        return Result(columns, rows, left.keys | right.keys)

    def _select(self, scope: Scope, tree: exp.Select) -> Result:
        rows: set[Flow] = set()
        keys: set[tuple[str, str]] = set()
        for source in self._sources(scope, tree):
            if isinstance(source, Scope):
                inner = self.result(source)
                rows |= inner.rows
                keys |= inner.keys
            elif table := self._table(source):
                keys.add((table, self._row_key(table)))
        result = Result({}, frozenset(), frozenset(keys))
        self._results[id(scope)] = result  # projections and ORDER BY look up keys and aliases while we walk
        for projection in tree.selects:
            if projection.is_star:
                raise UntraceableError("a * in it could not be expanded")
            result.columns[projection.alias_or_name] = self._flows(projection, scope)
        for part, subtype in self._deciders(tree):
            rows |= _influence(self._flows(part, scope), subtype)
        return result._replace(rows=frozenset(rows))

    def _deciders(self, tree: exp.Select) -> Iterable[tuple[exp.Expr, Subtype]]:
        """The parts of a SELECT that decide which rows there are."""
        for clause in ("where", "having", "qualify"):
            if part := tree.args.get(clause):
                yield part.this, "FILTER"
        for join in tree.args.get("joins") or ():
            for part in (join.args.get("on"), join.args.get("match_condition")):
                if part:
                    yield part, "JOIN"
        if group := tree.args.get("group"):
            yield group, "GROUP_BY"
            if group.args.get("all"):
                for projection in tree.selects:
                    if not _is_aggregated(projection):
                        yield projection, "GROUP_BY"
        if distinct := tree.args.get("distinct"):
            for part in [distinct.args["on"]] if distinct.args.get("on") else tree.selects:
                yield part, "GROUP_BY"
        if order := tree.args.get("order"):
            yield order, "SORT"

    def _sources(self, scope: Scope, tree: exp.Select) -> list[exp.Expr | Scope]:
        """What stands in FROM and JOIN; a CTE nobody reads is not among them."""
        found = {name: source for name, (_, source) in scope.selected_sources.items()}
        for join in tree.args.get("joins") or ():  # sqlglot leaves out semi and anti joins
            name = join.alias_or_name
            if name in scope.sources:
                found.setdefault(name, scope.sources[name])
        return list(found.values())

    def _flows(self, node: exp.Expr, scope: Scope) -> Flows:
        """What the value of an expression depends on, seen from `scope`."""
        if isinstance(node, exp.Column):
            return self._resolve(node, scope)
        if isinstance(node, exp.Alias | exp.Paren):
            return self._flows(node.this, scope)
        if isinstance(node, exp.Query):
            return self._subquery(node, scope)
        if isinstance(node, exp.In) and (query := node.args.get("query")):
            return _through(self._flows(node.this, scope), "TRANSFORMATION") | _influence(
                self._flows(query, scope), "CONDITIONAL"
            )
        if isinstance(node, exp.Exists):
            return _influence(self._flows(node.this, scope), "CONDITIONAL")
        if isinstance(node, exp.Window):
            return self._window(node, scope)
        if isinstance(node, exp.Filter):
            return self._flows(node.this, scope) | _influence(self._flows(node.expression, scope), "FILTER")
        if isinstance(node, exp.If) or (isinstance(node, exp.Case) and node.this):
            chosen = self._children(node, scope, without="this")
            decided = self._flows(node.this, scope)
            return _through(chosen, "TRANSFORMATION") | _influence(decided, "CONDITIONAL")
        if isinstance(node, exp.Grouping):  # says which grouping set a row is of
            return _influence(self._children(node, scope), "GROUP_BY")
        if isinstance(node, exp.Order):
            return _influence(self._children(node, scope), "SORT")
        inside = self._children(node, scope)
        if isinstance(node, exp.AggFunc) and not isinstance(node, _ROW_PICKERS):
            return self._aggregate(node, inside, scope)
        if _is_same_column_of_join(node):
            return inside
        return _through(inside, "TRANSFORMATION", masking=_hides_value(node))

    def _children(self, node: exp.Expr, scope: Scope, *, without: str = "") -> Flows:
        skipped = node.args.get(without)
        return frozenset(
            flow
            for child in node.iter_expressions()
            if child is not skipped
            for flow in self._flows(child, scope)
        )

    def _aggregate(self, node: exp.AggFunc, inside: Flows, scope: Scope) -> Flows:
        masking = isinstance(node, _MASKING_AGGREGATES)
        flows = _through(inside, "AGGREGATION", masking=masking)
        if isinstance(node, _COUNTING) and not any(flow.kind == "DIRECT" for flow in flows):
            flows |= {
                Flow(table, column, "INDIRECT", "GROUP_BY", True)
                for table, column in self._results[id(scope)].keys
            }
        return flows

    def _window(self, node: exp.Window, scope: Scope) -> Flows:
        parts = [*(node.args.get("partition_by") or ()), node.args.get("order")]
        for named in scope.expression.args.get("windows") or ():
            if named.name == node.alias:
                parts += [*(named.args.get("partition_by") or ()), named.args.get("order")]
        decided = frozenset[Flow]().union(*(self._flows(part, scope) for part in parts if part))
        return self._flows(node.this, scope) | _influence(decided, "WINDOW")

    def _subquery(self, node: exp.Query, scope: Scope) -> Flows:
        tree = node.unnest()
        for inner in scope.subquery_scopes:
            if inner.expression is tree:
                result = self.result(inner)
                values = frozenset[Flow]().union(*result.columns.values())
                return _through(values, "TRANSFORMATION") | result.rows
        raise UntraceableError("a subquery of it stands where none is expected")

    def _of_columns(self, columns: Iterable[exp.Column], scope: Scope) -> Flows:
        return frozenset(flow for column in columns for flow in self._resolve(column, scope))

    def _resolve(self, column: exp.Column, scope: Scope) -> Flows:
        name, alias = column.name, column.table
        if not alias:  # after qualification only ORDER BY and DISTINCT ON still use a projection's alias
            found = self._results[id(scope)].columns.get(name)
            if found is None:
                raise UntraceableError("a column of it has no table")
            return found
        at: Scope | None = scope
        while at is not None:  # a correlated subquery reads the sources of the query around it
            source = at.selected_sources.get(alias, (None, None))[1] or at.sources.get(alias)
            if isinstance(source, Scope):
                found = self.result(source).columns.get(name)
                if found is None:
                    raise UntraceableError("a column of it is not in the subquery it names")
                return found
            if source is not None:
                table = self._table(source)
                if table is None:
                    return frozenset()
                if name not in self._schemas[table]:
                    raise UntraceableError("a column of it is not declared")
                return frozenset({Flow(table, name, "DIRECT", "IDENTITY", False)})
            at = at.parent
        raise UntraceableError("a column of it has no source")

    def _table(self, source: exp.Expr) -> str | None:
        """The `schema.table` of a source and note it as read; None for a table function such as `range`."""
        if not isinstance(source, exp.Table) or not isinstance(source.this, exp.Identifier):
            return None
        table = f"{source.db}.{source.name}"
        if table not in self._schemas:
            raise UntraceableError("a table it reads is not declared")
        self.tables.add(table)
        return table

    def _row_key(self, table: str) -> str:
        columns = self._schemas[table]
        if not columns:
            raise UntraceableError("a table it reads declares no columns")
        return UNIT if UNIT in columns else next(iter(columns))


def _is_aggregated(projection: exp.Expr) -> bool:
    """Whether GROUP BY ALL leaves this out of the keys; aggregates of a subquery are its own."""
    nodes = projection.walk(prune=lambda node: isinstance(node, exp.Query))
    return any(isinstance(node, exp.AggFunc | exp.Window) for node in nodes)


def _hides_value(node: exp.Expr) -> bool:
    """Whether a function of one value keeps it from being read back: a hash, a coarser date, `is null`."""
    if isinstance(node, exp.Is):
        return isinstance(node.expression, exp.Null)
    if isinstance(node, exp.Anonymous):
        return node.name.lower() in _MASKING_NAMES
    return isinstance(node, _MASKING_FUNCTIONS)


def _is_same_column_of_join(node: exp.Expr) -> bool:
    """Whether this is how sqlglot writes the one column of a USING join: `coalesce(a.x, b.x)`."""
    if not isinstance(node, exp.Coalesce):
        return False
    parts = [node.this, *node.expressions]
    return all(isinstance(part, exp.Column) for part in parts) and len({part.name for part in parts}) == 1
