"""All configurable numbers and addresses, read once at startup and passed down.

Sources, the first wins: environment variables (`DYNAMO_<SECTION>_<FIELD>`, for example
`DYNAMO_BLOCK_MAX_FILES`), the file `dynamo.toml` in the data directory, the defaults below.
"""

import os
from datetime import datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

FILE = "dynamo.toml"


class Section(BaseModel):
    """Settings of one concern; frozen, and a misspelled field is an error."""

    # errors omit the value: it may be a password
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Database(Section):
    """Database of the inventory."""

    url: str = Field(
        "", description="SQLAlchemy URL; empty = the SQLite file inventory.db in the data directory"
    )
    pool: int = Field(20, description="limit of connections per process")


class Broker(Section):
    """Broker of the queues."""

    url: str = Field(
        "", description="Redis URL; empty = the bundled server, started by `dynamo up`"
    )


class Block(Section):
    """When blocks of user data are closed."""

    max_files: int = Field(500, ge=1, description="limit of files in a block")
    max_bytes: int = Field(
        5 * 10**12,
        ge=1,
        description="limit of bytes in a block (a larger file gets a block of its own)",
    )
    idle_hours: float = Field(
        24, gt=0, description="hours without a new file after which a block is closed"
    )


class User(Section):
    """Rights of users."""

    namespace: str = Field(
        "/store/user/dynamo", description="LFNs below <namespace>/<user>/ belong to the user"
    )
    quota: int = Field(10**12, ge=0, description="quota of unique bytes of a new user")
    partition: str = Field("User", description="partition of user data")
    group: str = Field("analysis", description="group that owns injected replicas")
    dataset_pattern: str = Field(
        "/{part}/{user}-{part}/USER",
        description="shape of a user's dataset; {user} is the caller, {part} any text",
    )
    notice_share: float = Field(
        0.60, description="fraction of unique bytes in the partition from which it is shown"
    )
    alarm_share: float = Field(
        0.75, description="fraction of unique bytes in the partition from which it is an alarm"
    )
    refuse_over_alarm: bool = Field(
        default=False, description="refuse injections while the fraction exceeds the alarm"
    )


class Injection(Section):
    """Injection of job output."""

    max_files: int = Field(10_000, ge=1, description="limit of files in one call")
    booking_hours: float = Field(24, gt=0, description="hours until an unconfirmed booking expires")
    area: str = Field(
        "/store/temp/dynamo",
        description="incoming area at each site, where jobs write under temporary names",
    )


class Lease(Section):
    """Leases of workers."""

    seconds: float = Field(
        30, gt=0, description="seconds until another worker takes the work of a silent worker"
    )
    heartbeat: float = Field(10, gt=0, description="seconds between two renewals")
    lost: int = Field(
        3, ge=1, description="number of lost workers after which an operation is held"
    )


class Transfer(Section):
    """Parallel transfers, and fair shares of requests."""

    site_streams: int | None = Field(
        None,
        ge=1,
        description="limit of parallel streams into, and out of, a site that sets no limit; "
        "none = half of the pool's threads, so that a silent site leaves the other half",
    )
    link_streams: int = Field(
        20, ge=1, description="limit of parallel streams on a link, if neither site sets one"
    )
    window: int = Field(
        8, ge=1, description="limit of messages in flight per request; other requests take turns"
    )
    rate_half_life_hours: float = Field(
        24, gt=0, description="hours after which a measured speed of a link counts half"
    )


class Breaker(Section):
    """Circuit breakers: when a failing site pauses, and for how long."""

    failures: float = Field(
        5, ge=1, description="number of recent failures at which a breaker opens"
    )
    share: float = Field(
        0.8, gt=0, le=1, description="fraction of failures among recent results at which it opens"
    )
    half_life_seconds: float = Field(
        600, gt=0, description="seconds after which a result counts half"
    )
    first_seconds: float = Field(
        60, gt=0, description="seconds until a few files are tried; doubled after each failure"
    )
    longest_seconds: float = Field(3600, gt=0, description="longest pause in seconds")


class Retry(Section):
    """Retries of failed operations."""

    first_seconds: float = Field(
        20, gt=0, description="first pause in seconds; doubled each time, with jitter"
    )
    longest_seconds: float = Field(3600, gt=0, description="longest pause in seconds")
    attempts: int = Field(6, ge=1, description="attempts before an operation is held")
    daily_seconds: float = Field(
        86400, gt=0, description="seconds between attempts of a held operation"
    )
    give_up_days: float = Field(
        30,
        gt=0,
        description="days after which a held operation fails, unless its request is for a dataset "
        "that still grows",
    )


