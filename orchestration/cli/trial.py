"""A house for trying out: every member's key is made in it, and all of them sign through the usual acts.

Belongs here: making and finding those keys. Must not be here: any shortcut past a signature
(`stages/founding` signs like everybody). Whoever holds such a house can sign for everybody, so it proves
nothing to others.
"""

from __future__ import annotations

from orchestration.audit import governance_tables as g
from orchestration.charter.model import Charter
from orchestration.house import House
from orchestration.participants import enrollment, keyfile
from orchestration.signing import SigningKey
from orchestration.stages import founding

TRIAL_WARNING = (
    "TRIAL: every member's private key lies in this house, unencrypted, in\n{folder}.\n"
    "Fine for trying out. For real use each member makes a key at home."
)


def found_on_trial(house: House, charter: Charter) -> bool:
    """Found the collaboration with keys made here; False when real members have begun to."""
    if not trial_keys(house, charter):
        return False
    founding.found(house, charter, trial_keys(house, charter))
    return True


def trial_keys(house: House, charter: Charter) -> dict[str, SigningKey]:
    """Member → key made in this house; nothing for a collaboration that others began."""
    folder = house.member_keys / charter.collaboration
    if not folder.is_dir():
        with house.state(charter.collaboration) as state:
            if state.rows(g.charters):
                return {}
    keys = {}
    for member in charter.members:
        private = folder / f"{member.id}.pem"
        if private.exists():
            keys[member.id] = keyfile.load(private, None)
            continue
        keys[member.id] = keyfile.create(private, None)
        public = enrollment.public_file(keys[member.id], charter.collaboration, member.id)
        enrollment.write_public_file(private.with_suffix(".json"), public)
    return keys
