"""What a benchmark says: one JSON line per figure, beside the baseline of the same run."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """The median of several runs, and of the baseline's runs between them."""

    bench: str
    figure: str
    unit: str
    values: Sequence[float]
    baselines: Sequence[float] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """Return the figure as a line of JSON."""
        value = statistics.median(self.values)
        baseline = statistics.median(self.baselines) if self.baselines else None
        told = {
            "bench": self.bench,
            "figure": self.figure,
            "value": rounded(value),
            "unit": self.unit,
            "baseline": None if baseline is None else rounded(baseline),
            "ratio": rounded(value / baseline) if baseline else None,
            "runs": len(self.values),
            "worst": rounded(min(self.values)),
            "best": rounded(max(self.values)),
            **{name: _plain(found) for name, found in self.more.items()},
        }
        return json.dumps(told)


def rounded(value: float) -> float:
    """Return a number with three figures: more would promise what a shared machine cannot keep."""
    return float(f"{value:.3g}")


def _plain(found: Any) -> Any:
    return rounded(found) if isinstance(found, float) else found
