"""keep what feeds said of sites."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from dynamo.db.tables.types import BIG, ascii_text

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "told_statuses",
        sa.Column("site_id", BIG, nullable=False),
        sa.Column("source", ascii_text(64), nullable=False),
        sa.Column("status", ascii_text(32), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_told_statuses_site_id")),
        sa.PrimaryKeyConstraint("site_id", "source", name=op.f("pk_told_statuses")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    # which feed has put a site aside was not kept: each may have, until it is read again
    op.execute(
        "INSERT INTO told_statuses (site_id, source, status)"
        " SELECT sites.id, feeds.name, 'waitroom' FROM sites CROSS JOIN feeds"
        " WHERE sites.status = 'waitroom' AND sites.set_by = 'feed'"
    )
