"""The same questions answered name by name, with sets and dictionaries, for comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dynamo.consistency.decision import Finding, Kind, ScanLimits, Sighting


@dataclass(frozen=True)
class Tree:
    """A storage: names of files with their sizes, and folders whose listing fails or is lost."""

    files: Mapping[str, int]
    failed: frozenset[str]
    """Folders that cannot be read."""
    lost: frozenset[str]
    """Folders that are named by the one above and never listed, nor what is below them."""

    def folders(self) -> set[str]:
        """Return all folders of the tree."""
        return {name.rsplit("/", depth)[0] for name in self.files for depth in range(1, 5)} - {""}

    def seen(self, folder: str) -> bool:
        """Tell whether a folder was listed wholly: neither it nor one above it got lost."""
        parts = folder.split("/")
        above = {"/".join(parts[: n + 1]) for n in range(1, len(parts))}
        return folder not in self.failed and not above & (self.failed | self.lost)


def is_proven(tree: Tree, lfn: str) -> bool:
    """Tell whether whoever listed this tree knows that a name is, or is not, there."""
    folder = lfn.rpartition("/")[0]
    real = tree.folders()
    while folder not in real:
        if not folder:
            return False
        folder = folder.rpartition("/")[0]
    return tree.seen(folder)


def differences(
    tree: Tree, before: Mapping[str, tuple[int, bool]], after: Mapping[str, tuple[int, bool]]
) -> dict[Kind, set[str]]:
    """Return what is dark, missing or of a wrong size; the catalogue: name → size, certain."""
    listed = {n: s for n, s in tree.files.items() if tree.seen(n.rpartition("/")[0])}
    sure = {n for n, (_, certain) in before.items() if certain and after.get(n, (0, False))[1]}
    return {
        Kind.DARK: {n for n in listed if n not in before and n not in after},
        Kind.MISSING: {n for n in sure if n not in listed and is_proven(tree, n)},
        Kind.WRONG: {
            n for n in sure if n in listed and before[n][0] >= 0 and listed[n] != before[n][0]
        },
    }


def due(
    findings: Sequence[Finding],
    earlier: Mapping[str, Sighting],
    n_files: int,
    limits: ScanLimits,
    now: datetime,
) -> set[str]:
    """Return what is acted upon."""
    old = [
        f
        for f in findings
        if f.kind is not Kind.DARK or (f.modified is not None and now - f.modified >= limits.young)
    ]
    allowed = min(limits.files, max(limits.few, int(limits.share * n_files)))
    for some in (
        [f for f in old if f.kind is Kind.DARK],
        [f for f in old if f.kind is not Kind.DARK],
    ):
        if len(some) > allowed or sum(f.size for f in some) > limits.bytes:
            return set()
    found = set()
    for f in old:
        s = earlier.get(f.lfn)
        same = s is not None and (s.kind, s.size, s.modified) == (f.kind, f.size, f.modified)
        if same and s is not None and now - s.first >= limits.apart:
            found.add(f.lfn)
    return found
