"""`glasshouse prepare`: a contributor's own desk, with an invitation and without a house.

Belongs here: the command, its progress and what it shows before anything is written. Must not be here: how
rows are prepared (`scope/preparation`) or who is invited (`cli/room`).
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from orchestration.cli.console import JsonFlag, emit, err, table
from orchestration.cli.contribution import (
    ProvenanceOption,
    PurposesOption,
    StartOption,
    SupersedesOption,
    UntilOption,
    chosen_purposes,
    period_of,
)
from orchestration.cli.options import confirm
from orchestration.cli.signing_options import KeyOption, PassphraseOption, private_key
from orchestration.errors import ConfigError, Reason
from orchestration.house import House
from orchestration.participants.invitation import BAD_INVITATION, Desk, claimed_member, open_invitation
from orchestration.participants.state import participant_of
from orchestration.scope.dispatch import Declared, dispatch
from orchestration.scope.preparation import Preparation, prepared
from orchestration.scope.preview import Preview, preview
from orchestration.scope.residency import require_in_region
from orchestration.settings import Settings, load_settings

NOT_CONFIRMED = Reason(
    "prepare.not_confirmed",
    "Nothing was sealed or sent, because nobody confirmed what would leave.",
    "Say --yes after having looked at it with --dry-run.",
)
OTHER_DATA = Reason(
    "prepare.not_your_dataset",
    "{dataset} is given by {participant}, and the invitation is for {member}.",
    "Prepare a dataset of your own organization.",
)
_LARGEST_INVITATION = 4 << 20


def prepare(
    source: Annotated[
        str, typer.Argument(help="File or folder, s3://bucket/key, postgres:table or postgres:SELECT …")
    ],
    *,
    dataset: Annotated[str, typer.Option(help="Dataset of the charter.")],
    invitation: Annotated[Path, typer.Option(help="File that `glasshouse room invite` wrote for you.")],
    provenance: ProvenanceOption,
    method: Annotated[str, typer.Option(help="How the rows came about, in a word.")] = "export",
    consent: Annotated[
        list[str] | None, typer.Option(help="Where the consents are documented; repeat it.")
    ] = None,
    country: Annotated[
        list[str] | None, typer.Option(help="Where the rows were collected (DE, US); repeat it.")
    ] = None,
    start: StartOption = None,
    until: UntilOption = None,
    purpose: PurposesOption = None,
    supersedes: SupersedesOption = None,
    out: Annotated[Path, typer.Option(help="Folder for the finished delivery.")] = Path(),
    deliver: Annotated[
        bool, typer.Option("--deliver", help="Put it into the landing folder of the house here.")
    ] = False,
    house_key: Annotated[
        str | None, typer.Option("--house-key", help="Id of the house's key, when you know it.")
    ] = None,
    key: KeyOption = None,
    passphrase_file: PassphraseOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before sealing.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be sent.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """De-identify a dataset at your own desk and seal it for the room; raw rows stay where they are."""
    envelope = _read(invitation)
    own = private_key(None, "", claimed_member(envelope), key, passphrase_file)
    desk = open_invitation(envelope, own, house_key_id=house_key)
    declared = desk.charter.dataset(dataset)
    if declared.participant != participant_of(desk.member):
        raise ConfigError(OTHER_DATA, dataset=dataset, participant=declared.participant, member=desk.member)
    said = Declared(
        provenance=provenance,
        period=period_of(declared, start, until),
        method=method,
        consents=tuple(consent or ()),
        countries=tuple(country or ()),
        supersedes=supersedes,
        purposes=chosen_purposes(declared, purpose),
    )
    with _steps(as_json) as on_step, prepared(_desk_settings(), declared, source, desk.key, on_step) as made:
        on_step("")
        shown = preview(made)
        document = _document(made, shown, desk)
        if dry_run:
            emit(document, lambda: _view(made, shown, desk), as_json=as_json)
            return
        if not as_json:
            err.print(_view(made, shown, desk))
        confirm("Seal and sign exactly this?", NOT_CONFIRMED, yes=yes, as_json=as_json)
        on_step("Sealing")
        folder = out
        if deliver:
            with House.opened(load_settings()) as house:
                require_in_region(declared, house.settings.region)
                folder = house.landing(desk.charter.collaboration, declared.participant)
        delivery = dispatch(
            made,
            said,
            charter=desk.charter,
            signer=desk.member,
            key=own,
            key_id=desk.key_id,
            recipient=desk.recipient,
            out=folder,
        )
        listed = _write_rejected(made, out / f"{delivery.name}.rejected.csv")
    document |= {"delivery": str(delivery), "rejected_rows": None if listed is None else str(listed)}
    emit(document, lambda: _done(made, delivery, listed, deliver), as_json=as_json)


def _read(path: Path) -> Any:
    """Raises: ConfigError (`prepare.bad_invitation`)."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST_INVITATION:
            raise ConfigError(BAD_INVITATION)
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        raise ConfigError(BAD_INVITATION) from None


