"""keep placement rules."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from dynamo.db.tables.types import BIG, Utc, ascii_text

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "placement_rules",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("partition_id", BIG, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column(
            "text",
            sa.Text()
            .with_variant(mysql.MEDIUMTEXT(), "mariadb")
            .with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=False,
        ),
        sa.Column("who", ascii_text(64), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partition_id"], ["partitions.id"], name=op.f("fk_placement_rules_partition_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_placement_rules")),
        sa.UniqueConstraint(
            "partition_id", "version", name=op.f("uq_placement_rules_partition_id_version")
        ),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
