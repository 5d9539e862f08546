"""People and contributions that are taken back, and releases that rest on them."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, Text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NUMBER = BigInteger().with_variant(Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "withdrawals",
        Column("withdrawal", Text, nullable=False, comment="Its id; of a whole contribution: that."),
        Column("collaboration", Text, nullable=False),
        Column("participant", Text, nullable=False),
        Column("dataset", Text, nullable=False),
        Column("contribution", Text, comment="Only when a whole contribution is taken back."),
        Column("list_digest", Text, comment="Of the encrypted list of people, when some people are."),
        Column("reason", Text, nullable=False),
        Column("requested_by", Text, nullable=False),
        Column("requested_at", Text, nullable=False),
        Column("status", Text, nullable=False, comment="waiting | applied"),
        Column("seq", _NUMBER, nullable=False),
        PrimaryKeyConstraint("withdrawal"),
    )
    outdated = "people_withdrawn | contribution_withdrawn | superseded, once it is."
    op.add_column("releases", Column("outdated", Text, comment=outdated))
