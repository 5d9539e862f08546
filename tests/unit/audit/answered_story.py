"""One question from contribution to opening, in a log, and every way in which it can go beyond the charter.

Belongs here: events, right or wrong on purpose (`Wrong`). Must not be here: a guard, which would refuse the
wrong ones; whoever writes past it is whom reports and evidence packs are for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from orchestration.audit import governance_events as ge
from orchestration.audit import stage_events as s
from orchestration.audit.events import Event
from orchestration.audit.log import AuditLog, LoggedEvent
from orchestration.audit.vocabulary import Payload, Stage, StageReceipt
from orchestration.charter.model import Charter
from orchestration.digests import digest_bytes
from orchestration.participants.state import State
from tests.unit.audit.audit_story import openlineage
from tests.unit.participants.facts import NAME, START, charter, dataset, right

REQUEST, RELEASE = "r-1", "i-1"


def agreed() -> Charter:
    """Requests for `overlap` need the approval of whoever's data they read."""
    computation = {
        "template": "overlap",
        "purposes": ["insight"],
        "requesters": ["brand"],
        "receivers": ["brand", "media"],
        "threshold": 10,
        "approval": "questions",
    }
    rights = [right("questions", matters=["request"], rule="affected", deciders=["shop", "media"])]
    return charter(
        computations=[computation],
        decision_rights=rights,
        datasets=[dataset("sales", "shop"), dataset("adverts", "media")],
    )


@dataclass(frozen=True)
class Wrong:
    """What goes wrong; nothing by default."""

    ran_under: str | None = None
    ran_template: str = "overlap"
    requester: str = "brand.analyst"
    purpose: str = "insight"
    given_for: str = "insight"
    approval: str | None = "questions"
    approved: str = "before"  # before | after | never
    threshold: int = 10
    cells: int = 20
    released_to: tuple[str, ...] = ("brand", "media")
    valid_days: int = 30
    opened_by: str = "media.auditor"
    opened_after_days: float = 1
    recalled: bool = False


