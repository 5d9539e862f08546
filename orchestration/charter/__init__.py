"""The charter: the signed agreement that everything else is compiled from.

`load_charter` reads a file and refuses it with every mistake at once; `enforcement` says for each clause
which code or which person keeps it. Must not be here: anything that acts on a charter.
"""

from orchestration.charter.enforcement import Enforcement, enforcement
from orchestration.charter.entities import ENTITIES, UNIT, Entity
from orchestration.charter.loader import load_charter, parse_charter
from orchestration.charter.mistakes import CharterMistakesError, Mistake
from orchestration.charter.model import (
    Band,
    Charter,
    Clamp,
    Dataset,
    Drop,
    Field,
    Generalize,
    Member,
    Participant,
    Pass,
    Pseudonymize,
)

__all__ = [
    "ENTITIES",
    "UNIT",
    "Band",
    "Charter",
    "CharterMistakesError",
    "Clamp",
    "Dataset",
    "Drop",
    "Enforcement",
    "Entity",
    "Field",
    "Generalize",
    "Member",
    "Mistake",
    "Participant",
    "Pass",
    "Pseudonymize",
    "enforcement",
    "load_charter",
    "parse_charter",
]
