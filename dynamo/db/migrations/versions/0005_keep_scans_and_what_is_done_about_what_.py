"""keep scans and what is done about what they find."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from dynamo.db.tables.types import BIG, Utc, ascii_text

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "remedies",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("kind", ascii_text(32), nullable=False),
        sa.Column("found", ascii_text(32), nullable=False),
        sa.Column("site_id", BIG, nullable=False),
        sa.Column("scan_id", BIG, nullable=False),
        sa.Column("open_key", ascii_text(64), nullable=True),
        sa.Column("lfn", ascii_text(500), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("modified", Utc(), nullable=True),
        sa.Column("aside", ascii_text(500), nullable=True),
        sa.Column("state", ascii_text(32), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("lost", sa.BigInteger(), nullable=False),
        sa.Column("not_before", Utc(), nullable=True),
        sa.Column("hinted", Utc(), nullable=False),
        sa.Column("lease_owner", ascii_text(100), nullable=True),
        sa.Column("lease_no", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", Utc(), nullable=True),
        sa.Column("reason", ascii_text(32), nullable=True),
        sa.Column("error", sa.String(length=1000), nullable=True),
        sa.Column("created", Utc(), nullable=False),
        sa.Column("updated", Utc(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_remedies_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remedies")),
        sa.UniqueConstraint("open_key", name=op.f("uq_remedies_open_key")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("remedies", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_remedies_site_id_id"), ["site_id", "id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_remedies_state_not_before"), ["state", "not_before"], unique=False
        )

    op.create_table(
        "scans",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("site_id", BIG, nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("state", ascii_text(32), nullable=False),
        sa.Column("running_key", ascii_text(64), nullable=True),
        sa.Column(
            "endpoint",
            sa.LargeBinary()
            .with_variant(sa.BINARY(length=16), "mariadb")
            .with_variant(sa.BINARY(length=16), "mysql"),
            nullable=True,
        ),
        sa.Column("who", ascii_text(64), nullable=False),
        sa.Column("trace", ascii_text(100), nullable=False),
        sa.Column("created", Utc(), nullable=False),
        sa.Column("started", Utc(), nullable=True),
        sa.Column("ended", Utc(), nullable=True),
        sa.Column("lease_owner", ascii_text(100), nullable=True),
        sa.Column("lease_no", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", Utc(), nullable=True),
        sa.Column("reason", ascii_text(32), nullable=True),
        sa.Column("error", sa.String(length=1000), nullable=True),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_scans_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scans")),
        sa.UniqueConstraint("running_key", name=op.f("uq_scans_running_key")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("scans", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_scans_site_id_id"), ["site_id", "id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_scans_state_lease_until"), ["state", "lease_until"], unique=False
        )

    op.create_table(
        "sightings",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("site_id", BIG, nullable=False),
        sa.Column("kind", ascii_text(32), nullable=False),
        sa.Column("lfn", ascii_text(500), nullable=False),
        sa.Column(
            "lfn_hash",
            sa.LargeBinary()
            .with_variant(sa.BINARY(length=16), "mariadb")
            .with_variant(sa.BINARY(length=16), "mysql"),
            nullable=False,
        ),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("modified", Utc(), nullable=True),
        sa.Column("first", Utc(), nullable=False),
        sa.Column("last", Utc(), nullable=False),
        sa.Column("scan_id", BIG, nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_sightings_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sightings")),
        sa.UniqueConstraint("site_id", "lfn_hash", name=op.f("uq_sightings_site_id_lfn_hash")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("incidents", schema=None) as batch_op:
        batch_op.add_column(sa.Column("dataset", ascii_text(500), nullable=True))
        batch_op.add_column(sa.Column("owner", ascii_text(64), nullable=True))
        batch_op.add_column(sa.Column("ended", Utc(), nullable=True))
        batch_op.create_index(batch_op.f("ix_incidents_ended_id"), ["ended", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_incidents_owner_id"), ["owner", "id"], unique=False)
