"""The scenario of a simulation: sites, data, and daily activity."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import Invalid

TB = 10**12
_COUNTRIES = ("DE", "US", "IT", "FR", "UK", "ES", "CH", "PL", "BR", "IN")
_SCHEMES = ("imagined://disk", "imagined://tape")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Size, duration and activity; the same seed gives the same events."""

    days: int = 14
    sites: int = 12
    tape: int = 2
    """Number of tape sites among them."""
    datasets: int = 400
    """Official datasets at the beginning."""
    seed: int = 1
    fill: float = 0.80
    """Fraction of disk space used at the beginning."""
    growth: float = 0.004
    """New datasets per day, as a fraction of those at the beginning."""
    accesses: float = 10.0
    """Average accesses per day and dataset; few datasets get most of them."""
    jobs: int = 20
    """Users' jobs per day that inject output."""
    failures: float = 0.02
    """Outages per day and site."""
    faults: float = 0.01
    """Fraction of files whose first transfer fails."""

    def __post_init__(self) -> None:
        """Check the values. Raises Invalid."""
        if self.days < 1 or self.datasets < 1:
            raise Invalid("a simulation needs a day and a dataset at least")
        if not 0 <= self.tape < self.sites - 1:
            given = f"of {self.sites} sites {self.tape} are tape"
            raise Invalid(f"a simulation needs two disk sites at least; {given}")
        if not 0 < self.fill < 1:
            raise Invalid("the fraction of used disk space must be between 0 and 1")


@dataclass(frozen=True, slots=True)
class SimulatedSite:
    """A site, with the relative size of its disk."""

    name: str
    kind: str
    weight: float
    rate: float
    """Bytes per second in, and out."""

    @property
    def url(self) -> str:
        """Return its endpoint."""
        return f"{_SCHEMES[self.kind == 'tape']}/{self.name}"


@dataclass(frozen=True, slots=True)
class SimulatedDataset:
    """Official data, blocks of one large file each, and their sites."""

    name: str
    sizes: tuple[int, ...]
    """Bytes of each block."""
    sites: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Return the size of one copy."""
        return sum(self.sizes)


def sites(scenario: Scenario, random: np.random.Generator) -> list[SimulatedSite]:
    """Return drawn sites; disks differ by a factor of about ten."""
    drawn = []
    for number in range(scenario.sites):
        country = _COUNTRIES[number % len(_COUNTRIES)]
        if number < scenario.tape:
            drawn.append(SimulatedSite(f"T1_{country}_Tape{number:02d}", "tape", 1.0, 2e9))
        else:
            weight = float(random.lognormal(0, 0.6))
            rate = float(np.clip(1.5e9 * weight, 0.5e9, 10e9))
            drawn.append(SimulatedSite(f"T2_{country}_Site{number:02d}", "disk", weight, rate))
    return drawn


def datasets(
    scenario: Scenario, places: Sequence[SimulatedSite], random: np.random.Generator
) -> list[SimulatedDataset]:
    """Return drawn data of the beginning: most on tape, with up to three copies on disk."""
    disks = [site for site in places if site.kind == "disk"]
    tapes = [site.name for site in places if site.kind == "tape"]
    weights = np.array([site.weight for site in disks])
    drawn = []
    for number in range(scenario.datasets):
        copies = int(random.choice([0, 1, 2, 3], p=[0.15, 0.25, 0.4, 0.2]))
        copies = min(copies if tapes else max(1, copies), len(disks))
        at = random.choice(len(disks), copies, replace=False, p=weights / weights.sum())
        at_sites = [disks[place].name for place in at]
        if tapes and (copies == 0 or random.random() < 0.9):
            at_sites.append(str(random.choice(tapes)))
        drawn.append(SimulatedDataset(name(number), blocks(random), tuple(at_sites)))
    return drawn


def name(number: int) -> str:
    """Return the name of an official dataset."""
    return f"/Primary{number % 50}/Run{number:05d}-v1/AOD"


def blocks(random: np.random.Generator) -> tuple[int, ...]:
    """Return drawn sizes of a dataset's blocks: about a terabyte each, log-normal in total."""
    size = float(np.clip(random.lognormal(np.log(1.2 * TB), 1.0), 0.02 * TB, 15 * TB))
    parts = max(1, min(12, round(size / TB)))
    return tuple(int(size / parts) for _ in range(parts))


@dataclass(slots=True)
class Interest:
    """Popularity of datasets: heavy-tailed, fading with age, sometimes rising again."""

    random: np.random.Generator
    weights: NDArray[np.float64]

    @classmethod
    def drawn(cls, n: int, random: np.random.Generator) -> Self:
        """Return drawn interest in n datasets."""
        return cls(random, random.permutation(1.0 / np.arange(1, n + 1)))

    def add(self, n: int) -> None:
        """Add new datasets, which are popular."""
        high = np.quantile(self.weights, 0.97) if len(self.weights) else 1.0
        self.weights = np.append(self.weights, np.full(n, high))

    def day(self, n: float) -> NDArray[np.int64]:
        """Return drawn accesses of a day, n per dataset on average; interest changes after it."""
        mean = n * self.weights / max(self.weights.sum(), np.finfo(float).tiny)
        drawn: NDArray[np.int64] = self.random.poisson(mean).astype(np.int64)
        self.weights *= 0.97
        awake = self.random.random(len(self.weights)) < 0.002
        self.weights[awake] = self.weights.max(initial=0.0)
        return drawn
