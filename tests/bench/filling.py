"""Tables filled in bulk, as fast as the server takes it."""

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pymysql

from dynamo.inventory.snapshot import DATASET_STATUSES, SITE_KINDS, SITE_STATUSES, Snapshot
from tests.servers import MariaDB

Table = tuple[str, Sequence[str], Iterable[Sequence[object]]]
"""Its name, columns and rows."""
_NOW = "2026-11-22 12:00:00"


def fill(server: MariaDB, made: Snapshot, folder: Path) -> None:
    """Write a snapshot into the tables."""
    write(server, _tables(made), folder)


def write(server: MariaDB, tables: Iterable[Table], folder: Path) -> None:
    """Load tables from files, and let the server look at what came."""
    account = {"user": "admin", "password": "admin", "database": "dynamo_bench"}
    with (
        pymysql.connect(
            host="127.0.0.1", port=server.port, local_infile=True, autocommit=True, **account
        ) as link,
        link.cursor() as cursor,
    ):
        cursor.execute("SET foreign_key_checks = 0, unique_checks = 0")
        for table, names, rows in tables:
            path = folder / f"{table}.tsv"
            with path.open("w") as file:
                file.writelines("\t".join(map(str, row)) + "\n" for row in rows)
            cursor.execute(
                f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE `{table}` ({', '.join(names)})"
            )
            path.unlink()
            cursor.execute(f"ANALYZE TABLE `{table}`")


def _tables(made: Snapshot) -> Iterator[Table]:
    """Yield tables, their columns and rows; keys begin at 1."""
    yield "groups", ("id", "name", "level"), _groups(made)
    yield "sites", _SITE, _sites(made)
    partitions = enumerate(made.partitions, 1)
    yield (
        "partitions",
        ("id", "name", "definition"),
        ((n, one.name, one.text) for n, one in partitions),
    )
    yield "quotas", ("site_id", "partition_id", "max_bytes", "projected", "used"), _quotas(made)
    yield "datasets", _DATASET, _datasets(made)
    yield "blocks", _BLOCK, _blocks(made)
    yield "dataset_replicas", _WHOLE, _whole(made)
    yield "block_replicas", _REPLICA, _replicas(made)


_SITE = ("id", "name", "kind", "status", "url", "rules", "scratch", "sources", "created")
_DATASET = (
    *("id", "name", "partition_id", "status", "type", "is_open", "n_files", "bytes"),
    *("created", "updated"),
)
_BLOCK = (
    *("id", "dataset_id", "uuid", "closed", "n_files", "bytes", "created", "last_file"),
    "closed_at",
)
_WHOLE = ("dataset_id", "site_id", "group_id", "growing", "created")
_REPLICA = (
    *("id", "block_id", "dataset_id", "site_id", "group_id", "partition_id", "custodial", "state"),
    *("n_files", "bytes", "complete", "in_use", "created", "updated"),
)


def _groups(made: Snapshot) -> Iterator[Sequence[object]]:
    for place in range(1, len(made.groups.labels)):
        level = "dataset" if made.groups.whole[place] else "block"
        yield place, made.groups.labels[place], level


def _sites(made: Snapshot) -> Iterator[Sequence[object]]:
    for place, name in enumerate(made.sites.labels):
        kind = SITE_KINDS[made.sites.kind[place]]
        status = SITE_STATUSES[made.sites.status[place]]
        yield place + 1, name, kind, status, "file:///x", "{}", "[]", "[]", _NOW


def _quotas(made: Snapshot) -> Iterator[Sequence[object]]:
    for partition, row in enumerate(made.quotas.tolist(), 1):
        for site, quota in enumerate(row, 1):
            if quota == quota:
                yield site, partition, int(quota), 0, 0


def _datasets(made: Snapshot) -> Iterator[Sequence[object]]:
    known = made.datasets
    for place, name in enumerate(known.labels):
        status, at = DATASET_STATUSES[known.status[place]], _moment(known.updated[place])
        yield place + 1, name, 1, status, "mc", 0, 0, int(known.size[place]), at, at


def _blocks(made: Snapshot) -> Iterator[Sequence[object]]:
    known = made.blocks
    columns_of = (known.dataset.tolist(), known.n_files.tolist(), known.size.tolist())
    for key, (dataset, files, size) in enumerate(zip(*columns_of, strict=True), 1):
        yield key, dataset + 1, f"b{key}", 1, files, size, _NOW, _NOW, _NOW


def _whole(made: Snapshot) -> Iterator[Sequence[object]]:
    known = made.replicas
    columns_of = (known.dataset, known.site, known.group, known.growing)
    for dataset, site, group, growing in zip(*(one.tolist() for one in columns_of), strict=True):
        yield dataset + 1, site + 1, group or "\\N", int(growing), _NOW


def _replicas(made: Snapshot) -> Iterator[Sequence[object]]:
    known, of = made.block_replicas, made.replicas
    columns_of = (
        *(known.block, of.dataset[known.replica], of.site[known.replica], known.group),
        *(known.custodial, known.n_files, known.size, known.complete, known.updated),
    )
    rows = zip(*(one.tolist() for one in columns_of), strict=True)
    for key, (block, dataset, site, group, custodial, files, size, complete, at) in enumerate(
        rows, 1
    ):
        head = (key, block + 1, dataset + 1, site + 1, group or "\\N", 1, int(custodial))
        yield *head, "valid", files, size, int(complete), 0, _NOW, _moment(at)


def _moment(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(int(seconds)))
