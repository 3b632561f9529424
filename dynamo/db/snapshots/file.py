"""A snapshot in one file, so that a cycle can be replayed on another machine."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.inventory.labels import Labels
from dynamo.inventory.snapshot import (
    BlockReplicas,
    Blocks,
    Datasets,
    Definition,
    Groups,
    Lock,
    Replicas,
    Sites,
    Snapshot,
)

_TABLES: dict[str, type[Any]] = {
    "sites": Sites,
    "groups": Groups,
    "datasets": Datasets,
    "blocks": Blocks,
    "replicas": Replicas,
    "block_replicas": BlockReplicas,
}
_TEXTS = ("labels", "names")
_ATTRIBUTE = "attributes."


@dataclass(frozen=True, slots=True)
class RecordedQuestion:
    """What a cycle was asked about the snapshot."""

    partition: str
    policy: str
    """Its text."""
    limits: Mapping[str, float | int | None]


def save(
    snapshot: Snapshot, moment: float, path: Path, asked: RecordedQuestion | None = None
) -> None:
    """Write a snapshot and the moment that times are read from; the file is whole or not there."""
    arrays: dict[str, NDArray[Any]] = {
        f"{table}.{field.name}": _packed(column)
        for table, kind in _TABLES.items()
        for field in fields(kind)
        if (column := getattr(getattr(snapshot, table), field.name)) is not None
    }
    arrays |= {f"{_ATTRIBUTE}{name}": column for name, column in snapshot.attributes.items()}
    told = {
        "moment": moment,
        "asked": None if asked is None else asdict(asked),
        "partitions": [asdict(one) for one in snapshot.partitions],
        "rules": [asdict(one) for one in snapshot.rules],
        "locks": [asdict(one) for one in snapshot.locks],
        "protected_sites": sorted(snapshot.protected_sites),
        "waiting_copies": sorted(snapshot.waiting_copies),
    }
    arrays |= {"quotas": snapshot.quotas, "told": _bytes(json.dumps(told))}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    temporary.replace(path)


def read(path: Path) -> tuple[Snapshot, float]:
    """Return a snapshot and its moment."""
    with np.load(path, allow_pickle=False) as arrays:
        told = json.loads(arrays["told"].tobytes())
        tables = {name: _table(arrays, name, kind) for name, kind in _TABLES.items()}
        found = Snapshot(
            **tables,
            partitions=tuple(Definition(**one) for one in told["partitions"]),
            quotas=arrays["quotas"],
            rules=tuple(Definition(**one) for one in told["rules"]),
            locks=tuple(Lock(**one) for one in told["locks"]),
            protected_sites=frozenset(told["protected_sites"]),
            waiting_copies=frozenset(told["waiting_copies"]),
            attributes={
                name.removeprefix(_ATTRIBUTE): arrays[name]
                for name in arrays
                if name.startswith(_ATTRIBUTE)
            },
        )
        return found, float(told["moment"])


def asked(path: Path) -> RecordedQuestion | None:
    """Return what the cycle was asked that has left a snapshot."""
    with np.load(path, allow_pickle=False) as arrays:
        found = json.loads(arrays["told"].tobytes())["asked"]
        return None if found is None else RecordedQuestion(**found)


def _table(arrays: Any, name: str, kind: type[Any]) -> Any:
    return kind(
        **{
            field.name: _unpacked(arrays[f"{name}.{field.name}"], field.name)
            for field in fields(kind)
            if f"{name}.{field.name}" in arrays
        }
    )


def _packed(column: Any) -> NDArray[Any]:
    if isinstance(column, np.ndarray):
        return column
    return _bytes("".join(f"{text}\n" for text in column))


def _unpacked(column: NDArray[Any], name: str) -> Any:
    if name not in _TEXTS:
        return column
    texts = column.tobytes().decode().split("\n")[:-1]
    return Labels(texts) if name == "labels" else tuple(texts)


def _bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)
