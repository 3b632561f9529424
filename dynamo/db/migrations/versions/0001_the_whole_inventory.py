"""The whole inventory."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from dynamo.db.tables.types import BIG, Utc, ascii_text

revision: str = "0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "answers",
        sa.Column("caller", ascii_text(64), nullable=False),
        sa.Column("key", ascii_text(255), nullable=False),
        sa.Column(
            "body_hash",
            sa.LargeBinary()
            .with_variant(sa.BINARY(length=16), "mariadb")
            .with_variant(sa.BINARY(length=16), "mysql"),
            nullable=False,
        ),
        sa.Column("request_id", BIG, nullable=False),
        sa.Column(
            "answer",
            sa.LargeBinary()
            .with_variant(mysql.MEDIUMBLOB(), "mariadb")
            .with_variant(mysql.MEDIUMBLOB(), "mysql"),
            nullable=False,
        ),
        sa.Column("created", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("caller", "key", name=op.f("pk_answers")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("answers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_answers_created"), ["created"], unique=False)

    op.create_table(
        "groups",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("name", ascii_text(64), nullable=False),
        sa.Column("level", ascii_text(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_groups")),
        sa.UniqueConstraint("name", name=op.f("uq_groups_name")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "history",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("who", ascii_text(64), nullable=False),
        sa.Column("what", ascii_text(32), nullable=False),
        sa.Column("dataset", ascii_text(500), nullable=True),
        sa.Column("block", ascii_text(100), nullable=True),
        sa.Column("lfn", ascii_text(500), nullable=True),
        sa.Column("site", ascii_text(64), nullable=True),
        sa.Column("n_files", sa.BigInteger(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("request_id", BIG, nullable=True),
        sa.Column("trace", ascii_text(100), nullable=False),
        sa.Column("why", sa.String(length=1000), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_history")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("history", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_history_block_id"), ["block", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_history_dataset_id"), ["dataset", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_history_lfn_id"), ["lfn", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_history_site_id"), ["site", "id"], unique=False)

    op.create_table(
        "incidents",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("lfn", ascii_text(500), nullable=False),
        sa.Column("site", ascii_text(64), nullable=False),
        sa.Column("kind", ascii_text(32), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("detail", sa.String(length=1000), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
        sa.UniqueConstraint("lfn", "site", "kind", name=op.f("uq_incidents_lfn_site_kind")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "partitions",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("name", ascii_text(64), nullable=False),
        sa.Column(
            "definition",
            sa.Text()
            .with_variant(mysql.MEDIUMTEXT(), "mariadb")
            .with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partitions")),
        sa.UniqueConstraint("name", name=op.f("uq_partitions_name")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "pulses",
        sa.Column("name", ascii_text(64), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("owner", ascii_text(100), nullable=True),
        sa.Column("until", Utc(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_pulses")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "sites",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("name", ascii_text(64), nullable=False),
        sa.Column("kind", ascii_text(32), nullable=False),
        sa.Column("status", ascii_text(32), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("scratch", sa.JSON(), nullable=False),
        sa.Column("sources", sa.JSON(), nullable=False),
        sa.Column("created", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sites")),
        sa.UniqueConstraint("name", name=op.f("uq_sites_name")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "switches",
        sa.Column("name", ascii_text(80), nullable=False),
        sa.Column("stopped", sa.Boolean(), nullable=False),
        sa.Column("who", ascii_text(64), nullable=False),
        sa.Column("why", sa.String(length=1000), nullable=True),
        sa.Column("at", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_switches")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "users",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("name", ascii_text(64), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("max_bytes", sa.BigInteger(), nullable=True),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("n_files", sa.BigInteger(), nullable=False),
        sa.Column("created", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "datasets",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("name", ascii_text(500), nullable=False),
        sa.Column("owner_id", BIG, nullable=True),
        sa.Column("partition_id", BIG, nullable=False),
        sa.Column("group_id", BIG, nullable=True),
        sa.Column("status", ascii_text(32), nullable=False),
        sa.Column("type", ascii_text(32), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("n_files", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created", Utc(), nullable=False),
        sa.Column("updated", Utc(), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name=op.f("fk_datasets_group_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_datasets_owner_id")),
        sa.ForeignKeyConstraint(
            ["partition_id"], ["partitions.id"], name=op.f("fk_datasets_partition_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
        sa.UniqueConstraint("name", name=op.f("uq_datasets_name")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("datasets", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_datasets_owner_id_name"), ["owner_id", "name"], unique=False
        )

    op.create_table(
        "quotas",
        sa.Column("site_id", BIG, nullable=False),
        sa.Column("partition_id", BIG, nullable=False),
        sa.Column("max_bytes", sa.BigInteger(), nullable=True),
        sa.Column("projected", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partition_id"], ["partitions.id"], name=op.f("fk_quotas_partition_id")
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_quotas_site_id")),
        sa.PrimaryKeyConstraint("site_id", "partition_id", name=op.f("pk_quotas")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "requests",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("kind", ascii_text(32), nullable=False),
        sa.Column("state", ascii_text(32), nullable=False),
        sa.Column("owner_id", BIG, nullable=False),
        sa.Column("dataset", ascii_text(500), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("n_files", sa.BigInteger(), nullable=False),
        sa.Column("n_done", sa.BigInteger(), nullable=False),
        sa.Column("n_failed", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("bytes_done", sa.BigInteger(), nullable=False),
        sa.Column("reason", ascii_text(32), nullable=True),
        sa.Column("detail", sa.String(length=1000), nullable=True),
        sa.Column("not_before", Utc(), nullable=True),
        sa.Column("trace", ascii_text(100), nullable=False),
        sa.Column("created", Utc(), nullable=False),
        sa.Column("updated", Utc(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_requests_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requests")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("requests", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_requests_dataset_id"), ["dataset", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_requests_kind_id"), ["kind", "id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_requests_owner_id_id"), ["owner_id", "id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_requests_state_not_before"), ["state", "not_before"], unique=False
        )

    op.create_table(
        "blocks",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("dataset_id", BIG, nullable=False),
        sa.Column("site_id", BIG, nullable=True),
        sa.Column("uuid", ascii_text(100), nullable=False),
        sa.Column("open_key", ascii_text(64), nullable=True),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("n_files", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created", Utc(), nullable=False),
        sa.Column("last_file", Utc(), nullable=False),
        sa.Column("closed_at", Utc(), nullable=True),
        sa.Column("condemned_by", BIG, nullable=True),
        sa.ForeignKeyConstraint(
            ["condemned_by"], ["requests.id"], name=op.f("fk_blocks_condemned_by")
        ),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_blocks_dataset_id")),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_blocks_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blocks")),
        sa.UniqueConstraint("dataset_id", "uuid", name=op.f("uq_blocks_dataset_id_uuid")),
        sa.UniqueConstraint("open_key", name=op.f("uq_blocks_open_key")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "dataset_replicas",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("dataset_id", BIG, nullable=False),
        sa.Column("site_id", BIG, nullable=False),
        sa.Column("group_id", BIG, nullable=True),
        sa.Column("growing", sa.Boolean(), nullable=False),
        sa.Column("created", Utc(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_dataset_replicas_dataset_id")
        ),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name=op.f("fk_dataset_replicas_group_id")
        ),
        sa.ForeignKeyConstraint(
            ["site_id"], ["sites.id"], name=op.f("fk_dataset_replicas_site_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_replicas")),
        sa.UniqueConstraint(
            "dataset_id", "site_id", name=op.f("uq_dataset_replicas_dataset_id_site_id")
        ),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("dataset_replicas", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_dataset_replicas_site_id"), ["site_id"], unique=False)

    op.create_table(
        "block_replicas",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("block_id", BIG, nullable=False),
        sa.Column("dataset_id", BIG, nullable=False),
        sa.Column("site_id", BIG, nullable=False),
        sa.Column("group_id", BIG, nullable=True),
        sa.Column("partition_id", BIG, nullable=False),
        sa.Column("request_id", BIG, nullable=True),
        sa.Column("custodial", sa.Boolean(), nullable=False),
        sa.Column("state", ascii_text(32), nullable=False),
        sa.Column("n_files", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("in_use", sa.BigInteger(), nullable=False),
        sa.Column("created", Utc(), nullable=False),
        sa.Column("updated", Utc(), nullable=False),
        sa.ForeignKeyConstraint(
            ["block_id"], ["blocks.id"], name=op.f("fk_block_replicas_block_id")
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_block_replicas_dataset_id")
        ),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name=op.f("fk_block_replicas_group_id")
        ),
        sa.ForeignKeyConstraint(
            ["partition_id"], ["partitions.id"], name=op.f("fk_block_replicas_partition_id")
        ),
        sa.ForeignKeyConstraint(
            ["request_id"], ["requests.id"], name=op.f("fk_block_replicas_request_id")
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_block_replicas_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_block_replicas")),
        sa.UniqueConstraint("block_id", "site_id", name=op.f("uq_block_replicas_block_id_site_id")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("block_replicas", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_block_replicas_dataset_id_site_id"),
            ["dataset_id", "site_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_block_replicas_request_id"), ["request_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_block_replicas_site_id_partition_id"),
            ["site_id", "partition_id"],
            unique=False,
        )

    op.create_table(
        "files",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("dataset_id", BIG, nullable=False),
        sa.Column("block_id", BIG, nullable=True),
        sa.Column("lfn", ascii_text(500), nullable=False),
        sa.Column(
            "lfn_hash",
            sa.LargeBinary()
            .with_variant(sa.BINARY(length=16), "mariadb")
            .with_variant(sa.BINARY(length=16), "mysql"),
            nullable=False,
        ),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("adler32", ascii_text(8), nullable=True),
        sa.Column("created", Utc(), nullable=False),
        sa.Column("added", Utc(), nullable=True),
        sa.Column("condemned_by", BIG, nullable=True),
        sa.ForeignKeyConstraint(["block_id"], ["blocks.id"], name=op.f("fk_files_block_id")),
        sa.ForeignKeyConstraint(
            ["condemned_by"], ["requests.id"], name=op.f("fk_files_condemned_by")
        ),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_files_dataset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
        sa.UniqueConstraint("lfn_hash", name=op.f("uq_files_lfn_hash")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("files", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_files_block_id_id"), ["block_id", "id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_files_dataset_id_id"), ["dataset_id", "id"], unique=False
        )

    op.create_table(
        "deletions",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("cause", ascii_text(32), nullable=False),
        sa.Column("request_id", BIG, nullable=False),
        sa.Column("file_id", BIG, nullable=False),
        sa.Column("site_id", BIG, nullable=False),
        sa.Column("replica_id", BIG, nullable=True),
        sa.Column("partition_id", BIG, nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
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
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name=op.f("fk_deletions_file_id")),
        sa.ForeignKeyConstraint(
            ["partition_id"], ["partitions.id"], name=op.f("fk_deletions_partition_id")
        ),
        sa.ForeignKeyConstraint(
            ["replica_id"], ["block_replicas.id"], name=op.f("fk_deletions_replica_id")
        ),
        sa.ForeignKeyConstraint(
            ["request_id"], ["requests.id"], name=op.f("fk_deletions_request_id")
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_deletions_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deletions")),
        sa.UniqueConstraint("file_id", "site_id", name=op.f("uq_deletions_file_id_site_id")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("deletions", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_deletions_replica_id_state"), ["replica_id", "state"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_deletions_request_id_state"), ["request_id", "state"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_deletions_state_not_before"), ["state", "not_before"], unique=False
        )

    op.create_table(
        "replica_files",
        sa.Column("replica_id", BIG, nullable=False),
        sa.Column("file_id", BIG, nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name=op.f("fk_replica_files_file_id")),
        sa.ForeignKeyConstraint(
            ["replica_id"], ["block_replicas.id"], name=op.f("fk_replica_files_replica_id")
        ),
        sa.PrimaryKeyConstraint("replica_id", "file_id", name=op.f("pk_replica_files")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("replica_files", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_replica_files_file_id"), ["file_id"], unique=False)

    op.create_table(
        "transfers",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("kind", ascii_text(32), nullable=False),
        sa.Column("request_id", BIG, nullable=False),
        sa.Column("file_id", BIG, nullable=False),
        sa.Column("site_id", BIG, nullable=False),
        sa.Column("replica_id", BIG, nullable=True),
        sa.Column("source_id", BIG, nullable=True),
        sa.Column("source_url", sa.String(length=2000), nullable=True),
        sa.Column("upload", ascii_text(500), nullable=True),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("expires", Utc(), nullable=True),
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
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name=op.f("fk_transfers_file_id")),
        sa.ForeignKeyConstraint(
            ["replica_id"], ["block_replicas.id"], name=op.f("fk_transfers_replica_id")
        ),
        sa.ForeignKeyConstraint(
            ["request_id"], ["requests.id"], name=op.f("fk_transfers_request_id")
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_transfers_site_id")),
        sa.ForeignKeyConstraint(
            ["source_id"], ["block_replicas.id"], name=op.f("fk_transfers_source_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfers")),
        sa.UniqueConstraint("file_id", "site_id", name=op.f("uq_transfers_file_id_site_id")),
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("transfers", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_transfers_replica_id_state"), ["replica_id", "state"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_transfers_request_id_state"), ["request_id", "state"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_transfers_source_id_state"), ["source_id", "state"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_transfers_state_not_before"), ["state", "not_before"], unique=False
        )
