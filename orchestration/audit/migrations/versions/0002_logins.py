"""Logins and tokens of the portal."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, PrimaryKeyConstraint, Text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "logins",
        Column("collaboration", Text, nullable=False),
        Column("member", Text, nullable=False),
        Column("password", Text, nullable=False, comment="Argon2id, PHC string."),
        Column("totp_secret", LargeBinary, nullable=False, comment="Nonce and AES-256-GCM ciphertext."),
        Column("failures", Integer, nullable=False),
        Column("locked_until", Text),
        Column("counter", BigInteger, nullable=False, comment="Last time step whose code was used."),
        PrimaryKeyConstraint("collaboration", "member"),
    )
    op.create_table(
        "tokens",
        Column("token", Text, nullable=False, comment="SHA-256 of the token, hex."),
        Column("collaboration", Text, nullable=False),
        Column("member", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("expires_at", Text, nullable=False),
        PrimaryKeyConstraint("token"),
    )
