"""One answer for all who look for identifiers: the scanner of files, the gate, and redaction agree."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from orchestration.engine.duck import quote_text
from orchestration.scope.leaks import kinds_in
from orchestration.scope.personal_data import search
from orchestration.scope.recognizers import is_card, is_iban, is_national_phone, is_phone, national_id
from orchestration.scope.techniques.duck import redacted

# Published test numbers of the bodies that issue them, or made to satisfy the checksum; nobody's.
CARDS = ["4111 1111 1111 1111", "5555555555554444", "378282246310005", "6011-1111-1111-1117", "4222222222222"]
IBANS = ["GB82 WEST 1234 5698 7654 32", "DE89370400440532013000"]
PHONES = ["+49 30 901820", "+1 650-253-0000", "+442079460000"]
EMAILS = ["anna.meier@shop-mail.de", "a+b@sub.company.co.uk"]
NATIONAL = {"us.ssn": "536-90-4399", "es.dni": "54362315K", "es.nie": "X2482300W", "fi.hetu": "131052-308T"}


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def test_what_is_one_and_what_only_looks_like_one() -> None:
    assert all(map(is_card, CARDS))
    assert not any(map(is_card, ["4111 1111 1111 1112", "1234567890123456", "", "41111111111", "4111.1111"]))
    assert all(map(is_iban, [*IBANS, "DE89 3704 0044 0532 0130 00 by"]))
    assert not any(map(is_iban, ["GB82 WEST 1234 5698 7654 33", "", "DE"]))
    assert all(map(is_phone, [*PHONES, "0049 30 901820"]))
    assert not any(map(is_phone, ["+12 34", "030 901820", "", "+999 123456789"]))
    assert is_national_phone("(212) 736-5000")
    assert not is_national_phone("212 73 65 000")
    for module, number in NATIONAL.items():
        assert national_id(module)(number)
        assert not national_id(module)("000-00-0000")


def test_a_birth_place_that_no_register_has_is_no_error() -> None:
    for place in ("A000", "Z999", "X100"):
        assert national_id("it.codicefiscale")(f"RCCMNL83S18{place}H") in (True, False)
        assert set(kinds_in(f"RCCMNL83S18{place}H")) <= {"national id"}


@pytest.mark.parametrize("value", [*CARDS[:4], *IBANS, *PHONES, *EMAILS])
def test_scanner_gate_and_redaction_agree(connection: duckdb.DuckDBPyConnection, value: str) -> None:
    text = f"please see {value}, thanks"
    assert kinds_in(text)
    gate = f"(SELECT {quote_text(text)} AS value, 1::BIGINT AS rows)"
    assert not search(connection, gate).clean
    row = connection.execute(f"SELECT {redacted('$text')}", {"text": text}).fetchone()
    assert row is not None
    assert kinds_in(row[0]) == {}
    assert search(connection, f"(SELECT {quote_text(row[0])} AS value, 1::BIGINT AS rows)").clean
