"""Consistency: scans of sites, the quarantine, and incidents."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, openapi, queries, responses
from api.auth import caller
from api.context import context
from dynamo.errors import NotFound
from dynamo.inventory import schemas
from dynamo.services.consistency import incidents, scans

_FILTERS = ("owner", "site", "dataset", "lfn")


class Scans(Resource):  # type: ignore[misc]
    """Comparisons of sites with the catalogue."""

    @openapi.pages("site")
    def get(self) -> Response:
        """List scans, newest first: all, or those of a site."""
        queries.known("site", "limit", "cursor")
        return responses.page(scans.list_page(context(), queries.exact("site"), queries.place()))

    @openapi.body(schemas.ScanBody)
    def post(self) -> Response:
        """Compare a site with the catalogue now; a dry run records nothing."""
        queries.known()
        body = decoding.body(request, schemas.ScanBody)
        scan_id = scans.file(context(), body, caller())
        filed = scans.get(context(), scan_id)
        return responses.accepted(responses.encode(filed), scans.link(scan_id))


class Scan(Resource):  # type: ignore[misc]
    """One scan."""

    def get(self, scan_id: str) -> Response:
        """Show a scan: its findings, its remedies, and the reason for omitted remedies."""
        queries.known()
        return responses.ok(scans.get(context(), _number(scan_id)))


class Quarantine(Resource):  # type: ignore[misc]
    """Remedies in progress, and files in quarantine."""

    @openapi.pages("site")
    def get(self) -> Response:
        """List remedies and files, oldest first: all, or those at a site."""
        queries.known("site", "limit", "cursor")
        return responses.page(scans.remedied(context(), queries.exact("site"), queries.place()))


class Quarantined(Resource):  # type: ignore[misc]
    """One file in quarantine."""

    def delete(self, number: str) -> Response:
        """Move a file out of quarantine to its old name."""
        queries.known()
        return responses.ok(scans.release(context(), _number(number), caller()), 202)


class Incidents(Resource):  # type: ignore[misc]
    """Bad and lost files."""

    @openapi.pages("kind", "owner", "site", "dataset", "lfn", "ended")
    def get(self) -> Response:
        """List incidents, newest first; `ended=true` includes ended ones."""
        queries.known("kind", *_FILTERS, "ended", "limit", "cursor")
        filters = {name: queries.exact(name) for name in _FILTERS}
        filters["kind"] = queries.one_of("kind", incidents.KINDS)
        ended = queries.one_of("ended", ("true", "false")) == "true"
        return responses.page(incidents.list_page(context(), filters, queries.place(), ended=ended))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise NotFound(f"there is nothing under the number {text[:50]!r}")
    return int(text)


openapi.ns.add_resource(Scans, "/scans", endpoint="scans")
openapi.ns.add_resource(Scan, "/scans/<scan_id>", endpoint="scan")
openapi.ns.add_resource(Quarantine, "/quarantine", endpoint="quarantine")
openapi.ns.add_resource(Quarantined, "/quarantine/<number>", endpoint="quarantined")
openapi.ns.add_resource(Incidents, "/incidents", endpoint="incidents")
