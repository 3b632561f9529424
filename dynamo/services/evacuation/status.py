"""Evacuations: how far the emptying of a site is, what is stuck there and why, and until when.

And what would be lost with a site: whose it is, and what can be had again from where.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select

from dynamo.clock import rfc3339
from dynamo.db.consistency import incidents
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.evacuation import evacuation
from dynamo.db.evacuation import progress as evacuation_progress
from dynamo.db.evacuation.evacuation import CompleteCopy, OwnedReplica
from dynamo.db.evacuation.progress import SiteContent, StuckCopy, StuckFile
from dynamo.db.sites import switches
from dynamo.db.tables import Incident
from dynamo.db.views.sites import SiteRow
from dynamo.dealer.plan import ProposalOutcome
from dynamo.inventory.states import SiteKind
from dynamo.reasons import Reason
from dynamo.services import site_lookup
from dynamo.services.context import Context
from dynamo.services.evacuation import abandonment, declare_lost
from dynamo.services.pagination import Item
from dynamo.services.replication.scheduler import DEALER
from dynamo.services.requests import forecast

SHOWN = 100
"""What is stuck, of each kind, and blocks of one owner that would be lost: so many are named."""
COUNTED = 1_000_000
"""Transfers of files that could not be read are counted up to so many."""
_SENTENCES = {
    "stuck": "some of their files cannot be moved or deleted now: see why below",
    "refused": "the last cycle of the Dealer sent no copy: see why below",
    "waiting": "no copy is on its way yet: the next cycle of the Dealer looks for a place",
    "moving": "on their way to another site",
    "safe": "complete at a site that stays: they are deleted here next",
    "leaving": "condemned: they are deleted when their grace is over",
    "arriving": "still filled, or some files never came: bring them, or drop them by a deletion",
}
_REMEDIES = {ProposalOutcome.NOT_VALID.word: ": make it valid again, or delete it"}
"""What can be done about a refusal that time does not heal."""


def get(ctx: Context, name: str) -> Item:
    """Tell how far the evacuation of a site is. Raises NotFound."""
    with ctx.begin.reading() as work:
        site = site_lookup.site(work, name)
        dying = evacuation.dying_ids(work, ctx.settings.dealer.leaving)
        looked = evacuation_progress.load(work, site.id, dying)
        sums = evacuation_progress.summed(work, looked)
        n_files, size = evacuation_progress.resting(work, looked)
        refused = sums.get(evacuation_progress.REFUSED, (0, 0, 0))
        end = _end(work, ctx, site, sums)
        left = _sum(list(sums.values()))
        return {
            "site": site.name,
            "status": site.status,
            "since": rfc3339(site.since or site.created),
            "evacuated": site.id in dying,
            "left": left,
            "by_fate": {
                fate: {**_sum([sums[fate]]), "meaning": sentence}
                for fate, sentence in _SENTENCES.items()
                if fate in sums
            },
            "stopped": switches.stopped(
                work, DEALER, switches.DELETIONS, switches.of_site(site.name)
            ),
            "stuck": {"files": n_files + refused[1], "bytes": size + refused[2]},
            "problems": [*_refused(work, looked), *_files(work, looked)],
            "given_up": abandonment.prospect(work, ctx, site, dying),
            "expected_end": None if end is None or not left["bytes"] else rfc3339(end),
        }


def losses(ctx: Context, name: str) -> Item:
    """Tell what would be lost with a site, by owner, and where the rest is. Raises NotFound."""
    with ctx.begin.reading() as work:
        site = site_lookup.site(work, name)
        dying = evacuation.dying_ids(work, ctx.settings.dealer.leaving)
        elsewhere = evacuation.complete_elsewhere(work, site.id, dying)
        owners: dict[str, _Owner] = {}
        for row in evacuation.held_here(work, site.id):
            whose = row.owner or row.group or "official data"
            owner = owners.setdefault(whose, _Owner(whose))
            owner.count(row, elsewhere.get(row.block_id, ()))
        for file in _lost_files(work, site.id):
            whose = file.owner or "official data"
            owners.setdefault(whose, _Owner(whose)).lost_files.append(file.lfn)
        return {
            "site": site.name,
            "owners": [owners[key].item() for key in sorted(owners)],
            "unread": _unread(work, ctx, site, dying),
        }


def _unread(work: Work, ctx: Context, site: SiteRow, dying: Collection[int]) -> Item:
    """Tell what `declaring` would give up, as far as is known without looking at the site."""
    found = declare_lost.unread(work, ctx, site, dying, COUNTED)[0] if site.id in dying else ()
    return {
        "files": len(found),
        "bytes": sum(one.size for one in found),
        "lfns": [one.lfn for one in found[:SHOWN]],
    }


class _Owner:
    """What one owner has at a site."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.again = [0, 0, 0]
        self.alone = [0, 0, 0]
        self.sources: dict[str, int] = {}
        self.blocks: list[str] = []
        self.lost_files: list[str] = []

    def count(self, row: OwnedReplica, copies: Sequence[CompleteCopy]) -> None:
        """Count a block, and one place from where it can be had again: disk before tape."""
        kept = self.again if copies else self.alone
        for place, n in enumerate((1, row.n_files, row.bytes)):
            kept[place] += n
        if not copies:
            if len(self.blocks) < SHOWN:
                self.blocks.append(f"{row.dataset}#{row.uuid}")
            return
        best = min(copies, key=lambda one: (one.kind == SiteKind.TAPE, one.status != "ready"))
        self.sources[best.site] = self.sources.get(best.site, 0) + row.bytes

    def item(self) -> Item:
        """Return what callers see."""
        return {
            "owner": self.name,
            "recoverable": _sum([self.again]),
            "from": [{"site": site, "bytes": self.sources[site]} for site in sorted(self.sources)],
            "only_here": _sum([self.alone]),
            "blocks_only_here": self.blocks,
            "lost_files": self.lost_files,
        }


