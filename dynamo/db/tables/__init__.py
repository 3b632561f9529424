"""What is remembered: the schema of the inventory."""

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
from dynamo.db.tables.memory import Answer, History, Incident, Pulse, Switch
from dynamo.db.tables.operations import Deletion, Lease, Request, Transfer
from dynamo.db.tables.places import Group, Partition, Quota, Site, User

__all__ = [
    "Access",
    "Answer",
    "Base",
    "Block",
    "BlockReplica",
    "Cycle",
    "Dataset",
    "DatasetReplica",
    "Decision",
    "Deletion",
    "Demand",
    "File",
    "Group",
    "History",
    "Incident",
    "Lease",
    "Lock",
    "Partition",
    "Policy",
    "Pulse",
    "Quota",
    "ReplicaFile",
    "Request",
    "Site",
    "PlacementRules",
    "Switch",
    "Transfer",
    "User",
]
