"""Limits of a cycle: deletions beyond them are held back, in the order of the plan."""

from dataclasses import dataclass, replace

import numpy as np

from dynamo.detox.plan import Deletions, Plan
from dynamo.inventory.snapshot import Amounts, Flags
from dynamo.policy.image import Places


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one cycle; None = unlimited."""

    per_round: float = 0.01
    """Fraction of a site's quota to delete before the next site has its turn."""
    bytes_per_site: int | None = None
    files_per_site: int | None = None
    bytes: int | None = None
    files: int | None = None


def limited(plan: Plan, limits: Limits) -> Plan:
    """Return the plan with the deletions beyond a limit, and all later ones, held back.

    This is always safe: the remaining deletions were decided as if the others happened too.
    """
    deletions = plan.deletions
    if not len(deletions.row):
        return plan
    first = np.flatnonzero(np.diff(deletions.step, prepend=-1))
    step = np.repeat(np.arange(len(first)), np.diff([*first.tolist(), len(deletions.row)]))
    sizes, files = _sums(plan, deletions, step, len(first))
    sites = plan.rows.site[deletions.row[first]]
    fits = np.ones(len(first), np.bool_)
    for site in np.unique(sites).tolist():
        at_site = np.flatnonzero(sites == site)
        fits[at_site] = _within(sizes[at_site], limits.bytes_per_site) & _within(
            files[at_site], limits.files_per_site
        )
    carried = np.flatnonzero(fits)
    fits[carried] = _within(sizes[carried], limits.bytes) & _within(files[carried], limits.files)
    held_back = ~fits[step]
    return _with(plan, held_back)


def _sums(plan: Plan, deletions: Deletions, step: Places, n_steps: int) -> tuple[Amounts, Amounts]:
    sizes, files = np.zeros(n_steps, np.int64), np.zeros(n_steps, np.int64)
    np.add.at(sizes, step, plan.rows.size[deletions.row])
    source = plan.rows.source[deletions.row]
    real = source >= 0
    np.add.at(files, step[real], plan.snapshot.block_replicas.n_files[source[real]])
    return sizes, files


def _within(amounts: Amounts, limit: int | None) -> Flags:
    """Return flags of amounts whose running sum stays within a limit."""
    if limit is None:
        return np.ones(len(amounts), np.bool_)
    return np.asarray(np.cumsum(amounts) <= limit)


def _with(plan: Plan, held_back: Flags) -> Plan:
    if not held_back.any():
        return plan
    rows = plan.deletions.row[held_back]
    names = plan.snapshot.sites.labels
    back = np.zeros(len(names), np.int64)
    np.add.at(back, plan.rows.site[rows], plan.rows.size[rows])
    sites = tuple(
        replace(state, used_after=state.used_after + int(back[names.find(state.site)]))
        for state in plan.sites
    )
    whole = np.unique(plan.rows.replica[rows])
    return replace(
        plan,
        deletions=replace(plan.deletions, held=held_back),
        sites=sites,
        ending=plan.ending[~np.isin(plan.ending, whole)],
    )