def _sum(rows: Sequence[Sequence[int]]) -> Item:
    totals = [sum(row[place] for row in rows) for place in range(3)]
    return dict(zip(("blocks", "files", "bytes"), totals, strict=True))


def _refused(work: Work, looked: SiteContent) -> list[Item]:
    """Tell of which datasets the last cycle has copied nothing, and why."""
    rows = evacuation_progress.refusals(work, looked, SHOWN)
    said = evacuation_progress.decisions(work, looked, [row.dataset for row in rows])
    return [
        {
            "lfn": None,
            "bytes": row.size,
            "dataset": row.dataset,
            "to": None,
            "state": evacuation_progress.REFUSED,
            "reason": reason,
            "detail": detail + _REMEDIES.get(reason, ""),
            "next_try": None,
        }
        for row in rows
        for reason, detail in [said.get(row.dataset, _shut(row.partition))]
    ]


def _shut(partition: str) -> tuple[str, str]:
    word = ProposalOutcome.NOT_A_TARGET.word
    return word, f"no site with a quota for the partition {partition} takes copies now"


def _files(work: Work, looked: SiteContent) -> list[Item]:
    """Tell which files cannot be brought away, and which not deleted, and why."""
    lost = _lost_of(work, looked.site_id)
    brought = evacuation_progress.transfers(work, looked, SHOWN)
    deleted = evacuation_progress.deletions(work, looked, SHOWN)
    return [
        *(_file(row, row.destination, lost) for row in brought),
        *(_file(row, None, {}) for row in deleted),
    ]


def _file(row: StuckCopy | StuckFile, to: str | None, lost: Mapping[str, str | None]) -> Item:
    return {
        "lfn": row.lfn,
        "bytes": row.size or 0,
        "dataset": row.dataset,
        "to": to,
        "state": row.state,
        "reason": Reason.LOST if row.lfn in lost else row.reason,
        "detail": lost.get(row.lfn) or row.error,
        "next_try": rfc3339(row.not_before) if row.not_before else None,
    }


class _LostFile(NamedTuple):
    lfn: str
    owner: str | None
    detail: str | None


def _lost_files(work: Work, site_id: int) -> list[_LostFile]:
    """Return the files of blocks at a site that are known to be lost."""
    datasets = evacuation.datasets_at(work, site_id)
    lost = (Incident.kind == incidents.LOST, Incident.site == "", Incident.ended.is_(None))
    columns = (Incident.lfn, Incident.owner, Incident.detail)
    found: list[_LostFile] = []
    for start in range(0, len(datasets), 500):
        some = Incident.dataset.in_(datasets[start : start + 500])
        named = select(*columns).where(*lost, some)
        found += work.read(_LostFile, named.order_by(Incident.id))
    return found


def _lost_of(work: Work, site_id: int) -> dict[str, str | None]:
    return {row.lfn: row.detail for row in _lost_files(work, site_id)}


def _end(
    work: Work, ctx: Context, site: SiteRow, sums: Mapping[str, Sequence[int]]
) -> datetime | None:
    """Guess when the site is empty; None = nobody knows, as something does not go on by itself."""
    if any(sums.get(fate, (0, 0, 0))[2] for fate in _NOT_BY_ITSELF):
        return None
    if switches.stopped(work, switches.DELETIONS, switches.of_site(site.name)):
        return None
    waiting, moving = (sums.get(fate, (0, 0, 0))[2] for fate in ("waiting", "moving"))
    brought = _brought(work, site.id, waiting, moving)
    if brought is None:
        return None
    numbers = ctx.settings.deletion
    # what waits for its turn after its grace is gone at once at best, not before now
    gone = max(evacuation.last_deletion(work, site.id) or work.now, work.now)
    if any(fate in sums for fate in ("waiting", "moving", "safe")):
        gone = max(gone, work.now + brought + timedelta(hours=numbers.grace_hours))
    return gone


def _brought(work: Work, site_id: int, waiting: int, moving: int) -> timedelta | None:
    """Guess how long it takes to bring all away; what is not on its way yet will go as what is."""
    under_way = evacuation.to_move(work, site_id)
    size = sum(under_way.values())
    if not size:
        return None if waiting or moving else timedelta()
    whole = size + waiting
    parts = {(site_id, to): part * whole // size for to, part in under_way.items()}
    return forecast.lasting(work, parts)


_NOT_BY_ITSELF = ("stuck", evacuation_progress.REFUSED, "arriving")
