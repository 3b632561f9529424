"""Bodies of API calls: shapes and ranges. Services check the names in them."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from dynamo.inventory.states import DatasetStatus, SiteKind, SiteStatus

MOST = 2**63 - 1
"""Sizes are 64-bit."""

Size = Annotated[int, Meta(ge=0, le=MOST)]
Text = Annotated[str, Meta(min_length=1, max_length=500, pattern="^[ -~]*$")]
"""A name to look up: ASCII, because databases compare other letters in their own ways."""
Url = Annotated[str, Meta(min_length=1, max_length=2000)]
Sites = (
    Annotated[str, Meta(min_length=1, max_length=500)]
    | Annotated[tuple[Text, ...], Meta(min_length=1, max_length=1000)]
)
"""One site or several. (A pattern beside a tuple makes msgspec 0.22 free memory twice.)"""


class Asked(Struct, frozen=True, forbid_unknown_fields=True):
    """A request body; a misspelled field is refused, never ignored."""


class InjectedFile(Asked, frozen=True, kw_only=True):
    """One file of a job's output."""

    lfn: str
    size: Size | None = None
    adler32: str | None = None
    source: Url | None = None


class Injection(Asked, frozen=True, kw_only=True):
    """Inject these files at the first of the sites that can take them."""

    dataset: str
    site: Sites
    files: tuple[InjectedFile, ...]

    def __post_init__(self) -> None:
        """Refuse a text that cannot be a site's name."""
        _check_plain(self.site)


class Uploaded(Asked, frozen=True, kw_only=True):
    """Confirms that these files (None = all) of an injection are uploaded."""

    lfns: tuple[str, ...] | None = None


class Copy(Asked, frozen=True, kw_only=True):
    """A copy request: data shall be at a site, or at `copies` of several sites."""

    dataset: str
    site: Sites
    blocks: tuple[str, ...] | None = None
    consolidate: bool | None = None
    copies: Annotated[int, Meta(ge=1, le=1000)] | None = None
    group: Text | None = None
    spread: bool = False

    def __post_init__(self) -> None:
        """Refuse a text that cannot be a site's name."""
        _check_plain(self.site)


class Closure(Asked, frozen=True, kw_only=True):
    """Declares that production of a dataset is finished."""

    dataset: str


class Deletion(Asked, frozen=True, kw_only=True):
    """Delete replicas at a site; without a site, delete data everywhere and their names."""

    dataset: str
    blocks: tuple[str, ...] | None = None
    lfns: tuple[str, ...] | None = None
    site: Text | None = None
    last_copy: bool = False


Names = Annotated[tuple[str, ...], Meta(min_length=1, max_length=1000)]
"""Names of up to 1000 datasets."""


class Places(Asked, frozen=True, kw_only=True):
    """Asks for the locations of these datasets."""

    datasets: Names


Streams = Annotated[int, Meta(ge=1, le=100_000)]


class SiteBody(Asked, frozen=True, kw_only=True):
    """Properties of a site; absent fields stay unchanged, and so does the name."""

    name: str | None = None
    kind: SiteKind | None = None
    status: SiteStatus | None = None
    url: Url | None = None
    rules: dict[str, Any] | None = None
    scratch: tuple[Url, ...] | None = None
    sources: tuple[Url, ...] | None = None
    max_streams: Streams | UnsetType | None = UNSET
    """Limit of parallel streams into the site, and out of it; null = the setting's value."""
    max_link_streams: Streams | UnsetType | None = UNSET
    """Limit of parallel streams on each link of the site; null = the setting's value."""


class Release(Asked, frozen=True, kw_only=True):
    """Retry held and failed operations now; an operation must match all given fields."""

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
    """Stops or starts the activity of a switch, and says why."""

    stopped: bool
    why: Annotated[str, Meta(max_length=1000)] | None = None


# --- locks, popularity, policies, cycles ---------------------------------------------------------

Instant = Annotated[datetime, Meta(tz=True)]
"""A time with its zone."""
Cause = Annotated[str, Meta(max_length=1000)]
Some = Annotated[tuple[Text, ...], Meta(max_length=1000)]
"""Names or globs; empty = all."""


