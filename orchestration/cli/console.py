"""How every command speaks: results on stdout, progress on stderr, `--json` for programs.

Must not be here: what a command does. Readable in 80 columns; colour only on a terminal (rich honours
NO_COLOR).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from orchestration.digests import canonical_json
from orchestration.errors import PublicError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]


def emit(data: JsonValue, render: Callable[[], RenderableType], *, as_json: bool) -> None:
    """Print a result: canonical JSON for programs, `render()` for people."""
    if as_json:
        typer.echo(canonical_json(data).decode())
    else:
        out.print(render(), crop=False)  # what fits is never cropped; see `whole`


def table(
    columns: Iterable[str | tuple[str, str]], rows: Iterable[Iterable[str]], title: str | None = None
) -> Table:
    """A plain table; a column may be (heading, justify)."""
    grid = Table(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for column in columns:
        heading, justify = column if isinstance(column, tuple) else (column, "left")
        label = Text(harmless(heading))
        # rich wants a Literal; a wrong word fails at the first listing
        grid.add_column(label, justify=justify, header_style="dim", overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        grid.add_row(*(Text(harmless(cell)) for cell in row))
    return grid


def whole(line: str) -> Text:
    """A line that stays in one piece however long it is: keys and signatures are copied from the screen."""
    return Text(line, no_wrap=True, overflow="ignore")


def harmless(text: str) -> str:
    """`text` without control characters: a label may come from data, and terminals obey some of them."""
    return "".join(c for c in text if c == "\n" or unicodedata.category(c)[0] != "C")


def refuse(error: PublicError, *, as_json: bool) -> None:
    """Print a refusal: what was refused, why, and what would make it pass."""
    if as_json:
        document: JsonValue = {"code": error.code, "message": error.message, "next_step": error.next_step}
        typer.echo(canonical_json({"error": document}).decode())
        return
    err.print(f"[bold red]Refused[/] [bold]{error.code}[/]")
    err.print(f"  {error.message}", markup=False)
    err.print(f"  Next: {error.next_step}", markup=False)
