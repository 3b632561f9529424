"""Rows in any order become columns in one order."""

import numpy as np
import pytest

from dynamo.inventory import snapshot_builder
from dynamo.inventory.snapshot import DISK, NOBODY, READY, TAPE, Lock


def test_sites_are_sorted_by_name_and_know_their_tier():
    sites = snapshot_builder.sites(
        [7, 3, 5], ["T2_X", "T1_Y_MSS", "Lab"], [DISK, TAPE, DISK], [READY] * 3
    )

    assert list(sites.labels) == ["Lab", "T1_Y_MSS", "T2_X"]
    assert sites.ids.tolist() == [5, 3, 7]
    assert sites.kind.tolist() == [DISK, TAPE, DISK]
    assert sites.tier.tolist() == [-1, 1, 2]


def test_nobody_comes_before_all_groups():
    groups = snapshot_builder.groups([4, 2], ["production", "analysis"], [False, True])

    assert list(groups.labels) == ["None", "analysis", "production"]
    assert (groups.ids.tolist(), groups.whole.tolist()) == ([0, 2, 4], [False, True, False])
    assert NOBODY == 0


def tables(names=None):
    datasets = snapshot_builder.datasets([10, 20], ["/b/b/b", "/a/a/a"], [6, 5], [100, 200])
    raw = snapshot_builder.RawBlocks([1, 2, 3], [10, 20, 10], [7, 8, 9], [1, 1, 1], names)
    return snapshot_builder.blocks(raw, datasets)


def test_blocks_are_sorted_by_dataset_and_summed_up():
    blocks, datasets = tables()

    assert list(datasets.labels) == ["/a/a/a", "/b/b/b"]
    assert (datasets.size.tolist(), datasets.n_blocks.tolist()) == ([8, 16], [1, 2])
    assert (blocks.ids.tolist(), blocks.dataset.tolist()) == ([2, 1, 3], [0, 1, 1])
    assert blocks.names is None
    assert tables(["y", "z", "x"])[0].names == ("z", "x", "y")


def test_replicas_are_sorted_and_a_missing_dataset_replica_is_added():
    blocks, _ = tables()
    whole = snapshot_builder.RawReplicas(dataset=[1], site=[0], growing=[True], group=[2])
    parts = snapshot_builder.RawBlockReplicas(
        ids=[100, 101, 102],
        block=[2, 0, 1],
        site=[0, 1, 0],
        group=[1, 1, 0],
        size=[9, 8, 7],
        n_files=[1, 1, 1],
        updated=[5, 6, 7],
        complete=[True, True, False],
        custodial=[False, True, False],
    )

    replicas, rows = snapshot_builder.replicas(whole, parts, blocks, 2)

    assert (replicas.dataset.tolist(), replicas.site.tolist()) == ([0, 1], [1, 0])
    assert (replicas.growing.tolist(), replicas.group.tolist()) == ([False, True], [0, 2])
    assert replicas.first.tolist() == [0, 1, 3]
    assert rows.ids.tolist() == [101, 102, 100]
    assert rows.complete.tolist() == [True, False, True]


def test_a_key_without_a_row_is_an_error():
    keys = snapshot_builder.Keys.of(np.array([5, 3]))

    assert keys([3, 5, 3]).tolist() == [1, 0, 1]
    assert keys([]).tolist() == []
    with pytest.raises(ValueError, match="key 4 is not in the table"):
        keys([3, 4])


def test_a_lock_on_a_block_is_split_at_its_hash():
    assert Lock.on("/a/b/c#x", "T2_*", "") == Lock("/a/b/c", "x", "T2_*", None)
    assert Lock.on("/a/b/c") == Lock("/a/b/c", None, None, None)
