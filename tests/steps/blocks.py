"""Blocks whose files lie at several sites."""

from dynamo.inventory import schemas
from dynamo.services.sites import sites
from tests.services.world import OPERATOR, TB, World, adler32
from tests.steps.official import block, dataset, names, register

CONTENT = b"x" * 50


def lay_out(world: World, at: dict[str, list[int]]) -> None:
    """Let some of the three files of a block lie at each site."""
    lfns = names("b1", 3)
    for site in ("T2_A", "T2_B", "T2_C"):
        sites.set_quota(world.ctx, site, "Production", schemas.QuotaBody(limit=TB), OPERATOR)
        for n in at.get(site, ()):
            path = world.path(site, lfns[n])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(CONTENT)
    files = [{"lfn": lfn, "size": 50, "adler32": adler32(CONTENT)} for lfn in lfns]
    replicas = [{"site": site, "files": [lfns[n] for n in some]} for site, some in at.items()]
    register(world, dataset({**block("b1"), "files": files, "replicas": replicas}, open=False))
