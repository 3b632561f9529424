"""Cycles: what was decided about whole partitions, each decision with the line that made it."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, queries
from api import openapi as docs
from api import responses as answers
from api.auth import caller
from api.context import use
from dynamo.errors import NotFound
from dynamo.inventory import schemas as asked
from dynamo.services import cycles

KINDS = ("detox", "dealer")


class Cycles(Resource):  # type: ignore[misc]
    """All cycles that are remembered."""

    @docs.pages("kind", "partition")
    def get(self) -> Response:
        """List cycles, newest first."""
        queries.known("kind", "partition", "limit", "cursor")
        kind, partition = queries.one_of("kind", KINDS), queries.exact("partition")
        return answers.page(cycles.some(use(), kind, partition, queries.place()))

    @docs.body(asked.CycleBody)
    def post(self) -> Response:
        """Run a cycle now; a dry run keeps its plan, and may try and compare other policies."""
        queries.known()
        body = decoding.body(request, asked.CycleBody)
        filed = cycles.show(use(), cycles.file(use(), body, caller()))
        return answers.accepted(answers.encode(filed), filed["links"]["self"])


class Cycle(Resource):  # type: ignore[misc]
    """One cycle."""

    def get(self, cycle_id: str) -> Response:
        """Show a cycle: how far it is, sites before and after, what was not done and why."""
        queries.known()
        return answers.ok(cycles.show(use(), _number(cycle_id)))


class CycleDecisions(Resource):  # type: ignore[misc]
    """What a cycle decided."""

    @docs.pages("site", "dataset")
    def get(self, cycle_id: str) -> Response:
        """List decisions in the order of the plan, what goes first: all, of a site, a dataset."""
        queries.known("site", "dataset", "limit", "cursor")
        site, dataset = queries.exact("site"), queries.exact("dataset")
        found = cycles.decided(use(), _number(cycle_id), site, dataset, queries.place())
        return answers.page(found)


class Decisions(Resource):  # type: ignore[misc]
    """What was last decided about a replica."""

    @docs.query("dataset", "site")
    def get(self) -> Response:
        """Say why a dataset is, or is not, deleted at a site: the newest cycle that saw it."""
        queries.known("dataset", "site")
        dataset, site = queries.exact("dataset"), queries.exact("site")
        if dataset is None or site is None:
            queries.refuse("site" if dataset else "dataset", "is required here")
        return answers.ok(cycles.why(use(), dataset, site))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise NotFound(f"there is no cycle {text[:50]!r}")
    return int(text)


docs.ns.add_resource(Cycles, "/cycles", endpoint="cycles")
docs.ns.add_resource(Cycle, "/cycles/<cycle_id>", endpoint="cycle")
docs.ns.add_resource(CycleDecisions, "/cycles/<cycle_id>/decisions", endpoint="cycle_decisions")
docs.ns.add_resource(Decisions, "/decisions", endpoint="decisions")
