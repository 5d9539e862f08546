"""Tables of logins and tokens: secrets and counters, which are no evidence and so no part of the log.

Belongs here: columns. Must not be here: statements. A password is a hash, a second factor is sealed with a
key of the key service, a token is a hash.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Table, Text

from orchestration.audit.tables import metadata

logins = Table(
    "logins",
    metadata,
    Column("collaboration", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("password", Text, nullable=False, comment="Argon2id, PHC string."),
    Column("totp_secret", LargeBinary, nullable=False, comment="Nonce and AES-256-GCM ciphertext."),
    Column("failures", Integer, nullable=False),
    Column("locked_until", Text),
    Column("counter", BigInteger, nullable=False, comment="Last time step whose code was used."),
)

tokens = Table(
    "tokens",
    metadata,
    Column("token", Text, primary_key=True, comment="SHA-256 of the token, hex."),
    Column("collaboration", Text, nullable=False),
    Column("member", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
)
