"""Whether the files of a call may be registered: names, scopes, sources, what is known."""

from collections.abc import Mapping, Sequence

from dynamo.db.catalogue.names import KnownFile
from dynamo.errors import Conflict, Fault, Forbidden, Invalid
from dynamo.inventory import names, schemas
from dynamo.inventory.callers import Caller
from dynamo.inventory.ownership import Namespace, outside
from dynamo.inventory.scopes import CREATE
from dynamo.reasons import Reason
from dynamo.services.injection.site_selection import Candidate
from dynamo.settings import Settings
from dynamo.storage.sources import check_source


def check_shape(wanted: schemas.Injection, settings: Settings) -> None:
    """Refuse what no inventory need be asked about. Raises Invalid."""
    if not names.is_dataset(wanted.dataset):
        raise Invalid(
            f"{wanted.dataset!r} is not a dataset name; write /primary/processed/TIER",
            Reason.NAME_INVALID,
        )
    if not wanted.site:
        raise Invalid("name a site", faults=[Fault("/site", "name at least one site")])
    if not wanted.files:
        raise Invalid("name at least one file", faults=[Fault("/files", "is empty")])
    if len(wanted.files) > settings.injection.max_files:
        raise Invalid(
            f"at most {settings.injection.max_files} files in one call; make several calls",
            Reason.TOO_LARGE,
        )
    bad = [
        Fault(
            f"/files/{n}/lfn",
            "is not a logical file name (ASCII, at most 500 bytes, no odd parts)",
            new.lfn,
        )
        for n, new in enumerate(wanted.files)
        if not names.is_lfn(new.lfn)
    ]
    if bad:
        raise Invalid("some file names are not allowed", Reason.NAME_INVALID, faults=bad)
    _check_files(wanted.files)


def _check_files(files: Sequence[schemas.InjectedFile]) -> None:
    faults: list[Fault] = []
    seen: set[str] = set()
    for n, new in enumerate(files):
        if new.lfn in seen:
            faults.append(Fault(f"/files/{n}/lfn", "stands twice in this call", new.lfn))
        seen.add(new.lfn)
        if new.adler32 is not None and not names.is_adler32(new.adler32):
            what = "is not eight lower-case hex digits, as 0a1b2c3d"
            faults.append(Fault(f"/files/{n}/adler32", what, new.lfn))
        if new.source is None and (new.size is None or new.adler32 is None):
            faults.append(
                Fault(f"/files/{n}", "size and adler32 may only be left out with a source", new.lfn)
            )
    if faults:
        raise Invalid("some files are not described well", faults=faults)


def check_names(
    files: Sequence[schemas.InjectedFile], reserved: Namespace, owner: str | None
) -> None:
    """Refuse names that the owner of the dataset may not use. Raises Forbidden."""
    refused = outside([new.lfn for new in files], reserved, owner)
    if refused:
        faults = [Fault(f"/files/{n}/lfn", why, files[n].lfn) for n, why in refused.items()]
        raise Forbidden(
            "some names lie outside your namespace", Reason.NOT_YOUR_NAMESPACE, faults=faults
        )


def check_scopes(lfns: Sequence[str], caller: Caller, pointer: str) -> None:
    """Refuse names below none of the paths that the caller's token is for. Raises Forbidden."""
    if caller.scopes is None:
        return
    faults = [
        Fault(pointer.format(n), "the token is not for this path", lfn)
        for n, lfn in enumerate(lfns)
        if not caller.scopes.permit(CREATE, lfn)
    ]
    if faults:
        raise Forbidden("the token does not allow to make these files", faults=faults)


def check_known(
    files: Sequence[schemas.InjectedFile], known: Mapping[str, KnownFile], dataset_id: int
) -> None:
    """Refuse names that are registered with other values, or leaving. Raises Conflict."""
    faults: list[Fault] = []
    leaving = False
    for n, new in enumerate(files):
        row = known.get(new.lfn)
        if row is None:
            continue
        if row.condemned_by is not None or row.block_condemned_by is not None:
            leaving = True
            faults.append(
                Fault(
                    f"/files/{n}", "is being deleted; rescue it or wait until it is gone", new.lfn
                )
            )
        for name, told, registered in (
            ("dataset", dataset_id, row.dataset_id),
            ("size", new.size, row.size),
            ("adler32", new.adler32, row.adler32),
        ):
            if told is not None and registered is not None and told != registered:
                faults.append(Fault(f"/files/{n}", f"is registered with another {name}", new.lfn))
    if faults:
        reason = Reason.BEING_DELETED if leaving else Reason.NAME_CONFLICT
        raise Conflict("some names are taken", reason, faults=faults)


def check_sources(files: Sequence[tuple[int, schemas.InjectedFile]], site: Candidate) -> None:
    """Refuse sources that may not be read at the site. Raises Forbidden."""
    faults: list[Fault] = []
    for n, new in files:
        if new.source is not None:
            try:
                check_source(new.source, site.scratch, site.sources)
            except Forbidden as refused:
                faults.append(Fault(f"/files/{n}/source", refused.detail, new.lfn))
    if faults:
        raise Forbidden("some sources may not be read", Reason.SOURCE_NOT_ALLOWED, faults=faults)
