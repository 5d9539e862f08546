"""`glasshouse status` on a terminal: the state of one collaboration in 80 columns."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from orchestration.cli.console import table
from orchestration.cli.state import ReleaseState, State
from orchestration.cli.told import OUTDATED


def render_state(state: State) -> RenderableType:
    """The state of one collaboration in 80 columns."""
    parts: list[RenderableType] = [
        Text(f"{state.title} (charter version {state.version})", style="bold"),
        Text(f"Agreement: {state.agreement}"),
        Text(f"Room: {state.room}"),
        Text(f"House: in {state.region or 'no country that it names'}; attestation: {state.attestation}"),
        Text(""),
        table(
            ["Dataset", "From", ("Rows", "right"), "State"],
            [
                [d.dataset, d.participant, f"{d.rows:,}" if d.rows is not None else "-", d.state]
                for d in state.datasets
            ],
            title="Datasets",
        ),
    ]
    if state.refused:
        rows = [[r.delivery[:34], r.participant, r.code] for r in state.refused]
        parts += [
            Text(""),
            table(["Delivery", "From", "Refused because"], rows, title="Refused, sealed in quarantine"),
        ]
    if state.requests:
        rows = [
            [r.request, r.template, r.requester, r.state + (f"\n{r.code}" if r.code else "")]
            for r in state.requests
        ]
        columns = ["Request", "Template", "By", "State"]
        parts += [Text(""), table(columns, rows, title="Requests")]
    if state.releases:
        rows = [[r.release, r.template, _until(r), ", ".join(r.receivers)] for r in state.releases]
        parts += [Text(""), table(["Release", "Template", "Until", "Receivers"], rows, title="Shelf")]
        told = [f"{r.release}: {OUTDATED[r.outdated]}" for r in state.releases if r.outdated]
        parts += [Text(each, style="yellow") for each in told]
    waiting = [[w.who, w.what] for w in state.waiting] or [["nobody", "Nothing waits."]]
    parts += [Text(""), table(["Who", "What"], waiting, title="Waiting for")]
    return Group(*parts)


def _until(release: ReleaseState) -> str:
    return "recalled" if release.recalled else release.until
