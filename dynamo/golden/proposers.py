"""Proposers as the first Dynamo configures its plug-ins."""

from collections.abc import Callable, Mapping

from dynamo.dealer.proposer import WeightedProposer
from dynamo.dealer.proposers.balancer import Balancer
from dynamo.dealer.proposers.enforcer import Enforcer
from dynamo.dealer.proposers.groups import Groups
from dynamo.dealer.proposers.popularity import Popularity
from dynamo.dealer.proposers.requests import Requests
from dynamo.dealer.proposers.undertaker import Undertaker
from dynamo.errors import Invalid
from dynamo.golden.cases import TB, Json
from dynamo.policy.diagnostics import nearest
from dynamo.policy.placement_rules import enforcer_from


def _tb(config: Json, key: str, default: float) -> float:
    return float(config[key]) * TB if key in config else default


def _requests(config: Json) -> WeightedProposer:
    return WeightedProposer(
        Requests(
            max_size=_tb(config, "max_size", 0),
            block_request_max=float(config.get("block_request_max", 0.5)),
            overwritten_groups=tuple(config.get("overwritten_groups", ())),
        )
    )


def _popularity(config: Json) -> WeightedProposer:
    return WeightedProposer(
        Popularity(
            source_groups=tuple(config.get("source_groups", ())),
            max_dataset_size=_tb(config, "max_dataset_size", 0),
            max_replication=int(config.get("max_replication", 10)),
            threshold=float(config.get("request_to_replica_threshold", 1.75)),
            condition=config.get("condition"),
        )
    )


def _balancer(config: Json) -> WeightedProposer:
    return WeightedProposer(
        Balancer(
            target_reasons=dict(config.get("target_reasons", {})),
            max_dataset_size=_tb(config, "max_dataset_size", 0),
            max_cycle_volume=_tb(config, "max_cycle_volume", 35e12),
        )
    )


def _undertaker(config: Json) -> WeightedProposer:
    return WeightedProposer(Undertaker(additional_sites=tuple(config.get("additional_sites", ()))))


def _enforcer(config: Json) -> WeightedProposer:
    body = config.get("enforcer", config)
    return WeightedProposer(Enforcer(rules=enforcer_from(body.get("policy", body))))


def _groups(config: Json) -> WeightedProposer:
    return WeightedProposer(Groups(from_groups=tuple(config.get("from_groups", ()))))


PLUGINS: Mapping[str, tuple[str, Callable[[Json], WeightedProposer]]] = {
    "requests": ("DirectRequests", _requests),
    "popularity": ("Popularity", _popularity),
    "balancer": ("Balancer", _balancer),
    "undertaker": ("Undertaker", _undertaker),
    "enforcer": ("Enforcer", _enforcer),
    "groupreassign": ("GroupReassigner", _groups),
}
"""By the module of the first Dynamo: the name it shows, and how its configuration is read."""


def configured(plugins: Json) -> dict[str, WeightedProposer]:
    """Return the proposers of a configuration by the names that cases show. Raises Invalid."""
    found = {}
    for spec in plugins.values():
        module = spec["module"].partition(":")[0]
        if module not in PLUGINS:
            raise Invalid(f"there is no plug-in {module}{nearest(module, PLUGINS)}")
        name, read = PLUGINS[module]
        found[name] = WeightedProposer(
            read(spec.get("config") or {}).proposer, float(spec["priority"])
        )
    return found
