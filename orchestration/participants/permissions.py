"""What can be done at all, and what each door of the platform needs permission for.

Belongs here: the verbs, and one row for every command, route, asset, job, sensor and schedule: the verbs it
asks for, or in writing why it asks for none. Must not be here: who may (`policies/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from orchestration.audit import governance_events as g
from orchestration.audit.portal_events import LoginChanged
from orchestration.audit.stage_events import OutputAccessed, RequestSubmitted
from orchestration.audit.vocabulary import Payload
from orchestration.audit.withdrawal_events import ContributionWithdrawn, PeopleWithdrawn


@dataclass(frozen=True)
class Action:
    """A verb. `event`: the act that records it; `says`: continues "may …"; `subject`: what is named."""

    verb: str
    event: type[Payload] | None
    says: str
    subject: str


_ALL = (
    Action("propose_charter", g.CharterProposed, "propose a charter", "collaboration"),
    Action("sign_charter", g.CharterSigned, "sign the charter", "charter"),
    Action("withdraw_charter", g.CharterWithdrawn, "withdraw a proposed charter", "charter"),
    Action("accept_invitation", g.ParticipantAccepted, "accept the invitation", "participant"),
    Action("leave", g.ParticipantLeft, "take an organization out", "participant"),
    Action("enroll_member", g.MemberEnrolled, "enrol a member", "member"),
    Action("retire_member", g.MemberRetired, "retire a member", "member"),
    Action("rotate_key", g.KeyRotated, "replace a key", "member"),
    Action("revoke_key", g.KeyRevoked, "revoke a key", "member"),
    Action("give_grant", g.GrantGiven, "give a role", "member"),
    Action("renew_grant", g.GrantRenewed, "renew a role", "grant"),
    Action("revoke_grant", g.GrantRevoked, "revoke a role", "grant"),
    Action("open_emergency", g.EmergencyOpened, "open emergency access", "member"),
    Action("open_decision", g.DecisionOpened, "ask for a decision", "matter"),
    Action("vote", g.VoteCast, "vote on it", "decision"),
    Action("freeze", g.CollaborationFrozen, "freeze the collaboration", "collaboration"),
    Action("raise_dispute", g.DisputeRaised, "raise a dispute", "request, release, dataset or participant"),
    Action("attest_review", g.ReviewAttested, "attest a role in a review", "grant"),
    Action("attest_dataset", g.DatasetAttested, "attest a dataset's onboarding checklist", "dataset"),
    Action("acknowledge_terms", g.TermsAcknowledged, "acknowledge the terms", "member"),
    Action("arrange_login", LoginChanged, "arrange a way into the portal", "member"),
    Action("contribute", None, "contribute data", "dataset"),
    Action("withdraw_contribution", ContributionWithdrawn, "take back a contribution", "dataset"),
    Action("withdraw_people", PeopleWithdrawn, "take back people's data", "dataset"),
    Action("submit_request", RequestSubmitted, "ask for a computation", "computation"),
    Action("open_insight", OutputAccessed, "open a release", "release"),
)
ACTIONS: Mapping[str, Action] = {action.verb: action for action in _ALL}

Door = Literal["command", "route", "asset", "job", "sensor", "schedule"]


@dataclass(frozen=True)
class Row:
    """A door, by the pattern of its name, and the verbs it asks for; or why it asks for none."""

    door: Door
    name: str
    verbs: tuple[str, ...] = ()
    reason: str = ""


_HERE = "Reads what lies on this machine, for whoever may log in to it; records nothing."
_PREPARES = "Prepares this machine; touches no collaboration."
_STEWARDS_PC = "Works on a file before anything is signed; records nothing."
_DECIDED = "What asked for it was signed and admitted before; this carries it out, and checks its standing."
_CLOCK = "Nobody acts: records only what follows from signed acts, or signs the log's head."
_PUBLISHED = "Hashes and commitments only, which anybody may check."
_SIGHT = "Who is signed in sees what concerns the own organization; an auditor sees all. Nothing is recorded."
_DOOR = "Proves who is there (password and second factor, or the member's key); opens nothing by itself."


def _commands(reason: str, *names: str) -> tuple[Row, ...]:
    return tuple(Row("command", name, reason=reason) for name in names)


def _routes(reason: str, *names: str) -> tuple[Row, ...]:
    return tuple(Row("route", name, reason=reason) for name in names)


def _acts(verb: str, *names: str) -> tuple[Row, ...]:
    return tuple(Row("command", name, (verb,)) for name in names)


TABLE: tuple[Row, ...] = (
    *_commands(_PREPARES, "init", "serve", "dev", "key new"),
    *_commands(
        "Plays all members of a house of its own, each with its own key, through the same doors.", "demo"
    ),
    *_commands(_STEWARDS_PC, "charter check", "charter diff", "charter maturity", "charter new"),
    *_commands(_STEWARDS_PC, "charter schema", "charter hierarchy", "charter import-odcs"),
    *_commands(_STEWARDS_PC, "prepare", "anonymity", "scan"),
    *_commands(_HERE, "status", "can", "charter status", "terms show", "participant list", "member list"),
    *_commands(_HERE, "key list", "key show", "grant list", "decision list", "decision show"),
    *_commands(_HERE, "dispute list", "dispute show", "exception list", "review list", "review show"),
    *_commands(
        _HERE, "dataset list", "withdraw list", "login list", "lineage export", "audit log", "audit verify"
    ),
    *_commands(_HERE, "catalog list", "catalog show", "catalog search", "catalog timeline"),
    *_commands(_HERE, "catalog taxonomy", "catalog record", "catalog map", "catalog export"),
    *_commands(_HERE, "contribution list", "contribution show", "destruction list"),
    *_commands(_HERE, "destruction certificate"),
    *_commands(
        "Opens only with the private key of the steward it was sealed to.",
        *("contribution rejected", "contribution unseal"),
    ),
    *_commands(_HERE, "report contributor", "report summary", "report decisions", "report shares"),
    *_commands(_HERE, "report council", "report dispute"),
    *_commands(
        _HERE, "audit replay", "audit proof", "audit passport", "audit tiles", "audit witnesses", "audit view"
    ),
    *_commands(_HERE, "keyring status", "keyring recipient"),
    *_commands(
        "Changes what wraps the house's keys, not what they open; every log is told.", "keyring rotate"
    ),
    *_commands(
        "Needs nothing but the files it is given.", "audit check", "report check", "destruction verify"
    ),
    *_commands("A cosignature proves itself by the key of its witness.", "witness", "audit cosign"),
    Row("command", "record", tuple(verb for verb, action in ACTIONS.items() if action.event is not None)),
    *_acts("propose_charter", "charter propose"),
    *_acts("sign_charter", "charter sign"),
    *_acts("withdraw_charter", "charter withdraw"),
    *_acts("accept_invitation", "participant accept"),
    *_acts("leave", "participant leave"),
    *_acts("enroll_member", "member enroll"),
    *_acts("retire_member", "member retire"),
    *_acts("rotate_key", "key rotate"),
    *_acts("revoke_key", "key revoke"),
    *_acts("give_grant", "grant give"),
    *_acts("renew_grant", "grant renew"),
    *_acts("revoke_grant", "grant revoke"),
    *_acts("open_emergency", "emergency"),
    *_acts("open_decision", "decision open", "thaw", "charter close", "exception ask"),
    *_acts("open_decision", "participant suspend", "participant reinstate", "participant remove"),
    *_acts("vote", "approve", "reject", "abstain"),
    *_acts("freeze", "freeze"),
    *_acts("raise_dispute", "dispute raise"),
    *_acts("attest_review", "review attest"),
    *_acts("attest_dataset", "dataset attest"),
    *_acts("acknowledge_terms", "terms acknowledge"),
    *_acts("arrange_login", "login enable", "login disable", "login token", "login revoke"),
    *_acts("contribute", "contribute", "run"),
    Row(
        "command",
        "room invite",
        reason="Only to members who may give data, sealed to their keys; all are told.",
    ),
    *_commands("Makes pseudonyms anew from the vault; their meaning stays, and all are told.", "room rekey"),
    *_acts("withdraw_contribution", "withdraw contribution"),
    *_acts("withdraw_people", "withdraw people"),
    *_acts("submit_request", "request"),
    *_acts("open_insight", "open"),
    *_routes(_DOOR, "GET /login", "POST /login", "POST /logout", "GET /enter/{entry}"),
    *_routes(_PUBLISHED, "GET /log/checkpoint", "GET /log/operator.json", "GET /log/tile/{path:path}"),
    *_routes("A cosignature proves itself by the key of its witness.", "POST /log/cosignature"),
    *_routes(_SIGHT, "GET /", "GET /overview.json", "GET /overview.csv"),
    *_routes(_SIGHT, "GET /governance", "GET /governance.json"),
    *_routes(_SIGHT, "GET /lineage", "GET /lineage.json", "GET /lineage.csv"),
    *_routes(_SIGHT, "GET /log", "GET /log.json", "GET /log.csv"),
    *_routes(_SIGHT, "GET /catalog", "GET /catalog.json", "GET /catalog.csv"),
    *_routes(_SIGHT, "GET /catalog/{dataset}", "GET /catalog/{dataset}.json"),
    *_routes(_SIGHT, "GET /log/{seq:int}.json", "GET /log/{seq:int}"),
    *_routes("Style sheets and scripts, the same for everybody.", "GET /static"),
    Row("asset", "<collaboration>/contribution/<dataset>", ("contribute",)),
    Row("asset", "<collaboration>/deidentified/<dataset>", reason=_DECIDED),
    Row("asset", "<collaboration>/staging/<model>", reason=_DECIDED),
    Row("asset", "<collaboration>/intermediate/<model>", reason=_DECIDED),
    Row("asset", "<collaboration>/cells/<template>", ("submit_request",)),
    Row("asset", "<collaboration>/protected/<template>", reason=_DECIDED),
    Row("asset", "<collaboration>/insight/<template>", reason=_DECIDED),
    Row("job", "<collaboration>__intake__<dataset>", ("contribute",)),
    Row("job", "<collaboration>__refresh", reason=_DECIDED),
    Row("job", "<collaboration>__request__<template>", ("submit_request",)),
    Row("job", "log_checkpoint", reason=_CLOCK),
    Row("job", "governance_due_job", reason=_CLOCK),
    Row("sensor", "<collaboration>__landing", ("contribute",)),
    Row("sensor", "<collaboration>__refresh_due", reason=_DECIDED),
    Row("sensor", "<collaboration>__withdrawals", reason=_DECIDED),
    Row("sensor", "<collaboration>__requests", reason=_DECIDED),
    Row("schedule", "log_checkpoint_due", reason=_CLOCK),
    Row("schedule", "governance_due", reason=_CLOCK),
)
