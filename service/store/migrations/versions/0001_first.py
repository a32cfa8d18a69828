"""The first schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

BEYOND_TABLES = (
    # ids and states are random bytes: compressing them costs time and gains nothing
    "ALTER TABLE batch ALTER COLUMN device_ids SET STORAGE EXTERNAL",
    "ALTER TABLE batch ALTER COLUMN states SET STORAGE EXTERNAL",
    # a batch's row is written several times a second while it is sent: clean up early, in haste
    """
    ALTER TABLE batch SET (
        autovacuum_vacuum_scale_factor = 0.02,
        autovacuum_vacuum_cost_delay = 0,
        toast.autovacuum_vacuum_scale_factor = 0.02,
        toast.autovacuum_vacuum_cost_delay = 0
    )
    """,
    # retries come and go: by its size the table would look clean for too long
    """
    ALTER TABLE retry SET (
        autovacuum_vacuum_scale_factor = 0,
        autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_scale_factor = 0,
        autovacuum_analyze_threshold = 2000
    )
    """,
    # the audit trail only grows
    """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END
    $$
    """,
    """
    CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)


def upgrade() -> None:  # noqa: PLR0915 - a table or an index a line
    op.create_table(
        "api_key",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("secret_hash"),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "audit_newest",
        "audit",
        [sa.literal_column("at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "follow_up",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("ticket", sa.Text(), nullable=False),
        sa.Column("device_id", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("provider", "ticket"),
    )
    op.create_index("follow_up_due", "follow_up", ["provider", "due_at"], unique=False)
    op.create_table(
        "hold",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("held_by", sa.Text(), nullable=False),
        sa.Column(
            "since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("probe_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("provider"),
    )
    op.create_table(
        "idempotency",
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("caller", "endpoint", "key"),
    )
    op.create_index("idempotency_age", "idempotency", ["created_at"], unique=False)
    op.create_table(
        "staff",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("totp_secret", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("email"),
    )
    op.create_table(
        "story",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("source_uri", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("headline", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("topics", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("image_url", sa.Text(), nullable=True),
        sa.Column("urgency", sa.SmallInteger(), nullable=True),
        sa.Column("embargo_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("slug"),
        sa.UniqueConstraint("source_uri"),
    )
    op.create_index(
        "story_newest",
        "story",
        [sa.literal_column("published_at DESC"), sa.literal_column("id DESC")],
        unique=False,
        postgresql_where=sa.text("state IN ('published', 'corrected')"),
    )
    op.create_index("story_topics", "story", ["topics"], unique=False, postgresql_using="gin")
    op.create_index(
        "story_updated",
        "story",
        [sa.literal_column("updated_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "time_zone", sa.Column("name", sa.Text(), nullable=False), sa.PrimaryKeyConstraint("name")
    )
    op.create_table(
        "topic",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("path"),
    )
    op.create_index("topic_tree", "topic", [sa.literal_column('path COLLATE "C"')], unique=False)
    op.create_table(
        "worker",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("queues", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column(
            "last_seen", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "alert",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("story_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("void", sa.Boolean(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("locales", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("urgency", sa.SmallInteger(), nullable=False),
        sa.Column("topics", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("everyone", sa.Boolean(), nullable=False),
        sa.Column("topic_ids", postgresql.ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("above", postgresql.ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("collapse_key", sa.Text(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("source_alert_id", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("takes_over", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("send_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ttl_s", sa.Integer(), server_default="14400", nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("page_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stop_reason", sa.Text(), nullable=True),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.Column(
            "rejected_by",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["source_alert_id"], ["alert.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "alert_newest",
        "alert",
        [sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "alert_one_first",
        "alert",
        ["story_id"],
        unique=True,
        postgresql_where=sa.text("kind = 'first' AND NOT dry_run AND NOT void"),
    )
    op.create_index(
        "alert_open",
        "alert",
        ["state"],
        unique=False,
        postgresql_where=sa.text("state IN ('scheduled', 'planning', 'sending', 'stopped')"),
    )
    op.create_index("alert_story", "alert", ["story_id"], unique=False)
    op.create_table(
        "autosave",
        sa.Column("staff_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("story_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "saved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("staff_id", "story_id"),
    )
    op.create_table(
        "reader",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("quiet_from", sa.Time(), nullable=True),
        sa.Column("quiet_to", sa.Time(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("(quiet_from IS NULL) = (quiet_to IS NULL)", name="reader_quiet_both"),
        sa.ForeignKeyConstraint(
            ["timezone"],
            ["time_zone.name"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_index(
        "reader_quiet",
        "reader",
        ["id"],
        unique=False,
        postgresql_include=["timezone", "quiet_from", "quiet_to"],
        postgresql_where=sa.text("quiet_from <> quiet_to"),
    )
    op.create_table(
        "revision",
        sa.Column("story_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("saved_by", sa.Text(), nullable=False),
        sa.Column(
            "saved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("story_id", "version"),
    )
    op.create_table(
        "second_look",
        sa.Column("story_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("draft", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("asked_by", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "asked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["asked_by"], ["staff.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("story_id"),
    )
    op.create_table(
        "staff_session",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("staff_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    op.create_table(
        "batch",
        sa.Column("alert_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("shard_n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("device_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("states", sa.LargeBinary(), nullable=False),
        sa.Column("counts", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column(
            "progress",
            postgresql.ARRAY(sa.Integer()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column(
            "claimable_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("lease_token", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("alert_id", "shard_n", "n"),
        postgresql_with={"fillfactor": "60"},
    )
    op.create_index(
        "batch_fresh",
        "batch",
        ["alert_id", "provider", "shard_n", "n"],
        unique=False,
        postgresql_where=sa.text("started_at IS NULL AND finished_at IS NULL"),
    )
    op.create_index(
        "batch_open",
        "batch",
        ["alert_id", "provider", "shard_n", "n"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("alert_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("shard_n", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("positions", postgresql.ARRAY(sa.SmallInteger()), nullable=False),
        sa.Column(
            "buried_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("replayed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("replayed_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("dead_letter_batch", "dead_letter", ["alert_id", "shard_n", "n"], unique=False)
    op.create_index(
        "dead_letter_newest",
        "dead_letter",
        [sa.literal_column("buried_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "device",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reader_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("address_hash", sa.LargeBinary(), nullable=False),
        sa.Column("p256dh", sa.Text(), nullable=True),
        sa.Column("auth", sa.Text(), nullable=True),
        sa.Column("locale", sa.Text(), server_default="", nullable=False),
        sa.Column("app_version", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "registered_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("suspect_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gone_why", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["reader_id"], ["reader.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "device_address",
        "device",
        ["address_hash"],
        unique=True,
        postgresql_where=sa.text("gone_at IS NULL"),
    )
    op.create_index(
        "device_reader",
        "device",
        ["reader_id"],
        unique=False,
        postgresql_include=["id", "provider", "gone_at"],
    )
    op.create_table(
        "receipt",
        sa.Column("alert_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("shard_n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("marks", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("alert_id", "shard_n", "n"),
    )
    op.create_table(
        "retry",
        sa.Column("alert_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("shard_n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("alert_id", "shard_n", "n", "position"),
    )
    op.create_table(
        "shard",
        sa.Column("alert_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("lo", sa.BigInteger(), nullable=False),
        sa.Column("hi", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("alert_id", "n"),
    )
    op.create_index(
        "shard_open", "shard", ["alert_id", "n"], unique=False, postgresql_where=sa.text("NOT done")
    )
    op.create_table(
        "subscription",
        sa.Column("reader_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("topic_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("least_urgency", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("muted_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["reader_id"], ["reader.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["topic_id"], ["topic.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("reader_id", "topic_id"),
    )
    op.create_index(
        "subscription_fan_out",
        "subscription",
        ["topic_id", "reader_id"],
        unique=False,
        postgresql_include=["least_urgency", "muted_until"],
    )
    op.create_index(
        "subscription_muted",
        "subscription",
        ["reader_id", "topic_id"],
        unique=False,
        postgresql_include=["muted_until"],
        postgresql_where=sa.text("muted_until IS NOT NULL"),
    )
    for statement in BEYOND_TABLES:
        op.execute(statement)


def downgrade() -> None:  # noqa: PLR0915 - the same
    op.drop_index(
        "subscription_muted",
        table_name="subscription",
        postgresql_include=["muted_until"],
        postgresql_where=sa.text("muted_until IS NOT NULL"),
    )
    op.drop_index(
        "subscription_fan_out",
        table_name="subscription",
        postgresql_include=["least_urgency", "muted_until"],
    )
    op.drop_table("subscription")
    op.drop_index("shard_open", table_name="shard", postgresql_where=sa.text("NOT done"))
    op.drop_table("shard")
    op.drop_table("retry")
    op.drop_table("receipt")
    op.drop_index(
        "device_reader", table_name="device", postgresql_include=["id", "provider", "gone_at"]
    )
    op.drop_index(
        "device_address", table_name="device", postgresql_where=sa.text("gone_at IS NULL")
    )
    op.drop_table("device")
    op.drop_index("dead_letter_newest", table_name="dead_letter")
    op.drop_index("dead_letter_batch", table_name="dead_letter")
    op.drop_table("dead_letter")
    op.drop_index("batch_open", table_name="batch", postgresql_where=sa.text("finished_at IS NULL"))
    op.drop_index(
        "batch_fresh",
        table_name="batch",
        postgresql_where=sa.text("started_at IS NULL AND finished_at IS NULL"),
    )
    op.drop_table("batch")
    op.drop_table("staff_session")
    op.drop_table("second_look")
    op.drop_table("revision")
    op.drop_index(
        "reader_quiet",
        table_name="reader",
        postgresql_include=["timezone", "quiet_from", "quiet_to"],
        postgresql_where=sa.text("quiet_from <> quiet_to"),
    )
    op.drop_table("reader")
    op.drop_table("autosave")
    op.drop_index("alert_story", table_name="alert")
    op.drop_index(
        "alert_open",
        table_name="alert",
        postgresql_where=sa.text("state IN ('scheduled', 'planning', 'sending', 'stopped')"),
    )
    op.drop_index(
        "alert_one_first",
        table_name="alert",
        postgresql_where=sa.text("kind = 'first' AND NOT dry_run AND NOT void"),
    )
    op.drop_index("alert_newest", table_name="alert")
    op.drop_table("alert")
    op.drop_table("worker")
    op.drop_index("topic_tree", table_name="topic")
    op.drop_table("topic")
    op.drop_table("time_zone")
    op.drop_index("story_updated", table_name="story")
    op.drop_index("story_topics", table_name="story", postgresql_using="gin")
    op.drop_index(
        "story_newest",
        table_name="story",
        postgresql_where=sa.text("state IN ('published', 'corrected')"),
    )
    op.drop_table("story")
    op.drop_table("staff")
    op.drop_index("idempotency_age", table_name="idempotency")
    op.drop_table("idempotency")
    op.drop_table("hold")
    op.drop_index("follow_up_due", table_name="follow_up")
    op.drop_table("follow_up")
    op.drop_index("audit_newest", table_name="audit")
    op.drop_table("audit")
    op.drop_table("api_key")
    op.execute("DROP FUNCTION refuse_change()")
