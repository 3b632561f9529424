"""Every number and address that one may want to change, read once at the edge and passed down.

Sources, the first wins: environment (`DYNAMO_<SECTION>_<FIELD>`, for example
`DYNAMO_BLOCK_MAX_FILES`),
the file `dynamo.toml` in the data directory, the defaults below.
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
    """One concern; frozen, and a misspelled field is an error."""

    # what is wrong with a value is told without the value: it may be a password
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Database(Section):
    """Where the inventory is."""

    url: str = Field(
        "", description="SQLAlchemy URL; empty = the SQLite file inventory.db in the data directory"
    )
    pool: int = Field(20, description="connections a process may hold at most")


class Broker(Section):
    """Where the queues are."""

    url: str = Field(
        "", description="Redis URL; empty = the bundled server, started by `dynamo up`"
    )


class Block(Section):
    """When a block of user data is closed."""

    max_files: int = Field(500, ge=1, description="files in a block at most")
    max_bytes: int = Field(
        5 * 10**12,
        ge=1,
        description="bytes in a block at most (a larger file has a block of its own)",
    )
    idle_hours: float = Field(
        24, gt=0, description="hours without a new file after which a block is closed"
    )


class User(Section):
    """What users may do without an operator."""

    namespace: str = Field(
        "/store/user/dynamo", description="LFNs below <namespace>/<user>/ belong to the user"
    )
    quota: int = Field(10**12, ge=0, description="unique bytes a new user may have")
    partition: str = Field("User", description="partition that user data count against")
    group: str = Field("analysis", description="group that owns injected replicas")
    dataset_pattern: str = Field(
        "/{part}/{user}-{part}/USER",
        description="shape of a user's dataset; {user} is the caller, {part} any text",
    )
    notice_share: float = Field(
        0.60, description="share of unique bytes of the partition that is shown"
    )
    alarm_share: float = Field(
        0.75, description="share of unique bytes of the partition that is an alarm"
    )
    refuse_over_alarm: bool = Field(
        default=False, description="refuse injections while the share is over the alarm"
    )


class Injection(Section):
    """How output is handed over."""

    max_files: int = Field(10_000, ge=1, description="files in one call at most")
    booking_hours: float = Field(
        24, gt=0, description="hours until a booking that is never confirmed expires"
    )
    area: str = Field(
        "/store/temp/dynamo",
        description="incoming area at each site, where jobs write under temporary names",
    )


class Lease(Section):
    """How long a worker may be silent."""

    seconds: float = Field(
        30, gt=0, description="seconds until work of a silent worker is taken by another"
    )
    heartbeat: float = Field(10, gt=0, description="seconds between two renewals")
    lost: int = Field(3, ge=1, description="lost workers after which an operation is held")


class Transfer(Section):
    """How many bring files at once, and how requests take turns."""

    site_streams: int | None = Field(
        None,
        ge=1,
        description="streams into a site, and out of it, at once, if it sets no limit; none = half "
        "of the transfer pool's threads, so that a site that answers nobody leaves the others half",
    )
    link_streams: int = Field(
        20, ge=1, description="streams from one site to another at once, if neither sets a limit"
    )
    window: int = Field(
        8, ge=1, description="messages of one request under way at once; the others take turns"
    )
    rate_half_life_hours: float = Field(
        24, gt=0, description="hours after which what was seen of a link's speed weighs half"
    )


class Breaker(Section):
    """When a site that keeps failing is left alone, and for how long."""

    failures: float = Field(5, ge=1, description="recent failures from which a breaker opens")
    share: float = Field(
        0.8, gt=0, le=1, description="share of failures among recent results from which it opens"
    )
    half_life_seconds: float = Field(
        600, gt=0, description="seconds after which a result weighs half"
    )
    first_seconds: float = Field(
        60, gt=0, description="seconds until a few files are tried; doubled each time they fail"
    )
    longest_seconds: float = Field(3600, gt=0, description="longest time between two trials")


class Retry(Section):
    """When a failed operation is tried again."""

    first_seconds: float = Field(
        20, gt=0, description="first pause; doubled each time, with jitter"
    )
    longest_seconds: float = Field(3600, gt=0, description="longest pause")
    attempts: int = Field(6, ge=1, description="attempts until the operation is held")
    daily_seconds: float = Field(86400, gt=0, description="pause of a held operation")
    give_up_days: float = Field(
        30,
        gt=0,
        description="days after which a held operation has failed, unless its request is for "
        "a dataset that still grows",
    )


class Work(Section):
    """How work is cut and found again."""

    batch: int = Field(100, ge=1, description="files in one task at most")
    sweep_seconds: float = Field(
        30, gt=0, description="seconds between two sweeps for lost messages and leases"
    )
    hint_seconds: float = Field(
        60, gt=0, description="seconds after which a message is taken for lost"
    )
    check_seconds: float = Field(
        900, gt=0, description="seconds between two checks of all invariants"
    )
    call_seconds: float = Field(
        600, gt=0, description="longest silence of a storage within one call"
    )
    answer_seconds: float = Field(
        60, gt=0, description="longest wait for an answer of a storage to a call without bytes"
    )
    third_party_bytes: int = Field(
        512 * 2**20,
        ge=0,
        description="size from which XRootD servers copy among themselves, not through a worker",
    )
    keep_days: float = Field(
        7, gt=0, description="days that finished transfers and idempotency keys' answers are kept"
    )


class Deletion(Section):
    """How data leave."""

    grace_hours: float = Field(
        24, ge=0, description="hours in which condemned data are readable and can be rescued"
    )
    site_bytes: int | None = Field(
        None,
        ge=1,
        description="bytes that may be leaving a site at once, whoever deletes; what goes beyond "
        "waits until others are gone",
    )


class Site(Section):
    """How sites step aside and come back by themselves."""

    probe_minutes: float = Field(10, gt=0, description="minutes between two probes of a site")
    probe_seconds: float = Field(
        20, gt=0, description="longest wait for an answer of a storage that is probed"
    )
    probes: int = Field(
        3, ge=1, description="probes in a row that must fail, or succeed, to change the status"
    )
    morgue_days: float = Field(
        14, ge=0, description="days in the waitroom after which a site is given up; 0 = never"
    )
    lost_days: float = Field(
        14,
        ge=0,
        description="days for which a site in the morgue is watched until what could not be read "
        "there, and lies nowhere else, is declared lost by itself; 0 = never",
    )
    evacuate_minutes: float = Field(
        5, gt=0, description="minutes between two looks at what can leave dying sites"
    )


class Feed(Section):
    """A document of others that is read again and again, `[[feeds.sources]]` in `dynamo.toml`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,60}$", description="its own name")
    kind: Literal["sites", "accesses", "demands"] = Field(description="what it tells of")
    url: str = Field(
        pattern=r"^(file:///|https?://)",
        description="where it is: file:///path, https:// or http://",
    )
    every_minutes: float = Field(10, gt=0, description="minutes between two readings")
    stale_hours: float = Field(
        6, gt=0, description="age from which what it says is not believed any more"
    )

    def believes(self, generated: datetime, now: datetime) -> bool:
        """Tell whether a document that describes a moment is young enough."""
        return generated >= now - timedelta(hours=self.stale_hours)


