"""The used bytes of a quota, and the share of them without another copy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.views import sites
from dynamo.db.views.sites import QuotaRow
from dynamo.services.pagination import Item
from dynamo.settings import User


@dataclass(frozen=True, slots=True)
class Share:
    """Bytes of a partition at one site, or summed over several."""

    limit: int | None
    """None = unlimited."""
    used: int
    projected: int
    unique: int

    @classmethod
    def of(cls, row: QuotaRow, unique: Mapping[tuple[int, int], int]) -> "Share":
        """Return the share of a row of quotas."""
        counted = unique.get((row.site_id, row.partition_id), 0)
        return cls(row.max_bytes, row.used, row.projected, counted)

    @classmethod
    def sum(cls, shares: Iterable["Share"]) -> "Share":
        """Return the sum of shares; one without a limit makes the sum unlimited."""
        listed = list(shares)
        limits = [share.limit for share in listed if share.limit is not None]
        return cls(
            sum(limits) if len(limits) == len(listed) else None,
            sum(share.used for share in listed),
            sum(share.projected for share in listed),
            sum(share.unique for share in listed),
        )

    @property
    def ratio(self) -> float:
        """Return unique bytes ÷ quota; 1 if any byte is beyond a quota of 0."""
        if self.limit is None:
            return 0.0
        return self.unique / self.limit if self.limit else float(self.unique > 0)

    def level(self, limits: User) -> str:
        """Return `alarm`, `notice` or `ok` for the unique share."""
        if self.ratio > limits.alarm_share:
            return "alarm"
        return "notice" if self.ratio > limits.notice_share else "ok"

    def item(self, limits: User) -> Item:
        """Return the share as JSON values."""
        return {
            "limit": self.limit,
            "used": self.used,
            "projected": self.projected,
            "unique": self.unique,
            "share": self.ratio,
            "level": self.level(limits),
        }


_ALARM = "alarm"


def alarming(work: Work, limits: User, partition_id: int) -> frozenset[str]:
    """Return the sites that take no new data of a partition; all sites if their sum is too full.

    Unique data cannot be deleted to make space, so only more storage or fewer data help.
    """
    if not limits.refuse_over_alarm:
        return frozenset()
    unique = sites.unique_bytes(work)
    shares = {
        quota.site: Share.of(quota, unique)
        for quota in sites.quotas(work)
        if quota.partition_id == partition_id and quota.partition == limits.partition
    }
    if Share.sum(shares.values()).level(limits) == _ALARM:
        return frozenset(shares)
    return frozenset(site for site, share in shares.items() if share.level(limits) == _ALARM)