class LockBody(Asked, frozen=True, kw_only=True):
    """Lock a dataset, the datasets that match a glob, or a block, until `expires`."""

    item: Text
    expires: Instant
    sites: Some = ()
    groups: Some = ()
    why: Cause | None = None


class AccessReport(Asked, frozen=True, kw_only=True):
    """How often jobs at a site read a dataset on one day (UTC)."""

    dataset: Text
    site: Text
    date: date
    accesses: Size
    cpu_seconds: Annotated[float, Meta(ge=0)] = 0.0


Accesses = Annotated[tuple[AccessReport, ...], Meta(min_length=1, max_length=20_000)]


class DemandReport(Asked, frozen=True, kw_only=True):
    """Number of jobs that have waited for a dataset since a time."""

    dataset: Text
    jobs: Size
    since: Instant


Demands = Annotated[tuple[DemandReport, ...], Meta(min_length=1, max_length=20_000)]


class PartitionBody(Asked, frozen=True, kw_only=True):
    """Limits of what policies may do in a partition."""

    allow_last_copy: bool


class PolicyBody(Asked, frozen=True, kw_only=True):
    """The policy of a partition."""

    text: Annotated[str, Meta(max_length=8_000_000)]
    partition: str | None = None


class CycleBody(Asked, frozen=True, kw_only=True):
    """Run a cycle now; a dry run may use a policy that is not in force."""

    kind: Literal["detox", "dealer"]
    partition: Text
    dry_run: bool = False
    policy: Annotated[str, Meta(max_length=8_000_000)] | None = None
    """The policy to use instead of the one in force."""
    compare: Annotated[str, Meta(max_length=8_000_000)] | None = None
    """A second policy, to compare with on the same inventory."""


class ScanBody(Asked, frozen=True, kw_only=True):
    """Compare a site with the catalogue now; a dry run records nothing."""

    site: Text
    dry_run: bool = False


# --- official data -------------------------------------------------------------------------------

Kind = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,32}$(?!\\n)")]
"""A type of dataset, such as `data` or `mc`."""


class OfficialFile(Asked, frozen=True, kw_only=True):
    """A file that exists; an absent checksum is recorded at the first copy."""

    lfn: str
    size: Size
    adler32: str | None = None


class OfficialReplica(Asked, frozen=True, kw_only=True):
    """A block at a site, with the files that lie there; absent = all files of the block."""

    site: Text
    group: Text | None = None
    custodial: bool = False
    files: Annotated[tuple[str, ...], Meta(min_length=1)] | None = None


class OfficialBlock(Asked, frozen=True, kw_only=True):
    """A block, by its id or full name; `open: false` closes it finally."""

    name: Text
    files: tuple[OfficialFile, ...] = ()
    replicas: tuple[OfficialReplica, ...] = ()
    open: bool | None = None


class OfficialAt(Asked, frozen=True, kw_only=True):
    """A dataset at a site; a growing replica receives new blocks."""

    site: Text
    group: Text | None = None
    growing: bool | None = None


class OfficialDataset(Asked, frozen=True, kw_only=True):
    """A dataset without a personal owner; absent fields stay unchanged."""

    name: str
    status: DatasetStatus | None = None
    type: Kind | None = None
    group: Text | None = None
    blocks: tuple[OfficialBlock, ...] = ()
    replicas: tuple[OfficialAt, ...] = ()
    open: bool | None = None


OfficialDatasets = Annotated[tuple[OfficialDataset, ...], Meta(min_length=1, max_length=10_000)]


class DatasetChange(Asked, frozen=True, kw_only=True):
    """Changes to a dataset; an owner of null makes it official."""

    status: DatasetStatus | None = None
    type: Kind | None = None
    owner: str | UnsetType | None = UNSET


def _check_plain(site: Sites) -> None:
    if isinstance(site, str) and not (site.isascii() and site.isprintable()):
        raise ValueError("`site` is not a name")
