"""What a listing has seen, and what it proves to be absent."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dynamo.consistency.name_hashes import Keys, Numbers


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder of a listing; `below` names its sub-folders."""

    path: str
    below: Sequence[str] = ()
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which folders were seen; nothing is absent unless they prove it.

    A folder that failed, or that is named by the one above it and was never listed, proves nothing
    about what is in it: so a listing that was cut short at any point is found out.
    """

    areas: Sequence[str]
    folders: dict[str, frozenset[str] | None] = field(default_factory=dict)
    """Path → sub-folders; None where not all of it was seen."""

    @classmethod
    def of(cls, areas: Sequence[str], folders: Iterable[Folder]) -> "Coverage":
        """Take in a listing of these areas."""
        coverage = cls(areas)
        for folder in folders:
            coverage.add(folder)
        return coverage

    def add(self, folder: Folder) -> None:
        """Take in one folder."""
        below = frozenset(folder.below) if folder.complete else None
        if folder.path in self.folders and self.folders[folder.path] != below:
            below = None  # told twice, and differently
        self.folders[folder.path] = below

    def proves_absent(self, lfn: str) -> bool:
        """Tell whether a name that was not listed cannot be there."""
        if not any(lfn.startswith(f"{area}/") for area in self.areas):
            return False
        folder, _, child = lfn.rpartition("/")
        direct = True
        while folder:
            if folder in self.folders:
                below = self.folders[folder]
                return below is not None and (direct or child not in below)
            folder, _, child = folder.rpartition("/")
            direct = False
        return False

    @property
    def unlisted(self) -> list[str]:
        """Return the folders that were not, or not wholly, seen."""
        named = {
            f"{path}/{name}"
            for path, below in self.folders.items()
            for name in below or frozenset()
        }
        failed = {path for path, below in self.folders.items() if below is None}
        roots = set(self.areas) - self.folders.keys()
        return sorted(failed | roots | (named - self.folders.keys()))


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """The files that were seen, as columns."""

    names: Sequence[str]
    keys: Keys
    sizes: Numbers
    """In bytes; -1 where it is no file."""
    modified: Numbers
    """Seconds since 1970."""

    def __len__(self) -> int:
        return len(self.names)
