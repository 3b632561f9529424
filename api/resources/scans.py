"""Consistency: scans of sites, what lies in quarantine, and incidents."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, queries
from api import openapi as docs
from api import responses as answers
from api.auth import caller
from api.context import use
from dynamo.errors import NotFound
from dynamo.inventory import schemas as asked
from dynamo.services.consistency import incidents, scans

_FILTERS = ("owner", "site", "dataset", "lfn")


class Scans(Resource):  # type: ignore[misc]
    """Comparisons of sites with the catalogue."""

    @docs.pages("site")
    def get(self) -> Response:
        """List scans, newest first: all, or those of a site."""
        queries.known("site", "limit", "cursor")
        return answers.page(scans.some(use(), queries.exact("site"), queries.place()))

    @docs.body(asked.ScanBody)
    def post(self) -> Response:
        """Compare a site with the catalogue now; a dry run changes and remembers nothing."""
        queries.known()
        body = decoding.body(request, asked.ScanBody)
        filed = scans.show(use(), scans.file(use(), body, caller()))
        return answers.accepted(answers.encode(filed), filed["links"]["self"])


class Scan(Resource):  # type: ignore[misc]
    """One scan."""

    def get(self, scan_id: str) -> Response:
        """Show a scan: what it found, what is done about it, and why not more."""
        queries.known()
        return answers.ok(scans.show(use(), _number(scan_id)))


class Quarantine(Resource):  # type: ignore[misc]
    """Files that are looked after, and those that lie in quarantine."""

    @docs.pages("site")
    def get(self) -> Response:
        """List them, oldest first: all, or those at a site."""
        queries.known("site", "limit", "cursor")
        return answers.page(scans.remedied(use(), queries.exact("site"), queries.place()))


class Quarantined(Resource):  # type: ignore[misc]
    """One file in quarantine."""

    def delete(self, number: str) -> Response:
        """Bring a file out of quarantine, to where it lay."""
        queries.known()
        return answers.ok(scans.release(use(), _number(number), caller()), 202)


class Incidents(Resource):  # type: ignore[misc]
    """Files that are bad or lost."""

    @docs.pages("kind", "owner", "site", "dataset", "lfn", "ended")
    def get(self) -> Response:
        """List incidents, newest first; those that are over with `ended=true`."""
        queries.known("kind", *_FILTERS, "ended", "limit", "cursor")
        filters = {name: queries.exact(name) for name in _FILTERS}
        filters["kind"] = queries.one_of("kind", incidents.KINDS)
        ended = queries.one_of("ended", ("true", "false")) == "true"
        return answers.page(incidents.some(use(), filters, queries.place(), ended=ended))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise NotFound(f"there is nothing under the number {text[:50]!r}")
    return int(text)


docs.ns.add_resource(Scans, "/scans", endpoint="scans")
docs.ns.add_resource(Scan, "/scans/<scan_id>", endpoint="scan")
docs.ns.add_resource(Quarantine, "/quarantine", endpoint="quarantine")
docs.ns.add_resource(Quarantined, "/quarantine/<number>", endpoint="quarantined")
docs.ns.add_resource(Incidents, "/incidents", endpoint="incidents")
