"""The table of all policy variables: their meaning, and how columns of them are computed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from dynamo.inventory.labels import Labels
from dynamo.inventory.snapshot import (
    DATASET_STATUSES,
    DISK,
    READY,
    SITE_KINDS,
    SITE_STATUSES,
    TAPE,
    Column,
    Flags,
)
from dynamo.policy.comparisons import Texts, Values
from dynamo.policy.image import Image, Standing, View

FOREVER = 0xFFFFFFFF
"""First and last block time of a replica without blocks."""


class Level(Enum):
    """The object that a variable describes."""

    DATASET = "dataset"
    REPLICA = "dataset replica"
    BLOCK = "block replica"
    SITE = "site"


class Kind(Enum):
    """Type of a variable's values."""

    BOOL = "boolean"
    NUMBER = "number"
    TEXT = "text"
    TIME = "time"
    WORD = "word"


class Scope(Enum):
    """Place of a condition: `On`, `When` and `Until` concern sites, other lines replicas."""

    REPLICA = "replicas"
    SITE = "sites"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable of policies.

    `fixed` reads values that no deletion changes, for the whole image at once: one per dataset or
    site of the snapshot, dataset replica or row of the image. `moving` reads values that change,
    for a view: one per replica, or per row at block level. `standing` reads them at sites.
    """

    name: str
    level: Level
    kind: Kind
    meaning: str
    default: str = "-"
    attribute: str | None = None
    """The attribute that a producer must provide."""
    words: Mapping[str, int] = field(default_factory=dict)
    fixed: Callable[[Image], Values] | None = None
    moving: Callable[[View], Values] | None = None
    shared: bool = False
    """The value depends on other replicas of the dataset."""
    standing: Callable[[Standing], Values] | None = None

    def stands_in(self, scope: Scope) -> bool:
        """Return whether conditions of this scope may use the variable."""
        if scope is Scope.SITE:
            return self.standing is not None
        return self.fixed is not None or self.moving is not None

    @property
    def sortable(self) -> bool:
        """Return whether `Order` may use the variable."""
        return self.kind not in (Kind.BOOL, Kind.TEXT) and self.level is not Level.BLOCK


def _numbered(words: tuple[str, ...], **aliases: str) -> dict[str, int]:
    codes = {word.upper(): code for code, word in enumerate(words) if word}
    return codes | {alias: codes[word] for alias, word in aliases.items()}


STATUS_WORDS = _numbered(DATASET_STATUSES)
SITE_STATUS_WORDS = _numbered(SITE_STATUSES)
SITE_KIND_WORDS = _numbered(SITE_KINDS, MSS="TAPE")
ON_TAPE_WORDS = {"NONE": 0, "FULL": 1, "PARTIAL": 2}


def _attribute(name: str, default: float) -> Callable[[Image], Column]:
    """Return a reader of a producer's attribute; the default without a producer."""
    kind = (
        np.bool_
        if isinstance(default, bool)
        else np.int64
        if isinstance(default, int)
        else np.float64
    )

    def read(image: Image) -> Column:
        known = image.snapshot.attributes.get(name)
        size = len(image.snapshot.datasets.ids)
        return np.full(size, default, kind) if known is None else known

    return read


def _in_use(image: Image) -> Flags:
    """Return flags of rows that a copy needs; empty tape replicas are never needed."""
    flags = np.zeros(len(image.source), np.bool_)
    known = image.snapshot.block_replicas.in_use
    if known is not None:
        real = image.source >= 0
        flags[real] = known[image.source[real]]
    return flags


def _release(image: Image) -> Values:
    known = image.snapshot.attributes.get("release")
    if known is None:
        return Texts(Labels([""]), np.zeros(len(image.snapshot.datasets.ids), np.int32))
    distinct, codes = np.unique(known.astype(np.str_), return_inverse=True)
    return Texts(Labels(distinct.tolist()), codes)


def _on_tape(view: View) -> Column:
    """Return FULL, PARTIAL or NONE; a replica that lost blocks to earlier lines is not full."""
    counts, sites = view.image.counts, view.image.snapshot.sites
    own = view.image.counts.full[view.replicas] & view.stripped & (sites.kind[view.site] == TAPE)
    full = counts.full_on_tape[view.dataset] - own > 0
    partial = counts.on_tape[view.dataset] > 0
    return np.where(
        full,
        ON_TAPE_WORDS["FULL"],
        np.where(partial, ON_TAPE_WORDS["PARTIAL"], ON_TAPE_WORDS["NONE"]),
    )


def _whole_owner(view: View) -> Column:
    """Return whether a group that owns whole datasets owns any present block."""
    return view.any(view.image.snapshot.groups.whole[view.image.group[view.rows]])


