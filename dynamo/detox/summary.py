"""A summary of a plan: sites before and after, deletions, kept data, unmatched lines."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from dynamo.detox.comparison import Comparison, Difference
from dynamo.detox.plan import Plan, SiteState, Verdict
from dynamo.inventory.snapshot import Flags

MOST = 1000
"""Limit of datasets at sites that a comparison lists per policy; its sums count all."""


def summary(plan: Plan) -> dict[str, object]:
    """Return the summary of a plan as JSON values."""
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


def comparison(compared: Comparison) -> dict[str, object]:
    """Return a comparison of two plans as JSON values."""
    return {
        "only_first": _differences(compared.only_first),
        "only_second": _differences(compared.only_second),
        "both_bytes": compared.both,
    }


def _site(state: SiteState) -> dict[str, object]:
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


def _differences(differences: Sequence[Difference]) -> dict[str, object]:
    by_site: dict[str, int] = {}
    for difference in differences:
        by_site[difference.site] = by_site.get(difference.site, 0) + difference.size
    return {
        "replicas": len(differences),
        "bytes": sum(by_site.values()),
        "sites": [{"site": site, "bytes": by_site[site]} for site in sorted(by_site)],
        "items": [
            {
                "site": each.site,
                "dataset": each.dataset,
                "blocks": len(each.blocks),
                "bytes": each.size,
            }
            for each in differences[:MOST]
        ],
    }
