"""Roles and lockout, stock and images, likes, carts and orders."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make a shop of the list of meals."""
    moment = sa.DateTime(timezone=True)
    # Columns are added one by one: SQLite's other way, a copy of the table in place of the old
    # one, would delete by cascade what refers to it.
    op.add_column(
        "users", sa.Column("role", sa.String(20), nullable=False, server_default="customer")
    )
    op.add_column(
        "users", sa.Column("failed_logins", sa.Integer, nullable=False, server_default="0")
    )
    op.add_column("users", sa.Column("locked_until", moment))
    # Nobody has counted yet what an older larder sold without counting.
    op.add_column("meals", sa.Column("stock", sa.Integer, nullable=False, server_default="20"))
    op.add_column("meals", sa.Column("image", sa.String(64)))
    op.create_table(
        "images",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("media_type", sa.String(20), nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "likes",
        sa.Column(
            "user_id", sa.Integer, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column(
            "meal_id",
            sa.Integer,
            sa.ForeignKey("meals.id", ondelete="CASCADE"),
            primary_key=True,
            index=True,
        ),
    )
    op.create_table(
        "cart_lines",
        sa.Column(
            "user_id", sa.Integer, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column(
            "meal_id",
            sa.Integer,
            sa.ForeignKey("meals.id", ondelete="CASCADE"),
            primary_key=True,
            index=True,
        ),
        sa.Column("quantity", sa.Integer, nullable=False),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "user_id",
            sa.Integer,
            sa.ForeignKey("users.id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        sa.Column("placed_at", moment, nullable=False),
        sa.Column("total_cents", sa.Integer, nullable=False),
        sa.Column("status", sa.String(20), nullable=False, index=True),
        sa.Column("payment_reference", sa.String(64)),
    )
    op.create_table(
        "order_lines",
        sa.Column(
            "order_id", sa.Integer, sa.ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column(
            "meal_id", sa.Integer, sa.ForeignKey("meals.id", ondelete="SET NULL"), index=True
        ),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("price_cents", sa.Integer, nullable=False),
    )
