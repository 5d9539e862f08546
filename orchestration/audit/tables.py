"""Tables of the log itself, and of data on its way through the house; the latter can be rebuilt from it.

Belongs here: columns, keys and uniqueness. Must not be here: statements. The unique constraints make a
step that is run twice count once. Identifiers, counts, codes and digests only; never a value of a row.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

# An INTEGER primary key is SQLite's own row number: no second index to write.
Number = BigInteger().with_variant(Integer, "sqlite")

events = Table(
    "events",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=False),
    Column("type", Text, nullable=False),
    Column("collaboration", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("time", Text, nullable=False),
    Column("receipt_id", Text, nullable=False, comment="Hex RFC 6962 hash of the leaf."),
    Column(
        "salt",
        LargeBinary,
        nullable=False,
        comment="32 random bytes of the leaf's commitment.",
    ),
    Column("content", LargeBinary, nullable=False, comment="Canonical JSON of the event."),
    Index("events_by_subject", "subject"),
)

nodes = Table(
    "nodes",
    metadata,
    Column("position", Number, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)

lineage = Table(
    "lineage",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("seq", Number, nullable=False, index=True, comment="Event it was stored with."),
    Column("run_id", Text, nullable=False, index=True),
    Column("event", Text, nullable=False, comment="OpenLineage event, canonical JSON."),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("size", Number, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False, comment="Signed note, C2SP tlog-checkpoint."),
)

cosignatures = Table(
    "cosignatures",
    metadata,
    Column("size", Number, primary_key=True, autoincrement=False, comment="Of the checkpoint."),
    Column("participant", Text, primary_key=True, comment="Whose witness it is."),
    Column("collaboration", Text, primary_key=True, comment="Whose charter names it as witness."),
    Column("line", Text, nullable=False, comment="Signature line, C2SP tlog-cosignature."),
)

contributions = Table(
    "contributions",
    metadata,
    Column("contribution", Text, primary_key=True),
    Column("collaboration", Text, nullable=False),
    Column("dataset", Text),
    Column("participant", Text, nullable=False),
    Column("delivery", Text, nullable=False),
    Column("status", Text, nullable=False, comment="accepted | refused | repaired | destroyed"),
    Column("rows", BigInteger),
    Column("quarantined", BigInteger, nullable=False),
    Column("code", Text, comment="Why it was refused."),
    Column("source_digest", Text, comment="Only of accepted ones."),
    Column("charter_digest", Text, comment="Only of accepted ones: the terms it was given under."),
    Column("purposes", Text, comment="JSON array; only of accepted ones: what it was given for."),
    Column("table_name", Text, comment="De-identified table, once made."),
    Column("gate", Text, comment="passed | failed, once judged."),
    Column("recorded_at", Text, comment="When it was accepted or refused: its days are counted from here."),
    Column("sealed", Text, comment="Folder of what is sealed for its steward, while that is kept."),
    Column("sealed_digest", Text, comment="Of that folder."),
    Column("supersedes", Text, comment="The contribution or refusal that its manifest says it corrects."),
    Column("superseded_by", Text, comment="The newer one that took its place: its gate passed."),
    Column("superseded_at", Text, comment="When it did."),
    Column("seq", Number, nullable=False),
    UniqueConstraint(
        "collaboration", "dataset", "charter_digest", "source_digest", name="contribution_accepted_once"
    ),
)

withdrawals = Table(
    "withdrawals",
    metadata,
    Column("withdrawal", Text, primary_key=True, comment="Its id; of a whole contribution: that."),
    Column("collaboration", Text, nullable=False),
    Column("participant", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("contribution", Text, comment="Only when a whole contribution is taken back."),
    Column("list_digest", Text, comment="Of the encrypted list of people, when some people are."),
    Column("reason", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("requested_at", Text, nullable=False),
    Column("status", Text, nullable=False, comment="waiting | applied"),
    Column("seq", Number, nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    Column("collaboration", Text, primary_key=True),
    Column("dataset", Text, primary_key=True),
    Column("contribution", Text, nullable=False, comment="The one whose gate passed last."),
    Column("table_name", Text, nullable=False),
    Column("seq", Number, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    Column("request", Text, primary_key=True),
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
    Column("charter_digest", Text, comment="The charter it was asked under."),
    Column("seq", Number, nullable=False, comment="When it was submitted."),
    Column("updated_seq", Number, nullable=False),
)

releases = Table(
    "releases",
    metadata,
    Column("release", Text, primary_key=True),
    Column("collaboration", Text, nullable=False),
    Column("request", Text, nullable=False, unique=True),
    Column("template", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("receivers", Text, nullable=False, comment="JSON array of participants."),
    Column("expires_at", Text, nullable=False, comment="As `events.timestamp` writes it: sorts by time."),
    Column("recalled", Boolean, nullable=False),
    Column("outdated", Text, comment="people_withdrawn | contribution_withdrawn | superseded, once it is."),
    Column("recorded_at", Text, comment="When it was released: its days are counted from here."),
    Column("destroyed_at", Text, comment="When its files were removed from the shelf."),
    Column("seq", Number, nullable=False),
)

accesses = Table(
    "accesses",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=False),
    Column("collaboration", Text, nullable=False),
    Column("release", Text, nullable=False),
    Column("member", Text, nullable=False),
    Column("granted", Boolean, nullable=False),
    Column("detail", Text, comment="full | summary, when granted."),
    Column("code", Text, comment="Why not, when refused."),
)

receipts = Table(
    "receipts",
    metadata,
    Column("receipt_id", Text, primary_key=True),
    Column("collaboration", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("charter_digest", Text, comment="The charter it was given under."),
    Column("inputs", Text, comment="JSON array: receipts of the stages before."),
    Column("outputs", Text, comment="JSON object: name of an output → its digest."),
    Column("revoked", Boolean, nullable=False, comment="Taken back: proves what was, opens nothing."),
    Column("seq", Number, nullable=False),
    Index("receipts_by_subject", "subject", "stage"),
)

PROJECTIONS = (contributions, withdrawals, datasets, requests, releases, accesses, receipts)
