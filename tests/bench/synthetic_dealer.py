"""A synthetic cycle of the Dealer: what it is asked of a synthetic inventory."""

from dataclasses import replace

import numpy as np

from dynamo.dealer.proposers.balancer import Balancer
from dynamo.dealer.proposers.enforcer import Enforcer
from dynamo.dealer.proposers.popularity import Popularity
from dynamo.dealer.proposers.requests import Requests
from dynamo.dealer.proposers.undertaker import Undertaker
from dynamo.dealer.protections import Protections
from dynamo.dealer.question import Limits, Question
from dynamo.dealer.voices import Voice
from dynamo.dealer.wishes import Wanted, Wish
from dynamo.inventory.snapshot import Snapshot
from dynamo.policy.enforcer import enforcer_from
from dynamo.policy.partitions import read_partitions
from tests.bench.synthetic import NOW

REASON = "replica.num_full_other_copy_common_owner < 1"
RULES = {
    "partition": "Analysis",
    "default_destination_group": "analysis",
    "rules": {
        "mini": {
            "num_copies": 2,
            "replicas": ["dataset.name == /Sample1*/*/MINIAOD"],
            "destinations": ["site.name == T2_CH_*"],
            "sources": ["site.storage_type == DISK"],
        }
    },
}


def question(inventory: Snapshot, seed: int, volume: float, wanted: float) -> Question:
    """Return a cycle that much is asked of; a share of the datasets is `wanted`."""
    rng = np.random.default_rng(seed)
    n_datasets = len(inventory.datasets.labels)
    asked_for = rng.random(n_datasets) < wanted
    weight = np.where(asked_for, rng.exponential(6, n_datasets), 0.0)
    # the inventory is born overfull; half as much again lets copies in
    inventory = replace(inventory, quotas=inventory.quotas * 1.5)
    inventory = inventory.with_attributes(request_weight=weight)
    partitions = read_partitions(inventory.partitions)
    names = inventory.datasets.labels
    chosen = rng.integers(0, n_datasets, min(2_000, n_datasets)).tolist()
    wishes = tuple(
        Wish(number, (Wanted(names[place]),), ("T2_*",), copies=1)
        for number, place in enumerate(chosen)
    )
    return Question(
        snapshot=inventory,
        partitions=partitions,
        partition=inventory.partitions[0].name,
        group="analysis",
        moment=NOW,
        cycle=1,
        limits=Limits(volume=volume),
        wishes=wishes,
        protections=protections(inventory, rng),
    )


def protections(inventory, rng) -> Protections:
    """Say that a third of all replicas are protected as last copies."""
    chosen = np.flatnonzero(rng.random(len(inventory.replicas.dataset)) < 0.3)
    dataset = inventory.replicas.dataset[chosen]
    return Protections(
        dataset=dataset,
        site=inventory.replicas.site[chosen],
        size=inventory.datasets.size[dataset],
        protected=np.ones(len(chosen), np.bool_),
        reason=np.zeros(len(chosen), np.int32),
        reasons=(REASON,),
    )


def voices():
    """Return all proposers with their usual priorities."""
    return {
        "requests": Voice(Requests(), 1),
        "enforcer": Voice(Enforcer(rules=enforcer_from(RULES)), 2),
        "undertaker": Voice(Undertaker(), 2),
        "popularity": Voice(Popularity(threshold=1.75), 3),
        "balancer": Voice(Balancer(target_reasons={REASON: 1}), 3),
    }
