"""What retention asks: how old data is, what lies sealed, what replaced it, and the digests of files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from alembic import op
from sqlalchemy import Column, Connection, Text, text

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rows of before get what their events say; which contribution replaced which is told from now on."""
    for name, comment in (
        ("recorded_at", "When it was accepted or refused: its days are counted from here."),
        ("sealed", "Folder of what is sealed for its steward, while that is kept."),
        ("sealed_digest", "Of that folder."),
        ("supersedes", "The contribution or refusal that its manifest says it corrects."),
        ("superseded_by", "The newer one that took its place: its gate passed."),
        ("superseded_at", "When it did."),
    ):
        op.add_column("contributions", Column(name, Text, comment=comment))
    op.add_column(
        "releases",
        Column("recorded_at", Text, comment="When it was released: its days are counted from here."),
    )
    op.add_column(
        "releases", Column("destroyed_at", Text, comment="When its files were removed from the shelf.")
    )
    op.add_column("receipts", Column("outputs", Text, comment="JSON object: name of an output → its digest."))
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":  # SQLite keeps no comments
        op.alter_column("contributions", "status", comment="accepted | refused | repaired | destroyed")
    connection.execute(
        text(
            "UPDATE contributions SET recorded_at ="
            " (SELECT time FROM events WHERE events.seq = contributions.seq)"
        )
    )
    connection.execute(
        text(
            "UPDATE releases SET recorded_at = (SELECT time FROM events"
            " WHERE events.type = 'output.released' AND events.subject = releases.request)"
        )
    )
    for row in _events(connection, "contributions", "contribution"):
        if row.content["type"] == "contribution.refused":
            sealed = {"name": row.name, "sealed": row.content["payload"].get("sealed")}
            connection.execute(
                text("UPDATE contributions SET sealed = :sealed WHERE contribution = :name"), sealed
            )
    for row in _events(connection, "receipts", "receipt_id"):
        outputs = json.dumps(
            row.content["payload"]["receipt"]["outputs"], sort_keys=True, separators=(",", ":")
        )
        connection.execute(
            text("UPDATE receipts SET outputs = :outputs WHERE receipt_id = :name"),
            {"outputs": outputs, "name": row.name},
        )


class _Told:
    """A row's key, and the event that made it."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name, self.content = name, json.loads(bytes(content))


def _events(connection: Connection, table: str, key: str) -> Iterator[Any]:
    query = (
        f"SELECT {table}.{key} AS name, events.content AS content"  # noqa: S608  names of our own
        f" FROM {table} JOIN events ON events.seq = {table}.seq"
    )
    for row in connection.execute(text(query)).all():
        yield _Told(row.name, row.content)
