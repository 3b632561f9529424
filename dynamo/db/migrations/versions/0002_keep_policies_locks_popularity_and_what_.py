"""Keep policies, locks, popularity and what cycles decide."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from dynamo.db.tables.types import BIG, Utc, ascii_text

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "locks",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column(
            "identity",
            sa.LargeBinary()
            .with_variant(sa.BINARY(length=16), "mariadb")
            .with_variant(sa.BINARY(length=16), "mysql"),
            nullable=False,
        ),
        sa.Column("owner", ascii_text(64), nullable=False),
        sa.Column("dataset", ascii_text(500), nullable=False),
        sa.Column("block", ascii_text(100), nullable=True),
        sa.Column("sites", sa.JSON(), nullable=False),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.Column("why", sa.String(length=1000), nullable=True),
        sa.Column("created", Utc(), nullable=False),
        sa.Column("expires", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_locks")),
        sa.UniqueConstraint("identity", name=op.f("uq_locks_identity")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("locks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_locks_expires"), ["expires"], unique=False)
        batch_op.create_index(batch_op.f("ix_locks_owner_id"), ["owner", "id"], unique=False)

    op.create_table(
        "policies",
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
            ["partition_id"], ["partitions.id"], name=op.f("fk_policies_partition_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policies")),
        sa.UniqueConstraint(
            "partition_id", "version", name=op.f("uq_policies_partition_id_version")
        ),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "accesses",
        sa.Column("dataset_id", BIG, nullable=False),
        sa.Column("site_id", BIG, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("accesses", sa.BigInteger(), nullable=False),
        sa.Column("cpu_seconds", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_accesses_dataset_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_accesses_site_id")),
        sa.PrimaryKeyConstraint("dataset_id", "site_id", "day", name=op.f("pk_accesses")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("accesses", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_accesses_day"), ["day"], unique=False)
        batch_op.create_index(batch_op.f("ix_accesses_site_id"), ["site_id"], unique=False)

    op.create_table(
        "cycles",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("kind", ascii_text(32), nullable=False),
        sa.Column("partition_id", BIG, nullable=False),
        sa.Column("policy_id", BIG, nullable=True),
        sa.Column(
            "text",
            sa.Text()
            .with_variant(mysql.MEDIUMTEXT(), "mariadb")
            .with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("state", ascii_text(32), nullable=False),
        sa.Column("running_key", ascii_text(64), nullable=True),
        sa.Column("seed", BIG, nullable=False),
        sa.Column("who", ascii_text(64), nullable=False),
        sa.Column("trace", ascii_text(100), nullable=False),
        sa.Column("request_id", BIG, nullable=True),
        sa.Column("created", Utc(), nullable=False),
        sa.Column("started", Utc(), nullable=True),
        sa.Column("ended", Utc(), nullable=True),
        sa.Column("lease_owner", ascii_text(100), nullable=True),
        sa.Column("lease_no", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", Utc(), nullable=True),
        sa.Column("reason", ascii_text(32), nullable=True),
        sa.Column("error", sa.String(length=1000), nullable=True),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partition_id"], ["partitions.id"], name=op.f("fk_cycles_partition_id")
        ),
        sa.ForeignKeyConstraint(["policy_id"], ["policies.id"], name=op.f("fk_cycles_policy_id")),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name=op.f("fk_cycles_request_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cycles")),
        sa.UniqueConstraint("running_key", name=op.f("uq_cycles_running_key")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("cycles", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_cycles_kind_partition_id_id"),
            ["kind", "partition_id", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_cycles_state_lease_until"), ["state", "lease_until"], unique=False
        )

    op.create_table(
        "demands",
        sa.Column("dataset_id", BIG, nullable=False),
        sa.Column("source", ascii_text(64), nullable=False),
        sa.Column("since", Utc(), nullable=False),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_demands_dataset_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("dataset_id", "source", "since", name=op.f("pk_demands")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("demands", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_demands_since"), ["since"], unique=False)

    op.create_table(
        "decisions",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("cycle_id", BIG, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("site", ascii_text(64), nullable=False),
        sa.Column("dataset", ascii_text(500), nullable=False),
        sa.Column("block", ascii_text(100), nullable=True),
        sa.Column("action", ascii_text(32), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.String(length=1000), nullable=False),
        sa.Column("n_files", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("refused", ascii_text(32), nullable=True),
        sa.ForeignKeyConstraint(
            ["cycle_id"], ["cycles.id"], name=op.f("fk_decisions_cycle_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
        sa.UniqueConstraint("cycle_id", "position", name=op.f("uq_decisions_cycle_id_position")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_decisions_cycle_id_site_position"),
            ["cycle_id", "site", "position"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_decisions_dataset_site_cycle_id"),
            ["dataset", "site", "cycle_id"],
            unique=False,
        )

    with op.batch_alter_table("partitions", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("allow_last_copy", sa.Boolean(), server_default=sa.text("0"), nullable=False)
        )