@dataclass
class Story:
    """A log, its clock, and short words."""

    log: AuditLog
    charter: Charter
    folder: Path
    at: datetime = START

    def __post_init__(self) -> None:
        self.log.clock = lambda: self.at

    @contextmanager
    def state(self) -> Iterator[State]:
        with self.log.read() as connection:
            yield State(connection, NAME, self.at)

    def event(self, subject: str, payload: Payload, actor: str = "operator", why: str = "test") -> Event:
        self.at += timedelta(minutes=1)
        return Event(
            collaboration=NAME,
            subject=subject,
            actor=actor,
            justification=why,
            time=self.at,
            payload=payload,
        )

    def say(self, subject: str, payload: Payload, actor: str = "operator", why: str = "test") -> LoggedEvent:
        event = self.event(subject, payload, actor, why)
        lineage = (openlineage(subject),) if isinstance(payload, s.ComputationRun) else ()
        return self.log.append(event, lineage=lineage)

    def receipt(self, stage: Stage, subject: str, *inputs: str, under: str | None = None) -> StageReceipt:
        return StageReceipt(
            stage=stage,
            subject=subject,
            charter_digest=under or self.charter.digest,
            inputs=inputs,
            outputs={},
            run_id="0198f0c2-0000-7000-8000-000000000000",
        )

    def agree(self) -> None:
        text = self.charter
        proposed = ge.CharterProposed(
            digest=text.digest, title=text.title, version=text.version, document=text.document
        )
        self.say(NAME, proposed)
        self.say(NAME, ge.CharterActivated(digest=text.digest))

    def contribute(self, name: str, dataset: str, participant: str, purpose: str = "insight") -> LoggedEvent:
        """The gate that let it pass."""
        accepted = s.ContributionAccepted(
            receipt=self.receipt("contribution", name),
            dataset=dataset,
            participant=participant,
            delivery=name,
            rows=100,
            source_digest=digest_bytes(name.encode()),
            vault_digest=digest_bytes(b"vault"),
            key_id=name,
            signer=f"{participant}.steward",
            purposes=(purpose,),
            manifest={},
        )
        first = self.say(name, accepted)
        second = s.DatasetDeidentified(
            receipt=self.receipt("deidentified", name, first.receipt_id),
            dataset=dataset,
            contribution=name,
            table=name,
            rows=100,
            techniques={},
        )
        passed = s.GatePassed(
            receipt=self.receipt("gate", name, self.say(name, second).receipt_id),
            dataset=dataset,
            contribution=name,
            table=name,
            suite_digest=digest_bytes(b"suite"),
            checks=(s.GateCheck(rule="r1", expectation="not_null", passed=True),),
        )
        return self.say(name, passed)

    def answer(self, wrong: Wrong = Wrong()) -> None:
        gates = [
            self.contribute("c-sales", "sales", "shop", wrong.given_for),
            self.contribute("c-adverts", "adverts", "media"),
        ]
        room = s.RoomRefreshed(
            receipt=self.receipt("room", NAME, *(gate.receipt_id for gate in gates)),
            tables={"transaction": ("c-sales", "c-adverts")},
        )
        made = self.say(NAME, room).receipt_id
        submitted = s.RequestSubmitted(
            template="overlap",
            parameters={"left": "shoppers"},
            purpose=wrong.purpose,
            requester=wrong.requester,
            participant=wrong.requester.partition(".")[0],
            datasets=("sales",),
            approval=wrong.approval,
        )
        self.say(REQUEST, submitted, wrong.requester, "Who shops?")
        if wrong.approved == "before":
            self.approve()
        self.say(REQUEST, s.RequestDecided(allowed=True, message="Permitted."))
        ran = s.ComputationRun(
            receipt=self.receipt("cells", REQUEST, made, under=wrong.ran_under),
            request=REQUEST,
            template=wrong.ran_template,
            template_digest=digest_bytes(b"template"),
        )
        cells = self.say(REQUEST, ran).receipt_id
        if wrong.approved == "after":
            self.approve()
        protected = s.OutputGenerated(
            receipt=self.receipt("protected", REQUEST, cells),
            request=REQUEST,
            template="overlap",
            threshold=wrong.threshold,
            cells_shown=wrong.cells,
            cells_primary=0,
            cells_complementary=0,
        )
        released = s.OutputReleased(
            receipt=self.receipt("insight", REQUEST, self.say(REQUEST, protected).receipt_id),
            request=REQUEST,
            release=RELEASE,
            template="overlap",
            purpose=wrong.purpose,
            receivers=wrong.released_to,
            files={"table.csv": digest_bytes(b"table")},
            expires_at=self.at + timedelta(days=wrong.valid_days),
        )
        self.say(REQUEST, released)
        if wrong.recalled:
            self.say(RELEASE, ge.OutputRecalled(release=RELEASE, decision="d"))
        self.at += timedelta(days=wrong.opened_after_days)
        opened = s.OutputAccessed(release=RELEASE, member=wrong.opened_by, detail="full")
        self.say(RELEASE, opened, wrong.opened_by, "To plan.")
        denied = s.AccessDenied(release=RELEASE, member="panel.steward", code="policy.not_a_receiver")
        self.say(RELEASE, denied, "panel.steward")

    def approve(self) -> None:
        first = ge.VoteCast(decision=REQUEST, vote="reject")
        self.say(REQUEST, first, "shop.steward", "Not yet.")
        second = ge.VoteCast(decision=REQUEST, vote="approve")
        self.say(REQUEST, second, "shop.steward", "It is for the plan.")
        concluded = ge.DecisionConcluded(
            decision=REQUEST, outcome="approved", approvals=("shop",), rule="all whose data is read (shop)"
        )
        self.say(REQUEST, concluded)


@contextmanager
def answered(folder: Path, wrong: Wrong = Wrong()) -> Iterator[Story]:
    with AuditLog(f"sqlite:///{folder / 'control.db'}") as log:
        story = Story(log, agreed(), folder)
        story.agree()
        story.answer(wrong)
        yield story