class Work(Section):
    """Batches, messages and storage calls of workers."""

    batch: int = Field(100, ge=1, description="limit of files in one task")
    sweep_seconds: float = Field(
        30, gt=0, description="seconds between two sweeps for lost messages and leases"
    )
    hint_seconds: float = Field(
        60, gt=0, description="seconds after which a message counts as lost"
    )
    check_seconds: float = Field(
        900, gt=0, description="seconds between two checks of all invariants"
    )
    call_seconds: float = Field(
        600, gt=0, description="limit in seconds of a storage's silence within a call"
    )
    answer_seconds: float = Field(
        60, gt=0, description="limit in seconds of a storage call without data"
    )
    third_party_bytes: int = Field(
        512 * 2**20,
        ge=0,
        description="file size in bytes from which XRootD servers copy among themselves",
    )
    keep_days: float = Field(
        7,
        gt=0,
        description="days for which finished transfers and answers to idempotency keys are kept",
    )


class Deletion(Section):
    """Deletion of data."""

    grace_hours: float = Field(
        24, ge=0, description="hours for which condemned data are readable and can be rescued"
    )
    site_bytes: int | None = Field(
        None,
        ge=1,
        description="limit of condemned bytes per site, over all deletions; more data wait until "
        "others are deleted",
    )


class Site(Section):
    """Automatic changes of the status of sites."""

    probe_minutes: float = Field(10, gt=0, description="minutes between two probes of a site")
    probe_seconds: float = Field(
        20, gt=0, description="limit in seconds of a storage call within a probe"
    )
    probes: int = Field(
        3, ge=1, description="consecutive probes that must fail, or succeed, to change the status"
    )
    morgue_days: float = Field(
        14,
        ge=0,
        description="days in the waitroom after which a site moves to the morgue; 0 = never",
    )
    lost_days: float = Field(
        14,
        ge=0,
        description="days of watching a site in the morgue, after which unreadable files without "
        "another copy are declared lost automatically; 0 = never",
    )
    evacuate_minutes: float = Field(
        5, gt=0, description="minutes between two evacuation passes over dying sites"
    )


class Feed(Section):
    """A document that is read periodically, `[[feeds.sources]]` in `dynamo.toml`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,60}$", description="name of the feed")
    kind: Literal["sites", "accesses", "demands"] = Field(description="content of the document")
    url: str = Field(
        pattern=r"^(file:///|https?://)",
        description="URL of the document: file:///path, https:// or http://",
    )
    every_minutes: float = Field(10, gt=0, description="minutes between two readings")
    stale_hours: float = Field(
        6, gt=0, description="age in hours from which the document is ignored"
    )

    def believes(self, generated: datetime, now: datetime) -> bool:
        """Return whether a document that describes this moment is young enough."""
        return generated >= now - timedelta(hours=self.stale_hours)


class Feeds(Section):
    """Documents from other services."""

    sources: tuple[Feed, ...] = Field((), description="documents to read")
    max_bytes: int = Field(
        64 * 2**20, ge=1, description="limit of bytes of a document; larger ones are refused"
    )
    seconds: float = Field(30, gt=0, description="limit in seconds to read a document")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        """Refuse two feeds of one name: each would undo the other's statements."""
        named = [source.name for source in self.sources]
        if len(set(named)) < len(named):
            raise ValueError("each feed needs a name of its own")
        return self


class Detox(Section):
    """Cycles that delete the least valuable data of full sites."""

    every_hours: float = Field(4, gt=0, description="hours between two cycles of a partition")
    round_share: float = Field(
        0.01,
        gt=0,
        description="fraction of a site's quota to delete before the next site has its turn",
    )
    site_bytes: int = Field(
        10**15, ge=0, description="limit of bytes deleted at a site in one cycle"
    )
    site_files: int = Field(
        10**6, ge=0, description="limit of files deleted at a site in one cycle"
    )
    total_bytes: int = Field(10**16, ge=0, description="limit of bytes deleted in one cycle")
    total_files: int = Field(10**7, ge=0, description="limit of files deleted in one cycle")
    protected_sites: tuple[str, ...] = Field(
        (), description="sites whose datasets have `dataset.on_protected_site` in policies"
    )
    lease_seconds: float = Field(
        900, gt=0, description="seconds without progress after which a cycle is given up"
    )
    keep_cycles: int = Field(
        20, ge=1, description="number of ended cycles per partition to keep with all decisions"
    )
    keep_snapshots: bool = Field(
        default=False,
        description="keep the snapshot of each cycle in a file below `cycles/`, for replays",
    )


