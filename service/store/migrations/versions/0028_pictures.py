"""Uploaded pictures, and what a story's picture shows."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Go to this step. The release before keeps working: it knows neither table nor column."""
    op.add_column("story", sa.Column("image_alt", sa.Text(), nullable=True))
    op.create_table(
        "picture",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("uploaded_by", sa.Text(), nullable=False),
        sa.Column(
            "uploaded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("used", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.create_index(
        "picture_unused", "picture", ["uploaded_at"], postgresql_where=sa.text("NOT used")
    )
    op.create_table(
        "picture_file",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
    )


def downgrade() -> None:
    """Go back; stories lose the pictures that were uploaded."""
    op.drop_table("picture_file")
    op.drop_table("picture")
    op.drop_column("story", "image_alt")
