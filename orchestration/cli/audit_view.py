"""What `glasshouse audit` prints for people.

Must not be here: reading or checking anything (`cli/audit`, `orchestration/audit/`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.text import Text

from orchestration.audit.checkpoint import Checkpoint
from orchestration.audit.evidence import Evidence
from orchestration.audit.log import LoggedEvent
from orchestration.audit.replay import Replay
from orchestration.audit.verify import Verification
from orchestration.audit.view import CheckedView, View
from orchestration.audit.witnessed import Cosigner, Witnessed
from orchestration.cli.console import table, whole


def event_document(logged: LoggedEvent) -> JsonValue:
    return {"seq": logged.seq, "receipt": logged.receipt_id, "event": logged.event.model_dump(mode="json")}


def listing(found: Sequence[LoggedEvent], size: int) -> RenderableType:
    rows: list[tuple[str, ...]] = []
    day = ""
    for logged in found:
        event = logged.event
        if day != f"{event.time:%Y-%m-%d}":
            day = f"{event.time:%Y-%m-%d}"
            rows.append(("", "", day, "", ""))
        about, by = short(event.subject, 17), short(event.actor, 20)
        rows.append((str(logged.seq), f"{event.time:%H:%M:%S}", event.type, about, by))
    columns = (("seq", "right"), "UTC", "event", "about", "by")
    note = f"{len(found)} of {size} events; --json shows them whole."
    return Group(table(columns, rows), Text(note, style="dim"))


def verification(found: Verification) -> RenderableType:
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


def verification_document(found: Verification) -> JsonValue:
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


def replayed(found: Replay) -> RenderableType:
    mark, style = ("✓", "") if found.ok else ("✗", "red")
    lines = [
        Text(f"{mark} {found.events} events happened again, each allowed by the rules of its time."),
        Text(f"{mark} tables {found.equal}/{found.tables} equal to what they make", style=style),
    ]
    return Group(*lines) if found.refused is None else Text(f"✗ {found.refused}", style="red")


def proof(evidence: Evidence, *, checked: bool) -> RenderableType:
    event = evidence.event
    verb = "The proof holds" if checked else "Proven"
    lines = [
        Text(f"✓ {verb}: event {evidence.seq} stands in the log of {evidence.size} events."),
        Text(f"  {event['type']} about {short(str(event['subject']), 40)}"),
        Text(f"  by {short(str(event['actor']), 40)} at {event['time']}"),
        Text(f"  tree head {evidence.root}"),
        Text(
            "  inclusion proof, lowest sibling first:" if evidence.proof else "  the event is the whole tree"
        ),
        *(Text(f"    {value}") for value in evidence.proof),
        Text("  checkpoint:"),
        *(whole(f"    {line}") for line in evidence.checkpoint.splitlines()),
    ]
    if not checked:
        lines.append(
            Text("Give it away with --json; others check it with --check FILE --key KEY.", style="dim")
        )
    return Group(*lines)


def published(head: Checkpoint, folder: str, tiles: int, key: str) -> RenderableType:
    return Group(
        Text(f"✓ {head.size} events are published in {folder}; {tiles} tiles were written."),
        Text(f"  log {head.origin}"),
        whole(f"  key {key}"),
    )


def cosigned(found: Iterable[Cosigner]) -> RenderableType:
    lines = [
        Text(
            f"✓ {each.participant} cosigned the checkpoint of {each.size} events\n"
            f"  by the key of {each.member}, at {each.at:%Y-%m-%d %H:%M:%S} UTC by its own clock"
        )
        for each in found
    ]
    return Group(*lines)


def witnesses(
    found: Sequence[Witnessed], named: Sequence[str], left: Sequence[str], quorum: int
) -> RenderableType:
    """`left`: those among the named that still take part."""
    if not named:
        return Text("The charter names no witnesses; an amendment can, under audit.witnesses.")
    rows = [
        (str(each.size), ", ".join(each.participants) or "nobody", "✓ yes" if each.met else "✗ no")
        for each in found
    ]
    said = f"Witnesses: {', '.join(named)}; a checkpoint needs {quorum} of them."
    lines = [Text(said)]
    if len(left) < quorum:
        lines.append(
            Text(f"Only {', '.join(left) or 'nobody'} of them takes part, so no new checkpoint is witnessed.")
        )
        lines.append(Text("Next: propose a version of the charter with other witnesses."))
    columns = (("events", "right"), "cosigned by", "witnessed")
    return Group(*lines, table(columns, rows))


def view_written(view: View, file: str) -> RenderableType:
    shown = sum(entry.event is not None for entry in view.entries)
    lines = [
        Text(f"✓ The view of {view.participant} is in {file}."),
        Text(f"  {shown} of {len(view.entries)} events in full, the others as commitments"),
        Text(f"It is checked offline: glasshouse audit check {file} --operator-key KEY", style="dim"),
    ]
    return Group(*lines)


def view_checked(view: View, found: CheckedView) -> RenderableType:
    lines = [
        Text(f"✓ The view of {view.participant} holds: it is the whole log of {found.head.size} events."),
        Text(f"  {len(found.own)} events in full, {found.head.size - len(found.own)} as commitments"),
        Text(f"  tree head {found.head.root.hex()}", style="dim"),
    ]
    rows = [
        (str(seq), f"{event.time:%Y-%m-%d}", event.type, short(event.subject, 17), short(event.actor, 20))
        for seq, event in sorted(found.own.items())[-10:]
    ]
    return Group(*lines, table((("seq", "right"), "day", "event", "about", "by"), rows))


def short(text: str, width: int) -> str:
    """One line of at most `width` characters. Names come from outside: no control characters."""
    shown = "".join(character if character.isprintable() else "�" for character in text)
    return shown if len(shown) <= width else f"{shown[: width - 1]}…"
