"""What can be asked for: shapes and ranges of the calls' bodies; services judge the names."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from dynamo.inventory.states import DatasetStatus, SiteKind, SiteStatus

MOST = 2**63 - 1
"""Sizes are 64-bit."""

Size = Annotated[int, Meta(ge=0, le=MOST)]
Text = Annotated[str, Meta(min_length=1, max_length=500, pattern="^[ -~]*$")]
"""A name that is only looked up; no database compares other letters with the ASCII of names."""
Url = Annotated[str, Meta(min_length=1, max_length=2000)]
Sites = (
    Annotated[str, Meta(min_length=1, max_length=500)]
    | Annotated[tuple[Text, ...], Meta(min_length=1, max_length=1000)]
)
"""One site, or several. (A pattern beside a tuple makes msgspec 0.22 free memory twice.)"""


class Asked(Struct, frozen=True, forbid_unknown_fields=True):
    """A body; a misspelled field is refused, never ignored."""


class InjectedFile(Asked, frozen=True, kw_only=True):
    """One file of a job's output."""

    lfn: str
    size: Size | None = None
    adler32: str | None = None
    source: Url | None = None


class Injection(Asked, frozen=True, kw_only=True):
    """Take these files, at the first of the sites that can."""

    dataset: str
    site: Sites
    files: tuple[InjectedFile, ...]

    def __post_init__(self) -> None:
        """Refuse what no site's name can be."""
        _check_plain(self.site)


class Uploaded(Asked, frozen=True, kw_only=True):
    """These files (None = all) of an injection lie at their upload addresses."""

    lfns: tuple[str, ...] | None = None


class Copy(Asked, frozen=True, kw_only=True):
    """The standing wish that data be at a site or at some of several."""

    dataset: str
    site: Sites
    blocks: tuple[str, ...] | None = None
    consolidate: bool | None = None
    copies: Annotated[int, Meta(ge=1, le=1000)] | None = None
    group: Text | None = None
    spread: bool = False

    def __post_init__(self) -> None:
        """Refuse what no site's name can be."""
        _check_plain(self.site)


class Closure(Asked, frozen=True, kw_only=True):
    """Production of a dataset is finished."""

    dataset: str


class Deletion(Asked, frozen=True, kw_only=True):
    """Remove replicas at a site, or data everywhere and their names."""

    dataset: str
    blocks: tuple[str, ...] | None = None
    lfns: tuple[str, ...] | None = None
    site: Text | None = None
    last_copy: bool = False


Names = Annotated[tuple[str, ...], Meta(min_length=1, max_length=1000)]
"""Names of datasets, many in one call."""


class Places(Asked, frozen=True, kw_only=True):
    """The datasets whose locations are wanted."""

    datasets: Names


Streams = Annotated[int, Meta(ge=1, le=100_000)]


class SiteBody(Asked, frozen=True, kw_only=True):
    """What a site is; fields that are left out stay as they are, the name always does."""

    name: str | None = None
    kind: SiteKind | None = None
    status: SiteStatus | None = None
    url: Url | None = None
    rules: dict[str, Any] | None = None
    scratch: tuple[Url, ...] | None = None
    sources: tuple[Url, ...] | None = None
    max_streams: Streams | UnsetType | None = UNSET
    """Streams into the site at once, and as many out of it; null = as the settings say."""
    max_link_streams: Streams | UnsetType | None = UNSET
    """Streams between it and one other site at once; null = as the settings say."""


class Release(Asked, frozen=True, kw_only=True):
    """Held and failed operations that are to be tried again now; all that is named must fit."""

    request: int | None = None
    site: Text | None = None
    dataset: Text | None = None
    reason: Text | None = None


class QuotaBody(Asked, frozen=True, kw_only=True):
    """How many bytes a partition may fill at a site; null = unlimited."""

    limit: Size | None


class UserQuotaBody(Asked, frozen=True, kw_only=True):
    """How many unique bytes a user may have; null = unlimited."""

    limit: Size | None


class SwitchBody(Asked, frozen=True, kw_only=True):
    """Whether what the switch stands for is stopped, and why."""

    stopped: bool
    why: Annotated[str, Meta(max_length=1000)] | None = None


