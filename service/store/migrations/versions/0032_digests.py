"""What quiet hours kept from whom, and the digests that tell it; sends are kept unchecked."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    """Go to this step."""
    op.drop_constraint("recent_send_alert_id_fkey", "recent_send")
    op.create_index("reader_digest", "reader", ["id"], postgresql_where=sa.text("digest"))
    op.create_index(
        "reader_digest_end",
        "reader",
        ["timezone", "quiet_to"],
        postgresql_where=sa.text("digest AND quiet_from <> quiet_to"),
    )
    missed: sa.Column[list[int]] = sa.Column("missed", postgresql.ARRAY(sa.BigInteger()))
    op.add_column("batch", missed)
    op.create_table(
        "missed_alert",
        sa.Column(
            "alert_id",
            sa.BigInteger(),
            sa.ForeignKey("alert.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("shard_n", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("reader_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
    )
    op.create_table(
        "digest",
        sa.Column("end_at", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("begin_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("alert_id", sa.BigInteger(), sa.ForeignKey("alert.id", ondelete="CASCADE")),
    )
    op.create_index("digest_alert", "digest", ["alert_id"], unique=True)
    op.create_table(
        "last_digest",
        sa.Column(
            "reader_id",
            sa.BigInteger(),
            sa.ForeignKey("reader.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """Go back; digests that were sent are gone with their deliveries."""
    op.execute("DELETE FROM alert WHERE kind = 'digest'")
    for table in ("last_digest", "digest", "missed_alert"):
        op.drop_table(table)
    op.drop_column("batch", "missed")
    for index in ("reader_digest_end", "reader_digest"):
        op.drop_index(index, "reader")
    op.execute("DELETE FROM recent_send")
    op.create_foreign_key(
        "recent_send_alert_id_fkey",
        "recent_send",
        "alert",
        ["alert_id"],
        ["id"],
        ondelete="CASCADE",
    )
