"""Who lent a role in an emergency: the one who is not asked whether that was right."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Emergencies of before have no lender on record; `glasshouse audit replay` names them as they were."""
    op.add_column(
        "grants",
        Column("lender", Text, comment="Of an emergency: who lent the role, and looks not at it afterwards."),
    )
