"""Which values of a column look like e-mail addresses, telephone numbers, cards, accounts or national ids.

Belongs here: the kinds, and the search over a column's distinct values. Must not be here: which columns are
searched (`expectations`), how a gate asks (`measures`).

A regular expression in the engine passes over every distinct value; only what it leaves is looked at in
Python (`recognizers`). Two sorts of kinds:

- *certain*: nothing innocent looks like it (an address, a telephone number, an IBAN). One is too many. All
  candidates are looked at, up to `MOST_CANDIDATES`; a column with more fails, because nobody looked.
- *by chance*: one in ten 16-digit codes has the check digit of a card. A code column is only held for one of
  these when more of its values pass than chance explains, by Chernoff's bound on the binomial tail
  (P[hits] <= exp(-n KL(share, chance)), Ann. Math. Statist. 23, 1952) below 1e-6, and clearly more. A sample
  of the values, by smallest hash, decides that. A grouped or embedded number among few is no code: it counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import log

import duckdb

from orchestration.scope.recognizers import is_card, is_iban, is_national_phone, is_phone, national_id

MOST_CANDIDATES = 10_000
SAMPLE = 2_000
FEW = 20
_UNLIKELY = log(1e6)

_START, _END = r"(?:^|[^0-9A-Za-z])", r"(?:$|[^0-9A-Za-z])"


@dataclass(frozen=True)
class Kind:
    """What is looked for.

    `pattern` finds candidates, in the syntax that RE2 and Python share, in a group;
    `holds` decides; `chance` is at most the share of innocent candidates that hold; `bare`: the whole value
    is the candidate, as in a column of codes.
    """

    name: str
    pattern: str
    holds: Callable[[str], bool]
    chance: float = 0.0
    bare: bool = False


@dataclass(frozen=True)
class Search:
    """What was found in a column: kind → rows; in a sample or beyond the cap, at least so many.

    `unseen`: there were more candidates than are looked at, so the column cannot be called clean.
    """

    rows: dict[str, int]
    unseen: bool = False

    @property
    def clean(self) -> bool:
        return not self.rows and not self.unseen


def search(connection: duckdb.DuckDBPyConnection, distinct: str) -> Search:
    """Look through `distinct`, a relation of (value VARCHAR, rows BIGINT) with each value once."""
    found: dict[str, int] = {}
    unseen = False
    for group in (_certain(), *_by_shape()):
        certain = not group[0].chance
        pattern = "|".join(f"(?:{kind.pattern})" for kind in group)
        most = MOST_CANDIDATES + 1 if certain else SAMPLE
        order = "" if certain else "ORDER BY hash(value)"
        candidates = connection.execute(
            f"SELECT value, rows FROM {distinct} WHERE length(value) >= 6 AND regexp_matches(value, ?)"
            f" {order} LIMIT {most:d}",
            [pattern],
        ).fetchall()
        if certain and len(candidates) > MOST_CANDIDATES:
            unseen = True
            continue
        for kind in group:
            hits = [int(rows) for value, rows in candidates if _has(kind, value)]
            if too_many(len(hits), len(candidates), kind):
                found[kind.name] = found.get(kind.name, 0) + sum(hits)
    return Search(found, unseen)


def too_many(hits: int, seen: int, kind: Kind) -> bool:
    """Whether `hits` of `seen` distinct candidates say that the column holds this kind."""
    if not hits or not kind.chance:
        return hits > 0
    if not kind.bare and seen < FEW:
        return True
    share, chance = hits / seen, kind.chance
    clearly = share >= min(3 * chance, (1 + chance) / 2)
    return clearly and seen * _divergence(share, chance) > _UNLIKELY


def _divergence(share: float, chance: float) -> float:
    """Kullback and Leibler's, of two Bernoulli distributions, for `share` above `chance`."""
    rest = 0.0 if share == 1 else (1 - share) * log((1 - share) / (1 - chance))
    return share * log(share / chance) + rest


def _has(kind: Kind, value: str) -> bool:
    return any(kind.holds(match[match.lastindex or 0]) for match in re.finditer(kind.pattern, value))


