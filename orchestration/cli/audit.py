"""`glasshouse audit`: read the log, verify all of it, and prove one of its events to somebody else.

Must not be here: how anything is verified (`orchestration/audit/`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.text import Text

from orchestration.audit.evidence import Evidence, make_evidence, read_evidence, verify_evidence
from orchestration.audit.log import LoggedEvent
from orchestration.audit.verify import Verification, verify_log
from orchestration.cli.console import JsonFlag, emit, table
from orchestration.errors import ConfigError, IntegrityError, Reason
from orchestration.settings import load_settings

NOTHING_TO_PROVE = Reason(
    "audit.proof_usage",
    "Say either which event to prove or which proof to check.",
    "Use `glasshouse audit proof SEQ` or `glasshouse audit proof --check FILE`.",
)
UNREADABLE_FILE = Reason(
    "audit.unreadable_file",
    "The file given to {option} cannot be read as JSON text.",
    "Check the path; a proof is what `glasshouse audit proof SEQ --json` prints.",
)
NOT_A_KEY = Reason(
    "audit.not_a_key",
    "The file given to --key holds no Ed25519 public key.",
    "Ask the operator for the public key as a JSON object.",
)

app = typer.Typer(help="Read, verify and prove what the log says.", no_args_is_help=True)


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
        found = house.log.events(kind, subject, collaboration, after=after, limit=limit, newest_first=True)[
            ::-1
        ]
        size = house.log.size
    emit([_document(logged) for logged in found], lambda: _listing(found, size), as_json=as_json)


@app.command()
def verify(*, as_json: JsonFlag = False) -> None:
    """Check every event, tree node, checkpoint and table; exit code 4 when anything was changed."""
    from orchestration.house import House

    with House.opened(load_settings()) as house:
        found = verify_log(house.log, house.checkpoints, house.operator.public)
    emit(_verification_document(found), lambda: _verification(found), as_json=as_json)
    if as_json and not found.ok:
        raise typer.Exit(IntegrityError.exit_code)  # the one JSON document is printed already
    found.require()


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
        public_key = _public_key(key)
    else:
        with House.opened(load_settings()) as house:
            public_key = house.operator.public
            made = None if seq is None else make_evidence(house.log, house.operator, house.checkpoints, seq)
    evidence = read_evidence(_text(check, "--check")) if check is not None else made
    assert evidence is not None  # noqa: S101 - one of the two was given
    verify_evidence(evidence, public_key)
    emit(
        evidence.model_dump(mode="json"), lambda: _proof(evidence, checked=check is not None), as_json=as_json
    )


def _document(logged: LoggedEvent) -> JsonValue:
    return {"seq": logged.seq, "receipt": logged.receipt_id, "event": logged.event.model_dump(mode="json")}


def _listing(found: Sequence[LoggedEvent], size: int) -> RenderableType:
    rows: list[tuple[str, ...]] = []
    day = ""
    for logged in found:
        event = logged.event
        if day != f"{event.time:%Y-%m-%d}":
            day = f"{event.time:%Y-%m-%d}"
            rows.append(("", "", day, "", ""))
        about, by = _short(event.subject, 17), _short(event.actor, 20)
        rows.append((str(logged.seq), f"{event.time:%H:%M:%S}", event.type, about, by))
    columns = (("seq", "right"), "UTC", "event", "about", "by")
    note = f"{len(found)} of {size} events; --json shows them whole."
    return Group(table(columns, rows), Text(note, style="dim"))


def _verification(found: Verification) -> RenderableType:
    lines = [
        Text(f"✓ {count}") if count.good == count.total else Text(f"✗ {count}", style="red")
        for count in found.counts
    ]
    lines += [Text(f"  {problem}", style="red") for problem in found.problems]
    open_events = found.size - found.sealed
    lines.append(Text(f"tree head {found.root.hex()}", style="dim"))
    sealed = f"{found.sealed} of {found.size} events are under a signed checkpoint"
    lines.append(Text(sealed if not open_events else f"{sealed}; the next one covers the rest", style="dim"))
    return Group(*lines)


def _verification_document(found: Verification) -> JsonValue:
    return {
        "ok": found.ok,
        "size": found.size,
        "sealed": found.sealed,
        "root": found.root.hex(),
        "counts": {
            count.subject: {"good": count.good, "total": count.total, "verdict": count.verdict}
            for count in found.counts
        },
        "problems": [{"where": problem.where, "what": problem.what} for problem in found.problems],
    }


def _proof(evidence: Evidence, *, checked: bool) -> RenderableType:
    event = evidence.event
    verb = "The proof holds" if checked else "Proven"
    lines = [
        Text(f"✓ {verb}: event {evidence.seq} stands in the log of {evidence.size} events."),
        Text(f"  {event['type']} about {_short(str(event['subject']), 40)}"),
        Text(f"  by {_short(str(event['actor']), 40)} at {event['time']}"),
        Text(f"  tree head {evidence.root}"),
        Text(
            "  inclusion proof, lowest sibling first:" if evidence.proof else "  the event is the whole tree"
        ),
        *(Text(f"    {value}") for value in evidence.proof),
        Text("  checkpoint:"),
        *(Text(f"    {line}", overflow="fold") for line in evidence.checkpoint.splitlines()),
    ]
    if not checked:
        lines.append(
            Text("Give it away with --json; others check it with --check FILE --key KEY.", style="dim")
        )
    return Group(*lines)


def _short(text: str, width: int) -> str:
    """One line of at most `width` characters. Names come from outside: no control characters."""
    shown = "".join(character if character.isprintable() else "�" for character in text)
    return shown if len(shown) <= width else f"{shown[: width - 1]}…"


def _text(path: Path, option: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(UNREADABLE_FILE, option=option) from error


def _public_key(path: Path) -> dict[str, Any]:
    try:
        key: dict[str, Any] = json.loads(_text(path, "--key"))
        raw = bytes.fromhex(key["keyval"]["public"])
        usable = isinstance(key["keyid"], str) and key["keytype"] == "ed25519" and len(raw) == 32
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(NOT_A_KEY) from error
    if not usable:
        raise ConfigError(NOT_A_KEY)
    return key
