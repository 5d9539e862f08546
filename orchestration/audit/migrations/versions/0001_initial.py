"""Everything, as it was at the first version: the log, its tree, and the tables shown from it.

A revision that was released is never edited; what changes later gets a revision of its own.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NUMBER = BigInteger().with_variant(Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "events",
        Column("seq", _NUMBER, nullable=False, autoincrement=False),
        Column("type", Text, nullable=False),
        Column("collaboration", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("time", Text, nullable=False),
        Column("receipt_id", Text, nullable=False, comment="Hex RFC 6962 hash of the leaf."),
        Column("salt", LargeBinary, nullable=False, comment="32 random bytes of the leaf's commitment."),
        Column("content", LargeBinary, nullable=False, comment="Canonical JSON of the event."),
        PrimaryKeyConstraint("seq"),
    )
    op.create_index("events_by_subject", "events", ["subject"])
    op.create_table(
        "nodes",
        Column("position", _NUMBER, nullable=False, autoincrement=False),
        Column("hash", LargeBinary, nullable=False),
        PrimaryKeyConstraint("position"),
    )
    op.create_table(
        "lineage",
        Column("id", _NUMBER, nullable=False, autoincrement=True),
        Column("seq", _NUMBER, nullable=False, comment="Event it was stored with."),
        Column("run_id", Text, nullable=False),
        Column("event", Text, nullable=False, comment="OpenLineage event, canonical JSON."),
        PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_lineage_run_id", "lineage", ["run_id"])
    op.create_index("ix_lineage_seq", "lineage", ["seq"])
    op.create_table(
        "checkpoints",
        Column("size", _NUMBER, nullable=False, autoincrement=False),
        Column("note", Text, nullable=False, comment="Signed note, C2SP tlog-checkpoint."),
        PrimaryKeyConstraint("size"),
    )
    op.create_table(
        "cosignatures",
        Column("size", _NUMBER, nullable=False, autoincrement=False, comment="Of the checkpoint."),
        Column("participant", Text, nullable=False, comment="Whose witness it is."),
        Column("collaboration", Text, nullable=False, comment="Whose charter names it as witness."),
        Column("line", Text, nullable=False, comment="Signature line, C2SP tlog-cosignature."),
        PrimaryKeyConstraint("size", "participant", "collaboration"),
    )
    op.create_table(
        "contributions",
        Column("contribution", Text, nullable=False),
        Column("collaboration", Text, nullable=False),
        Column("dataset", Text),
        Column("participant", Text, nullable=False),
        Column("delivery", Text, nullable=False),
        Column("status", Text, nullable=False, comment="accepted | refused"),
        Column("rows", BigInteger),
        Column("quarantined", BigInteger, nullable=False),
        Column("code", Text, comment="Why it was refused."),
        Column("source_digest", Text, comment="Only of accepted ones."),
        Column("charter_digest", Text, comment="Only of accepted ones: the terms it was given under."),
        Column("table_name", Text, comment="De-identified table, once made."),
        Column("gate", Text, comment="passed | failed, once judged."),
        Column("seq", _NUMBER, nullable=False),
        PrimaryKeyConstraint("contribution"),
        UniqueConstraint(
            "collaboration", "dataset", "charter_digest", "source_digest", name="contribution_accepted_once"
        ),
    )
    op.create_table(
        "datasets",
        Column("collaboration", Text, nullable=False),
        Column("dataset", Text, nullable=False),
        Column("contribution", Text, nullable=False, comment="The one whose gate passed last."),
        Column("table_name", Text, nullable=False),
        Column("seq", _NUMBER, nullable=False),
        PrimaryKeyConstraint("collaboration", "dataset"),
    )
    op.create_table(
        "requests",
        Column("request", Text, nullable=False),
        Column("collaboration", Text, nullable=False),
        Column("template", Text, nullable=False),
        Column("parameters", Text, nullable=False, comment="JSON object."),
        Column("purpose", Text, nullable=False),
        Column("requester", Text, nullable=False),
        Column("participant", Text, nullable=False),
        Column(
            "status",
            Text,
            nullable=False,
            comment="submitted|permitted|denied|computed|protected|released|withheld",
        ),
        Column("code", Text, comment="Why it was denied or withheld."),
        Column("datasets", Text, nullable=False, comment="JSON array: datasets whose rows the answer reads."),
        Column("approval", Text, comment="Decision right that must approve it."),
        Column("seq", _NUMBER, nullable=False, comment="When it was submitted."),
        Column("updated_seq", _NUMBER, nullable=False),
        PrimaryKeyConstraint("request"),
    )
    op.create_table(
        "releases",
        Column("release", Text, nullable=False),
        Column("collaboration", Text, nullable=False),
        Column("request", Text, nullable=False),
        Column("template", Text, nullable=False),
        Column("purpose", Text, nullable=False),
        Column("receivers", Text, nullable=False, comment="JSON array of participants."),
        Column("expires_at", Text, nullable=False, comment="As `events.timestamp` writes it: sorts by time."),
        Column("recalled", Boolean, nullable=False),
        Column("seq", _NUMBER, nullable=False),
        PrimaryKeyConstraint("release"),
        UniqueConstraint("request"),
    )
    op.create_table(
        "accesses",
        Column("seq", _NUMBER, nullable=False, autoincrement=False),
        Column("collaboration", Text, nullable=False),
        Column("release", Text, nullable=False),
        Column("member", Text, nullable=False),
        Column("granted", Boolean, nullable=False),
        Column("detail", Text, comment="full | summary, when granted."),
        Column("code", Text, comment="Why not, when refused."),
        PrimaryKeyConstraint("seq"),
    )
    op.create_table(
        "receipts",
        Column("receipt_id", Text, nullable=False),
        Column("collaboration", Text, nullable=False),
        Column("stage", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("revoked", Boolean, nullable=False, comment="Taken back: proves what was, opens nothing."),
        Column("seq", _NUMBER, nullable=False),
        PrimaryKeyConstraint("receipt_id"),
    )
    op.create_index("receipts_by_subject", "receipts", ["subject", "stage"])
    op.create_table(
        "collaborations",
        Column("collaboration", Text, nullable=False),
        Column("state", Text, nullable=False, comment="forming | active | frozen | closed"),
        Column("charter", Text, comment="Digest of the active charter."),
        Column("seq", _NUMBER, nullable=False),
        PrimaryKeyConstraint("collaboration"),
    )
    op.create_table(
        "charters",
        Column("collaboration", Text, nullable=False),
        Column("digest", Text, nullable=False),
        Column("title", Text, nullable=False),
        Column("version", Integer, nullable=False),
        Column("status", Text, nullable=False, comment="proposed | active | superseded | withdrawn | closed"),
        Column("document", Text, nullable=False, comment="Canonical JSON."),
        Column("proposed_by", Text, nullable=False),
        Column("supersedes", Text, comment="Digest of the charter it is to replace, as it was proposed."),
        Column("activated_at", Text),
        Column("seq", _NUMBER, nullable=False),
        PrimaryKeyConstraint("collaboration", "digest"),
    )
    op.create_table(
        "charter_signatures",
        Column("collaboration", Text, nullable=False),
        Column("digest", Text, nullable=False),
        Column("participant", Text, nullable=False),
        Column("member", Text, nullable=False),
        Column("stewards", Text, nullable=False, comment="JSON object: the keys the signer compared."),
        Column("seq", _NUMBER, nullable=False),
        PrimaryKeyConstraint("collaboration", "digest", "participant"),
    )
    op.create_table(
        "participants",
        Column("collaboration", Text, nullable=False),
        Column("participant", Text, nullable=False),
        Column("status", Text, nullable=False, comment="invited | active | suspended | left | removed"),
        Column("evidence", Text, nullable=False, comment="JSON object: checklist item → digest."),
        Column("seq", _NUMBER, nullable=False),
        PrimaryKeyConstraint("collaboration", "participant"),
    )
    op.create_table(
        "members",
        Column("collaboration", Text, nullable=False),
        Column("member", Text, nullable=False),
        Column("participant", Text, nullable=False),
        Column("status", Text, nullable=False, comment="active | retired"),
        Column("seq", _NUMBER, nullable=False),
        PrimaryKeyConstraint("collaboration", "member"),
    )
    op.create_table(
        "keys",
        Column("collaboration", Text, nullable=False),
        Column("member", Text, nullable=False),
        Column("key_id", Text, nullable=False),
        Column("public_key", Text, nullable=False, comment="JSON object."),
        Column("status", Text, nullable=False, comment="active | rotated | revoked"),
        Column("seq", _NUMBER, nullable=False),
        Column("ended_seq", _NUMBER, comment="Event from which on it counts no longer."),
        PrimaryKeyConstraint("collaboration", "member", "key_id"),
    )
    op.create_table(
        "grants",
        Column("collaboration", Text, nullable=False),
        Column("grant", Text, nullable=False, comment="<member>/<role>, or the id of a grant given apart."),
        Column("member", Text, nullable=False),
        Column("role", Text, nullable=False),
        Column("not_before", Text, nullable=False),
        Column("expires_at", Text, nullable=False),
        Column("revoked", Boolean, nullable=False),
        Column("emergency", Boolean, nullable=False),
        Column("seq", _NUMBER, nullable=False),
        PrimaryKeyConstraint("collaboration", "grant"),
    )
    op.create_index("grants_by_member", "grants", ["collaboration", "member"])
    op.create_table(
        "statements",
        Column("statement", Text, nullable=False, comment="Digest of what was signed: it counts once."),
        Column("collaboration", Text, nullable=False),
        Column("seq", _NUMBER, nullable=False),
        PrimaryKeyConstraint("statement"),
    )
    op.create_table(
        "decisions",
        Column("collaboration", Text, nullable=False),
        Column("decision", Text, nullable=False),
        Column("matter", Text, nullable=False),
        Column("about", Text, nullable=False),
        Column("right", Text, comment="Decision right of the charter; none: all participants, unanimously."),
        Column("content", Text, nullable=False, comment="JSON object."),
        Column("asked_by", Text, nullable=False),
        Column("status", Text, nullable=False, comment="pending | approved | rejected | expired"),
        Column("opened_at", Text, nullable=False),
        Column("escalated", Boolean, nullable=False),
        Column("seq", _NUMBER, nullable=False),
        PrimaryKeyConstraint("collaboration", "decision"),
    )
    op.create_table(
        "votes",
        Column("collaboration", Text, nullable=False),
        Column("decision", Text, nullable=False),
        Column("member", Text, nullable=False),
        Column("participant", Text, nullable=False),
        Column("vote", Text, nullable=False),
        Column("seq", _NUMBER, nullable=False),
        PrimaryKeyConstraint("collaboration", "decision", "member"),
    )
    op.create_table(
        "disputes",
        Column("collaboration", Text, nullable=False),
        Column("dispute", Text, nullable=False),
        Column("about_kind", Text, nullable=False),
        Column("about", Text, nullable=False),
        Column("remedy", Text, nullable=False),
        Column("status", Text, nullable=False, comment="raised | upheld | dismissed"),
        Column("raised_by", Text, nullable=False),
        Column("evidence", Text, comment="Digest of the evidence pack, once made."),
        Column("seq", _NUMBER, nullable=False),
        PrimaryKeyConstraint("collaboration", "dispute"),
    )
    op.create_table(
        "exceptions",
        Column("collaboration", Text, nullable=False),
        Column("exception", Text, nullable=False),
        Column("what", Text, nullable=False),
        Column("owner", Text, nullable=False),
        Column("residual_risk", Text, nullable=False),
        Column("expires_at", Text, nullable=False),
        Column("status", Text, nullable=False, comment="granted | lapsed"),
        Column("decision", Text, nullable=False),
        Column("seq", _NUMBER, nullable=False),
        PrimaryKeyConstraint("collaboration", "exception"),
    )
    op.create_table(
        "reviews",
        Column("collaboration", Text, nullable=False),
        Column("review", Text, nullable=False),
        Column("kind", Text, nullable=False, comment="access | emergency"),
        Column("status", Text, nullable=False, comment="open | closed"),
        Column("due", Text, nullable=False),
        Column("seq", _NUMBER, nullable=False),
        PrimaryKeyConstraint("collaboration", "review"),
    )
    op.create_table(
        "attestations",
        Column("collaboration", Text, nullable=False),
        Column("review", Text, nullable=False),
        Column("grant", Text, nullable=False),
        Column("keep", Boolean, comment="What the attestation says; none yet."),
        Column("attested_by", Text),
        Column("seq", _NUMBER, nullable=False),
        PrimaryKeyConstraint("collaboration", "review", "grant"),
    )
    op.create_table(
        "attested_datasets",
        Column("collaboration", Text, nullable=False),
        Column("dataset", Text, nullable=False),
        Column("evidence", Text, nullable=False, comment="JSON object: checklist item → digest."),
        Column("expires_at", Text, nullable=False),
        Column("seq", _NUMBER, nullable=False),
        PrimaryKeyConstraint("collaboration", "dataset"),
    )
    op.create_table(
        "acknowledgements",
        Column("collaboration", Text, nullable=False),
        Column("member", Text, nullable=False),
        Column("terms", Text, nullable=False, comment="Digest of the terms that were read."),
        Column("seq", _NUMBER, nullable=False),
        PrimaryKeyConstraint("collaboration", "member", "terms"),
    )
