"""How spellings of one identifier are made one, as SQL; what cannot be read becomes NULL.

Follows what advertising platforms publish for customer matching (docs/techniques.md cites and shows it).
A value that cannot be read goes to quarantine at intake: a placeholder such as "n/a" would otherwise make
one person of many. Must not be here: hashing, or what is done with a value that cannot be read.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import duckdb
from duckdb.func import FunctionNullHandling

from orchestration.charter.techniques import Pseudonymize
from orchestration.engine.duck import quote_text

_E164 = "glasshouse_e164"
_BLANK = r"[\s\p{Z}]+"
# How USPS Publication 28 writes what addresses have most often.
_ADDRESS_WORDS = {
    "street": "st",
    "avenue": "ave",
    "road": "rd",
    "drive": "dr",
    "lane": "ln",
    "court": "ct",
    "place": "pl",
    "square": "sq",
    "boulevard": "blvd",
    "highway": "hwy",
    "parkway": "pkwy",
    "terrace": "ter",
    "circle": "cir",
    "apartment": "apt",
    "suite": "ste",
    "floor": "fl",
    "building": "bldg",
    "north": "n",
    "south": "s",
    "east": "e",
    "west": "w",
}


def register_normalizers(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the functions that SQL lacks known to this connection; safe to repeat."""
    known = "SELECT 1 FROM duckdb_functions() WHERE function_name = ?"
    if connection.execute(known, [_E164]).fetchone() is None:
        # NULL in, NULL out, and never an exception: its text would quote the value.
        connection.create_function(
            _E164,
            e164,
            ["VARCHAR", "VARCHAR"],
            "VARCHAR",
            null_handling=FunctionNullHandling.SPECIAL,
            exception_handling=duckdb.PythonExceptionHandling.RETURN_NULL,
        )


def needs_function(technique: Pseudonymize) -> bool:
    """Whether the connection needs `register_normalizers`, and a value costs so much that it is read once."""
    return technique.normalize == "phone"


def normalized(technique: Pseudonymize, text: str) -> str:
    """SQL of the normalized identifier; NULL when `text`, a SQL expression, cannot be read as one."""
    match technique.normalize:
        case "identifier":
            return _trimmed(text)
        case "email":
            return _email(text)
        case "phone":
            region = "NULL" if technique.region is None else quote_text(technique.region)
            return f"{_E164}({text}, {region})"
        case "name":
            return _name(text)
        case "postal_address":
            return _postal_address(text)


def _trimmed(text: str) -> str:
    """Unicode NFC without surrounding blanks."""
    return f"nfc_normalize(trim({text}))"


def _email(text: str) -> str:
    """Lower case; Gmail's mailboxes without the dots and tags that it ignores."""
    lower = f"lower({_trimmed(text)})"
    local = f"regexp_replace(replace(split_part({lower}, '@', 1), '.', ''), '[+].*$', '')"
    gmail = f"split_part({lower}, '@', 2) IN ('gmail.com', 'googlemail.com')"
    one = f"CASE WHEN {gmail} THEN {local} || '@' || split_part({lower}, '@', 2) ELSE {lower} END"
    return rf"nullif(regexp_extract({one}, '^[^@\s\p{{Z}}\p{{Cc}}]+@[^@\s\p{{Z}}\p{{Cc}}]+$'), '')"


def _plain(text: str) -> str:
    """Lower case without accents."""
    return f"lower(strip_accents(nfc_normalize({text})))"


def _name(text: str) -> str:
    """Letters alone."""
    return rf"nullif(regexp_replace({_plain(text)}, '[^\p{{L}}]', '', 'g'), '')"


def _postal_address(text: str) -> str:
    """Words of letters and digits between single blanks, the usual ones abbreviated."""
    words = rf"regexp_replace({_plain(text)}, '[''’.]', '', 'g')"
    words = rf"trim(regexp_replace({words}, '[^\p{{L}}\p{{Nd}}]+', ' ', 'g'))"
    for word, short in _ADDRESS_WORDS.items():
        words = f"regexp_replace({words}, '(^| ){word}( |$)', '\\1{short}\\2', 'g')"
    return f"nullif({words}, '')"


def e164(text: str | None, region: str | None) -> str | None:
    """The telephone number as ITU-T E.164 writes it, without an extension; None when it is none.

    Args:
        region: the country (ISO 3166) of a number that is written without its country code.
    """
    if text is None:
        return None
    numbers = _phonenumbers()
    try:
        number = numbers.parse(text, region)
    except numbers.NumberParseException:
        return None
    if not numbers.is_valid_number(number):
        return None
    return str(numbers.format_number(number, numbers.PhoneNumberFormat.E164))


@cache
def _phonenumbers() -> Any:
    """Its tables take a moment to load, and most charters have no telephone number."""
    import phonenumbers

    return phonenumbers
