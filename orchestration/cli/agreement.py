"""`glasshouse charter propose | sign | withdraw | status | close`: how a text becomes the agreement.

Belongs here: showing what is about to be signed. Must not be here: checking or comparing charters
(`orchestration/charter/`), or the other `charter` commands, which need no house (`cli/charter`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.text import Text
from sqlalchemy import Row

from orchestration.audit import governance_tables as g
from orchestration.audit.governance_events import (
    CharterProposed,
    CharterSigned,
    CharterWithdrawn,
    DecisionOpened,
)
from orchestration.charter import Charter, load_charter
from orchestration.charter.diff import diff
from orchestration.cli.charter_view import changes_view
from orchestration.cli.console import JsonFlag, emit, err, table
from orchestration.cli.options import NO_CHARTER, CollaborationOption, WhyOption, confirm, current_state
from orchestration.cli.pending import new_id, next_vote
from orchestration.cli.signing_options import (
    KeyOption,
    PassphraseOption,
    Signing,
    SignToOption,
    show_recorded,
    signed,
)
from orchestration.cli.told import fingerprint_lines, short
from orchestration.errors import ConfigError, Reason
from orchestration.house import OPERATOR, House
from orchestration.participants.consequences import steward_roster
from orchestration.participants.enrollment import read_public_file
from orchestration.participants.state import State
from orchestration.settings import load_settings
from orchestration.stages import governance

NOT_PROPOSED = Reason(
    "charter.not_proposed",
    "No charter {digest} waits for signatures in {collaboration}.",
    "See what does: `glasshouse charter status`.",
)
NEEDS_PROPOSER = Reason(
    "charter.needs_proposer",
    "Only a first charter is put on the table unsigned, by the operator, in the house.",
    "Say who proposes and signs it, with --as MEMBER and that member's key.",
)
NOT_CONFIRMED = Reason(
    "charter.not_confirmed",
    "Nothing was signed.",
    "Compare digest and fingerprints with the other stewards, then sign with --yes.",
)

_GONE = ("left", "removed")

DigestOption = Annotated[
    str | None, typer.Option("--digest", help="Which charter; default: the newest that waits.")
]
CharterFileOption = Annotated[
    Path | None, typer.Option("--charter", help="Away from the house: your own copy of the charter.")
]
StewardKeysOption = Annotated[
    Path | None, typer.Option("--keys", help="Away from the house: folder of the stewards' public keys.")
]


def propose(
    file: Annotated[Path, typer.Argument(help="A charter that passes `glasshouse charter check`.")],
    *,
    member: Annotated[
        str, typer.Option("--as", help="Who proposes and signs it; needed once a charter is in force.")
    ] = OPERATOR,
    why: WhyOption = "Put on the table for signature.",
    key: KeyOption = None,
    passphrase_file: PassphraseOption = None,
    sign_to: SignToOption = None,
    replaces: Annotated[
        str | None, typer.Option(help="Away from the house: digest of the charter in force, or `none`.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Put a charter on the table; it invites the participants it names.

    Unsigned only as the operator, while no charter is in force; a member's proposal is signed.
    """
    from orchestration.computation.template import load_templates

    charter = load_charter(file, templates=load_templates())
    if member == OPERATOR:
        _propose_unsigned(charter, why, away=sign_to is not None, as_json=as_json)
        return
    signing = Signing(member, why, key, passphrase_file, sign_to, charter.collaboration, as_json)
    with signing.opened(founding=True) as signatory:
        if replaces is None:
            with signatory.state("the charter in force", "--replaces DIGEST") as state:
                in_force = state.charter.digest if state.charter else None
        else:
            in_force = None if replaces == "none" else replaces
        payload = CharterProposed(
            digest=charter.digest,
            title=charter.title,
            version=charter.version,
            document=charter.document,
            supersedes=in_force,
        )
        signatory.records(signatory.event(payload), note=_proposed_note(charter))


def _propose_unsigned(charter: Charter, why: str, *, away: bool, as_json: bool) -> None:
    """Raises: ConfigError (`charter.needs_proposer`)."""
    with House.opened(load_settings()) as house:
        with house.state(charter.collaboration) as state:
            in_force = state.charter is not None
        if in_force or away:
            raise ConfigError(NEEDS_PROPOSER)
        recorded = governance.propose(house, charter, OPERATOR, why)
        show_recorded([recorded], note=_proposed_note(charter), as_json=as_json)


def _proposed_note(charter: Charter) -> str:
    return f"Full digest: {charter.digest}\nNext: glasshouse charter status"


@signed("Agrees to this charter.")
def sign(
    signing: Signing,
    *,
    digest: DigestOption = None,
    charter_file: CharterFileOption = None,
    keys: StewardKeysOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again before signing.")] = False,
) -> None:
    """Sign a charter for your organization, after seeing its digest, its changes and every steward's key."""
    with signing.opened() as signatory:
        if charter_file is not None and keys is not None:
            charter = load_charter(charter_file)
            active = None
            stewards = {
                steward: str(read_public_file(keys / f"{steward}.json").public_key["keyid"])
                for steward in _stewards_of(charter)
            }
        else:
            with signatory.state(
                "the charter and the stewards' keys", "--charter FILE --keys FOLDER"
            ) as state:
                charter = _proposed(state, digest)
                active = state.charter
                stewards = steward_roster(state, charter)
        if digest is not None and digest != charter.digest:
            raise ConfigError(NOT_PROPOSED, digest=short(digest), collaboration=signatory.collaboration)
        if not signing.as_json:
            err.print(_before_signing(charter, active, stewards))
        confirm("Sign it?", NOT_CONFIRMED, yes=yes, as_json=signing.as_json)
        payload = CharterSigned(digest=charter.digest, participant=signatory.participant, stewards=stewards)
        signatory.records(signatory.event(payload), note=_unsigned)


