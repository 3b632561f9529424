"""What a listing has seen, and what it proves to be absent."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dynamo.consistency.name_hashes import Keys, Numbers


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder of a listing; `below` are its sub-folders."""

    path: str
    below: Sequence[str] = ()
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Coverage:
    """The folders that were seen: only they prove that a file is absent.

    A folder proves nothing about its content if listing it failed, or if its parent names it and
    no listing of it follows. So a listing that was cut short at any point is detected.
    """

    areas: Sequence[str]
    folders: dict[str, frozenset[str] | None] = field(default_factory=dict)
    """Path → sub-folders; None if the folder was not seen completely."""

    @classmethod
    def of(cls, areas: Sequence[str], folders: Iterable[Folder]) -> "Coverage":
        """Return the coverage of a listing of these areas."""
        coverage = cls(areas)
        for folder in folders:
            coverage.add(folder)
        return coverage

    def add(self, folder: Folder) -> None:
        """Add one folder."""
        below = frozenset(folder.below) if folder.complete else None
        if folder.path in self.folders and self.folders[folder.path] != below:
            below = None  # listed twice, with different content
        self.folders[folder.path] = below

    def proves_absent(self, lfn: str) -> bool:
        """Return whether a name that was not listed is certainly absent."""
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
        """Return the folders that were not seen, or not completely."""
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
    """The listed files, as columns."""

    names: Sequence[str]
    keys: Keys
    sizes: Numbers
    """Bytes; -1 for entries that are not files."""
    modified: Numbers
    """Seconds since 1970."""

    def __len__(self) -> int:
        return len(self.names)
