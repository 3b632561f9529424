"""Cycles of Detox and the Dealer, and their decisions."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, openapi, queries, responses
from api.auth import caller
from api.context import context
from dynamo.errors import NotFound
from dynamo.inventory import schemas
from dynamo.services.cycles import submission as cycles_submission
from dynamo.services.cycles import views as cycles_views

KINDS = ("detox", "dealer")


class Cycles(Resource):  # type: ignore[misc]
    """All recorded cycles."""

    @openapi.pages("kind", "partition")
    def get(self) -> Response:
        """List cycles, newest first."""
        queries.known("kind", "partition", "limit", "cursor")
        kind, partition = queries.one_of("kind", KINDS), queries.exact("partition")
        return responses.page(cycles_views.list_page(context(), kind, partition, queries.place()))

    @openapi.body(schemas.CycleBody)
    def post(self) -> Response:
        """Run a cycle now; a dry run only records its plan, and may compare other policies."""
        queries.known()
        body = decoding.body(request, schemas.CycleBody)
        cycle_id = cycles_submission.file(context(), body, caller())
        filed = cycles_views.get(context(), cycle_id)
        return responses.accepted(responses.encode(filed), cycles_views.link(cycle_id))


class Cycle(Resource):  # type: ignore[misc]
    """One cycle."""

    def get(self, cycle_id: str) -> Response:
        """Show a cycle: its state, sites before and after, refused decisions and reasons."""
        queries.known()
        return responses.ok(cycles_views.get(context(), _number(cycle_id)))


class CycleDecisions(Resource):  # type: ignore[misc]
    """The decisions of a cycle."""

    @openapi.pages("site", "dataset")
    def get(self, cycle_id: str) -> Response:
        """List decisions in the order of the plan: all, or those of a site or dataset."""
        queries.known("site", "dataset", "limit", "cursor")
        site, dataset = queries.exact("site"), queries.exact("dataset")
        decisions = cycles_views.decided(
            context(), _number(cycle_id), site, dataset, queries.place()
        )
        return responses.page(decisions)


class Decisions(Resource):  # type: ignore[misc]
    """The last decision about a replica."""

    @openapi.query("dataset", "site")
    def get(self) -> Response:
        """Explain why a dataset is, or is not, deleted at a site, by the newest cycle with it."""
        queries.known("dataset", "site")
        dataset, site = queries.exact("dataset"), queries.exact("site")
        if dataset is None or site is None:
            queries.refuse("site" if dataset else "dataset", "is required here")
        return responses.ok(cycles_views.why(context(), dataset, site))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise NotFound(f"there is no cycle {text[:50]!r}")
    return int(text)


openapi.ns.add_resource(Cycles, "/cycles", endpoint="cycles")
openapi.ns.add_resource(Cycle, "/cycles/<cycle_id>", endpoint="cycle")
openapi.ns.add_resource(CycleDecisions, "/cycles/<cycle_id>/decisions", endpoint="cycle_decisions")
openapi.ns.add_resource(Decisions, "/decisions", endpoint="decisions")