@cache
def _certain() -> tuple[Kind, ...]:
    digits = r"[0-9]{2,4}"
    national = (
        r"\([0-9]{3}\) ?[0-9]{3}[-. ][0-9]{4}|[0-9]{3}[-. ][0-9]{3}[-. ][0-9]{4}"
        rf"|0[0-9]{{1,4}}[ ./-]{digits}[ .-]?{digits}(?:[ .-]?{digits}){{0,3}}"
    )
    iban = r"[A-Za-z]{2}[0-9]{2}(?:[A-Za-z0-9]{11,30}|(?: [A-Za-z0-9]{4}){2,7}(?: [A-Za-z0-9]{1,3})?)"
    return (
        Kind("email", r"([^\s@<>\"(),;:]+@(?:[^\s@.<>\"(),;:]+\.)+[^\s@.<>\"(),;:0-9]{2,})", lambda _: True),
        Kind("phone", rf"{_START.replace('[^', '[^+')}(\+[1-9][0-9 ().\-/]{{6,20}}[0-9])", is_phone),
        Kind("phone", rf"{_START}(00[1-9][0-9]{{0,2}}[ .\-/(][0-9 ().\-/]{{5,18}}[0-9])", is_phone),
        Kind("phone", rf"(?:^|[^0-9A-Za-z+./:-])({national}){_END}", is_national_phone),
        Kind("iban", rf"{_START}({iban}){_END}", is_iban),
        Kind(
            "national_id",
            rf"{_START}([A-Za-z]{{6}}[0-9]{{2}}[A-Za-z][0-9]{{2}}[A-Za-z][0-9]{{3}}[A-Za-z]){_END}",
            national_id("it.codicefiscale"),
        ),
        Kind("national_id", rf"{_START}([0-9]{{6}}[-+A][0-9]{{3}}[0-9A-Y]){_END}", national_id("fi.hetu")),
    )


@cache
def _by_shape() -> tuple[tuple[Kind, ...], ...]:
    """Kinds whose candidates look alike, because chance is reckoned among these."""
    grouped = r"[0-9]{4}[ -][0-9]{4}[ -][0-9]{4}[ -][0-9]{4}|[0-9]{4}[ -][0-9]{6}[ -][0-9]{5}"
    inside = rf"[^0-9A-Za-z]([0-9]{{15,16}}){_END}|{_START}([0-9]{{15,16}})[^0-9A-Za-z]"
    return (
        (Kind("card", rf"{_START}({grouped}){_END}", is_card, 0.1),),
        (Kind("card", inside, is_card, 0.1),),
        (_formatted(r"[0-9]{3}-[0-9]{2}-[0-9]{4}", "us.ssn", 0.9),),
        (_formatted(r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", "br.cpf", 0.02),),
        (_formatted(r"[0-9]{6}[-+][0-9]{4}", "se.personnummer", 0.1),),
        _bare(r"[0-9]{8}[A-Za-z]", {"es.dni": 1 / 20}),
        _bare(r"[XYZxyz][0-9]{7}[A-Za-z]", {"es.nie": 1 / 20}),
        _bare(r"[0-9]{7}[A-Wa-w][A-Ia-iWw]?", {"ie.pps": 1 / 20}),
        _bare(r"[0-9]{9}", {"nl.bsn": 1 / 10, "ca.sin": 1 / 10}),
        _bare(r"[0-9]{10}", {"cz.rc": 1 / 10, "bg.egn": 1 / 10, "gb.nhs": 1 / 10, "se.personnummer": 1 / 10}),
        _bare(
            r"[0-9]{11}",
            {
                "pl.pesel": 1 / 10,
                "be.nn": 1 / 50,
                "br.cpf": 1 / 50,
                "tr.tckimlik": 1 / 50,
                "de.idnr": 1 / 10,
                "hr.oib": 1 / 9,
                "no.fodselsnummer": 1 / 50,
                "ee.ik": 1 / 9,
            },
        ),
        _bare(r"[0-9]{12}", {"in_.aadhaar": 1 / 9, "se.personnummer": 1 / 10}),
        _bare(r"[0-9]{13}", {"za.idnr": 1 / 9, "ro.cnp": 1 / 10, "kr.rrn": 1 / 10, "ch.ssn": 1 / 9}),
        (
            Kind("card", r"^\s*([0-9]{15,16})\s*$", is_card, 0.1, bare=True),
            Kind("national_id", r"^\s*([0-9]{15})\s*$", national_id("fr.nir"), 1 / 50, bare=True),
        ),
        _bare(r"[0-9]{17}[0-9Xx]", {"cn.ric": 1 / 10}),
    )


def _bare(shape: str, modules: dict[str, float]) -> tuple[Kind, ...]:
    return tuple(
        Kind("national_id", rf"^\s*({shape})\s*$", national_id(module), chance, bare=True)
        for module, chance in modules.items()
    )


def _formatted(shape: str, module: str, chance: float) -> Kind:
    return Kind("national_id", rf"{_START}({shape}){_END}", national_id(module), chance)
