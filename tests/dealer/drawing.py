"""Small worlds for the Dealer, drawn as pictures: datasets down, sites across."""

from dataclasses import replace

import numpy as np

from dynamo.dealer.engine import decide
from dynamo.dealer.proposals import ANYWHERE, Item, ProposalBuilder
from dynamo.dealer.proposer import WeightedProposer
from dynamo.dealer.protections import Protections
from dynamo.dealer.question import Limits, Question
from dynamo.golden.cases import load
from tests.detox import drawing

TB = 10**12
LOOSE = Limits(occupancy=1.0, pending=1.0, volume=float("inf"))


def question(picture, *, quota=100, limits=LOOSE, n_blocks=2, status=None, **given):
    """Draw a question; quotas are in TB, `status` says which sites are not ready."""
    case = drawing.case(picture, "Dismiss", quota=quota, n_blocks=n_blocks)
    for site in case["inventory"]["sites"]:
        site["status"] = (status or {}).get(site["name"], site["status"])
    loaded = load(case)
    return Question(
        snapshot=loaded.snapshot,
        partitions=loaded.partitions,
        partition="All",
        group="A",
        moment=loaded.now,
        limits=limits,
        **{"cycle": 1} | given,
    )


class Says:
    """A proposer that says what it was told: `dataset` or `dataset > site`, blocks behind a `#`."""

    def __init__(self, *texts, group=None, **said):
        self.texts, self.group, self.said = texts, group, said

    def propose(self, view, rng):
        found = ProposalBuilder()
        for text in self.texts:
            item, _, site = text.partition(" > ")
            dataset, _, blocks = item.partition("#")
            place = view.snapshot.datasets.labels.find(dataset)
            names = view.snapshot.blocks.names
            chosen = [
                block
                for block in view.blocks_of(place).tolist()
                if names[block] in blocks.split(",")
            ]
            found.add(
                Item(
                    place,
                    tuple(chosen) if blocks else None,
                    view.snapshot.sites.labels.find(site) if site else ANYWHERE,
                    view.group_named(self.group) if self.group else -1,
                    self.said.get("exempt", False),
                )
            )
        said = {key: value for key, value in self.said.items() if key != "exempt"}
        return replace(found.proposals(), **said)


def said(asked, *texts, **said):
    """Decide about what one proposer says."""
    return decide(asked, {"one": WeightedProposer(Says(*texts, **said))})


def copies(plan):
    """Return copies as texts: `dataset#b1,b2 > site`, without blocks where the dataset grows."""
    names = plan.asked.snapshot.blocks.names
    return [
        f"{copy.dataset} > {copy.site}"
        if copy.growing
        else f"{copy.dataset}#{','.join(names[block] for block in copy.blocks)} > {copy.site}"
        for copy in plan.each_copy()
    ]


def protections(asked, *cells, reason="last", size=TB):
    """Say that Detox protected `dataset @ site`, and kept what begins with `-`."""
    parts = [cell.lstrip("-").split(" @ ") for cell in cells]
    labels = asked.snapshot
    return replace(
        asked,
        protections=Protections(
            dataset=np.array([labels.datasets.labels.find(one) for one, _ in parts], np.int32),
            site=np.array([labels.sites.labels.find(site) for _, site in parts], np.int32),
            size=np.full(len(parts), size, np.int64),
            protected=np.array([not cell.startswith("-") for cell in cells], np.bool_),
            reason=np.zeros(len(parts), np.int32),
            reasons=(reason,),
        ),
    )
