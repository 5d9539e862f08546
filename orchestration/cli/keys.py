"""`glasshouse key`: making a member's key at home, and replacing or revoking it in the log.

Belongs here: the two files of a key. Must not be here: how a key is encrypted (`participants/keyfile`), or
when it counts (`participants/`). The private half stays where it is made.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import JsonValue
from rich.text import Text

from orchestration.audit import governance_tables as g
from orchestration.cli.console import JsonFlag, emit, table
from orchestration.cli.options import CollaborationOption, current_state, only_collaboration
from orchestration.cli.signing_options import PassphraseOption, Signing, passphrase, signed
from orchestration.cli.told import fingerprint, fingerprint_lines
from orchestration.errors import ConfigError, Reason
from orchestration.house import House
from orchestration.participants import enrollment, keyfile
from orchestration.participants.state import participant_of
from orchestration.settings import load_settings
from orchestration.signing import SigningKey

NEEDS_PASSPHRASE = Reason(
    "key.needs_passphrase",
    "A private key is always kept encrypted, and no passphrase was given.",
    "Name a file with --passphrase-file, or run the command on a terminal.",
)
NO_SUCH_KEY = Reason(
    "key.not_found",
    "Not exactly one key of {member} begins like that.",
    "See its keys with `glasshouse key list`, and give more of the fingerprint.",
)
WHICH_KEY = Reason(
    "key.which_collaboration",
    "A key is made for one collaboration, and there is no house here to ask which.",
    "Name it with --collaboration.",
)

_ENROL_AGAIN = (
    "Next: {member} makes a new key with `glasshouse key new`,\n"
    "and a steward of its organization enrols it with `glasshouse member enroll`."
)
_JOIN_AGAIN = (
    "{participant} has no other steward. Next: the others decide on\n"
    "`glasshouse participant suspend {participant}`, then on `reinstate` with a new key."
)

OutOption = Annotated[Path, typer.Option(help="Folder for the two files of the key.")]

app = typer.Typer(help="Members' keys.", no_args_is_help=True)


@app.command()
def new(
    member: Annotated[str, typer.Argument(help="<participant>.<name>")],
    *,
    out: OutOption = Path(),
    passphrase_file: PassphraseOption = None,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a key: an encrypted private file to keep, and a public one to give to your steward."""
    chosen = _collaboration(collaboration)
    key, files = make_key(member, chosen, out, passphrase_file)
    document: JsonValue = {
        "member": member,
        "collaboration": chosen,
        "key_id": key.key_id,
        "files": {**files},
    }
    lines = (
        f"Key of {member} for {chosen}",
        f"  keep secret  {files['private']}",
        f"  give away    {files['public']}",
        *_fingerprint(key.key_id),
        "Next: a steward joins with it, `glasshouse participant accept`; other members",
        "give the public file to their steward, for `glasshouse member enroll`.",
    )
    emit(document, lambda: Text("\n".join(lines)), as_json=as_json)


@app.command()
@signed("A new key replaces the old one.")
def rotate(
    signing: Signing,
    *,
    out: OutOption = Path(),
    new_passphrase_file: Annotated[
        Path | None, typer.Option(help="Passphrase of the new key; default: that of the old one.")
    ] = None,
) -> None:
    """Replace your own key, signed with the old one. What that signed before stays valid."""
    with signing.opened() as signatory:
        secret = new_passphrase_file or signing.passphrase_file
        key, files = make_key(signing.member, signatory.collaboration, out, secret)
        event = enrollment.rotate_key(signatory.collaboration, signing.member, key, signing.why)
        try:
            signatory.records(event, note=f"From now on: --key {files['private']}")
        except Exception:
            for file in files.values():
                Path(file).unlink(missing_ok=True)  # a key that never counted would only confuse
            raise


