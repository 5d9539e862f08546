"""`glasshouse audit`: read the log, verify all of it, publish it, and prove parts of it to somebody else.

Must not be here: how anything is verified (`orchestration/audit/`), or what is printed (`audit_view`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue
from sqlalchemy import select

from orchestration.audit import checkpoint, tiles, verify_tiles, witnessed
from orchestration.audit import governance_tables as g
from orchestration.audit import tables as t
from orchestration.audit.evidence import make_evidence, read_evidence, verify_evidence
from orchestration.audit.replay import replay
from orchestration.audit.report import UNKNOWN_PARTICIPANT
from orchestration.audit.verify import Verification, verify_log
from orchestration.audit.view import participant_view, read_view, verify_view, write_view
from orchestration.audit.vocabulary import now, timestamp
from orchestration.cli import audit_view as shown
from orchestration.cli.console import JsonFlag, emit
from orchestration.cli.files import public_key_in, text_in
from orchestration.cli.options import NO_CHARTER, CollaborationOption, only_collaboration
from orchestration.cli.quorums import witnesses_left
from orchestration.digests import canonical_json
from orchestration.engine.files import write_durably
from orchestration.errors import ConfigError, IntegrityError, Reason
from orchestration.participants.state import State
from orchestration.settings import load_settings

NOTHING_TO_PROVE = Reason(
    "audit.proof_usage",
    "Say either which event to prove or which proof to check.",
    "Use `glasshouse audit proof SEQ` or `glasshouse audit proof --check FILE`.",
)
NOT_REPLAYED = Reason(
    "audit.not_replayed",
    "The events do not make the tables this log shows. First: {first}",
    "Stop writing to it, keep a copy as evidence, and run `glasshouse audit verify`.",
)

app = typer.Typer(help="Read, verify, publish and prove what the log says.", no_args_is_help=True)

OutOption = Annotated[Path | None, typer.Option(help="Write it to this file.")]


@app.command("log")
def show_log(
    *,
    kind: Annotated[str | None, typer.Option("--type", help="Only events of this type.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only events about this subject.")] = None,
    collaboration: Annotated[str | None, typer.Option(help="Only events of this collaboration.")] = None,
    after: Annotated[int, typer.Option(min=-1, help="Only events after this number.")] = -1,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest ones.")] = 30,
    as_json: JsonFlag = False,
) -> None:
    """List events, oldest first."""
    from orchestration.house import House

    with House.opened(load_settings()) as house:
        found = house.log.events(kind, subject, collaboration, after=after, limit=limit, newest_first=True)
        size = house.log.size
    found.reverse()
    emit([shown.event_document(each) for each in found], lambda: shown.listing(found, size), as_json=as_json)


@app.command()
def verify(
    *,
    published: Annotated[
        Path | None, typer.Option("--tiles", help="Also compare a published copy, in this folder.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check every event, tree node, checkpoint, cosignature and table; exit code 4 when anything changed."""
    from orchestration.house import House

    with House.opened(load_settings()) as house:
        public_key = house.operator.public
        found = verify_log(house.log, house.checkpoints, public_key)
        if published is not None:
            count, problems = verify_tiles.check(house.log, published, public_key)
            found = replace(found, counts=(*found.counts, count), problems=found.problems + problems)
    _report(found, as_json=as_json)


@app.command("replay")
def replay_log(*, as_json: JsonFlag = False) -> None:
    """Let every event happen again, judged by the same rules, and compare all tables; exit code 4 if not."""
    from orchestration.house import House

    with House.opened(load_settings()) as house:
        found = replay(house.log)
    document: JsonValue = {
        "ok": found.ok,
        "events": found.events,
        "tables": found.tables,
        "equal": found.equal,
        "first": found.first,
    }
    emit(document, lambda: shown.replayed(found), as_json=as_json)
    if not found.ok:
        if as_json:
            raise typer.Exit(IntegrityError.exit_code)  # the one JSON document is printed already
        raise IntegrityError(NOT_REPLAYED, first=found.first)


