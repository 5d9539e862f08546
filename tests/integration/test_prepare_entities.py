"""From the desk into the room with what is no purchase: sessions, subscriptions, deals, signals, figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pytest

from orchestration.audit.stage_events import ContributionAccepted
from orchestration.engine.duck import quote_name
from orchestration.errors import GlasshouseError
from orchestration.participants.handovers import table_name
from orchestration.scope.preparation import prepared
from orchestration.scope.preview import preview
from orchestration.settings import load_settings
from tests.prepared import package
from tests.support import CHARTER, TinyHouse, csv_bytes, make_house

WHOSE = """
      - {name: household_id, as: unit, type: string, required: true, max_length: 40,
         classification: direct_identifier, technique: {kind: pseudonymize, domain: household}}"""
FIELDS = {
    "session": """
      - {name: visit, as: session, type: string, required: true, max_length: 40,
         classification: quasi_identifier, technique: {kind: pseudonymize, domain: visit}}
      - {name: channel, as: channel, type: string, values: [web, app],
         classification: behavioural, technique: pass}
      - {name: agent, as: device, type: string, max_length: 60,
         classification: behavioural, technique: {kind: mask, keep_first: 3, stars: 2}}
      - {name: pages, as: pages, type: integer, minimum: 0, maximum: 500,
         classification: behavioural, technique: {kind: top_code, at: 20}}
      - {name: seconds, as: duration_seconds, type: integer, minimum: 0, maximum: 86400,
         classification: behavioural, technique: {kind: round, multiple: 30}}
      - {name: bought, as: converted, type: boolean, classification: behavioural, technique: pass}
      - {name: day, as: occurred_on, type: date, required: true, minimum: 2024-01-10, maximum: 2024-12-20,
         classification: quasi_identifier, technique: {kind: date_shift, days: 9}}""",
    "subscription": """
      - {name: plan, as: plan, type: string, values: [basic, plus, pro],
         classification: behavioural, technique: {kind: generalize, level: 1, hierarchy: [
           {name: basic, becomes: [free]}, {name: plus, becomes: [paid]}, {name: pro, becomes: [paid]}]}}
      - {name: price, as: monthly_amount, type: decimal, minimum: 0, maximum: 100,
         classification: behavioural, technique: {kind: clamp, low: 5, high: 50}}
      - {name: months, as: tenure_months, type: integer, minimum: 0, maximum: 600,
         classification: behavioural, technique: {kind: bottom_code, at: 3}}
      - {name: since, as: starts_on, type: date, minimum: 2015-01-01, maximum: 2024-12-31,
         classification: quasi_identifier, technique: {kind: generalize, to: year}}""",
    "opportunity": """
      - {name: deal, as: opportunity, type: string, max_length: 200,
         classification: behavioural, technique: redact}
      - {name: stage, as: stage, type: integer, required: true, minimum: 0, maximum: 100,
         classification: behavioural, technique: {kind: bucket, boundaries: [25, 75], source: Annual report}}
      - {name: amount, as: amount, type: decimal, minimum: 0, maximum: 100000,
         classification: behavioural, technique: {kind: round, multiple: 0.5}}""",
    "signal": """
      - {name: place, as: segment, type: string, required: true, max_length: 10,
         classification: quasi_identifier, technique: {kind: generalize, prefix: 2}}
      - {name: score, as: score, type: decimal, minimum: 0, maximum: 1,
         classification: behavioural, technique: pass}""",
    "aggregate": """
      - {name: segment, as: segment, type: string, required: true, max_length: 20,
         classification: reference, technique: pass}
      - {name: month, as: period, type: date, required: true, minimum: 2024-01-01, maximum: 2024-12-31,
         classification: reference, technique: {kind: generalize, to: month}}
      - {name: measure, as: measure, type: string, required: true, values: [sales, visits],
         classification: reference, technique: pass}
      - {name: value, as: value, type: decimal, required: true, classification: behavioural, technique: pass}
      - {name: units, as: units, type: integer, required: true, minimum: 0,
         classification: reference, technique: pass}""",
}
PEOPLE = [f"H{number:04d}" for number in range(120)]
ROWS: dict[str, list[dict[str, object]]] = {
    "session": [
        {"household_id": who, "visit": f"V-{n}", "channel": "app", "agent": f"Phone {n}", "pages": n,
         "seconds": 7 * n, "bought": "yes" if n % 2 else "no", "day": f"2024-02-{1 + n % 28:02d}"}
        for n, who in enumerate(PEOPLE)
    ],
    "subscription": [
        {"household_id": who, "plan": ("basic", "plus", "pro")[n % 3], "price": f"{n % 60}.99",
         "months": n % 40, "since": f"20{15 + n % 10}-06-15"}
        for n, who in enumerate(PEOPLE)
    ],
    "opportunity": [
        {"household_id": who, "deal": f"talk to jan{n}@shop-mail.de", "stage": n % 101, "amount": f"{n}.30"}
        for n, who in enumerate(PEOPLE)
    ],
    "signal": [
        {"household_id": who, "place": f"N{n % 4} 1AA", "score": f"0.{n % 10}5"}
        for n, who in enumerate(PEOPLE)
    ],
    "aggregate": [
        {"segment": segment, "month": f"2024-{month:02d}-17", "measure": measure, "value": f"{month}.50",
         "units": 20 + month}
        for segment in ("young", "old") for measure in ("sales", "visits") for month in range(1, 13)
    ],
}  # fmt: skip
# One row of each entity as it must come out, its unit apart.
EXPECTED: dict[str, tuple[str, list[object]]] = {
    "session": ("SELECT DISTINCT device, max(pages) OVER (), bool_and(duration_seconds % 30 = 0) OVER ()"
                " FROM {table}", ["Pho**", 20, True]),
    "subscription": ("SELECT min(plan), max(plan), min(monthly_amount)::INT, max(monthly_amount)::INT,"
                     " min(tenure_months), max(starts_on)::VARCHAR FROM {table}",
                     ["free", "paid", 5, 50, 3, "2024-01-01"]),
    "opportunity": ("SELECT min(opportunity), max(opportunity), max(stage), min(amount)::VARCHAR"
                    " FROM {table}",
                    ["talk to [email]", "talk to [email]", "q3", "0.50"]),
    "signal": ("SELECT count(DISTINCT segment), min(segment) FROM {table}", [4, "N0"]),
    "aggregate": ("SELECT count(*), min(units), min(period)::VARCHAR FROM {table}", [48, 21, "2024-01-01"]),
}  # fmt: skip


def dataset(entity: str) -> str:
    aggregated = entity == "aggregate"
    return f"""
  - id: desk_{entity}
    participant: panel
    entity: {entity}
    title: Rows of {entity}
    description: For the test.
    classification: {"commercial" if aggregated else "personal"}
    purposes: [insight, planning]
    lawful_basis: {"not_personal_data" if aggregated else "consent"}
    license: {{id: LicenseRef-test, terms: Test only, redistribution: false}}
    max_rows: 1000
    max_bytes: 100000
{"    threshold: 20" if aggregated else ""}
    fields:{"" if aggregated else WHOSE}{FIELDS[entity]}
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyHouse]:
    at = CHARTER.index("purposes:\n  - {id: insight")
    charter = CHARTER[:at].rstrip() + "".join(map(dataset, FIELDS)) + CHARTER[at:]
    made = make_house(tmp_path_factory.mktemp("entities"), charter=charter)
    yield made
    made.house.log.close()


