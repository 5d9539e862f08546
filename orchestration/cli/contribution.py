"""`glasshouse contribute` and `glasshouse run`: handing data over, and taking in what waits."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.text import Text

from orchestration.charter.model import Dataset
from orchestration.cli.console import JsonFlag, emit, err, table
from orchestration.cli.options import CollaborationOption, WhyOption, chosen_charter
from orchestration.cli.progress import bytes_bar, steps
from orchestration.cli.signing_options import KeyOption, PassphraseOption, private_key
from orchestration.errors import ConfigError, ContributionError, Reason
from orchestration.house import OPERATOR, House
from orchestration.participants.deliveries import PURPOSE, RAW
from orchestration.scope.delivery import make_delivery
from orchestration.scope.manifest import Period
from orchestration.scope.residency import require_in_region
from orchestration.settings import load_settings

NO_PERIOD = Reason(
    "contribute.no_period",
    "The charter states no period for {dataset}, so the delivery has to.",
    "Say which days the rows are about: --from 2026-01-01 --until 2026-01-31.",
)
NO_FILE = Reason(
    "contribute.no_file",
    "There is no such file to contribute.",
    "Check the path.",
)

ProvenanceOption = Annotated[str, typer.Option(help="Where the rows come from; kept in the log, for all.")]
StartOption = Annotated[
    datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day of the rows.")
]
UntilOption = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day of the rows.")]
SupersedesOption = Annotated[
    str | None, typer.Option(help="The contribution, or refused delivery, that these rows correct.")
]
PurposesOption = Annotated[
    list[str] | None,
    typer.Option("--purpose", help="What the rows are given for; repeat it. Default: all the charter says."),
]


def contribute(
    file: Annotated[Path, typer.Argument(help="CSV, TSV or NDJSON (UTF-8), or Parquet file.")],
    *,
    dataset: Annotated[str, typer.Option(help="Dataset of the charter.")],
    provenance: ProvenanceOption,
    start: StartOption = None,
    until: UntilOption = None,
    purpose: PurposesOption = None,
    supersedes: SupersedesOption = None,
    signer: Annotated[
        str | None, typer.Option("--as", help="Steward who signs; default: the participant's own.")
    ] = None,
    key: KeyOption = None,
    passphrase_file: PassphraseOption = None,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Sign a file as a delivery and put it into the landing folder."""
    with House.opened(load_settings()) as house:
        charter = chosen_charter(house, collaboration)
        declared = charter.dataset(dataset)
        if not file.is_file():
            raise ConfigError(NO_FILE)
        if not declared.takes_raw:  # the room would refuse it, but only after raw rows had left the desk
            raise ContributionError(RAW, dataset=declared.id)
        require_in_region(declared, house.settings.region)
        steward = signer or f"{declared.participant}.steward"
        own = private_key(house, charter.collaboration, steward, key, passphrase_file)
        with bytes_bar(f"Delivering {declared.title}", file.stat().st_size) as advance:
            delivery = make_delivery(
                file,
                charter=charter,
                dataset=declared,
                signer=steward,
                key=own,
                landing=house.landing(charter.collaboration, declared.participant),
                purposes=chosen_purposes(declared, purpose),
                period=period_of(declared, start, until),
                provenance=provenance,
                supersedes=supersedes,
                on_bytes=advance,
            )
    document: JsonValue = {"delivery": delivery, "dataset": dataset, "signer": steward}
    emit(
        document,
        lambda: Text(f"Delivered {delivery}, signed by {steward}.\nNext: glasshouse run"),
        as_json=as_json,
    )


def run(
    *,
    why: WhyOption = "Run from the command line.",
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Take in what landed, refresh the room, answer what was asked. Exit code 1 when a step was refused."""
    from orchestration.defs.local import LocalRuns
    from orchestration.stages.recorder import Caller

    done = []
    with House.opened(load_settings()) as house:
        charter = chosen_charter(house, collaboration)
        with steps() as progress, LocalRuns(house, Caller(OPERATOR, why), progress.start) as runs:
            for step in runs.everything(charter):
                progress.end(step.succeeded)
                done.append(step)
    document: JsonValue = [
        {"step": s.kind, "subject": s.subject, "succeeded": s.succeeded, "problem": s.problem or None}
        for s in done
    ]
    rows = [[s.kind, s.subject, "done" if s.succeeded else "refused"] for s in done] or [
        ["-", "nothing waited", ""]
    ]
    emit(document, lambda: table(["Step", "Subject", "Result"], rows), as_json=as_json)
    for step in done:
        if not step.succeeded and not as_json:
            err.print(f"{step.subject}: {step.problem}", markup=False)
    if not all(step.succeeded for step in done):
        raise typer.Exit(1)


def period_of(dataset: Dataset, start: datetime | None, until: datetime | None) -> Period:
    """The days that were said, or else the charter's. Raises: ConfigError (`contribute.no_period`)."""
    first = start.date() if start else (dataset.period.start if dataset.period else None)
    last = until.date() if until else (dataset.period.end if dataset.period else None)
    if first is None or last is None:
        raise ConfigError(NO_PERIOD, dataset=dataset.id)
    return Period(first=first, last=last)


def chosen_purposes(dataset: Dataset, said: list[str] | None) -> tuple[str, ...]:
    """What was said, in the charter's order; else all of it. Raises: ContributionError (`purpose`)."""
    chosen = set(said or dataset.purposes)
    if not chosen <= set(dataset.purposes):
        raise ContributionError(PURPOSE, dataset=dataset.id, allowed=", ".join(dataset.purposes))
    return tuple(each for each in dataset.purposes if each in chosen)
