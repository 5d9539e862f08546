"""What people and contributors may demand of data that is in already, as the charter fixes it.

Belongs here: the clauses about consent and withdrawal. Must not be here: carrying them out (`stages/`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Spec

from orchestration.charter.fields import Clause, Days, Slug, Whole


class ConsentRule(Clause):
    """Whose rows of a dataset may be used: decided person by person, in a dataset of entity `consent`."""

    dataset: Slug = Spec(description="Where the decisions stand: a dataset of the same participant.")
    mode: Literal["opt_in", "opt_out"] = Spec(
        description="opt_in: only who agreed; opt_out: everybody but who objected."
    )


class Withdrawal(Clause):
    """How data is taken back, and what becomes of insights that rest on it."""

    releases: Literal["mark_stale", "recall"] = "mark_stale"
    people: Annotated[Whole, Spec(ge=2, le=1_000_000)] | None = Spec(
        None, description="Fewest people who leave together; default: the output section's threshold."
    )
    days: Days = Spec(30, description="People wait no longer than this until they are out.")
