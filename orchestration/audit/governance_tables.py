"""Tables of who takes part, what was agreed, decided and stopped: projections like those in `tables`.

Belongs here: columns and keys. Must not be here: statements, or rules. All times are spelled as
`vocabulary.timestamp` writes them, so that text sorts by time. `seq` is the event that changed the row last:
whether a decision still has to take effect is read from which row changed later.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, Table, Text

from orchestration.audit.tables import Number, metadata

collaborations = Table(
    "collaborations",
    metadata,
    Column("collaboration", Text, primary_key=True),
    Column("state", Text, nullable=False, comment="forming | active | frozen | closed"),
    Column("charter", Text, comment="Digest of the active charter."),
    Column("seq", Number, nullable=False),
)

charters = Table(
    "charters",
    metadata,
    Column("collaboration", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("status", Text, nullable=False, comment="proposed | active | superseded | withdrawn | closed"),
    Column("document", Text, nullable=False, comment="Canonical JSON."),
    Column("proposed_by", Text, nullable=False),
    Column("supersedes", Text, comment="Digest of the charter it is to replace, as it was proposed."),
    Column("activated_at", Text),
    Column("seq", Number, nullable=False),
)

charter_signatures = Table(
    "charter_signatures",
    metadata,
    Column("collaboration", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("participant", Text, primary_key=True),
    Column("member", Text, nullable=False),
    Column("stewards", Text, nullable=False, comment="JSON object: the keys the signer compared."),
    Column("seq", Number, nullable=False),
)

participants = Table(
    "participants",
    metadata,
    Column("collaboration", Text, primary_key=True),
    Column("participant", Text, primary_key=True),
    Column("status", Text, nullable=False, comment="invited | active | suspended | left | removed"),
    Column("evidence", Text, nullable=False, comment="JSON object: checklist item → digest."),
    Column("seq", Number, nullable=False),
)

members = Table(
    "members",
    metadata,
    Column("collaboration", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("participant", Text, nullable=False),
    Column("status", Text, nullable=False, comment="active | retired"),
    Column("seq", Number, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("collaboration", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("key_id", Text, primary_key=True),
    Column("public_key", Text, nullable=False, comment="JSON object."),
    Column("status", Text, nullable=False, comment="active | rotated | revoked"),
    Column("seq", Number, nullable=False),
    Column("ended_seq", Number, comment="Event from which on it counts no longer."),
)

grants = Table(
    "grants",
    metadata,
    Column("collaboration", Text, primary_key=True),
    Column("grant", Text, primary_key=True, comment="<member>/<role>, or the id of a grant given apart."),
    Column("member", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("not_before", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Column("revoked", Boolean, nullable=False),
    Column("emergency", Boolean, nullable=False),
    Column("lender", Text, comment="Of an emergency: who lent the role, and looks not at it afterwards."),
    Column("seq", Number, nullable=False),
    Index("grants_by_member", "collaboration", "member"),
)

emergency_uses = Table(
    "emergency_uses",
    metadata,
    Column("collaboration", Text, primary_key=True),
    Column("seq", Number, primary_key=True, autoincrement=False),
    Column("grant", Text, nullable=False),
    Column("member", Text, nullable=False),
    Column("act", Text, nullable=False, comment="The statement, or the contribution, it was used for."),
)

statements = Table(
    "statements",
    metadata,
    Column("statement", Text, primary_key=True, comment="Digest of what was signed: it counts once."),
    Column("collaboration", Text, nullable=False),
    Column("seq", Number, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("collaboration", Text, primary_key=True),
    Column("decision", Text, primary_key=True),
    Column("matter", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("right", Text, comment="Decision right of the charter; none: all participants, unanimously."),
    Column("content", Text, nullable=False, comment="JSON object."),
    Column("asked_by", Text, nullable=False),
    Column("status", Text, nullable=False, comment="pending | approved | rejected | expired"),
    Column("opened_at", Text, nullable=False),
    Column("escalated", Boolean, nullable=False),
    Column("seq", Number, nullable=False),
)

votes = Table(
    "votes",
    metadata,
    Column("collaboration", Text, primary_key=True),
    Column("decision", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("participant", Text, nullable=False),
    Column("vote", Text, nullable=False),
    Column("seq", Number, nullable=False),
)

disputes = Table(
    "disputes",
    metadata,
    Column("collaboration", Text, primary_key=True),
    Column("dispute", Text, primary_key=True),
    Column("about_kind", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("status", Text, nullable=False, comment="raised | upheld | dismissed"),
    Column("raised_by", Text, nullable=False),
    Column("evidence", Text, comment="Digest of the evidence pack, once made."),
    Column("seq", Number, nullable=False),
)

exceptions = Table(
    "exceptions",
    metadata,
    Column("collaboration", Text, primary_key=True),
    Column("exception", Text, primary_key=True),
    Column("what", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("residual_risk", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Column("status", Text, nullable=False, comment="granted | lapsed"),
    Column("decision", Text, nullable=False),
    Column("seq", Number, nullable=False),
)

reviews = Table(
    "reviews",
    metadata,
    Column("collaboration", Text, primary_key=True),
    Column("review", Text, primary_key=True),
    Column("kind", Text, nullable=False, comment="access | emergency"),
    Column("status", Text, nullable=False, comment="open | closed"),
    Column("due", Text, nullable=False),
    Column("seq", Number, nullable=False),
)

attestations = Table(
    "attestations",
    metadata,
    Column("collaboration", Text, primary_key=True),
    Column("review", Text, primary_key=True),
    Column("grant", Text, primary_key=True),
    Column("keep", Boolean, comment="What the attestation says; none yet."),
    Column("attested_by", Text),
    Column("seq", Number, nullable=False),
)

attested_datasets = Table(
    "attested_datasets",
    metadata,
    Column("collaboration", Text, primary_key=True),
    Column("dataset", Text, primary_key=True),
    Column("evidence", Text, nullable=False, comment="JSON object: checklist item → digest."),
    Column("expires_at", Text, nullable=False),
    Column("seq", Number, nullable=False),
)

acknowledgements = Table(
    "acknowledgements",
    metadata,
    Column("collaboration", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("terms", Text, primary_key=True, comment="Digest of the terms that were read."),
    Column("seq", Number, nullable=False),
)

PROJECTIONS = (
    collaborations,
    charters,
    charter_signatures,
    participants,
    members,
    keys,
    grants,
    emergency_uses,
    statements,
    decisions,
    votes,
    disputes,
    exceptions,
    reviews,
    attestations,
    attested_datasets,
    acknowledgements,
)
