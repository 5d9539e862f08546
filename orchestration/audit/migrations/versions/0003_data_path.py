"""What the guard asks about data on its way: terms, purposes, and what a receipt rests on."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, Text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NUMBER = BigInteger().with_variant(Integer(), "sqlite")


def upgrade() -> None:
    """Rows of before stay without: what they rest on is asked of the log, and they open nothing new."""
    op.add_column(
        "contributions",
        Column("purposes", Text, comment="JSON array; only of accepted ones: what it was given for."),
    )
    op.add_column("requests", Column("charter_digest", Text, comment="The charter it was asked under."))
    op.add_column("receipts", Column("charter_digest", Text, comment="The charter it was given under."))
    op.add_column("receipts", Column("inputs", Text, comment="JSON array: receipts of the stages before."))
    op.create_table(
        "emergency_uses",
        Column("collaboration", Text, nullable=False),
        Column("seq", _NUMBER, nullable=False, autoincrement=False),
        Column("grant", Text, nullable=False),
        Column("member", Text, nullable=False),
        Column("act", Text, nullable=False, comment="The statement, or the contribution, it was used for."),
        PrimaryKeyConstraint("collaboration", "seq"),
    )
