"""The schema of the inventory."""

from dynamo.db.tables.audit import Answer, History, Incident, Pulse, Switch
from dynamo.db.tables.base import Base
from dynamo.db.tables.catalogue import (
    Block,
    BlockReplica,
    Dataset,
    DatasetReplica,
    File,
    ReplicaFile,
)
from dynamo.db.tables.consistency import Remedy, Scan, Sighting
from dynamo.db.tables.decisions import (
    Access,
    Cycle,
    Decision,
    Demand,
    Lock,
    PlacementRules,
    Policy,
)
from dynamo.db.tables.operations import Deletion, Lease, Request, Transfer
from dynamo.db.tables.sites import Group, Partition, Quota, Site, User
from dynamo.db.tables.traffic import (
    Breaker,
    Downtime,
    Feed,
    Link,
    Parked,
    Probe,
    Stream,
    ToldStatus,
    Vigil,
)

__all__ = [
    "Access",
    "Answer",
    "Base",
    "Block",
    "BlockReplica",
    "Breaker",
    "Cycle",
    "Dataset",
    "DatasetReplica",
    "Decision",
    "Deletion",
    "Demand",
    "Downtime",
    "Feed",
    "File",
    "Group",
    "History",
    "Incident",
    "Lease",
    "Link",
    "Lock",
    "Parked",
    "Partition",
    "PlacementRules",
    "Policy",
    "Probe",
    "Pulse",
    "Quota",
    "Remedy",
    "ReplicaFile",
    "Request",
    "Scan",
    "Sighting",
    "Site",
    "Stream",
    "Switch",
    "ToldStatus",
    "Transfer",
    "User",
    "Vigil",
]
