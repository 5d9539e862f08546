"""What the demo asks and what it shows: the report in 80 columns, from the agreement to the proof.

Must not be here: doing any of it (`demo`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from orchestration.audit import governance_tables as g
from orchestration.audit.governance_events import DecisionConcluded
from orchestration.audit.verify import Verification
from orchestration.charter.model import Charter, Participant
from orchestration.cli.console import table
from orchestration.cli.insight_view import render_insight
from orchestration.cli.receipts_view import receipts_by_dataset
from orchestration.house import House
from orchestration.stages import refresh
from orchestration.stages.access import OpenedInsight


class Question(NamedTuple):
    """One request of the demo."""

    template: str
    parameters: dict[str, str]
    purpose: str
    member: str


QUESTIONS = (
    Question(
        "audience_overlap",
        {"left": "shoppers", "right": "mailed"},
        "collaboration_planning",
        "brand_agency.analyst",
    ),
    Question(
        "joint_segmentation", {"rows": "age", "columns": "income"}, "customer_insight", "retailer.analyst"
    ),
    Question("campaign_response", {"by": "campaign_type"}, "campaign_effectiveness", "brand_agency.analyst"),
)
REFUSED = Question("joint_segmentation", {"rows": "age"}, "customer_insight", "media_owner.analyst")
SEE_IT = "glasshouse serve --as data_provider.auditor"
_WITNESSED = (
    "Cosigned by the witnesses {names}. Each keeps what it saw, so not even the operator"
    " rewrites the log unnoticed; no insight of this charter opens before both have looked."
)


@dataclass(frozen=True)
class Shown:
    """What the demo did. Refusals are public texts; an earlier run leaves no self-approval to try."""

    insights: tuple[OpenedInsight, ...]
    denied: str
    self_approval: str
    witnesses: tuple[str, ...]


def report(house: House, charter: Charter, shown: Shown, verified: Verification) -> RenderableType:
    """The whole demo, section by section."""
    parts: list[RenderableType] = [
        _heading("1  Who works together"),
        table(
            ["Participant", "Contributes", "Sees"], [_party(charter, each) for each in charter.participants]
        ),
        Text(
            f"\nCharter version {charter.version}, {charter.digest[:19]}…"
            f"\nNo figure about fewer than {charter.output.aggregation_threshold}"
            f" {charter.privacy_unit}s leaves the room."
        ),
        _heading("2  What they agreed, with signatures that nobody can make for them"),
        _agreement(house, charter),
        _heading("3  From contribution to room: each stage hands over a receipt"),
        receipts_by_dataset(house, charter),
    ]
    room = refresh.current(house, charter)
    if room is not None:
        parts.append(Text(f"\nRoom refreshed on {len(room.inputs)} gate receipts: receipt {room.id[:8]}"))
    for number, (opened, question) in enumerate(zip(shown.insights, QUESTIONS, strict=False), start=4):
        chosen = ", ".join(f"{name}={choice}" for name, choice in question.parameters.items())
        parts += [
            _heading(f"{number}  {question.template} ({chosen})"),
            Text(
                f"  Asked by {question.member}\n  for {question.purpose}: release {opened.release.id}\n",
                style="dim",
            ),
            *_approval(house, charter, opened.release.request, shown),
            render_insight(opened, charter.privacy_unit),
        ]
    parts += [
        _heading("7  A question the charter does not allow"),
        Padding(
            Text(f"{REFUSED.member} asked for {REFUSED.template}.\nDenied, {shown.denied}"), (0, 0, 0, 2)
        ),
        _heading("8  The log, and who watches it"),
        Padding(Group(*(Text(str(count)) for count in verified.counts)), (0, 0, 0, 2)),
        Padding(Text(_WITNESSED.format(names=" and ".join(shown.witnesses))), (1, 0, 0, 2)),
        Text(f"\n  Tree head of {house.log.size} events: {house.log.root().hex()[:32]}…"),
        _heading("Where to look next"),
        table(
            ["Command", "Shows"],
            [
                ["glasshouse status", "the room, and what waits for whom"],
                ["glasshouse charter status", "who signed which version of the agreement"],
                [SEE_IT, "everything, in the browser"],
                ["make dev", "Dagster: asset graph, checks, runs"],
                ["glasshouse audit verify", "the whole log, verified again"],
                ["glasshouse charter check FILE", "what each clause enforces"],
                [f"{house.settings.home}/shelf/", "tables, charts and passports"],
            ],
        ),
        Text("\nThe command lives in this project's environment: uv run glasshouse …", style="dim"),
    ]
    return Group(*parts)


def _agreement(house: House, charter: Charter) -> RenderableType:
    """Who signed, enrolled, acknowledged and attested, in a few lines."""
    with house.state(charter.collaboration) as state:
        signers = [row.member for row in state.rows(g.charter_signatures, digest=charter.digest)]
        members = state.rows(g.members, status="active")
        read = [row for row in members if state.acknowledged(row.member, charter.terms_digest or "")]
        attested = {row.dataset: len(json.loads(row.evidence)) for row in state.rows(g.attested_datasets)}
    lines = [
        f"Charter signed by {', '.join(signers[:2])},\n  {', '.join(signers[2:])}.",
        f"{len(members)} members enrolled, each with a key of its own; {len(read)} acknowledged the terms.",
        *(f"{name}: onboarding attested with {count} documents." for name, count in attested.items()),
        "Trial: all these keys lie in this house. In earnest each member keeps its own.",
    ]
    return Text("\n".join(lines))


def _approval(house: House, charter: Charter, request: str, shown: Shown) -> list[RenderableType]:
    """Who approved a question, and what became of the asker's own vote; nothing where none was needed."""
    concluded = house.log.events("decision.concluded", request, charter.collaboration)
    if not concluded:
        return []
    lines = []
    if shown.self_approval:
        lines.append(f"The asker tried to approve it alone. Refused, {shown.self_approval}")
    payload = concluded[-1].event.payload
    assert isinstance(payload, DecisionConcluded)  # noqa: S101  its type says so
    lines.append(f"Approved by {', '.join(payload.approvals)}.\nThe rule: {payload.rule}.\n")
    return [Padding(Text("\n\n".join(lines)), (0, 0, 0, 2))]


def _party(charter: Charter, participant: Participant) -> list[str]:
    given = [dataset.id for dataset in charter.datasets if dataset.participant == participant.id]
    seen = [each.template for each in charter.computations if participant.id in each.receivers]
    return [participant.name, "\n".join(given) or "-", "\n".join(seen) or "nothing"]


def _heading(title: str) -> RenderableType:
    return Group(Text(""), Rule(Text(title, style="bold"), align="left", style="dim"), Text(""))
