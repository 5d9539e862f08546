"""Members' keys at the command line: registering public halves, and finding a private half to sign with."""

from __future__ import annotations

import json
from pathlib import Path

from orchestration.errors import ConfigError, Reason
from orchestration.house import OPERATOR, House
from orchestration.participants.registry import register_member
from orchestration.signing import SigningKey

NO_KEY = Reason(
    "member.no_key",
    "There is no private key of {member} on this machine.",
    "Give its file with --key, or sign where the key is.",
)
NO_PUBLIC_KEY = Reason(
    "member.no_public_key",
    "The folder of keys has no readable public key {member}.json.",
    "Ask {member} for it: `glasshouse init` writes one beside each key it makes.",
)


def register_members(house: House, folder: Path | None) -> None:
    """Register every member the charters name, with keys from `folder` or made here.

    Raises: ConfigError (`member.no_public_key`).
    """
    for charter in house.charters.values():
        for member in charter.members:
            public_key = (
                _public_key(folder, member.id)
                if folder is not None
                else _own_key(house, charter.collaboration, member.id).public
            )
            register_member(house.log, charter, member.id, public_key, actor=OPERATOR)


def signing_key(house: House, collaboration: str, member: str, file: Path | None) -> SigningKey:
    """The private key to sign with.

    Raises: ConfigError (`member.no_key`).
    """
    path = file or key_file(house, collaboration, member)
    try:
        return SigningKey.load(path)
    except (OSError, ValueError):
        raise ConfigError(NO_KEY, member=member) from None


def key_file(house: House, collaboration: str, member: str) -> Path:
    return house.member_keys / collaboration / f"{member}.pem"


def _own_key(house: House, collaboration: str, member: str) -> SigningKey:
    path = key_file(house, collaboration, member)
    if not path.exists():
        key = SigningKey.generate()
        key.save(path)
        path.with_suffix(".json").write_text(json.dumps(key.public, indent=1))
    return SigningKey.load(path)


def _public_key(folder: Path, member: str) -> dict[str, object]:
    try:
        document = json.loads((folder / f"{member}.json").read_bytes())
        if isinstance(document, dict) and document.get("keytype") == "ed25519":
            return document
    except (OSError, ValueError):
        pass
    raise ConfigError(NO_PUBLIC_KEY, member=member)