@app.command()
def proof(
    seq: Annotated[int | None, typer.Argument(min=0, help="Number of the event to prove.")] = None,
    *,
    check: Annotated[Path | None, typer.Option(help="Check a proof that was printed with --json.")] = None,
    key: Annotated[
        Path | None, typer.Option(help="With --check: the operator's public key; default: this house's.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Prove that an event stands in the signed log, or check such a proof (offline, with --key)."""
    from orchestration.house import House

    if (seq is None) == (check is None):
        raise ConfigError(NOTHING_TO_PROVE)
    if check is not None and key is not None:
        public_key = public_key_in(key, "--key")
    else:
        with House.opened(load_settings()) as house:
            public_key = house.operator.public
            made = None if seq is None else make_evidence(house.log, house.operator, house.checkpoints, seq)
    evidence = read_evidence(text_in(check, "--check")) if check is not None else made
    assert evidence is not None  # noqa: S101 - one of the two was given
    verify_evidence(evidence, public_key)
    checked = check is not None
    emit(evidence.model_dump(mode="json"), lambda: shown.proof(evidence, checked=checked), as_json=as_json)


@app.command("tiles")
def publish(
    out: Annotated[Path, typer.Argument(help="Folder to bring up to date.")], *, as_json: JsonFlag = False
) -> None:
    """Publish the log as C2SP tlog-tiles: hashes and commitments only, for witnesses and other tools."""
    from orchestration.house import House

    with House.opened(load_settings()) as house:
        checkpoint.make(house.log, house.operator, house.checkpoints)
        head, written = tiles.export(house.log, out, house.operator.public)
        vkey = checkpoint.verifier_key(head.origin, checkpoint.ED25519, house.operator.public)
    document: JsonValue = {
        "origin": head.origin,
        "size": head.size,
        "root": head.root.hex(),
        "tiles_written": written,
        "verifier_key": vkey,
    }
    emit(document, lambda: shown.published(head, str(out), written, vkey), as_json=as_json)


@app.command()
def cosign(
    file: Annotated[Path, typer.Argument(help="What a participant's `glasshouse witness` wrote.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Add the cosignature of a participant's witness to the log's checkpoint."""
    from orchestration.house import House

    note = text_in(file, "FILE")
    with House.opened(load_settings()) as house:
        found = witnessed.add_cosignatures(house.log, house.checkpoints, note, now())
    document: list[JsonValue] = [
        {
            "size": each.size,
            "collaboration": each.collaboration,
            "participant": each.participant,
            "member": each.member,
            "key_id": each.key_id,
            "at": timestamp(each.at),
        }
        for each in found
    ]
    emit(document, lambda: shown.cosigned(found), as_json=as_json)


@app.command()
def witnesses(
    *,
    collaboration: CollaborationOption = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many checkpoints, the newest ones.")] = 20,
    as_json: JsonFlag = False,
) -> None:
    """Who cosigned which checkpoint, and whether that is the charter's quorum."""
    from orchestration.house import House

    with House.opened(load_settings()) as house:
        chosen = only_collaboration(house, collaboration)
        with house.log.read() as connection:
            state = State(connection, chosen, now())
            charter = state.agreement
            left = () if charter is None else witnesses_left(state, charter)
            newest = select(t.checkpoints.c.size).order_by(t.checkpoints.c.size.desc()).limit(limit)
            sizes: list[int] = list(connection.execute(newest).scalars())
        if charter is None:
            raise ConfigError(NO_CHARTER, collaboration=chosen)
        found = [witnessed.witnessed(house.log, charter, size) for size in sizes]
    named = charter.audit.witnesses.participants if charter.audit.witnesses else ()
    quorum = charter.audit.witnesses.quorum if charter.audit.witnesses else 0
    document: JsonValue = {
        "witnesses": list(named),
        "quorum": quorum,
        "active": list(left),
        "checkpoints": [
            {"size": each.size, "participants": list(each.participants), "witnessed": each.met}
            for each in found
        ],
    }
    emit(document, lambda: shown.witnesses(found, named, left, quorum), as_json=as_json)


@app.command("view")
def make_view(
    *,
    participant: Annotated[str, typer.Option("--for", help="Participant whose view it is.")],
    collaboration: CollaborationOption = None,
    out: OutOption = None,
    as_json: JsonFlag = False,
) -> None:
    """What a participant sees of the log: its own events in full, all others as commitments."""
    from orchestration.house import House

    with House.opened(load_settings()) as house:
        chosen = only_collaboration(house, collaboration)
        with house.log.read() as connection:
            known = [row.participant for row in State(connection, chosen, now()).rows(g.participants)]
        if participant not in known:
            raise ConfigError(
                UNKNOWN_PARTICIPANT,
                participant=ascii(participant[:80]),
                collaboration=chosen,
                known=", ".join(known) or "none yet",
            )
        head = checkpoint.make(house.log, house.operator, house.checkpoints)
        view = participant_view(house.log, head, chosen, participant)
    document = write_view(view)
    file = out or Path(f"{participant}.view.json")
    if out is not None or not as_json:
        write_durably(file, canonical_json(document), mode=0o600)
    emit(document, lambda: shown.view_written(view, str(file)), as_json=as_json)


@app.command("check")
def check_view(
    file: Annotated[Path, typer.Argument(help="What `glasshouse audit view` wrote.")],
    *,
    operator_key: Annotated[
        Path | None, typer.Option(help="The operator's public key; default: this house's.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check a participant's view: that it is the whole signed log, and its events are the logged ones."""
    from orchestration.house import House

    if operator_key is not None:
        public_key = public_key_in(operator_key, "--operator-key")
    else:
        with House.opened(load_settings()) as house:
            public_key = house.operator.public
    view = read_view(text_in(file, "FILE"))
    found = verify_view(view, public_key)
    document: JsonValue = {
        "ok": True,
        "participant": view.participant,
        "size": found.head.size,
        "root": found.head.root.hex(),
        "shown": [*sorted(found.own)],
    }
    emit(document, lambda: shown.view_checked(view, found), as_json=as_json)


def _report(found: Verification, *, as_json: bool) -> None:
    emit(shown.verification_document(found), lambda: shown.verification(found), as_json=as_json)
    if as_json and not found.ok:
        raise typer.Exit(IntegrityError.exit_code)  # the one JSON document is printed already
    found.require()
