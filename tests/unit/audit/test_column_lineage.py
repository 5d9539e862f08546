"""Column lineage of SQL: what travels, what decides, and what is refused rather than guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.audit.column_lineage import trace, trace_query
from orchestration.errors import ConfigError

SCHEMAS = {
    "room.t": {"a": "INT", "unit": "VARCHAR", "d": "DATE"},
    "room.p": {"unit": "VARCHAR", "x": "INT"},
    "room.ref": {"product": "VARCHAR", "brand": "VARCHAR"},
}


def edges(sql: str) -> set[str]:
    """`output < table.column KIND SUBTYPE [masked]`, with `*` for all rows."""
    return {
        f"{e.output or '*'} < {e.source_table.removeprefix('room.')}.{e.source_column} "
        f"{e.kind} {e.subtype}{' masked' if e.masking else ''}"
        for e in trace(sql, SCHEMAS)
    }


QUERIES = {
    "identity and expression": (
        "select a, a + 1 as b, cast(d as varchar) as c from room.t",
        {"a < t.a DIRECT IDENTITY", "b < t.a DIRECT TRANSFORMATION", "c < t.d DIRECT TRANSFORMATION"},
    ),
    "star, quoted names and a catalog": (
        'select * exclude (d) from "glasshouse"."room"."t"',
        {"a < t.a DIRECT IDENTITY", "unit < t.unit DIRECT IDENTITY"},
    ),
    "filter in where, having and qualify": (
        "select unit, sum(a) as s from room.t where d > current_date group by unit "
        "having max(a) > 1 qualify row_number() over (order by unit) = 1",
        {
            "* < t.d INDIRECT FILTER",
            "* < t.a INDIRECT FILTER",
            "* < t.unit INDIRECT FILTER",
            "* < t.unit INDIRECT GROUP_BY",
            "s < t.a DIRECT AGGREGATION masked",
            "unit < t.unit DIRECT IDENTITY",
        },
    ),
    "join keys": (
        "select t.a, p.x from room.t join room.p on t.unit = p.unit",
        {
            "a < t.a DIRECT IDENTITY",
            "x < p.x DIRECT IDENTITY",
            "* < t.unit INDIRECT JOIN",
            "* < p.unit INDIRECT JOIN",
        },
    ),
    "a USING column is still the same column": (
        "select coalesce(t.unit, p.unit) as unit from room.t full join room.p using (unit)",
        {
            "unit < t.unit DIRECT IDENTITY",
            "unit < p.unit DIRECT IDENTITY",
            "* < t.unit INDIRECT JOIN",
            "* < p.unit INDIRECT JOIN",
        },
    ),
    "semi join": (
        "select a from room.t semi join room.p on t.unit = p.unit",
        {"a < t.a DIRECT IDENTITY", "* < t.unit INDIRECT JOIN", "* < p.unit INDIRECT JOIN"},
    ),
    "filters of a CTE reach the outside": (
        "with big as (select unit, a as amount from room.t where a > 1), unused as (select x from room.p) "
        "select amount * 2 as twice from big",
        {"twice < t.a DIRECT TRANSFORMATION", "* < t.a INDIRECT FILTER"},
    ),
    "aggregation wins through a CTE": (
        "with s as (select sum(a) as n from room.t) select n + 1 as m from s",
        {"m < t.a DIRECT AGGREGATION masked"},
    ),
    "GROUP BY ALL is expanded": (
        "select unit, a + 1 as k, min(d) as first from room.t group by all",
        {
            "unit < t.unit DIRECT IDENTITY",
            "k < t.a DIRECT TRANSFORMATION",
            "first < t.d DIRECT AGGREGATION",
            "* < t.unit INDIRECT GROUP_BY",
            "* < t.a INDIRECT GROUP_BY",
        },
    ),
    "count(*) counts privacy units' rows": (
        "select count(*) as n from room.t",
        {"n < t.unit INDIRECT GROUP_BY masked"},
    ),
    "count(*) of a table without a unit": (
        "select count(*) as n from room.ref",
        {"n < ref.product INDIRECT GROUP_BY masked"},
    ),
    "count(*) through a CTE and with a filter": (
        "with s as (select a from room.t) select count(*) filter (where a > 1) as n from s",
        {"n < t.unit INDIRECT GROUP_BY masked", "n < t.a INDIRECT FILTER"},
    ),
    "counting cases": (
        "select sum(case when a > 1 then 1 else 0 end) as n, "
        "count(distinct case when a > 1 then unit end) as u from room.t",
        {
            "n < t.a INDIRECT CONDITIONAL",
            "n < t.unit INDIRECT GROUP_BY masked",
            "u < t.a INDIRECT CONDITIONAL",
            "u < t.unit DIRECT AGGREGATION masked",
        },
    ),
    "window and order": (
        "select lag(a) over (partition by unit order by d) as l from room.t order by d",
        {
            "l < t.a DIRECT TRANSFORMATION",
            "l < t.unit INDIRECT WINDOW",
            "l < t.d INDIRECT WINDOW",
            "* < t.d INDIRECT SORT",
        },
    ),
    "named window": (
        "select row_number() over w as n from room.t window w as (order by d)",
        {"n < t.d INDIRECT WINDOW"},
    ),
    "grouping sets": (
        "select unit, grouping(unit) as is_total, max(a) as m from room.t group by rollup (unit)",
        {
            "unit < t.unit DIRECT IDENTITY",
            "is_total < t.unit INDIRECT GROUP_BY",
            "m < t.a DIRECT AGGREGATION",
            "* < t.unit INDIRECT GROUP_BY",
        },
    ),
    "subqueries, correlated and not": (
        "select a, (select max(x) from room.p) as m from room.t "
        "where exists (select 1 from room.p where p.unit = t.unit) and a in (select x from room.p)",
        {
            "a < t.a DIRECT IDENTITY",
            "m < p.x DIRECT AGGREGATION",
            "* < p.unit INDIRECT FILTER",
            "* < t.unit INDIRECT FILTER",
            "* < p.x INDIRECT FILTER",
            "* < t.a INDIRECT FILTER",
        },
    ),
    "union joins both sides, except only filters": (
        "select unit from room.t union all select unit from room.p",
        {"unit < t.unit DIRECT IDENTITY", "unit < p.unit DIRECT IDENTITY"},
    ),
    "except": (
        "select unit from room.t except all select unit from room.p",
        {"unit < t.unit DIRECT IDENTITY", "* < p.unit INDIRECT FILTER"},
    ),
    "distinct": (
        "select distinct unit from room.t",
        {"unit < t.unit DIRECT IDENTITY", "* < t.unit INDIRECT GROUP_BY"},
    ),
    "masking functions": (
        "select sha256(unit) as h, date_trunc('week', d) as w, unit is not null as known from room.t",
        {
            "h < t.unit DIRECT TRANSFORMATION masked",
            "w < t.d DIRECT TRANSFORMATION masked",
            "known < t.unit DIRECT TRANSFORMATION masked",
        },
    ),
    "masked by one branch and bare by the other is not masked": (
        "select case when a > 1 then sha256(unit) else upper(unit) end as u from room.t",
        {"u < t.unit DIRECT TRANSFORMATION", "u < t.a INDIRECT CONDITIONAL"},
    ),
    "literals depend on nothing": ("select 'yes' as flag, a from room.t", {"a < t.a DIRECT IDENTITY"}),
    "unnest": (
        "select u.z from room.t, unnest([a, 1]) as u(z)",
        {"z < t.a DIRECT TRANSFORMATION"},
    ),
}


@pytest.mark.parametrize(("sql", "expected"), QUERIES.values(), ids=QUERIES.keys())
def test_every_dependency_is_found_and_no_other(sql: str, expected: set[str]) -> None:
    assert edges(sql) == expected


@given(st.sampled_from(sorted(sql for sql, _ in QUERIES.values())), st.integers(1, 3))
def test_wrapping_a_query_changes_no_edge(sql: str, times: int) -> None:
    wrapped = sql
    for depth in range(times):
        wrapped = f"with wrapped_{depth} as ({wrapped}) select * from wrapped_{depth}"
    assert edges(wrapped) == edges(sql)


@given(st.sampled_from(sorted(sql for sql, _ in QUERIES.values())))
def test_a_filter_adds_influence_and_takes_nothing_away(sql: str) -> None:
    filtered = edges(f"select q.* from ({sql}) as q cross join room.ref where ref.brand = 'x'")
    assert filtered == edges(sql) | {"* < ref.brand INDIRECT FILTER"}


def test_tables_read_without_a_column_are_listed() -> None:
    assert trace_query("select t.a from room.t cross join room.ref", SCHEMAS).tables == ("room.ref", "room.t")


@pytest.mark.parametrize(
    "sql",
    [
        "select secretcolumn from room.t",
        "select secretcolumn from room.secrettable",
        "select secretcolumn from",
        "drop table room.t",
        "select 1; select 2",
        "select * from room.t pivot (sum(a) for unit in ('secretvalue'))",
        "select columns('secret.*') from room.t",
        "select unit from room.t natural join room.p",
        "with recursive r as (select 1 as n union all select n + 1 from r) select n from r",
        "select * from read_csv('/secret/path.csv')",
        "select * from '/secret/path.parquet'",
        "select a from room.t union all select unit, x from room.p",
    ],
)
def test_what_cannot_be_followed_is_refused_without_quoting_it(sql: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        trace(sql, SCHEMAS, model="cells_x")
    assert refusal.value.code == "lineage.untraceable"
    assert "cells_x" in refusal.value.message
    assert "secret" not in refusal.value.message
    assert refusal.value.__cause__ is None
