"""The watch over unique bytes: where they pass the alarm, new data are refused if so configured."""

from dynamo.db.reads import sites
from dynamo.db.work import Work
from dynamo.services.shares import Share
from dynamo.settings import User

_ALARM = "alarm"


def alarming(work: Work, limits: User, partition_id: int) -> frozenset[str]:
    """Return the sites that take no new data of a partition; all, where they are too full together.

    What is unique cannot be deleted to make room, so only more storage or fewer data help.
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
