"""Policy decisions in a collaboration of a thousand members, against bare Cedar on the same question.

- `house`: `policy.decide` on a fresh view of the log's tables (SQLite, a file): facts looked up, given to
  Cedar with request and entities checked against the schema, and the answer put into words.
- `bare`: `cedarpy.is_authorized` of the very same request, with the same parsed policies and schema, and the
  entities ready as the list it takes. No facts are looked up, and no words made.

A side makes a thousand decisions, so its seconds are milliseconds of one. Besides, as details: one decision
that is a bare no (`allows`), one no with the smallest change that would pass (which asks Cedar many times),
and the 99th percentile of the decisions that were timed one by one.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.measure import PROJECT, Comparison, Figure, Sample, in_turns, report_side, run_side, scratch

TARGET_MILLISECONDS = 1.0
_DECISIONS = 1_000
_EXPLAINED = 50
_EACH = 200  # members of one organization; five make a thousand
_START = datetime(2026, 6, 1, tzinfo=UTC)


def compare(pairs: int) -> Comparison:
    with scratch() as home:
        sides = [partial(_side, name, home) for name in ("house", "bare")]
        ours, theirs = in_turns(pairs, *sides)
    return Comparison("1,000 policy decisions at 1,000 members, vs bare Cedar (s = ms each)", ours, theirs)


def figure(measured: Comparison) -> Figure:
    """A decision in milliseconds: the seconds of a thousand."""
    one = median(sample.seconds for sample in measured.ours)
    return Figure("A policy decision at 1,000 members", one, "ms", TARGET_MILLISECONDS)


def _side(name: str, home: Path, _pair: int) -> Sample:
    return run_side("policy", name, home=home)


# --- the sides, each in its own process


def _house() -> None:
    from orchestration.participants.policy import allows, decide
    from orchestration.participants.question import Question
    from orchestration.participants.state import State

    with _thousand() as (connection, name, asker):
        asked = Question(asker, "submit_request", "campaign_response", _FACTS)
        refused = Question(asker, "freeze", name)
        assert decide(State(connection, name, _START), asked).allowed
        each: list[float] = []

        def work() -> None:
            for _ in range(_DECISIONS):
                begun = time.perf_counter()
                decide(State(connection, name, _START), asked)
                each.append(time.perf_counter() - begun)

        def details() -> dict[str, float]:
            return {
                "percentile_99_ms": quantiles(each, n=100)[98] * 1000,
                "bare_no_ms": _mean(lambda: allows(State(connection, name, _START), refused), _DECISIONS),
                "explained_no_ms": _mean(
                    lambda: decide(State(connection, name, _START), refused), _EXPLAINED
                ),
            }

        report_side(work, details=details)


def _bare() -> None:
    import cedarpy

    from orchestration.participants.case import entities_json, request_json
    from orchestration.participants.facts import case_of
    from orchestration.participants.policy import FOLDER
    from orchestration.participants.question import Question
    from orchestration.participants.state import State

    with _thousand() as (connection, name, asker):
        case = case_of(
            State(connection, name, _START), Question(asker, "submit_request", "campaign_response", _FACTS)
        )
    request, entities = request_json(case), entities_json(case)
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.cedar")))
    rules = cedarpy.PolicySet.from_str(text)
    schema = cedarpy.Schema.from_str((FOLDER / "glasshouse.cedarschema").read_text(encoding="utf-8"))
    assert cedarpy.is_authorized(request, rules, entities, schema).allowed

    def work() -> None:
        for _ in range(_DECISIONS):
            cedarpy.is_authorized(request, rules, entities, schema)

    report_side(work)


_FACTS = {"purpose": "campaign_effectiveness", "datasets": ("transactions",), "justification": "To measure."}


def _mean(work: Any, times: int) -> float:
    begun = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - begun) / times * 1000


@contextmanager
def _thousand() -> Iterator[tuple[Any, str, str]]:
    """The grocery charter with a thousand members, as the tables say it; the name; and an analyst of it."""
    from sqlalchemy import create_engine, insert

    from orchestration.audit import governance_tables as g
    from orchestration.audit import tables as t
    from orchestration.audit.vocabulary import timestamp
    from orchestration.charter import load_charter
    from orchestration.charter.model import Charter
    from orchestration.digests import canonical_json

    document: Any = load_charter(PROJECT / "charters" / "grocery.yaml").document
    participants = document["participants"]
    participants.append({**participants[0], "id": "fifth", "name": "Fifth", "members": []})
    for participant in participants:
        participant["members"] += [
            {"id": f"{participant['id']}.member_{n}", "name": f"Member {n}", "roles": ["analyst"]}
            for n in range(_EACH - len(participant["members"]))
        ]
    charter = Charter.model_validate_json(canonical_json(document))
    name, asker = charter.collaboration, "brand_agency.analyst"
    until = timestamp(_START + timedelta(days=100))
    own = {"collaboration": name, "seq": 1}
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{folder}/log.db")
        with engine.connect() as connection:
            t.metadata.create_all(connection)

            def add(table: Any, rows: list[dict[str, object]]) -> None:
                connection.execute(insert(table), [own | row for row in rows])

            add(g.collaborations, [{"state": "active", "charter": charter.digest}])
            add(
                g.charters,
                [
                    {
                        "digest": charter.digest,
                        "title": charter.title,
                        "version": charter.version,
                        "status": "active",
                        "document": json.dumps(document),
                        "proposed_by": "operator",
                    }
                ],
            )
            add(
                g.participants,
                [{"participant": p.id, "status": "active", "evidence": "{}"} for p in charter.participants],
            )
            everybody = [(p.id, m) for p in charter.participants for m in p.members]
            add(
                g.members,
                [{"member": m.id, "participant": p, "status": "active"} for p, m in everybody],
            )
            lasting = {"not_before": timestamp(_START), "expires_at": until, "revoked": False}
            add(
                g.grants,
                [
                    lasting | {"grant": f"{m.id}/{r}", "member": m.id, "role": r, "emergency": False}
                    for _, m in everybody
                    for r in m.roles
                ],
            )
            add(
                g.acknowledgements,
                [{"member": m.id, "terms": charter.terms_digest or "none"} for _, m in everybody],
            )
            connection.commit()
            yield connection, name, asker
        engine.dispose()


if __name__ == "__main__":
    {"house": _house, "bare": _bare}[sys.argv[1]]()
