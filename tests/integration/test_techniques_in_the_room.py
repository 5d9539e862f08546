"""Techniques through the real stages: telephone numbers, shifted dates, top codes, the two layers of keys."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from tests.support import csv_bytes as csv
from tests.support import make_house, sales_rows
from tests.tiny_charter import CHARTER

PHONES = CHARTER.replace(
    "technique: {kind: pseudonymize, domain: household}",
    "technique: {kind: pseudonymize, domain: household, normalize: phone, region: US}",
).replace("technique: {kind: generalize, to: day}", "technique: {kind: date_shift, days: 30}")


def number(household: object) -> tuple[str, str]:
    """Exchange and line of a telephone number in New York, one for each household."""
    digits = f"{2000000 + int(hashlib.sha256(str(household).encode()).hexdigest(), 16) % 7000000}"
    return digits[:3], digits[3:]


def test_households_known_by_telephone_join_across_spellings(tmp_path: Path) -> None:
    tiny = make_house(tmp_path, charter=PHONES)
    rows = []
    for place, row in enumerate(sales_rows()):
        area, line = number(row["household_id"])
        written = (f"+1 212 {area} {line}", f"(212) {area}-{line}", f"1-212-{area}-{line}")[place % 3]
        rows.append({**row, "household_id": written})
    rows.append({**rows[0], "household_id": "unknown"})
    delivery = tiny.deliver("sales", csv(rows))
    accepted = tiny.accept("sales", delivery).event.payload
    assert accepted.quarantined_rows == {"type": 1}  # type: ignore[attr-defined]
    contribution = accepted.receipt.subject  # type: ignore[attr-defined]
    made = tiny.deidentify("sales", contribution).event.payload
    assert made.techniques["occurred_on"] == "date_shift"  # type: ignore[attr-defined]

    def layer(key: bytes, text: str) -> str:
        return hmac.new(key, b"household\0" + text.encode(), hashlib.sha256).hexdigest()

    desk, blinding = tiny.house.pseudonym_key("tiny"), tiny.house.blinding_key("tiny")
    expected = set()
    for row in sales_rows():
        area, line = number(row["household_id"])
        expected.add(layer(blinding, layer(desk, f"+1212{area}{line}")))
    with tiny.house.room("tiny").open() as connection:
        table = made.table  # type: ignore[attr-defined]
        units = {u for (u,) in connection.execute(f"SELECT DISTINCT unit FROM {table}").fetchall()}
        assert units == expected
        days = connection.execute(f"SELECT min(occurred_on), max(occurred_on) FROM {table}").fetchall()[0]
    original = sorted(str(row["sold_at"])[:10] for row in sales_rows())
    assert str(days[0]) < original[0] or str(days[1]) > original[-1], "some day moved beyond what was given"
    tiny.house.log.close()