@signed()
def withdraw(signing: Signing, *, digest: DigestOption = None) -> None:
    """Take a charter off the table again, before all have signed it."""
    with signing.opened() as signatory:
        if digest is None:
            with signatory.state("the proposed charter", "--digest") as state:
                digest = _proposed(state, None).digest
        signatory.records(signatory.event(CharterWithdrawn(digest=digest)))


@signed()
def close(signing: Signing) -> None:
    """Ask for the end: once decided, every key is destroyed and the log keeps the proof."""
    with signing.opened() as signatory:
        decision = new_id("closing")
        payload = DecisionOpened(matter="closing", about=signatory.collaboration)
        signatory.records(signatory.event(payload, decision), note=next_vote(decision))


def status(*, collaboration: CollaborationOption = None, as_json: JsonFlag = False) -> None:
    """Which charter is active, which waits, and for whose signature."""
    with current_state(collaboration) as state:
        versions = state.rows(g.charters)
        if not versions:
            raise ConfigError(NO_CHARTER, collaboration=state.collaboration)
        open_ = state.proposal
        standing_of = parties(state, open_ or state.charter)
        found: JsonValue = {
            "collaboration": state.collaboration,
            "phase": state.phase,
            "charters": [
                {"digest": row.digest, "version": row.version, "status": row.status, "title": row.title}
                for row in sorted(versions, key=lambda row: row.seq)
            ],
            "participants": [
                {"participant": name, "status": standing, "signed_by": signer, "waits_for": waits}
                for name, standing, signer, waits in standing_of
            ],
        }
        shown = _status(state, sorted(versions, key=lambda row: row.seq), standing_of)
    emit(found, lambda: shown, as_json=as_json)


def _stewards_of(charter: Charter) -> list[str]:
    """Every steward the charter names."""
    return [member.id for member in charter.members if "steward" in member.roles]


def _proposed(state: State, digest: str | None) -> Charter:
    """Raises: ConfigError (`charter.not_proposed`)."""
    proposal = state.proposal if digest is None else state.charter_version(digest)
    if proposal is None:
        raise ConfigError(NOT_PROPOSED, digest=short(digest or "at all"), collaboration=state.collaboration)
    return proposal


def _before_signing(charter: Charter, active: Charter | None, stewards: dict[str, str]) -> RenderableType:
    lines = ["Keys of the stewards. Compare each with its owner by another channel:"]
    for name in _stewards_of(charter):
        key = stewards.get(name)
        lines.append(f"  {name}")
        lines += [f"    {line}" for line in fingerprint_lines(key)] if key else ["    no key yet: sign later"]
    if active is not None and active.digest != charter.digest:
        return Group(changes_view(active, charter, diff(active, charter)), Text("\n".join(["", *lines, ""])))
    head = f"{charter.title}, version {charter.version}"
    return Group(Text(head, style="bold"), Text("\n".join([charter.digest, "", *lines, ""])))


def _unsigned(house: House, collaboration: str) -> str:
    """Who has not signed yet."""
    with house.state(collaboration) as state:
        if state.proposal is None:
            return ""
        waiting = [f"{name} has to {waits}" for name, _, _, waits in parties(state, state.proposal) if waits]
    return f"Still to do: {'; '.join(waiting)}." if waiting else ""


def parties(state: State, charter: Charter | None) -> list[tuple[str, str, str | None, str]]:
    """(participant, its status, who signed, what it still has to do) for each participant of a charter."""
    if charter is None:
        return []
    roster = steward_roster(state, charter)
    signatures = {row.participant: row for row in state.rows(g.charter_signatures, digest=charter.digest)}
    proposed = state.charter_status(charter.digest) == "proposed"
    found = []
    for participant in charter.participants:
        standing = state.participant_status(participant.id) or "not invited"
        signature = signatures.get(participant.id)
        waits = ""
        if standing in _GONE:
            pass
        elif standing == "invited":
            waits = "accept"
        elif proposed and signature is None:
            waits = "sign"
        elif proposed and signature is not None and json.loads(signature.stewards) != roster:
            waits = "sign again: a steward's key is new"
        found.append((participant.id, standing, signature.member if signature else None, waits))
    return found


def _status(
    state: State, versions: list[Row[Any]], parties: list[tuple[str, str, str | None, str]]
) -> RenderableType:
    rows = [[str(row.version), row.status, short(row.digest), row.title] for row in versions]
    signed_by = [[name, standing, signer or "-", waits or "-"] for name, standing, signer, waits in parties]
    return Group(
        table(["Version", "State", "Digest", "Title"], rows, title=f"{state.collaboration}: {state.phase}"),
        Text(""),
        table(["Participant", "State", "Signed by", "Has to"], signed_by),
    )
