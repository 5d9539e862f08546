"""Signing at the command line: the options every act shares, and the one way an act leaves a command.

Belongs here: finding the key, asking for its passphrase, signing, and then recording the statement or writing
it to a file. Must not be here: who may do what (`participants/`); the house asks that when it records.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from pydantic import JsonValue
from rich.text import Text

from orchestration.audit import statement
from orchestration.audit.events import Event
from orchestration.audit.log import LoggedEvent
from orchestration.audit.vocabulary import Payload, now
from orchestration.charter.model import Charter
from orchestration.cli.console import JsonFlag, emit
from orchestration.cli.options import (
    NO_CHARTER,
    CollaborationOption,
    MemberOption,
    WhyOption,
    only_collaboration,
)
from orchestration.cli.told import told
from orchestration.errors import ConfigError, Reason
from orchestration.house import House
from orchestration.participants import keyfile
from orchestration.participants.state import State
from orchestration.settings import load_settings
from orchestration.signing import SigningKey
from orchestration.stages import governance

NO_KEY = Reason(
    "member.no_key",
    "There is no private key of {member} here.",
    "Name its file with --key; `glasshouse key new {member}` makes one.",
)
NO_PASSPHRASE = Reason(
    "key.no_passphrase",
    "The file with the passphrase cannot be read as text.",
    "Check the path given to --passphrase-file.",
)
AWAY_FROM_HOUSE = Reason(
    "statement.needs_the_house",
    "There is no house here to read {what} from.",
    "Say it on the command line ({option}), or set GLASSHOUSE_HOME to the house.",
)
NOT_WRITTEN = Reason(
    "statement.not_written",
    "The signed statement cannot be written to {file}: it exists, or the folder cannot be written to.",
    "Choose another file for --sign-to.",
)

Note = str | Callable[[House, str], str]  # what to add, or how to find out once the act is recorded

SIGNED_ELSEWHERE = timedelta(days=2)  # long enough to travel by mail; what is recorded at once gets less

KeyOption = Annotated[Path | None, typer.Option("--key", help="Private key of the member (PEM file).")]
PassphraseOption = Annotated[
    Path | None, typer.Option("--passphrase-file", help="File with the key's passphrase; else it is asked.")
]
SignToOption = Annotated[
    Path | None,
    typer.Option("--sign-to", help="Only sign: write the statement here, for `glasshouse record`."),
]


@dataclass(frozen=True)
class Signing:
    """What was said about who signs, with what, and why."""

    member: str
    why: str
    key: Path | None = None
    passphrase_file: Path | None = None
    sign_to: Path | None = None
    collaboration: str | None = None
    as_json: bool = False

    def about(self, collaboration: str | None) -> Signing:
        """The same, for a collaboration named as an argument."""
        return self if collaboration is None else replace(self, collaboration=collaboration)

    @contextmanager
    def opened(self, *, founding: bool = False) -> Iterator[Signatory]:
        """The member at work: with the house, or away from it when only a signature is wanted.

        Args:
            founding: the collaboration may be one that this house never heard of.
        """
        settings = load_settings()
        away = self.sign_to is not None and self.collaboration is not None
        if away and not (settings.root / "keys").is_dir():
            key = private_key(None, self.collaboration or "", self.member, self.key, self.passphrase_file)
            yield Signatory(self, None, self.collaboration or "", key)
            return
        with House.opened(settings) as house:
            named = self.collaboration if founding else None
            collaboration = named or only_collaboration(house, self.collaboration)
            key = private_key(house, collaboration, self.member, self.key, self.passphrase_file)
            yield Signatory(self, house, collaboration, key)


@dataclass(frozen=True)
class Signatory:
    """A member with key in hand. `house` is None where only a signature is made."""

    signing: Signing
    house: House | None
    collaboration: str
    key: SigningKey

    @property
    def participant(self) -> str:
        """The organization the member acts for."""
        return self.signing.member.partition(".")[0]

    def event(self, payload: Payload, subject: str | None = None) -> Event:
        """The act, not signed yet; its subject is the collaboration unless said otherwise."""
        return Event(
            collaboration=self.collaboration,
            subject=subject or self.collaboration,
            actor=self.signing.member,
            justification=self.signing.why,
            payload=payload,
        )

    @contextmanager
    def state(self, what: str, option: str) -> Iterator[State]:
        """What the log says now.

        Raises: ConfigError (`statement.needs_the_house`) saying that `what` is needed, given by `option`.
        """
        if self.house is None:
            raise ConfigError(AWAY_FROM_HOUSE, what=what, option=option)
        with self.house.log.read() as connection:
            yield State(connection, self.collaboration, now())

    def agreement(self, what: str, option: str) -> Charter:
        """The charter whose rules apply. Raises: ConfigError, also `charter.none_proposed`."""
        with self.state(what, option) as state:
            if state.agreement is None:
                raise ConfigError(NO_CHARTER, collaboration=self.collaboration)
            return state.agreement

    def records(self, event: Event, *, note: Note = "") -> None:
        """Sign the act, then record it or write it to the file; and say what came of it."""
        away = self.signing.sign_to
        if away is not None:
            signed = statement.sign(event, self.key, valid_for=SIGNED_ELSEWHERE)
            write_statement(away, signed, as_json=self.signing.as_json)
            return
        assert self.house is not None  # noqa: S101  without a house there is a file to sign to
        recorded = governance.act(self.house, statement.sign(event, self.key))
        said = note if isinstance(note, str) else note(self.house, self.collaboration)
        show_recorded(recorded, note=said, as_json=self.signing.as_json)


def signed(
    why: str | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of an act. Its first parameter becomes the `Signing` made of them.

    Args:
        why: justification when --why is left out; None: --why has to be given.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command).parameters.values())[1:]
        hints = get_type_hints(command, include_extras=True)
        own = [each.replace(annotation=hints[each.name]) for each in own]
        options = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for name, annotation, default in (
                ("signer", MemberOption, inspect.Parameter.empty),
                ("why", WhyOption, inspect.Parameter.empty if why is None else why),
                ("key", KeyOption, None),
                ("passphrase_file", PassphraseOption, None),
                ("sign_to", SignToOption, None),
                ("collaboration", CollaborationOption, None),
                ("as_json", JsonFlag, False),
            )
        ]
        names = [each.name for each in options]

        @wraps(command)
        def run(**given: Any) -> None:
            shared = {name: given.pop(name) for name in names}
            command(Signing(member=shared.pop("signer"), **shared), **given)

        parameters = [*own, *options]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        del run.__wrapped__  # typer must see these options, not the command's
        return run

    return decorate


def private_key(
    house: House | None,
    collaboration: str,
    member: str,
    file: Path | None,
    passphrase_file: Path | None = None,
) -> SigningKey:
    """The private key to sign with: the file named, or (trial houses only) the one made in the house.

    Raises: ConfigError (`member.no_key`, `key.no_passphrase`), and what `keyfile.load` raises.
    """
    path = file
    if path is None and house is not None:
        path = house.member_keys / collaboration / f"{member}.pem"
    if path is None or not path.is_file():
        raise ConfigError(NO_KEY, member=member)
    secret = passphrase(passphrase_file, member, ask=b"ENCRYPTED" in path.read_bytes()[:64])
    return keyfile.load(path, secret)


def passphrase(file: Path | None, member: str, *, ask: bool, confirm: bool = False) -> bytes | None:
    """From the file, from GLASSHOUSE_KEY_PASSPHRASE, or asked without an echo; None when there is none.

    Raises: ConfigError (`key.no_passphrase`).
    """
    if not ask:
        return None
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").rstrip("\r\n").encode()
        except (OSError, UnicodeDecodeError):
            raise ConfigError(NO_PASSPHRASE) from None
    configured = load_settings().key_passphrase
    if configured is not None:
        return configured.get_secret_value().encode()
    if not sys.stdin.isatty():
        return None
    try:
        asked: str = typer.prompt(
            f"Passphrase of {member}", hide_input=True, confirmation_prompt=confirm, err=True
        )
    except typer.Abort:
        return None
    return asked.encode()


def show_recorded(recorded: list[LoggedEvent], *, note: str = "", as_json: bool = False) -> None:
    """What was recorded, in the order of the log: the act, and what goes with it or followed from it."""
    recorded = sorted(recorded, key=lambda each: each.seq)
    document: JsonValue = [
        {"seq": each.seq, "receipt": each.receipt_id, "event": each.event.model_dump(mode="json")}
        for each in recorded
    ]
    lines = [f"Event {each.seq}: {told(each.event)}" for each in recorded]
    emit(document, lambda: Text("\n".join([*lines, note] if note else lines)), as_json=as_json)


def write_statement(file: Path, event: Event, *, as_json: bool) -> None:
    """Write a signed act to a file of its own, and say so.

    Raises: ConfigError (`statement.not_written`).
    """
    try:
        with file.open("x", encoding="utf-8") as target:
            target.write(json.dumps(statement.to_envelope(event), indent=1) + "\n")
    except OSError:
        raise ConfigError(NOT_WRITTEN, file=file.name) from None
    document: JsonValue = {"statement": statement.statement_id(event), "file": str(file)}
    said = f"Signed, not recorded: {told(event)}\nNext: glasshouse record {file}"
    emit(document, lambda: Text(said), as_json=as_json)