def _at_ready_disk(view: View) -> Flags:
    sites = view.image.snapshot.sites
    return np.asarray((sites.kind[view.site] == DISK) & (sites.status[view.site] == READY))


def _full_on_disk(view: View) -> Column:
    own = view.image.counts.full[view.replicas] & view.stripped & _at_ready_disk(view)
    return view.image.counts.full_on_disk[view.dataset] - own


def _full_disk_common_owner(view: View) -> Column:
    image, sites = view.image, view.image.snapshot.sites
    ready = (sites.kind == DISK) & (sites.status == READY)
    others = image.owners.sharing(view, image.counts.full & image.visible & ready[image.site])
    own = view.full & _at_ready_disk(view) & (view.remaining > 0)
    return np.asarray(others + own)


def _full_other_common_owner(view: View) -> Column:
    image, sites = view.image, view.image.snapshot.sites
    ready = sites.status == READY
    return image.owners.sharing(view, image.counts.full & image.visible & ready[image.site])


def _last_source(view: View) -> Column:
    """Return for each row whether it is the only complete source of a transfer of its block."""
    image = view.image
    block, complete = image.block[view.rows], image.complete[view.rows]
    own = complete & _at_ready_disk(view)[view.place]
    alone = image.counts.complete_on_disk[block] - own == 0
    return np.asarray(complete & alone & (image.counts.incomplete[block] > 0))


def _block_on_tape(view: View) -> Column:
    image = view.image
    on_tape = image.counts.complete_on_tape[image.block[view.rows]] > 0
    return np.asarray(image.complete[view.rows] & on_tape)


def _datasets_at(image: Image, names: frozenset[str]) -> Flags:
    """Return flags of datasets with a replica in the image at one of the sites."""
    labels = image.snapshot.sites.labels
    wanted = np.array([name in names for name in labels], np.bool_)
    flags = np.zeros(len(image.snapshot.datasets.ids), np.bool_)
    flags[image.dataset[wanted[image.site]]] = True
    return flags


def _waited_for(image: Image) -> Flags:
    """Return flags of datasets that open copy requests name, whole or by a block."""
    labels = image.snapshot.datasets.labels
    flags = np.zeros(len(labels), np.bool_)
    for item in image.snapshot.waiting_copies:
        name, mark, block = item.partition("#")
        place = labels.find(name)
        if place >= 0 and (not mark or _has_block(image, place, block)):
            flags[place] = True
    return flags


def _has_block(image: Image, dataset: int, name: str) -> bool:
    blocks = image.snapshot.blocks
    if blocks.names is None:
        return True
    low, high = np.searchsorted(blocks.dataset, [dataset, dataset + 1])
    return name in blocks.names[low:high]