class Feeds(Section):
    """What is read from others."""

    sources: tuple[Feed, ...] = Field((), description="the documents that are read")
    max_bytes: int = Field(
        64 * 2**20, ge=1, description="bytes of one document at most; larger ones are refused"
    )
    seconds: float = Field(30, gt=0, description="longest wait for a document")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        """Refuse two feeds of one name: what one says would undo what the other said."""
        named = [one.name for one in self.sources]
        if len(set(named)) < len(named):
            raise ValueError("each feed needs a name of its own")
        return self


class Detox(Section):
    """Cycles that delete the least valuable where a site is too full."""

    every_hours: float = Field(4, gt=0, description="hours between two cycles of a partition")
    round_share: float = Field(
        0.01, gt=0, description="share of a site's quota after which others come first in a cycle"
    )
    site_bytes: int = Field(
        10**15, ge=0, description="bytes deleted at a site in one cycle at most"
    )
    site_files: int = Field(10**6, ge=0, description="files deleted at a site in one cycle at most")
    total_bytes: int = Field(10**16, ge=0, description="bytes deleted in one cycle at most")
    total_files: int = Field(10**7, ge=0, description="files deleted in one cycle at most")
    protected_sites: tuple[str, ...] = Field(
        (), description="sites whose datasets policies know as `dataset.on_protected_site`"
    )
    lease_seconds: float = Field(
        900, gt=0, description="seconds after which a cycle that does not move is given up"
    )
    keep_cycles: int = Field(
        20, ge=1, description="ended cycles of a partition that are kept with all decisions"
    )
    keep_snapshots: bool = Field(
        default=False,
        description="keep what each cycle saw in a file below `cycles/`, to replay it elsewhere",
    )