def _desk_settings() -> Settings:
    """A desk has no house: what spills from memory lies encrypted in the user's cache, and is swept."""
    return load_settings(home=Path.home() / ".cache" / "glasshouse-desk")


@contextmanager
def _steps(quiet: bool) -> Iterator[Callable[[str], None]]:
    """A spinner with what is being done; an empty text hides it."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=quiet) as progress:
        task = progress.add_task("", total=None, visible=False)

        def show(text: str) -> None:
            progress.update(task, description=text, visible=bool(text))
            if text:
                progress.start()
            else:
                progress.stop()

        yield show


def _write_rejected(made: Preparation, path: Path) -> Path | None:
    """Row numbers and reasons; the rows themselves are where they always were, at their source."""
    if not made.rejected:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "reason"])
        writer.writerows(made.rejected_rows())
    return path


def _document(made: Preparation, shown: Preview, desk: Desk) -> dict[str, JsonValue]:
    quality: JsonValue = made.quality.model_dump(mode="json")
    return {
        "dataset": made.dataset.id,
        "collaboration": desk.charter.collaboration,
        "charter": desk.charter.digest,
        "house_key": desk.house_key_id,
        "key_id": desk.key_id,
        "columns": [
            {"name": each.name, "type": each.type, "technique": each.technique} for each in shown.columns
        ],
        "masked_rows": [list(row) for row in shown.rows],
        "quality": quality,
        "not_measured": made.not_measured,
        "row_numbers_last": made.numbers_last,
    }


def _view(made: Preparation, shown: Preview, desk: Desk) -> RenderableType:
    """What will leave, within 80 columns: a column per line, with the masked values of ten rows beside it."""
    columns = [[each.name, each.type, each.technique] for each in shown.columns]
    parts: list[RenderableType] = [
        Text(f"{made.dataset.title}: exactly these columns leave your desk, and nothing else."),
        table(["Column", "Type", "Technique"], columns),
        Text(f"{len(shown.rows)} of the rows, every character masked:"),
        *(Text(_masked_line(row), no_wrap=True, overflow="ellipsis") for row in shown.rows),
        Text(_figures(made, desk)),
        Text(
            f"Sealed for {desk.charter.collaboration}; the invitation is signed by {desk.house_key_id[:16]}."
        ),
    ]
    return Group(*parts)


def _masked_line(row: tuple[str | None, ...]) -> str:
    return "  " + " | ".join("–" if value is None else _short(value) for value in row)


def _short(value: str) -> str:
    return value if len(value) <= 14 else f"{value[:6]}…({len(value)})"


def _figures(made: Preparation, desk: Desk) -> str:
    quality = made.quality
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in quality.rejected.items()) or "none"
    lines = [f"Rows: {quality.rows:,}; left out: {left_out}; columns dropped: {quality.dropped_columns}."]
    if made.anonymity is not None:
        lines.append(
            f"k = {made.anonymity.k}; alone in their class: {made.anonymity.uniqueness:.1%}"
            f" of {made.anonymity.units:,}."
        )
    else:
        lines.append(f"k and uniqueness do not apply: {_why_not_measured(made, desk)}.")
    warned = ", ".join(quality.warnings)
    lines.append(f"Checks: {quality.checks}" + (f"; warnings: {warned}." if warned else ", all hold."))
    return "\n".join(lines)


def _why_not_measured(made: Preparation, desk: Desk) -> str:
    unit = desk.charter.privacy_unit
    match made.not_measured:
        case "aggregated":
            return f"at least {made.dataset.threshold or 0:,} times a {unit} stands behind each row"
        case "about_nobody":
            return f"no row is about a {unit}"
        case _:
            return "no column is a quasi-identifier"


def _done(made: Preparation, delivery: Path, listed: Path | None, delivered: bool) -> RenderableType:
    lines = [f"Sealed and signed: {delivery}"]
    if listed is not None:
        lines.append(f"Rows left out, by number and reason: {listed}")
        if not made.numbers_last:
            lines.append("Numbers count this one reading: a table of PostgreSQL has no order of its own.")
    lines.append(
        "Next: glasshouse run"
        if delivered
        else "Next: carry the folder, whole, to the room's landing folder."
    )
    return Text("\n".join(lines))
