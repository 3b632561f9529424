"""Keep traffic, downtimes, feeds and probes."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from dynamo.db.tables.types import BIG, Utc, ascii_text

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "feeds",
        sa.Column("name", ascii_text(64), nullable=False),
        sa.Column("tried", Utc(), nullable=False),
        sa.Column("taken", Utc(), nullable=True),
        sa.Column("generated", Utc(), nullable=True),
        sa.Column("reason", ascii_text(32), nullable=True),
        sa.Column("detail", sa.String(length=1000), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_feeds")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "breakers",
        sa.Column("site_id", BIG, nullable=False),
        sa.Column("operation", ascii_text(32), nullable=False),
        sa.Column("failed", sa.Double(), nullable=False),
        sa.Column("done", sa.Double(), nullable=False),
        sa.Column("counted", Utc(), nullable=False),
        sa.Column("until", Utc(), nullable=True),
        sa.Column("trips", sa.BigInteger(), nullable=False),
        sa.Column("reason", ascii_text(32), nullable=True),
        sa.Column("detail", sa.String(length=1000), nullable=True),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_breakers_site_id")),
        sa.PrimaryKeyConstraint("site_id", "operation", name=op.f("pk_breakers")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "downtimes",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("site_id", BIG, nullable=False),
        sa.Column("source", ascii_text(64), nullable=False),
        sa.Column("begins", Utc(), nullable=False),
        sa.Column("ends", Utc(), nullable=False),
        sa.Column("why", sa.String(length=1000), nullable=True),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_downtimes_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_downtimes")),
        sa.UniqueConstraint(
            "site_id", "source", "begins", name=op.f("uq_downtimes_site_id_source_begins")
        ),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("downtimes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_downtimes_ends"), ["ends"], unique=False)

    op.create_table(
        "links",
        sa.Column("source_id", BIG, nullable=False),
        sa.Column("site_id", BIG, nullable=False),
        sa.Column("bytes", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("updated", Utc(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_links_site_id")),
        sa.ForeignKeyConstraint(["source_id"], ["sites.id"], name=op.f("fk_links_source_id")),
        sa.PrimaryKeyConstraint("source_id", "site_id", name=op.f("pk_links")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("links", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_links_site_id"), ["site_id"], unique=False)

    op.create_table(
        "probes",
        sa.Column("site_id", BIG, nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("usable", sa.Boolean(), nullable=False),
        sa.Column("streak", sa.BigInteger(), nullable=False),
        sa.Column("reason", ascii_text(32), nullable=True),
        sa.Column("detail", sa.String(length=1000), nullable=True),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_probes_site_id")),
        sa.PrimaryKeyConstraint("site_id", name=op.f("pk_probes")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "streams",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("owner", ascii_text(100), nullable=False),
        sa.Column("user_id", BIG, nullable=False),
        sa.Column("source_id", BIG, nullable=False),
        sa.Column("site_id", BIG, nullable=False),
        sa.Column("until", Utc(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_streams_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_streams")),
        sa.UniqueConstraint("owner", name=op.f("uq_streams_owner")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("streams", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_streams_source_id"), ["source_id"], unique=False)

    op.create_table(
        "parked",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("request_id", BIG, nullable=False),
        sa.Column("user_id", BIG, nullable=False),
        sa.Column("source_id", BIG, nullable=False),
        sa.Column("site_id", BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"], ["requests.id"], name=op.f("fk_parked_request_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_parked_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parked")),
        sa.UniqueConstraint(
            "request_id",
            "source_id",
            "site_id",
            name=op.f("uq_parked_request_id_source_id_site_id"),
        ),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("sites", schema=None) as batch_op:
        batch_op.add_column(sa.Column("since", Utc(), nullable=True))
        batch_op.add_column(sa.Column("set_by", ascii_text(32), nullable=True))
        batch_op.add_column(sa.Column("max_streams", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("max_link_streams", sa.BigInteger(), nullable=True))

    with op.batch_alter_table("transfers", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_transfers_request_id_state_hinted"),
            ["request_id", "state", "hinted"],
            unique=False,
        )
        # last, as the foreign key needs one of the two
        batch_op.drop_index(batch_op.f("ix_transfers_request_id_state"))
