"""Wishes: what copy requests want, in keys, and the sites that are meant by names and globs."""

import fnmatch
import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from dynamo.db import registry, requests
from dynamo.db.tables import (
    Block,
    BlockReplica,
    Group,
    Quota,
    Site,
)
from dynamo.db.work import Work, retried
from dynamo.inventory.states import ENDED, ReplicaState, RequestState, SiteStatus
from dynamo.services.tools import Tools


@dataclass(frozen=True, slots=True)
class Target:
    """A site that data are wanted at."""

    id: int
    name: str
    ready: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """What a copy request wants, in keys."""

    request_id: int
    who: int
    dataset: Any
    sites: tuple[Target, ...]
    blocks: tuple[str, ...] | None
    group_id: int | None
    consolidate: bool


@retried
def read(use: Tools, request_id: int) -> Wish | None:
    """Return what an open request wants now; None where there is nothing to do yet."""
    with use.begin() as work:
        request = requests.locked(work, request_id)
        if request is None or request.state in ENDED:
            return None
        again = work.now + use.again
        dataset = registry.dataset(work, request.dataset)
        if dataset is None:
            _wait(work, request_id, again, "dataset-unknown", "the dataset has no file yet")
            return None
        body = request.body
        chosen = _sites(work, body, dataset)
        if (
            body.get("copies") is not None
            and "chosen" not in body
            and len(chosen) == body["copies"]
        ):
            requests.put(work, request_id, body={**body, "chosen": [site.name for site in chosen]})
        if not chosen:
            _wait(work, request_id, again, "site-not-ready", "no site can take the data now")
            return None
        group = body.get("group")
        group_id = (
            work.scalar(select(Group.id).where(Group.name == group)) if group else dataset.group_id
        )
        blocks = (
            tuple(name.partition("#")[2] for name in body["blocks"]) if body.get("blocks") else None
        )
        return Wish(
            request_id,
            request.owner_id,
            dataset,
            tuple(chosen),
            blocks,
            group_id,
            bool(body.get("consolidate")),
        )


def _wait(work: Work, request_id: int, again: datetime, reason: str, detail: str) -> None:
    requests.put(
        work,
        request_id,
        state=RequestState.HELD,
        reason=reason,
        detail=detail,
        not_before=again,
    )


def _sites(work: Work, body: dict[str, Any], dataset: Any) -> list[Target]:
    """Return the sites that are meant: those named, or the best of those that globs allow."""
    rows = work.rows(select(Site.id, Site.name, Site.status).order_by(Site.name))
    targets = {row.name: Target(row.id, row.name, row.status == SiteStatus.READY) for row in rows}
    if "chosen" in body:
        return [targets[name] for name in body["chosen"] if name in targets]
    copies = body.get("copies")
    if copies is None:
        return [targets[name] for name in body["sites"] if name in targets]
    patterns = [re.compile(fnmatch.translate(name)) for name in body["sites"]]
    allowed = [t for t in targets.values() if t.ready and any(p.match(t.name) for p in patterns)]
    there = Counter(dict(work.rows(_bytes_at(dataset.id))))
    room = {
        row.site_id: float("inf") if row.max_bytes is None else row.max_bytes - row.projected
        for row in work.rows(
            select(*Quota.__table__.columns).where(Quota.partition_id == dataset.partition_id)
        )
    }
    fitting = [t for t in allowed if t.id in room and (there[t.id] or room[t.id] > 0)]
    return sorted(fitting, key=lambda t: (-there[t.id], -room[t.id], t.name))[:copies]


def _bytes_at(dataset_id: int) -> Any:
    here = (BlockReplica.dataset_id == dataset_id, BlockReplica.state == ReplicaState.VALID)
    return (
        select(BlockReplica.site_id, func.sum(BlockReplica.bytes))
        .where(*here)
        .group_by(BlockReplica.site_id)
    )


def wanted(wish: Wish) -> tuple[Any, ...]:
    """Return the conditions for blocks that the request is about; only closed ones are copied."""
    some = (Block.uuid.in_(wish.blocks),) if wish.blocks is not None else ()
    return (
        Block.dataset_id == wish.dataset.id,
        Block.closed.is_(True),
        Block.condemned_by.is_(None),
        Block.n_files > 0,
        *some,
    )
