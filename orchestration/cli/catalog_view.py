"""How the catalog looks on a terminal of 80 columns. Must not be here: what it says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestration.audit.catalog.entry import Catalog, DatasetEntry, FieldEntry
from orchestration.audit.catalog.search import Hit
from orchestration.audit.catalog.timeline import Moment
from orchestration.audit.catalog.versions import Version
from orchestration.charter.taxonomy import FieldClass, Taxonomy
from orchestration.cli.console import harmless, table
from orchestration.cli.report_view import heading, number, short_name
from orchestration.cli.told import day


def listed(catalog: Catalog) -> RenderableType:
    rows = [
        [each.id, each.owner, each.classification, str(len(each.fields)), _state(each)]
        for each in catalog.datasets
    ]
    return Group(
        heading(f"{catalog.title} (charter version {catalog.version}, taxonomy {catalog.taxonomy})"),
        table(["Dataset", "Owner", "Kind", ("Fields", "right"), "Newest version"], rows),
        Text("\nOne of them: glasshouse catalog show DATASET", style="dim"),
    )


def entry(found: DatasetEntry) -> RenderableType:
    parts: list[RenderableType] = [heading(f"{found.title} ({found.id})"), Text(found.description)]
    parts.append(_facts(_terms(found)))
    parts += [_title("Fields"), *(_field(each) for each in found.fields)]
    if found.warning:
        parts.append(Text(f"\n! {found.warning}", style="yellow"))
    if found.onboarding:
        parts.append(_title("Onboarding checklist"))
        parts += [
            Text(f"{'✓' if each.shown else '·' if not each.required else '✗'} {each.text}")
            for each in found.onboarding
        ]
    parts.append(_title("Versions"))
    parts += [_version(each) for each in reversed(found.versions)] or [Text("None yet.", style="dim")]
    if found.made:
        parts.append(_title("Made of it"))
        rows = [
            [each.name, ", ".join(each.owners), "yes" if each.redistribution else "no"] for each in found.made
        ]
        parts.append(table(["Table or insight", "Owned by", "May be passed on"], rows))
    return Group(*parts)


def hits(found: Sequence[Hit]) -> RenderableType:
    if not found:
        return Text("Nothing matches every word. Tags: class:, entity:, party:, purpose:, field:.")
    rows = [[each.dataset, each.owner, ", ".join(each.places[:4])] for each in found]
    return table(["Dataset", "Owner", "Where"], rows)


def timeline(title: str, moments: Iterable[Moment]) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=16, no_wrap=True)
    grid.add_column(overflow="fold")
    for each in moments:
        words = Text(harmless(each.text))
        if each.event is None:
            grid.add_row(Text(day(each.at), style="dim"), words.append("  to come", style="yellow"))
        else:
            grid.add_row(
                Text(each.at[:16].replace("T", " "), style="dim"),
                words.append(f"  {each.who}, event {each.event}", style="dim"),
            )
    return Group(heading(f"{title}: consent, purpose, retention and every event"), grid)


def taxonomy(found: Taxonomy) -> RenderableType:
    parts: list[RenderableType] = [heading(f"Taxonomy of classifications, version {found.version}")]
    for each in found.classes:
        parts += [Text(f"\n{each.name}", style="bold"), Text(f"  {each.meaning}"), _facts(_rules(each))]
    return Group(*parts)


def _rules(found: FieldClass) -> list[tuple[str, str]]:
    forced = found.safeguards
    rules = [("for example", ", ".join(found.examples))]
    rules += [("techniques", ", ".join(found.techniques) or "any")]
    rules += [("left out", found.default or "has to be named")]
    if found.quasi_identifier:
        rules.append(("counts", "as a quasi-identifier, when anonymity is measured"))
    if found.sensitive:
        rules.append(("stays", "diverse within a group of look-alikes"))
    if forced.threshold_factor > 1:
        rules.append(("forces", f"{forced.threshold_factor} times the house's threshold"))
    if forced.ethics_panel:
        rules.append(("forces", "the ethics panel, for every computation that may read it"))
    if forced.lawful_bases:
        rules.append(("forces", f"one of these grounds: {', '.join(forced.lawful_bases)}"))
    return rules


def _state(found: DatasetEntry) -> str:
    newest = found.versions[-1] if found.versions else None
    return "–" if newest is None else f"{newest.number}, {newest.status}"


def _terms(found: DatasetEntry) -> list[tuple[str, str]]:
    passed = "may" if found.redistribution else "may not"
    return [
        ("owner", f"{found.owner_name} ({found.owner}); {', '.join(found.stewards)}"),
        ("entity", f"{found.entity}, {found.classification}"),
        ("purposes", ", ".join(found.purposes)),
        ("computations", ", ".join(found.computations) or "none"),
        ("lawful basis", found.lawful_basis.replace("_", " ")),
        ("licence", f"{found.licence}: {found.licence_terms.rstrip('.')}; {passed} be passed on"),
        ("about", " to ".join(found.period) if found.period else "any time"),
        ("stays in", ", ".join(found.residency) if found.residency else "any country"),
        ("cells", f"of at least {found.threshold} units"),
        ("kept", f"{found.kept_days} days"),
        ("tags", " ".join(each for each in found.tags if each.startswith(("class:", "kind:")))),
    ]


def _field(found: FieldEntry) -> RenderableType:
    rows = [("", found.says)]
    for template, roles in found.roles.items():
        rows.append(("used by", f"{template} as {' and '.join(roles).replace('_', ' ')}"))
    if found.reaches_the_room and not found.roles:
        rows.append(("used by", "no computation"))
    return Group(Text.assemble((found.name, "bold"), f"  {found.class_title.lower()}"), _facts(rows))


def _version(found: Version) -> RenderableType:
    rows = [("file", found.digest), ("delivered", f"{found.delivery}, by {found.signer}")]
    rows += [("for", ", ".join(found.purposes))]
    if found.superseded_by and found.status != "in the room":
        rows.append(("replaced by", short_name(found.superseded_by)))
    for gate in found.gates:
        marks = [*(f"failed {name}" for name in gate.failed), *(f"warned {name}" for name in gate.warned)]
        told = f"; {'; '.join(marks)}" if marks else ""
        rows.append(("gate", f"{gate.verdict} on {day(gate.at)}, {gate.checks} checks{told}"))
    rows_told = number(found.rows) if found.rows is not None else "few"
    head = Text.assemble((f"{found.number}  {day(found.at)}  {found.status}", "bold"), f"  {rows_told} rows")
    return Group(head, _facts(rows))


def _facts(rows: Iterable[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=12, justify="right", style="dim")
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(Text(name), Text(harmless(value)))
    return grid


def _title(text: str) -> Text:
    return Text(f"\n{text}", style="bold cyan")
