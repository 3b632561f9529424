"""A plan in short: sites before and after, what goes and stays, lines that never applied."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dynamo.detox.comparison import Comparison, Difference
from dynamo.detox.plan import Plan, SiteState, Verdict
from dynamo.inventory.snapshot import Flags

MOST = 1000
"""Datasets at sites that a comparison lists for each policy; its sums count all."""


def summary(plan: Plan) -> dict[str, Any]:
    """Return what is to be shown of a plan at first sight."""
    held = plan.deletions.held
    return {
        "moment": plan.moment,
        "sites": [_site(state) for state in plan.sites],
        "delete": _sums(plan, ~held),
        "held_back": _sums(plan, held),
        "handed_over": len(plan.hand_overs.row),
        "protected": int((plan.decisions.verdict == Verdict.PROTECT).sum()),
        "kept": int((plan.decisions.verdict == Verdict.KEEP).sum()),
        "rounds": plan.rounds,
        "unmatched": [
            {"line": line.at, "text": line.text} for line in map(plan.line, plan.unmatched)
        ],
    }


def comparison(found: Comparison) -> dict[str, Any]:
    """Return two plans side by side."""
    return {
        "only_first": _differences(found.only_first),
        "only_second": _differences(found.only_second),
        "both_bytes": found.both,
    }


def _site(state: SiteState) -> dict[str, Any]:
    return {
        "site": state.site,
        "quota": int(state.quota) if math.isfinite(state.quota) else None,
        "used_before": state.used_before,
        "used_after": state.used_after,
        "protected": state.protected,
        "triggered": state.triggered,
        "still_triggered": state.still_triggered,
    }


def _sums(plan: Plan, chosen: Flags) -> Mapping[str, int]:
    rows = plan.deletions.row[chosen]
    source = plan.rows.source[rows]
    files = plan.snapshot.block_replicas.n_files[source[source >= 0]]
    return {
        "replicas": len(np.unique(plan.rows.replica[rows])),
        "blocks": len(rows),
        "files": int(files.sum()),
        "bytes": int(plan.rows.size[rows].sum()),
    }


def _differences(found: Sequence[Difference]) -> dict[str, Any]:
    by_site: dict[str, int] = {}
    for one in found:
        by_site[one.site] = by_site.get(one.site, 0) + one.size
    return {
        "replicas": len(found),
        "bytes": sum(by_site.values()),
        "sites": [{"site": site, "bytes": by_site[site]} for site in sorted(by_site)],
        "items": [
            {
                "site": one.site,
                "dataset": one.dataset,
                "blocks": len(one.blocks),
                "bytes": one.size,
            }
            for one in found[:MOST]
        ],
    }
