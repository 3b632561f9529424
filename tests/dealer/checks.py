"""Says what is wrong with a plan, counted with plain dictionaries instead of columns."""

import math
from collections import defaultdict

from dynamo.dealer.plan import ProposalOutcome


class Ledger:
    """An inventory by names, before and after a plan."""

    def __init__(self, plan):
        self.plan = plan
        self.snapshot = snapshot = plan.asked.snapshot
        self.sites = list(snapshot.sites.labels)
        rows, replicas = snapshot.block_replicas, snapshot.replicas
        self.rows = {}
        held = plan.asked.partitions.members(plan.asked.partition, plan.asked.moment).of_snapshot(
            snapshot
        )
        for row in range(len(rows.ids)):
            site = self.sites[int(replicas.site[rows.replica[row]])]
            self.rows[site, int(rows.block[row])] = {
                "row": row,
                "there": int(rows.size[row]),
                "size": int(snapshot.blocks.size[rows.block[row]]),
                "held": bool(held[row]),
                "complete": bool(rows.complete[row]),
                "group": int(rows.group[row]),
            }

    def pieces(self):
        """Go through (site, dataset, block, owner, row, moves) of all copies."""
        copies = self.plan.copies
        for place in range(len(copies)):
            site = self.sites[int(copies.site[place])]
            for at in range(int(copies.first[place]), int(copies.first[place + 1])):
                yield (
                    site,
                    int(copies.dataset[place]),
                    int(copies.block[at]),
                    int(copies.owner[at]),
                    int(copies.row[at]),
                    int(copies.moves[at]),
                )

    def faults(self):
        """Return everything that is wrong."""
        return [*self._copied_twice(), *self._over_limits(), *self._senseless(), *self._sums()]

    def _copied_twice(self):
        seen = set()
        for site, _, block, _, row, moves in self.pieces():
            known = self.rows.get((site, block))
            if (site, block) in seen:
                yield f"{block} goes to {site} twice"
            seen.add((site, block))
            if (known is None) != (row < 0):
                yield f"{block} at {site}: what exists is not seen"
            if known is not None and (moves or row != known["row"]):
                yield f"{block} at {site} is there and sent again"
            if known is None and moves != int(self.snapshot.blocks.size[block]):
                yield f"{block} to {site} costs {moves}"

    def _over_limits(self):
        asked, limits = self.plan.asked, self.plan.asked.limits
        quotas = asked.partitions.quota(self.snapshot, asked.partition)
        sent, gained = defaultdict(int), defaultdict(int)
        for site, _, block, owner, row, moves in self.pieces():
            sent[site] += moves
            known = self.rows.get((site, block))
            if row >= 0 and not known["held"] and known["group"] != owner:
                gained[site] += known["size"]
        for place, site in enumerate(self.sites):
            quota = float(quotas[place])
            if not sent[site] or math.isinf(quota):
                continue
            mine = [one for (where, _), one in self.rows.items() if where == site and one["held"]]
            projected = sum(one["size"] for one in mine) + sent[site] + gained[site]
            waiting = sum(one["size"] - one["there"] for one in mine) + sent[site]
            if quota <= 0 or math.isnan(quota):
                yield f"{site} has no space and gets {sent[site]}"
            elif limits.occupancy < 1 and projected / quota > limits.occupancy:
                yield f"{site} is filled to {projected / quota}"
            elif limits.pending < 1 and waiting / quota > limits.pending:
                yield f"{waiting / quota} of {site} is on its way"
            elif (projected - gained[site]) / quota > 1:
                yield f"{site} is overfull"
        if self._counted_volume() > limits.volume:
            yield f"{self._counted_volume()} bytes are sent"

    def _counted_volume(self):
        """Sum up what is sent by proposals that count, without what exempt ones bring as well."""
        counted = self._covered(exempt=False) - self._covered(exempt=True)
        moved = {(site, block): moves for site, _, block, _, _, moves in self.pieces()}
        return sum(moved.get(one, 0) for one in counted)

    def _covered(self, *, exempt):
        """Return the (site, block) of accepted proposals."""
        covered = set()
        for proposals, place, site in self._accepted():
            if bool(proposals.exempt[place]) is exempt:
                blocks = self._blocks(proposals, place)
                covered.update((self.sites[site], block) for block in blocks)
        return covered

    def _accepted(self):
        outcomes = self.plan.outcomes
        for proposer, place, site, reason in zip(
            outcomes.proposer.tolist(),
            outcomes.place.tolist(),
            outcomes.site.tolist(),
            outcomes.reason.tolist(),
            strict=True,
        ):
            if ProposalOutcome(reason).accepted:
                yield self.plan.proposals[self.plan.proposers[proposer]], place, site

    def _blocks(self, proposals, place):
        if not proposals.whole[place]:
            return proposals.blocks_of(place).tolist()
        dataset = int(proposals.dataset[place])
        return range(*self.snapshot.blocks.dataset.searchsorted([dataset, dataset + 1]).tolist())

    def _senseless(self):
        targets = {self.sites[place] for place in self.plan.targets.nonzero()[0].tolist()}
        statuses = {5, 6}
        for site, dataset, block, _, _, _ in self.pieces():
            if site not in targets:
                yield f"{site} takes no copies"
            if int(self.snapshot.blocks.dataset[block]) != dataset:
                yield f"{block} is not of {dataset}"
            if int(self.snapshot.datasets.status[dataset]) not in statuses:
                yield f"{dataset} is not valid"

    def _sums(self):
        total = sum(sum(counts.values()) for counts in self.plan.counts.values())
        if total != len(self.plan.outcomes.proposer):
            yield "the counts do not add up"
        if total != sum(len(one) for one in self.plan.proposals.values()):
            yield "a proposal has no outcome"
        sent = defaultdict(int)
        for site, _, _, _, _, moves in self.pieces():
            sent[site] += moves
        for state in self.plan.sites:
            if state.sent != sent[state.site]:
                yield f"{state.site} gets {sent[state.site]}, not {state.sent}"