_LAST_COPY = "replica.num_full_other_copy_common_owner == 0"
"""The condition that keeps last copies in the policies of a fresh system."""


class Veto(Section):
    """Datasets barred from sites; both are ordered globs: `!` excludes, the last match wins."""

    datasets: tuple[str, ...] = Field(description="barred datasets")
    sites: tuple[str, ...] = Field(description="sites that must not get them")


class Dealer(Section):
    """Cycles that copy data."""

    every_minutes: float = Field(30, gt=0, description="minutes between two cycles of a partition")
    occupancy: float = Field(
        0.93, gt=0, description="fraction of a site's quota that copies may fill; 1 or more = all"
    )
    pending: float = Field(
        0.03,
        gt=0,
        description="fraction of a site's quota that may be in transfer; 1 or more = any",
    )
    pending_bytes: int = Field(
        5 * 10**12, ge=0, description="bytes that may be in transfer to a site with a small quota"
    )
    volume: int = Field(200 * 10**12, ge=0, description="limit of bytes that one cycle sends")
    target_sites: tuple[str, ...] = Field(
        ("*",), description="globs of sites that take copies; `!` excludes, the last match wins"
    )
    leaving: tuple[str, ...] = Field(
        (), description="sites to evacuate whatever their status; they take no copies"
    )
    weights: dict[str, float] = Field(
        {}, description="glob of sites -> weight when blocks are distributed; default 1"
    )
    patience_hours: float = Field(
        6,
        ge=0,
        description="hours for which a copy request with several sites waits for an absent site",
    )
    vetoes: tuple[Veto, ...] = Field((), description="datasets barred from sites")
    groups: dict[str, str] = Field(
        {"Analysis": "analysis", "Production": "production"},
        description="partition -> group that owns new replicas; default `user.group`",
    )
    priorities: dict[str, float] = Field(
        {},
        description="proposer -> priority: half the number means twice as often; 0 silences others",
    )
    proposers: dict[str, dict[str, object]] = Field(
        {"balancer": {"target_reasons": {_LAST_COPY: 1}}},
        description="proposer -> its settings, the fields of its class",
    )
    lease_seconds: float = Field(
        900, gt=0, description="seconds without progress after which a cycle is given up"
    )
    keep_cycles: int = Field(
        20, ge=1, description="number of ended cycles per partition to keep with all decisions"
    )
    keep_refusals: int = Field(
        10_000,
        ge=0,
        description="number of refused proposals that a cycle keeps singly; all are counted",
    )


_Folder = Annotated[str, Field(pattern=r"^(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+$")]


class Consistency(Section):
    """Scans of sites, and limits of repairs."""

    every_hours: float = Field(24, gt=0, description="hours between two scans of a site")
    areas: tuple[_Folder, ...] = Field(
        (),
        description="folders to list for missing files, besides the reserved namespace",
    )
    quarantine: _Folder = Field(
        "/store/user/dynamo-quarantine", description="folder to which a site's dark files are moved"
    )
    keep_days: float = Field(
        14, ge=0, description="days in the quarantine after which a file is deleted"
    )
    young_hours: float = Field(
        24, ge=0, description="age in hours up to which dark files are left alone"
    )
    apart_hours: float = Field(
        12, gt=0, description="minimum hours between a first sighting and the one acted upon"
    )
    max_files: int = Field(
        1000, ge=0, description="limit of dark files, and of missing files, per site and scan"
    )
    max_bytes: int = Field(
        10 * 10**12, ge=0, description="limit of their bytes; beyond any limit nothing is repaired"
    )
    max_share: float = Field(
        0.01, ge=0, le=1, description="limit as a fraction (0 to 1) of the site's files"
    )
    few: int = Field(10, ge=0, description="number of files that is always allowed")
    temporary_days: float = Field(
        7, gt=0, description="days after which an unused temporary file is deleted"
    )
    lease_seconds: float = Field(
        1800, gt=0, description="seconds without progress after which a scan is given up"
    )


_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_User = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
_Role = Annotated[str, Field(pattern=r"^(user|production|operator|site:[A-Za-z0-9_-]+)$")]


