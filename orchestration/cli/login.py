"""`glasshouse login`: arranging one's own way into the portal, with a second factor, or a token for programs.

Must not be here: what a password or a token is (`participants/credentials`), or keeping them
(`stages/login`). Each change is signed with the member's key, so nobody arranges it for somebody else.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.text import Text

from orchestration.audit.vocabulary import now
from orchestration.cli.console import JsonFlag, emit, table
from orchestration.cli.options import CollaborationOption, MemberOption, only_collaboration
from orchestration.cli.signing_options import KeyOption, PassphraseOption, private_key
from orchestration.errors import ConfigError, Reason
from orchestration.house import House
from orchestration.settings import load_settings
from orchestration.stages import login as logins

NO_PASSWORD = Reason(
    "login.no_password",
    "No password was given.",
    "Name a file with --password-file, or run the command on a terminal.",
)

_NameOption = Annotated[str, typer.Option(help="What the token is for, in a word.")]

app = typer.Typer(
    help="Your way into the portal: password with a second factor, or tokens.", no_args_is_help=True
)


@app.command()
def enable(
    *,
    member: MemberOption,
    password_file: Annotated[
        Path | None, typer.Option(help="File with the password; else it is asked.")
    ] = None,
    key: KeyOption = None,
    passphrase_file: PassphraseOption = None,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Set a password and make a second factor; both are new each time."""
    password = _password(password_file, member)
    with House.opened(load_settings()) as house:
        chosen = only_collaboration(house, collaboration)
        signer = private_key(house, chosen, member, key, passphrase_file)
        address = logins.enable(house, chosen, member, password, signer, "A login for the portal.")
    document: JsonValue = {"member": member, "collaboration": chosen, "otpauth": address}
    lines = (
        f"{member} can sign in to the portal.",
        "Add this to an authenticator app now; it is shown once:",
        f"  {address}",
    )
    emit(document, lambda: Text("\n".join(lines)), as_json=as_json)


@app.command()
def disable(
    *,
    member: MemberOption,
    key: KeyOption = None,
    passphrase_file: PassphraseOption = None,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Take the login and every token away."""
    with House.opened(load_settings()) as house:
        chosen = only_collaboration(house, collaboration)
        signer = private_key(house, chosen, member, key, passphrase_file)
        logins.disable(house, chosen, member, signer, "No login any more.")
    emit({"member": member}, lambda: Text(f"{member} has no login any more."), as_json=as_json)


@app.command()
def token(
    *,
    member: MemberOption,
    name: _NameOption,
    days: Annotated[int, typer.Option(min=1, max=90, help="How long it counts.")] = 30,
    key: KeyOption = None,
    passphrase_file: PassphraseOption = None,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a token for a program, which reads the portal's JSON and CSV as you. It is shown once."""
    until = now() + timedelta(days=days)
    with House.opened(load_settings()) as house:
        chosen = only_collaboration(house, collaboration)
        signer = private_key(house, chosen, member, key, passphrase_file)
        made = logins.give_token(house, chosen, member, name, until, signer, f"Token: {name}")
    document: JsonValue = {"name": name, "token": made, "expires_at": until.isoformat()}
    said = f"Token {name} counts until {until:%Y-%m-%d}; it is shown once:\n  {made}"
    emit(document, lambda: Text(said), as_json=as_json)


@app.command()
def revoke(
    *,
    member: MemberOption,
    name: _NameOption,
    key: KeyOption = None,
    passphrase_file: PassphraseOption = None,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Take a token away, now."""
    with House.opened(load_settings()) as house:
        chosen = only_collaboration(house, collaboration)
        signer = private_key(house, chosen, member, key, passphrase_file)
        logins.revoke_token(house, chosen, member, name, signer, f"Token {name} is not needed any more.")
    emit({"name": name}, lambda: Text(f"Token {name} counts no longer."), as_json=as_json)


@app.command("list")
def list_(
    *, member: MemberOption, collaboration: CollaborationOption = None, as_json: JsonFlag = False
) -> None:
    """A member's tokens, by name; the tokens themselves are not kept."""
    with House.opened(load_settings()) as house:
        found = logins.token_names(house, only_collaboration(house, collaboration), member)
    document: JsonValue = [{"name": name, "expires_at": until} for name, until in found]
    rows = [[name, until[:10]] for name, until in found]
    emit(
        document,
        lambda: table(["Token", "Until"], rows) if rows else Text(f"{member} has no tokens."),
        as_json=as_json,
    )


def _password(file: Path | None, member: str) -> str:
    """Raises: ConfigError (`login.no_password`)."""
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            raise ConfigError(NO_PASSWORD) from None
    if not sys.stdin.isatty():
        raise ConfigError(NO_PASSWORD)
    asked: str = typer.prompt(f"Password of {member}", hide_input=True, confirmation_prompt=True, err=True)
    return asked