def source(folder: Path, rows: Sequence[dict[str, object]]) -> Path:
    path = folder / "rows.csv"
    path.write_bytes(csv_bytes(rows))
    return path


@pytest.mark.parametrize("entity", FIELDS)
def test_it_enters_the_room(house: TinyHouse, tmp_path: Path, entity: str) -> None:
    name, rows = f"desk_{entity}", ROWS[entity]
    path = source(tmp_path, rows)
    delivery = package(house.house, "tiny", name, path, house.keys["panel.steward"], tmp_path)
    accepted = house.accept(name, delivery.name).event.payload
    assert isinstance(accepted, ContributionAccepted)
    assert (accepted.rows, accepted.quarantined_rows) == (len(rows), {})
    contribution = accepted.receipt.subject
    house.deidentify(name, contribution)
    assert house.gate(name, contribution).passed
    query, expected = EXPECTED[entity]
    with house.house.room("tiny").open() as connection:
        found = connection.execute(query.format(table=quote_name(table_name(contribution)))).fetchall()
    assert [*map(list, found)] == [expected]


@pytest.mark.parametrize("entity", FIELDS)
def test_its_preview_shows_no_value(house: TinyHouse, tmp_path: Path, entity: str) -> None:
    settings = load_settings(home=tmp_path / "desk", duckdb_threads=1)
    path = source(tmp_path, ROWS[entity])
    with prepared(settings, house.dataset(f"desk_{entity}"), str(path), b"k" * 32) as made:
        shown = preview(made)
        values = made.connection.execute("SELECT * FROM prepared LIMIT 10").fetchall()
        reason = made.not_measured
    said = {cell for row in shown.rows for cell in row if cell}
    for row in values:
        assert not said & {str(value) for value in row if value is not None}
    masks = {column.name: {row[n] for row in shown.rows} for n, column in enumerate(shown.columns)}
    if entity == "session":
        assert (masks["device"], masks["converted"]) == ({"Xxx**"}, {"yes or no"})
        assert (masks["channel"], masks["occurred_on"]) == ({"one of 2"}, {"9999·99·99"})
    if entity == "subscription":
        assert masks["plan"] == {"one of 2"}
    if entity == "opportunity":
        assert masks["stage"] == {"one of 3"}
    assert reason == {"aggregate": "aggregated", "opportunity": "no_quasi_identifier",
                      "subscription": None}.get(entity)  # fmt: skip


def test_a_figure_of_too_few_is_refused_at_the_desk(house: TinyHouse, tmp_path: Path) -> None:
    rows = [*ROWS["aggregate"][1:], {**ROWS["aggregate"][0], "units": 19}]
    settings = load_settings(home=tmp_path / "desk", duckdb_threads=1)
    with (
        pytest.raises(GlasshouseError) as caught,
        prepared(settings, house.dataset("desk_aggregate"), str(source(tmp_path, rows)), b"k" * 32),
    ):
        pass
    assert caught.value.code == "prepare.not_good_enough"
    assert "units_enough" in str(caught.value)
    assert "19" not in str(caught.value)


def test_a_desk_that_seals_it_all_the_same_is_stopped_by_the_gate(house: TinyHouse, tmp_path: Path) -> None:
    def change(made: object) -> None:
        connection: duckdb.DuckDBPyConnection = made.connection  # type: ignore[attr-defined]
        connection.execute("UPDATE prepared SET units = 19 WHERE rowid = 0")

    path = source(tmp_path, [{**row, "value": 7} for row in ROWS["aggregate"]])
    key = house.keys["panel.steward"]
    delivery = package(house.house, "tiny", "desk_aggregate", path, key, tmp_path, change=change)
    accepted = house.accept("desk_aggregate", delivery.name).event.payload
    assert isinstance(accepted, ContributionAccepted)
    house.deidentify("desk_aggregate", accepted.receipt.subject)
    result = house.gate("desk_aggregate", accepted.receipt.subject)
    assert [check.rule.rule for check in result.failed] == ["units_enough"]