# --- what protects data, and what is wanted ------------------------------------------------------

Instant = Annotated[datetime, Meta(tz=True)]
"""A moment that says its zone."""
Reason = Annotated[str, Meta(max_length=1000)]
Some = Annotated[tuple[Text, ...], Meta(max_length=1000)]
"""Names or globs; none of them = all."""


class LockBody(Asked, frozen=True, kw_only=True):
    """Keep a dataset, those that fit a glob, or a block, until a moment."""

    item: Text
    expires: Instant
    sites: Some = ()
    groups: Some = ()
    why: Reason | None = None


class AccessReport(Asked, frozen=True, kw_only=True):
    """How often jobs at a site read a dataset on one day (UTC)."""

    dataset: Text
    site: Text
    date: date
    accesses: Size
    cpu_seconds: Annotated[float, Meta(ge=0)] = 0.0


Accesses = Annotated[tuple[AccessReport, ...], Meta(min_length=1, max_length=20_000)]


class DemandReport(Asked, frozen=True, kw_only=True):
    """Jobs that wait for a dataset since a moment."""

    dataset: Text
    jobs: Size
    since: Instant


Demands = Annotated[tuple[DemandReport, ...], Meta(min_length=1, max_length=20_000)]


class PartitionBody(Asked, frozen=True, kw_only=True):
    """What policies may do in a partition."""

    allow_last_copy: bool


class PolicyBody(Asked, frozen=True, kw_only=True):
    """The policy of a partition."""

    text: Annotated[str, Meta(max_length=8_000_000)]
    partition: str | None = None


class CycleBody(Asked, frozen=True, kw_only=True):
    """Run a cycle now; texts that are not in force only to see what they would do."""

    kind: Literal["detox", "dealer"]
    partition: Text
    dry_run: bool = False
    policy: Annotated[str, Meta(max_length=8_000_000)] | None = None
    """Instead of the policy in force."""
    compare: Annotated[str, Meta(max_length=8_000_000)] | None = None
    """What a second policy would do with the same inventory."""


class ScanBody(Asked, frozen=True, kw_only=True):
    """Compare a site with the catalogue now; a dry run changes and remembers nothing."""

    site: Text
    dry_run: bool = False


# --- official data -------------------------------------------------------------------------------

Kind = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,32}$(?!\\n)")]
"""A type of dataset, such as `data` or `mc`."""


class OfficialFile(Asked, frozen=True, kw_only=True):
    """A file that exists; one without a checksum gets it when it is copied first."""

    lfn: str
    size: Size
    adler32: str | None = None


class OfficialReplica(Asked, frozen=True, kw_only=True):
    """A block at a site: the files that lie there; left out = all of the block."""

    site: Text
    group: Text | None = None
    custodial: bool = False
    files: Annotated[tuple[str, ...], Meta(min_length=1)] | None = None


class OfficialBlock(Asked, frozen=True, kw_only=True):
    """A block, by its id or full name; `open: false` closes it for good."""

    name: Text
    files: tuple[OfficialFile, ...] = ()
    replicas: tuple[OfficialReplica, ...] = ()
    open: bool | None = None


class OfficialAt(Asked, frozen=True, kw_only=True):
    """A dataset at a site; a growing one receives new blocks."""

    site: Text
    group: Text | None = None
    growing: bool | None = None


class OfficialDataset(Asked, frozen=True, kw_only=True):
    """A dataset without a personal owner; fields that are left out stay as they are."""

    name: str
    status: DatasetStatus | None = None
    type: Kind | None = None
    group: Text | None = None
    blocks: tuple[OfficialBlock, ...] = ()
    replicas: tuple[OfficialAt, ...] = ()
    open: bool | None = None


OfficialDatasets = Annotated[tuple[OfficialDataset, ...], Meta(min_length=1, max_length=10_000)]


class DatasetChange(Asked, frozen=True, kw_only=True):
    """What changes about a dataset; an owner of null makes it official."""

    status: DatasetStatus | None = None
    type: Kind | None = None
    owner: str | UnsetType | None = UNSET


def _check_plain(site: Sites) -> None:
    if isinstance(site, str) and not (site.isascii() and site.isprintable()):
        raise ValueError("`site` is not a name")
