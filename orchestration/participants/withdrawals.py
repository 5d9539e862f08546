"""Whether data may be taken back, and whether exactly that was carried out.

Belongs here: rules about events of withdrawal, asked by the guard. Must not be here: who may (`policies/`),
carrying it out (`stages/withdrawal`), or what becomes of insights (`outdated`).
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Row

from orchestration.audit import tables as t
from orchestration.audit import withdrawal_events as w
from orchestration.audit.events import Event
from orchestration.charter.model import Charter, Withdrawal
from orchestration.errors import PolicyDeniedError, Reason
from orchestration.participants import provenance
from orchestration.participants.state import State, participant_of

NOT_KEPT = Reason(
    "withdrawal.no_such_contribution",
    "The house keeps no contribution {contribution} of dataset {dataset}.",
    "`glasshouse status` lists what is kept; what was refused or destroyed is gone already.",
)
TAKEN_BACK = Reason(
    "withdrawal.taken_back",
    "The contribution {contribution} was taken back; it is destroyed next.",
    "Deliver other data if the dataset is to stay in the room.",
)
NOT_PERSONAL = Reason(
    "withdrawal.about_nobody",
    "Dataset {dataset} is about nobody, so nobody can be taken out of it.",
    "Take back the whole contribution: `glasshouse withdraw contribution`.",
)
DECISIONS = Reason(
    "withdrawal.decisions_stay",
    "Dataset {dataset} says who objected; without their objection, people would be used again.",
    "Take them out of the datasets it is about; what they decide now, deliver as a new {dataset}.",
)
NAME = Reason(
    "withdrawal.other_subject",
    "The subject of this {type} is not what it is about.",
    "Make it with `glasshouse withdraw`; it names the right subject.",
)
NO_LIST = Reason(
    "withdrawal.no_list",
    "The house keeps no list {withdrawal} as this statement describes it.",
    "Withdraw people with `glasshouse withdraw people`, which hands over the list first.",
)
NOT_DUE = Reason(
    "withdrawal.not_as_asked",
    "{type} of {subject} does not carry out a withdrawal that waits: {what}.",
    "The house carries withdrawals out by itself; nobody records it by hand.",
)


def require_kept(state: State, event: Event, payload: w.ContributionWithdrawn) -> None:
    """Raises: PolicyDeniedError when there is nothing of this name to take back."""
    if event.subject != payload.contribution:
        raise PolicyDeniedError(NAME, type=event.type)
    row, giver = kept(state, payload.contribution), participant_of(event.actor)
    # Another charter may have handed the dataset to somebody else: what was given stays its giver's.
    if row is None or (row.dataset, row.participant) != (payload.dataset, giver):
        raise PolicyDeniedError(NOT_KEPT, contribution=payload.contribution, dataset=payload.dataset)


def require_personal(state: State, event: Event, payload: w.PeopleWithdrawn) -> None:
    """Raises: PolicyDeniedError for a dataset that is about nobody or holds objections, or another name."""
    if not is_list(event.subject):
        raise PolicyDeniedError(NAME, type=event.type)
    charter = state.agreement
    if charter is None:
        return
    if charter.dataset(payload.dataset).classification != "personal":
        raise PolicyDeniedError(NOT_PERSONAL, dataset=payload.dataset)
    rules = [each.consent for each in charter.datasets if each.consent is not None]
    if any((rule.dataset, rule.mode) == (payload.dataset, "opt_out") for rule in rules):
        raise PolicyDeniedError(DECISIONS, dataset=payload.dataset)


def require_trimmed(state: State, event: Event, payload: w.ContributionTrimmed) -> None:
    """The contribution is kept, and each withdrawal waits and is about its dataset.

    Asked whether or not the collaboration runs: a freeze keeps nobody's data in.

    Raises: PolicyDeniedError (`withdrawal.not_as_asked`), ReceiptError.
    """
    row = kept(state, payload.contribution)
    _require(event, event.subject == payload.receipt.subject == payload.contribution, "its contribution")
    fits = row is not None and (row.dataset, row.charter_digest) == (
        payload.dataset,
        payload.receipt.charter_digest,
    )
    _require(event, fits, "the contribution is not kept as this dataset")
    waiting = {each.withdrawal for each in waiting_people(state, payload.dataset)}
    _require(event, set(payload.withdrawals) <= waiting, "its withdrawals")
    _require(event, payload.receipt.outputs == {"vault": payload.vault_digest}, "its file")
    provenance.require_inputs(state, payload.receipt, "contribution", [payload.contribution])


def require_applied(state: State, event: Event, payload: w.WithdrawalApplied) -> None:
    """Everything kept of the dataset was searched, and rewritten, after the withdrawal was asked for.

    Raises: PolicyDeniedError (`withdrawal.not_as_asked`).
    """
    asked = next((e for e in waiting_people(state, payload.dataset) if e.withdrawal == event.subject), None)
    if asked is None:
        if state.rows(t.withdrawals, withdrawal=event.subject, dataset=payload.dataset):
            return  # the projector says that it counts already
        raise PolicyDeniedError(NOT_DUE, type=event.type, subject=event.subject, what="nobody asked")
    held = kept_of(state, payload.dataset)
    _require(event, set(payload.contributions) == {row.contribution for row in held}, "its contributions")
    for row in held:
        standing = state.rows(t.receipts, stage="contribution", subject=row.contribution, revoked=False)
        newest = max((each.seq for each in standing), default=-1)
        _require(event, newest > asked.seq, f"{row.contribution} is as it was")


def require_rotation(state: State, event: Event, _: w.PseudonymsRotated) -> None:
    """Raises: PolicyDeniedError (`withdrawal.not_as_asked`) for another collaboration, or none in force."""
    _require(event, event.subject == state.collaboration and state.charter is not None, "its collaboration")


def require_not_taken_back(state: State, contribution: str) -> None:
    """Raises: PolicyDeniedError (`withdrawal.taken_back`)."""
    if state.rows(t.withdrawals, contribution=contribution):
        raise PolicyDeniedError(TAKEN_BACK, contribution=contribution)


def is_list(name: str) -> bool:
    """Whether lists of people are named like this; no contribution is, of whatever dataset."""
    return re.fullmatch(r"people-[0-9]{8}-[0-9a-f]{8}", name) is not None


def kept(state: State, contribution: str) -> Row[Any] | None:
    rows = state.rows(t.contributions, contribution=contribution, status="accepted")
    return rows[0] if rows else None


def kept_of(state: State, dataset: str) -> list[Row[Any]]:
    """Contributions of the dataset that the vault holds, oldest first, under whichever charter."""
    return sorted(
        state.rows(t.contributions, dataset=dataset, status="accepted"), key=lambda row: int(row.seq)
    )


def waiting_people(state: State, dataset: str | None = None) -> list[Row[Any]]:
    """Withdrawals of people that were not carried out yet, oldest first."""
    named = {} if dataset is None else {"dataset": dataset}
    rows = [row for row in state.rows(t.withdrawals, status="waiting", **named) if row.list_digest]
    return sorted(rows, key=lambda row: int(row.seq))


def terms_of(charter: Charter) -> Withdrawal:
    """What the charter says about withdrawal, or what holds when it says nothing."""
    return charter.withdrawal or Withdrawal()


def _require(event: Event, fits: bool, what: str) -> None:
    if not fits:
        raise PolicyDeniedError(NOT_DUE, type=event.type, subject=event.subject, what=what)
