"""Copy requests: the standing request that data be at a site."""

from collections.abc import Sequence
from functools import partial

from sqlalchemy import select, update

from dynamo.db import requests
from dynamo.db.catalogue import names as catalogue_names
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.history import Event, record
from dynamo.db.requests import NewRequest
from dynamo.db.tables import Block, Group, Request, Site
from dynamo.errors import Conflict, Fault, Invalid, NotFound
from dynamo.inventory import names, schemas
from dynamo.inventory.callers import Caller
from dynamo.inventory.request_bodies import CopyBody
from dynamo.inventory.states import DatasetStatus, RequestKind, RequestState
from dynamo.operations.hints import Hint
from dynamo.reasons import Reason
from dynamo.services import authorization, idempotency, users
from dynamo.services.context import Context
from dynamo.services.copies.request import SiteDirectory
from dynamo.services.idempotency import Filed, Key

_WILD = frozenset("*?[")


def file(ctx: Context, wanted: schemas.Copy, caller: Caller, key: Key | None = None) -> int:
    """File a copy request.

    It is planned at once by the policy pool and again whenever a block closes.
    """
    sites = [wanted.site] if isinstance(wanted.site, str) else list(dict.fromkeys(wanted.site))
    _check_shape(wanted, sites)
    write = partial(_file, ctx, wanted, sites, caller)
    return idempotency.file_once(ctx.begin, caller.name, key, write, Filed).request_id


def _file(
    ctx: Context, wanted: schemas.Copy, sites: Sequence[str], caller: Caller, work: Work
) -> Filed:
    caller_id = users.ensure(work, caller.name, ctx.settings)
    own = _may_copy(work, ctx, wanted.dataset, caller)
    _check_sites(work, sites)
    _check_copies(SiteDirectory.read(work, ctx.settings.dealer), sites, wanted.copies or 1)
    _check_blocks(work, wanted.dataset, wanted.blocks)
    _check_group(work, wanted.group)
    body = CopyBody(
        sites=tuple(sites),
        copies=wanted.copies,
        blocks=wanted.blocks,
        group=wanted.group,
        consolidate=_consolidates(wanted, sites, own=own),
        spread=wanted.spread,
    )
    filed = NewRequest(caller_id, wanted.dataset, body, not_before=work.now)
    request_id = requests.add(work, filed)
    if body.consolidate:
        _supersede(work, wanted.dataset, request_id)
    named = ", ".join(sites)
    event = Event(
        "copy-requested", caller.name, wanted.dataset, site=named[:64], request_id=request_id
    )
    record(work, [event])
    text = f"plan copy of {wanted.dataset} to {named}, request {request_id}"
    work.hint(Hint("plan", (request_id,), text))
    return Filed(request_id)


def _consolidates(wanted: schemas.Copy, sites: Sequence[str], *, own: bool) -> bool:
    """Tell whether scattered blocks go: asked for, or all data of the caller's own at one site."""
    if wanted.consolidate is not None:
        return wanted.consolidate
    alone = len(sites) == 1 and not _is_glob(sites[0])
    whole = wanted.blocks is None and not wanted.spread
    return own and alone and whole and wanted.copies in (None, 1)


def _check_group(work: Work, group: str | None) -> None:
    known = select(Group.id).where(Group.name == group)
    if group is not None and not work.scalar(known):
        raise NotFound(f"there is no group {group!r}")


def _check_shape(wanted: schemas.Copy, sites: Sequence[str]) -> None:
    if not names.is_dataset(wanted.dataset):
        raise Invalid(f"{wanted.dataset!r} is not a dataset name", Reason.NAME_INVALID)
    if not sites:
        raise Invalid("name a site", faults=[Fault("/site", "name at least one site")])
    if wanted.blocks == ():
        raise Invalid("an empty list copies nothing; leave it out to mean the whole dataset")
    globs = [site for site in sites if _is_glob(site)]
    alone = len(sites) == 1 and not globs
    if globs and wanted.copies is None and not wanted.spread:
        raise Invalid(f"say with `copies` at how many of {', '.join(globs)} the data are wanted")
    if wanted.consolidate and (wanted.spread or not alone):
        raise Invalid("data can be consolidated at one site only; name that one site")


def _is_glob(site: str) -> bool:
    return bool(_WILD & set(site))


def _may_copy(work: Work, ctx: Context, dataset: str, caller: Caller) -> bool:
    """Refuse who may not ask for this dataset; tell whether it is the caller's own."""
    row = catalogue_names.dataset(work, dataset)
    if row is None:
        # one may ask before the first file exists
        own = authorization.namespace(ctx.settings).is_dataset_of(dataset, caller.name)
        if not own and not caller.may_produce:
            raise NotFound(f"there is no dataset {dataset}", Reason.DATASET_UNKNOWN)
        return own
    authorization.check_owner(work, row.owner_id, caller)
    if row.status == DatasetStatus.DELETED:
        raise Conflict(f"{dataset} is being deleted", Reason.BEING_DELETED)
    return authorization.owner_name(work, row.owner_id) == caller.name


def _check_sites(work: Work, sites: Sequence[str]) -> None:
    named = [site for site in sites if not _is_glob(site)]
    known = set(work.scalars(select(Site.name).where(Site.name.in_(named))))
    faults = [
        Fault(f"/site/{sites.index(site)}", f"there is no site {site!r}")
        for site in named
        if site not in known
    ]
    if faults:
        raise NotFound(
            "some sites are unknown; see GET /v1/sites", Reason.SITE_UNKNOWN, faults=faults
        )


def _check_copies(known: SiteDirectory, sites: Sequence[str], copies: int) -> None:
    meant = len(known.meant(sites))
    if copies > meant:
        text = (
            f"copies are wanted at {copies} sites, but {', '.join(sites)} means {meant} of those "
            "that there are: ask for fewer copies, or name more sites"
        )
        raise Invalid(text, faults=[Fault("/copies" if meant else "/site", f"only {meant} sites")])


def _check_blocks(work: Work, dataset: str, blocks: Sequence[str] | None) -> None:
    if blocks is None:
        return
    faults = []
    ids = [names.BlockName.parse(block) for block in blocks]
    row = catalogue_names.dataset(work, dataset)
    known = (
        set(work.scalars(select(Block.uuid).where(Block.dataset_id == row.id)))
        if row is not None
        else set()
    )
    for n, block in enumerate(ids):
        if block.dataset != dataset or block.id not in known:
            faults.append(Fault(f"/blocks/{n}", f"{blocks[n]} is not a block of {dataset}"))
    if faults:
        raise NotFound("some blocks are unknown", Reason.BLOCK_UNKNOWN, faults=faults)


def _supersede(work: Work, dataset: str, request_id: int) -> None:
    """End earlier consolidations of a dataset.

    Two consolidations at two sites would undo each other.
    """
    for earlier in requests.concerning(work, [dataset], [RequestKind.COPY])[RequestKind.COPY]:
        row = requests.get(work, earlier, CopyBody)
        if earlier != request_id and row is not None and row.body.consolidate:
            requests.end(
                work,
                earlier,
                RequestState.CANCELLED,
                Reason.ALREADY_ENDED,
                f"superseded by request {request_id}",
            )
            # what is under way stays wanted: the newer request takes it over
            work.changed(update(Request).where(Request.id == earlier).values(not_before=None))