_LAST_COPY = "replica.num_full_other_copy_common_owner == 0"
"""The condition that keeps last copies in the policies of a fresh system."""


class Veto(Section):
    """Datasets that must not come to some sites; lists of globs: `!` takes out, the last wins."""

    datasets: tuple[str, ...] = Field(description="datasets that are meant")
    sites: tuple[str, ...] = Field(description="sites that are closed to them")


class Dealer(Section):
    """Cycles that copy where data are wanted."""

    every_minutes: float = Field(30, gt=0, description="minutes between two cycles of a partition")
    occupancy: float = Field(
        0.93, gt=0, description="share of a site's quota that copies may fill; from 1, all of it"
    )
    pending: float = Field(
        0.03, gt=0, description="share of a site's quota that may be on its way; from 1, any"
    )
    pending_bytes: int = Field(
        5 * 10**12, ge=0, description="bytes that may be on their way to a site with a small quota"
    )
    volume: int = Field(200 * 10**12, ge=0, description="bytes that one cycle sends at most")
    target_sites: tuple[str, ...] = Field(
        ("*",), description="globs of sites that take copies; `!` takes out, the last match wins"
    )
    leaving: tuple[str, ...] = Field(
        (), description="sites that are emptied whatever their status, and take no copies"
    )
    weights: dict[str, float] = Field(
        {}, description="glob of sites -> weight when blocks are shared out; 1 where none fits"
    )
    patience_hours: float = Field(
        6,
        ge=0,
        description="hours for which copies at some of several sites wait for one that is away",
    )
    vetoes: tuple[Veto, ...] = Field((), description="which datasets must not come to which sites")
    groups: dict[str, str] = Field(
        {"Analysis": "analysis", "Production": "production"},
        description="partition -> owner of new replicas; `user.group` where none is named",
    )
    priorities: dict[str, float] = Field(
        {}, description="proposer -> priority: half the number, twice as often; 0 silences others"
    )
    proposers: dict[str, dict[str, object]] = Field(
        {"balancer": {"target_reasons": {_LAST_COPY: 1}}},
        description="proposer -> its own settings, the fields of its class",
    )
    lease_seconds: float = Field(
        900, gt=0, description="seconds after which a cycle that does not move is given up"
    )
    keep_cycles: int = Field(
        20, ge=1, description="ended cycles of a partition that are kept with all decisions"
    )
    keep_refusals: int = Field(
        10_000, ge=0, description="refused proposals that a cycle keeps one by one; all are counted"
    )


_Folder = Annotated[str, Field(pattern=r"^(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+$")]


class Consistency(Section):
    """How storages are compared with the catalogue, and how careful it is about what differs."""

    every_hours: float = Field(24, gt=0, description="hours between two scans of a site")
    areas: tuple[_Folder, ...] = Field(
        (),
        description="folders that are listed besides the reserved namespace, for missing files",
    )
    quarantine: _Folder = Field(
        "/store/user/dynamo-quarantine", description="where dark files of a site are moved to"
    )
    keep_days: float = Field(
        14, ge=0, description="days in the quarantine after which a file is deleted"
    )
    young_hours: float = Field(
        24, ge=0, description="hours after its last change in which an unknown file is left alone"
    )
    apart_hours: float = Field(
        12, gt=0, description="hours between a first sighting and one that is acted upon"
    )
    max_files: int = Field(
        1000, ge=0, description="dark files, and missing ones, of a site and scan at most"
    )
    max_bytes: int = Field(
        10 * 10**12, ge=0, description="bytes of them at most; above any limit nothing is done"
    )
    max_share: float = Field(
        0.01, ge=0, le=1, description="fraction (0 to 1) of the site's files at most"
    )
    few: int = Field(10, ge=0, description="so many files may be concerned whatever their share")
    temporary_days: float = Field(
        7, gt=0, description="days after which a temporary file that nobody needs is removed"
    )
    lease_seconds: float = Field(
        1800, gt=0, description="seconds after which a scan that does not move is given up"
    )