VARIABLES: tuple[Variable, ...] = (
    Variable(
        name="dataset.name",
        level=Level.DATASET,
        kind=Kind.TEXT,
        meaning="name of the dataset",
        fixed=lambda image: Texts(image.snapshot.datasets.labels),
    ),
    Variable(
        name="dataset.status",
        level=Level.DATASET,
        kind=Kind.WORD,
        meaning="what the dataset is worth",
        words=STATUS_WORDS,
        fixed=lambda image: image.snapshot.datasets.status,
    ),
    Variable(
        name="dataset.on_tape",
        level=Level.DATASET,
        kind=Kind.WORD,
        meaning="FULL if a tape site has all blocks complete, PARTIAL if any replica is on tape",
        words=ON_TAPE_WORDS,
        moving=_on_tape,
        shared=True,
    ),
    Variable(
        name="dataset.tape_copy_requested",
        level=Level.DATASET,
        kind=Kind.BOOL,
        meaning="a copy to tape waits for approval",
        default="false",
        attribute="tape_copy_requested",
        fixed=_attribute("tape_copy_requested", default=False),
    ),
    Variable(
        name="dataset.size",
        level=Level.DATASET,
        kind=Kind.NUMBER,
        meaning="bytes of all its blocks",
        fixed=lambda image: image.snapshot.datasets.size,
    ),
    Variable(
        name="dataset.last_update",
        level=Level.DATASET,
        kind=Kind.TIME,
        meaning="when the dataset itself last changed",
        fixed=lambda image: image.snapshot.datasets.updated,
    ),
    Variable(
        name="dataset.last_access",
        level=Level.DATASET,
        kind=Kind.TIME,
        meaning="when a job last read it",
        default="1970-01-01",
        attribute="last_access",
        fixed=_attribute("last_access", default=0),
    ),
    Variable(
        name="dataset.num_full_disk_copy",
        level=Level.DATASET,
        kind=Kind.NUMBER,
        meaning="full replicas at disk sites that are ready",
        moving=_full_on_disk,
        shared=True,
    ),
    Variable(
        name="dataset.usage_rank",
        level=Level.DATASET,
        kind=Kind.NUMBER,
        meaning="how unused it is, about in days: the higher, the less wanted",
        default="0",
        attribute="usage_rank",
        fixed=_attribute("usage_rank", default=0.0),
    ),
    Variable(
        name="dataset.demand_rank",
        level=Level.DATASET,
        kind=Kind.NUMBER,
        meaning="how much waiting jobs want it",
        default="0",
        attribute="demand_rank",
        fixed=_attribute("demand_rank", default=0.0),
    ),
    Variable(
        name="dataset.request_weight",
        level=Level.DATASET,
        kind=Kind.NUMBER,
        meaning="waiting jobs that want it, each halved every four days",
        default="0",
        attribute="request_weight",
        fixed=_attribute("request_weight", default=0.0),
    ),
    Variable(
        name="dataset.release",
        level=Level.DATASET,
        kind=Kind.TEXT,
        meaning="software release it was made with, such as 10_6_4 or 10_6_4_patch1",
        default="empty",
        attribute="release",
        fixed=_release,
    ),
    Variable(
        name="dataset.is_latest_production_release",
        level=Level.DATASET,
        kind=Kind.BOOL,
        meaning="made with the latest release of its cycle",
        default="false",
        attribute="latest_production_release",
        fixed=_attribute("latest_production_release", default=False),
    ),
    Variable(
        name="dataset.on_protected_site",
        level=Level.DATASET,
        kind=Kind.BOOL,
        meaning="has a replica at a site that the operators protect",
        default="false",
        fixed=lambda image: _datasets_at(image, image.snapshot.protected_sites),
    ),
    Variable(
        name="dataset.unknown_in_all_dbs",
        level=Level.DATASET,
        kind=Kind.BOOL,
        meaning="no other catalogue knows it",
        default="false",
        attribute="unknown_in_all_dbs",
        fixed=_attribute("unknown_in_all_dbs", default=False),
    ),
    Variable(
        name="dataset.unhandled_copy_exists",
        level=Level.DATASET,
        kind=Kind.BOOL,
        meaning="an open copy request names it or one of its blocks",
        default="false",
        fixed=_waited_for,
    ),
    Variable(
        name="replica.size",
        level=Level.REPLICA,
        kind=Kind.NUMBER,
        meaning="bytes that are there, of the blocks that earlier lines left",
        moving=lambda view: view.total(view.image.size[view.rows]),
    ),
    Variable(
        name="replica.incomplete",
        level=Level.REPLICA,
        kind=Kind.BOOL,
        meaning="one of its blocks lacks files",
        moving=lambda view: view.any(~view.image.complete[view.rows]),
    ),
    Variable(
        name="replica.last_block_created",
        level=Level.REPLICA,
        kind=Kind.TIME,
        meaning="when its youngest block replica was updated",
        default="1970-01-01",
        moving=lambda view: view.reduced(np.maximum, view.image.updated[view.rows], 0),
    ),
    Variable(
        name="replica.first_block_created",
        level=Level.REPLICA,
        kind=Kind.TIME,
        meaning="when its oldest block replica was updated",
        default="2106-02-07",
        moving=lambda view: np.minimum(
            view.reduced(np.minimum, view.image.updated[view.rows], FOREVER), FOREVER
        ),
    ),
    Variable(
        name="replica.num_access",
        level=Level.DATASET,
        kind=Kind.NUMBER,
        meaning="how often the dataset was read, wherever it was read",
        default="0",
        attribute="num_access",
        fixed=_attribute("num_access", default=0.0),
    ),
    Variable(
        name="replica.num_full_disk_copy_common_owner",
        level=Level.REPLICA,
        kind=Kind.NUMBER,
        meaning="full replicas at ready disk sites with an owner in common; this one counts",
        moving=_full_disk_common_owner,
        shared=True,
    ),
    Variable(
        name="replica.num_full_other_copy_common_owner",
        level=Level.REPLICA,
        kind=Kind.NUMBER,
        meaning="full replicas at other ready sites, disk or tape, with an owner in common",
        moving=_full_other_common_owner,
        shared=True,
    ),
    Variable(
        name="replica.has_dataset_owner",
        level=Level.REPLICA,
        kind=Kind.BOOL,
        meaning="a group that owns whole datasets owns a block of it, and gets those of the others "
        "instead of their deletion",
        moving=_whole_owner,
    ),
    Variable(
        name="replica.enforcer_protected",
        level=Level.REPLICA,
        kind=Kind.BOOL,
        meaning="a placement rule needs it",
        default="false",
        fixed=lambda image: image.enforced,
    ),
    Variable(
        name="blockreplica.last_update",
        level=Level.BLOCK,
        kind=Kind.TIME,
        meaning="when the block replica last changed",
        fixed=lambda image: image.updated,
    ),
    Variable(
        name="blockreplica.owner",
        level=Level.BLOCK,
        kind=Kind.TEXT,
        meaning="name of the group that owns it; None if nobody does",
        moving=lambda view: Texts(view.image.snapshot.groups.labels, view.image.group[view.rows]),
    ),
    Variable(
        name="blockreplica.is_locked",
        level=Level.BLOCK,
        kind=Kind.BOOL,
        meaning="a lock that has not expired names it",
        default="false",
        fixed=lambda image: image.locked,
    ),
    Variable(
        name="blockreplica.in_use",
        level=Level.BLOCK,
        kind=Kind.BOOL,
        meaning="a copy reads from it, or will; such blocks are protected before all lines",
        default="false",
        fixed=_in_use,
    ),
    Variable(
        name="blockreplica.is_last_transfer_source",
        level=Level.BLOCK,
        kind=Kind.BOOL,
        meaning="it is complete, another replica of the block is not, and no ready disk site has a "
        "third one that is",
        moving=_last_source,
        shared=True,
    ),
    Variable(
        name="blockreplica.num_full_disk_copy",
        level=Level.BLOCK,
        kind=Kind.NUMBER,
        meaning="complete replicas of the block at any site, disk or not; this one counts",
        moving=lambda view: view.image.counts.complete[view.image.block[view.rows]],
        shared=True,
    ),
    Variable(
        name="blockreplica.on_tape",
        level=Level.BLOCK,
        kind=Kind.BOOL,
        meaning="it is complete, and so is a replica of the block on tape",
        moving=_block_on_tape,
        shared=True,
    ),
    Variable(
        name="blockreplica.age_relative_to_newest",
        level=Level.BLOCK,
        kind=Kind.NUMBER,
        meaning="seconds by which it is older than the youngest block replica of the partition",
        default="0",
        fixed=lambda image: image.newest - image.updated,
    ),
    Variable(
        name="site.name",
        level=Level.SITE,
        kind=Kind.TEXT,
        meaning="name of the site",
        fixed=lambda image: Texts(image.snapshot.sites.labels),
        standing=lambda standing: Texts(standing.sites.labels, standing.places),
    ),
    Variable(
        name="site.status",
        level=Level.SITE,
        kind=Kind.WORD,
        meaning="whether the site can be used",
        words=SITE_STATUS_WORDS,
        fixed=lambda image: image.snapshot.sites.status,
        standing=lambda standing: standing.sites.status[standing.places],
    ),
    Variable(
        name="site.storage_type",
        level=Level.SITE,
        kind=Kind.WORD,
        meaning="what its storage is made of; MSS and TAPE are the same",
        words=SITE_KIND_WORDS,
        fixed=lambda image: image.snapshot.sites.kind,
        standing=lambda standing: standing.sites.kind[standing.places],
    ),
    Variable(
        name="site.tier",
        level=Level.SITE,
        kind=Kind.NUMBER,
        meaning="the number behind the T of its name, -1 if there is none",
        fixed=lambda image: image.snapshot.sites.tier,
        standing=lambda standing: standing.sites.tier[standing.places],
    ),
    Variable(
        name="site.reliability",
        level=Level.SITE,
        kind=Kind.NUMBER,
        meaning="share of its recent transfers that went well, 0 to 1",
        default="1",
        fixed=lambda image: image.snapshot.sites.reliability,
        standing=lambda standing: standing.sites.reliability[standing.places],
    ),
    Variable(
        name="site.occupancy",
        level=Level.SITE,
        kind=Kind.NUMBER,
        meaning="bytes there ÷ quota: 0 if the quota is unlimited, above all bounds if it is 0",
        standing=lambda standing: standing.occupancy,
    ),
    Variable(
        name="site.quota",
        level=Level.SITE,
        kind=Kind.NUMBER,
        meaning="bytes that the partition may fill; infinite if it is unlimited",
        standing=lambda standing: standing.quota,
    ),
    Variable(
        name="always",
        level=Level.SITE,
        kind=Kind.BOOL,
        meaning="true",
        standing=lambda standing: np.ones(len(standing.places), np.bool_),
    ),
    Variable(
        name="never",
        level=Level.SITE,
        kind=Kind.BOOL,
        meaning="false",
        standing=lambda standing: np.zeros(len(standing.places), np.bool_),
    ),
)

BY_NAME: Mapping[str, Variable] = {variable.name: variable for variable in VARIABLES}
OLD_NAMES: Mapping[str, str] = {
    "replica.has_locked_block": "blockreplica.is_locked",
    "replica.group_name": "blockreplica.owner",
}
"""Names in older policies, and the current names."""
