"""Apps to push through, and readers whom the publisher knows by an id of its own."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Go to this step.

    No row is written: a provider's settings are its default app, and every device of before
    belongs to that. New columns of large tables are empty or have a constant default.
    """
    op.create_table(
        "app",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("options", postgresql.JSONB(), nullable=False),
        sa.Column("credentials", sa.LargeBinary(), nullable=True),
        sa.Column("login_key", sa.LargeBinary(), nullable=True),
        sa.Column("origins", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("prompt", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.add_column("device", sa.Column("vapid_key", sa.Text(), nullable=True))
    op.add_column("alert", sa.Column("apps", postgresql.ARRAY(sa.Text()), nullable=True))
    op.add_column(
        "alert", sa.Column("one_device", sa.Boolean(), nullable=False, server_default="false")
    )
    _add_people()


def _add_people() -> None:
    op.add_column("reader", sa.Column("external_id", sa.Text(), nullable=True))
    op.create_index(
        "reader_external_id",
        "reader",
        ["external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_table(
        "reader_login",
        sa.Column("token_hash", sa.LargeBinary(), primary_key=True),
        sa.Column(
            "reader_id",
            sa.BigInteger(),
            sa.ForeignKey("reader.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("device_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
    )
    op.create_index("reader_login_reader", "reader_login", ["reader_id"])


def downgrade() -> None:
    """Go back."""
    op.drop_table("reader_login")
    op.drop_index("reader_external_id", "reader")
    op.drop_column("reader", "external_id")
    op.drop_column("alert", "one_device")
    op.drop_column("alert", "apps")
    op.drop_column("device", "vapid_key")
    op.drop_table("app")
