"""What accesses and waiting jobs say about datasets: the formulas behind the ranks."""

import numpy as np
from numpy.typing import ArrayLike

from dynamo.inventory.snapshot import Amounts, Numbers, Snapshot

_DAY = 86400
HALF_LIFE_DAYS = 4.0


def usage_rank(
    snapshot: Snapshot, last_access: Amounts, num_access: Numbers, now: float
) -> Numbers:
    """Return about how many days each dataset has lain unused, less its accesses per gigabyte.

    A fresh copy anywhere counts like an access, so that it is not deleted before it could be used.
    """
    datasets = snapshot.datasets
    touched = np.maximum(np.maximum(last_access, datasets.updated), newest_replica(snapshot))
    gigabytes = datasets.size / 1e9
    per_gigabyte = np.divide(
        num_access, gigabytes, out=np.zeros(len(gigabytes)), where=gigabytes > 0
    )
    return (now - touched) / _DAY - per_gigabyte


def newest_replica(snapshot: Snapshot) -> Amounts:
    """Return when the youngest block replica of each dataset was updated; 0 where there is none."""
    newest = np.zeros(len(snapshot.datasets.ids), np.int64)
    rows = snapshot.block_replicas
    np.maximum.at(newest, snapshot.replicas.dataset[rows.replica], rows.updated)
    return newest


def request_weight(
    dataset: ArrayLike,
    created: ArrayLike,
    n_datasets: int,
    now: float,
    jobs: ArrayLike = 1.0,
) -> Numbers:
    """Sum up waiting jobs per dataset (by place), each worth half as much after every half-life.

    One entry stands for as many jobs as `jobs` says of it.
    """
    age = now - np.asarray(created, np.float64)
    worth = np.asarray(jobs, np.float64) * np.exp2(-age / (HALF_LIFE_DAYS * _DAY))
    places = np.asarray(dataset, np.int64)
    return np.bincount(places, weights=worth, minlength=n_datasets).astype(np.float64)
