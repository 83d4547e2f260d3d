"""When a session was last used, so that one that nobody uses ends before its time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Sessions of an older larder count as used just now, the first time they are seen."""
    op.add_column("sessions", sa.Column("seen_at", sa.DateTime(timezone=True)))