@app.command()
@signed()
def revoke(
    signing: Signing,
    member: Annotated[str, typer.Argument(help="Whose key: your own, or of your organization.")],
    *,
    key_id: Annotated[str, typer.Option(help="As `glasshouse key list` shows it; its beginning will do.")],
    reason: Annotated[
        Literal["lost", "compromised", "retired"], typer.Option(help="Why it may not count any longer.")
    ] = "lost",
) -> None:
    """End a key now. What it signed before stays valid."""
    with signing.opened() as signatory:
        whole = key_id
        if signatory.house is not None:
            with signatory.state("the keys", "--key-id") as state:
                known = [row.key_id for row in state.rows(g.keys, member=member)]
            matching = [each for each in known if each.startswith(key_id.replace(" ", ""))]
            if len(matching) != 1:
                raise ConfigError(NO_SUCH_KEY, member=member)
            whole = matching[0]
        event = enrollment.revoke_key(
            signatory.collaboration, signing.member, member, whole, reason, signing.why
        )
        signatory.records(event, note=_next_key(member))


@app.command("list")
def list_(*, collaboration: CollaborationOption = None, as_json: JsonFlag = False) -> None:
    """Every member's keys, and which of them counts."""
    with current_state(collaboration) as state:
        found = state.rows(g.keys)
    document: JsonValue = [
        {"member": row.member, "key_id": row.key_id, "status": row.status} for row in found
    ]
    rows = [[row.member, fingerprint(row.key_id[:24]), row.status] for row in found]
    columns = ["Member", "Fingerprint begins", "State"]
    emit(
        document,
        lambda: table(columns, rows) if rows else Text("The log knows no key yet."),
        as_json=as_json,
    )


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="Public file <member>.json.")], *, as_json: JsonFlag = False
) -> None:
    """The fingerprint of a public key, to be compared with its owner by another channel."""
    read = enrollment.read_public_file(file)
    key_id = str(read.public_key["keyid"])
    document: JsonValue = {"member": read.member, "collaboration": read.collaboration, "key_id": key_id}
    lines = (f"Key of {read.member} for {read.collaboration}", *_fingerprint(key_id))
    emit(document, lambda: Text("\n".join(lines)), as_json=as_json)


def _next_key(member: str) -> Callable[[House, str], str]:
    """How a member whose key was revoked comes back."""

    def note(house: House, collaboration: str) -> str:
        with house.state(collaboration) as state:
            if state.active_key(member) is not None:
                return ""  # it was an older key
            others = [
                row.member
                for row in state.rows(g.members, participant=participant_of(member))
                if "steward" in state.roles(row.member, emergency=False) and state.active_key(row.member)
            ]
        told = _ENROL_AGAIN if others else _JOIN_AGAIN
        return told.format(member=member, participant=participant_of(member))

    return note


def make_key(
    member: str, collaboration: str, folder: Path, passphrase_file: Path | None
) -> tuple[SigningKey, dict[str, str]]:
    """Make a key and write its two files.

    Raises: ConfigError (`key.needs_passphrase`, `key.exists`).
    """
    secret = passphrase(passphrase_file, member, ask=True, confirm=True)
    if not secret:
        raise ConfigError(NEEDS_PASSPHRASE)
    private = folder / f"{member}.pem"
    key = keyfile.create(private, secret)
    public = private.with_suffix(".json")
    enrollment.write_public_file(public, enrollment.public_file(key, collaboration, member))
    return key, {"private": str(private), "public": str(public)}


def _collaboration(given: str | None) -> str:
    """Raises: ConfigError (`key.which_collaboration`)."""
    if given is not None:
        return given
    settings = load_settings()
    if not (settings.root / "keys").is_dir():
        raise ConfigError(WHICH_KEY)
    with House.opened(settings) as house:
        return only_collaboration(house, None)


def _fingerprint(key_id: str) -> tuple[str, str]:
    first, second = fingerprint_lines(key_id)
    return f"  fingerprint  {first}", f"               {second}"