class Issuer(Section):
    """An issuer of tokens of the WLCG profile."""

    issuer: str = Field(min_length=1, description="the `iss` of its tokens, exactly")
    audience: str = Field(min_length=1, description="the `aud` that means this service")
    jwks: str = Field(description="https URL, at the issuer's own host, of its public keys")
    local: bool = Field(
        default=False, description="allow keys from a file or the loopback: for tests"
    )
    users: dict[str, _User] = Field({}, description="subject -> user name")
    name_users: bool = Field(
        default=False, description="accept other subjects that are user names as users"
    )
    groups: dict[str, tuple[_Role, ...]] = Field({}, description="entry of `wlcg.groups` -> roles")

    @model_validator(mode="after")
    def _safe(self) -> Self:
        """Refuse keys that a third party could replace."""
        issuer, keys = urlsplit(self.issuer), urlsplit(self.jwks)
        own = keys.scheme == issuer.scheme == "https" and keys.netloc == issuer.netloc != ""
        near = keys.scheme == "file" or (keys.scheme == "http" and keys.hostname in _LOOPBACK)
        if not (near if self.local else own):
            raise ValueError("jwks must be an https URL at the issuer's own host")
        return self


class Token(Section):
    """Accepted tokens."""

    issuer: str = Field("https://dynamo.local/", description="the `iss` of accepted tokens")
    audience: str = Field("https://dynamo.local/", description="the `aud` of accepted tokens")
    hours: float = Field(
        12, gt=0, description="lifetime in hours of tokens of the embedded default"
    )
    issuers: tuple[Issuer, ...] = Field(
        (), description="other trusted issuers, `[[token.issuers]]` in `dynamo.toml`"
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        """Refuse two issuers of one name: it would be arbitrary which keys count."""
        named = [self.issuer, *(other.issuer for other in self.issuers)]
        if len(set(named)) < len(named):
            raise ValueError("each issuer may be listed once")
        return self


class Proxy(Section):
    """A trusted proxy that checks client certificates."""

    addresses: tuple[str, ...] = Field(
        (), description="addresses or networks of the proxy; none = no certificates"
    )
    secret: SecretStr = Field(
        SecretStr(""), description="value of its header X-Proxy-Secret, at least 16 characters"
    )
    users: dict[str, _User] = Field({}, description="subject of a certificate -> user name")

    @model_validator(mode="after")
    def _safe(self) -> Self:
        """Refuse a proxy that others at its address could impersonate."""
        for address in self.addresses:
            ip_network(address)
        if self.addresses and len(self.secret.get_secret_value()) < 16:
            raise ValueError("proxy.addresses need a proxy.secret of at least 16 characters")
        return self


class Pool(Section):
    """Threads of each worker pool."""

    transfer: int = Field(8, ge=1, description="threads of the transfer pool")
    deletion: int = Field(4, ge=1, description="threads of the deletion pool")
    policy: int = Field(2, ge=1, description="threads of the policy pool")
    consistency: int = Field(2, ge=1, description="threads of the consistency pool")


class Settings(BaseSettings):
    """All settings of one running system."""

    model_config = SettingsConfigDict(
        env_prefix="DYNAMO_",
        env_nested_delimiter="_",
        env_nested_max_split=1,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    data: Path = Field(Path("dynamo-data"), description="directory of all files of a system")
    database: Database = Database()
    broker: Broker = Broker()
    block: Block = Block()
    user: User = User()
    injection: Injection = Injection()
    lease: Lease = Lease()
    transfer: Transfer = Transfer()
    breaker: Breaker = Breaker()
    retry: Retry = Retry()
    work: Work = Work()
    deletion: Deletion = Deletion()
    site: Site = Site()
    feeds: Feeds = Feeds()
    detox: Detox = Detox()
    consistency: Consistency = Consistency()
    dealer: Dealer = Dealer()
    token: Token = Token()
    proxy: Proxy = Proxy()
    pool: Pool = Pool()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources: the environment first, then the file in the data directory."""
        given = init_settings().get("data") or os.environ.get("DYNAMO_DATA") or "dynamo-data"
        return (
            init_settings,
            env_settings,
            TomlConfigSettingsSource(settings_cls, Path(given) / FILE),
        )

    @property
    def site_streams(self) -> int:
        """Return the default limit of streams into a site, and out of it."""
        return self.transfer.site_streams or max(1, self.pool.transfer // 2)

    @property
    def database_url(self) -> str:
        """Return the URL of the inventory."""
        return self.database.url or f"sqlite:///{self.data.absolute() / 'inventory.db'}"


def load(data: Path | None = None) -> Settings:
    """Return the settings; `data` names the data directory and overrides `DYNAMO_DATA`."""
    return Settings(data=data) if data is not None else Settings()
