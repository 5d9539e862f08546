"""Whether one string is a card, an account, a telephone number or a national id, in earnest.

Pure questions about a candidate that somebody cut out of a text. The scanner of files (`leaks`) and the
gate's search (`personal_data`) cut differently, because a line of code is no cell of a column, and ask the
same here. Must not be here: where to look, or how many hits are too many. `phonenumbers` and `python-stdnum`
are loaded when first asked, so that clean data never pays for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module

_REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL")
# First digits and lengths of the card schemes (ISO/IEC 7812).
_SCHEMES = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|6[0245]\d{14,17}|35\d{14}|3[47]\d{13}"
)


def is_card(candidate: str) -> bool:
    """A scheme's number with the right check digit (Luhn); blanks and hyphens do not count."""
    from stdnum import luhn

    digits = re.sub("[ -]", "", candidate)
    return _SCHEMES.fullmatch(digits) is not None and bool(luhn.is_valid(digits))


def is_iban(candidate: str) -> bool:
    """Check digits and the form of its country; the last group may be a short word that follows."""
    from stdnum import iban

    return bool(iban.is_valid(candidate) or iban.is_valid(candidate.rpartition(" ")[0]))


def is_phone(candidate: str) -> bool:
    """A valid number of some country, written with its country code (+49 …, 0049 …)."""
    import phonenumbers

    written = f"+{candidate[2:]}" if candidate.startswith("00") else candidate
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(written, None))
    except phonenumbers.NumberParseException:
        return False


def is_national_phone(candidate: str) -> bool:
    """A valid number, grouped as people of one of the large numbering plans group theirs."""
    import phonenumbers

    return any(
        phonenumbers.PhoneNumberMatcher(
            candidate, region, leniency=phonenumbers.Leniency.STRICT_GROUPING
        ).has_next()
        for region in _REGIONS
    )


def national_id(module: str) -> Callable[[str], bool]:
    """The question whether a candidate is such a number; `module` as `python-stdnum` names it (`us.ssn`)."""

    def holds(candidate: str) -> bool:
        try:
            return bool(import_module(f"stdnum.{module}").is_valid(candidate))
        except KeyError:  # its register of birth places has gaps: nobody was born there
            return False

    return holds
