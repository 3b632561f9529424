"""Proposers agree with plain loops written like their description, on random inventories."""

from hypothesis import HealthCheck, given, settings

from dynamo.golden.dealer import dealer
from tests.dealer.naive import Case
from tests.dealer.worlds import worlds

CAREFUL = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FITS = {
    "dataset.name == /*/*/*": lambda case, name: bool(case.replicas(name)),
    "replica.size > 1e12": lambda case, name: any(
        sum(part.get("size", block_size(case, name, part)) for part in replica["blocks"]) > 1e12
        for replica in case.replicas(name).values()
    ),
}


def block_size(case, name, part):
    return next(
        block["size"] for block in case.datasets[name]["blocks"] if block["name"] == part["block"]
    )


def listed(answer, plugin):
    lists = answer["requests_by_plugin"].get(plugin)
    if lists is None:
        return None
    entries = next(iter(lists.values()))
    return [
        (
            one["dataset"],
            one["destination"],
            None if one["blocks"] is None else tuple(one["blocks"]),
        )
        for one in entries
    ]


@CAREFUL
@given(worlds)
def test_proposals_are_those_of_plain_loops(case):
    answer = dealer(case)
    naive = Case(case, answer.get("detox_decisions"))
    ordered = set(answer["requests_by_plugin"])

    if "Popularity" in ordered:
        condition = naive.plugins["popularity"]["config"]["condition"]
        expected = naive.popularity(lambda name: FITS[condition](naive, name))
        assert listed(answer, "Popularity") == expected
    if "Undertaker" in ordered:
        assert listed(answer, "Undertaker") == naive.undertaker()
    if "Balancer" in ordered:
        assert listed(answer, "Balancer") == naive.balancer()
    if "GroupReassigner" in ordered:
        assert sorted(listed(answer, "GroupReassigner"), key=str) == sorted(naive.groups(), key=str)