_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_User = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
_Role = Annotated[str, Field(pattern=r"^(user|production|operator|site:[A-Za-z0-9_-]+)$")]


class Issuer(Section):
    """An issuer of tokens of the WLCG profile."""

    issuer: str = Field(min_length=1, description="the `iss` of its tokens, to the letter")
    audience: str = Field(min_length=1, description="the `aud` that means this service")
    jwks: str = Field(description="https URL, at the issuer's own host, of its public keys")
    local: bool = Field(
        default=False, description="take keys from a file or the loopback instead: for tests"
    )
    users: dict[str, _User] = Field({}, description="subject -> user name")
    name_users: bool = Field(
        default=False, description="take other subjects that are user names for users"
    )
    groups: dict[str, tuple[_Role, ...]] = Field({}, description="entry of `wlcg.groups` -> roles")

    @model_validator(mode="after")
    def _safe(self) -> Self:
        """Refuse keys that somebody else could put in the way."""
        issuer, keys = urlsplit(self.issuer), urlsplit(self.jwks)
        own = keys.scheme == issuer.scheme == "https" and keys.netloc == issuer.netloc != ""
        near = keys.scheme == "file" or (keys.scheme == "http" and keys.hostname in _LOOPBACK)
        if not (near if self.local else own):
            raise ValueError("jwks must be an https URL at the issuer's own host")
        return self


class Token(Section):
    """Whose tokens are believed."""

    issuer: str = Field("https://dynamo.local/", description="the `iss` of accepted tokens")
    audience: str = Field("https://dynamo.local/", description="the `aud` of accepted tokens")
    hours: float = Field(12, gt=0, description="life of tokens made by the embedded default")
    issuers: tuple[Issuer, ...] = Field(
        (), description="other issuers that are believed, `[[token.issuers]]` in `dynamo.toml`"
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        """Refuse two issuers of one name: which keys count would be a matter of luck."""
        named = [self.issuer, *(one.issuer for one in self.issuers)]
        if len(set(named)) < len(named):
            raise ValueError("each issuer may stand there once")
        return self


class Proxy(Section):
    """A proxy in front that checks certificates and says whose they are."""

    addresses: tuple[str, ...] = Field(
        (), description="addresses or networks from which it calls; none = no certificates"
    )
    secret: SecretStr = Field(
        SecretStr(""), description="what it sends as X-Proxy-Secret, at least 16 characters"
    )
    users: dict[str, _User] = Field({}, description="subject of a certificate -> user name")

    @model_validator(mode="after")
    def _safe(self) -> Self:
        """Refuse a proxy that anybody at its address could play."""
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

    data: Path = Field(
        Path("dynamo-data"), description="directory of everything that a system keeps"
    )
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
        """Read the environment first, then the file in the data directory."""
        given = init_settings().get("data") or os.environ.get("DYNAMO_DATA") or "dynamo-data"
        return (
            init_settings,
            env_settings,
            TomlConfigSettingsSource(settings_cls, Path(given) / FILE),
        )

    @property
    def site_streams(self) -> int:
        """Return the streams into a site, and out of it, where the site sets no limit."""
        return self.transfer.site_streams or max(1, self.pool.transfer // 2)

    @property
    def database_url(self) -> str:
        """Return where the inventory is."""
        return self.database.url or f"sqlite:///{self.data.absolute() / 'inventory.db'}"


def load(data: Path | None = None) -> Settings:
    """Read the settings; `data` names the data directory and wins over `DYNAMO_DATA`."""
    return Settings(data=data) if data is not None else Settings()
