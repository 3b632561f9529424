"""keep for how long dying sites are watched."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from dynamo.db.tables.types import BIG, Utc

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "vigils",
        sa.Column("site_id", BIG, nullable=False),
        sa.Column("begun", Utc(), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("watched", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_vigils_site_id")),
        sa.PrimaryKeyConstraint("site_id", name=op.f("pk_vigils")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
