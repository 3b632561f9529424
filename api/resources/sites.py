"""Sites, their quotas and evacuations."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, openapi, queries, responses
from api.auth import caller
from api.context import context
from dynamo.inventory import schemas
from dynamo.services.evacuation import declare_lost
from dynamo.services.evacuation import status as evacuation_status
from dynamo.services.sites import sites


class Sites(Resource):  # type: ignore[misc]
    """All sites."""

    @openapi.pages("name")
    def get(self) -> Response:
        """List sites by name."""
        queries.known("name", "limit", "cursor")
        return responses.page(sites.list_page(context(), queries.glob("name"), queries.place()))


class Site(Resource):  # type: ignore[misc]
    """One site."""

    def get(self, name: str) -> Response:
        """Show a site."""
        queries.known()
        return responses.ok(sites.get(context(), name))

    @openapi.body(schemas.SiteBody)
    def put(self, name: str) -> Response:
        """Register or change a site; a site contact may change the status only."""
        queries.known()
        body = decoding.body(request, schemas.SiteBody)
        return responses.ok(sites.update(context(), name, body, caller()))


class SiteQuota(Resource):  # type: ignore[misc]
    """The quota of a partition at a site."""

    def get(self, name: str, partition: str) -> Response:
        """Show the quota."""
        queries.known()
        return responses.ok(sites.quota(context(), name, partition))

    @openapi.body(schemas.QuotaBody)
    def put(self, name: str, partition: str) -> Response:
        """Set the quota; null = unlimited, 0 = no space."""
        queries.known()
        body = decoding.body(request, schemas.QuotaBody)
        return responses.ok(sites.set_quota(context(), name, partition, body, caller()))


class Evacuation(Resource):  # type: ignore[misc]
    """The evacuation of a site."""

    def get(self, name: str) -> Response:
        """Show data left, stuck data with reasons, and the expected end."""
        queries.known()
        return responses.ok(evacuation_status.get(context(), name))


class Losses(Resource):  # type: ignore[misc]
    """Data that would be lost with a site."""

    def get(self, name: str) -> Response:
        """Show by owner the data with other copies and their sites, and the data without."""
        queries.known()
        return responses.ok(evacuation_status.losses(context(), name))

    def post(self, name: str) -> Response:
        """Declare unreadable files of a dying site without another copy lost.

        A call has a limit of files; repeat it while the answer says `more`.
        """
        queries.known()
        return responses.ok(declare_lost.declare(context(), name, caller()))


openapi.ns.add_resource(Sites, "/sites", endpoint="sites")
openapi.ns.add_resource(Site, "/sites/<name>", endpoint="site")
openapi.ns.add_resource(SiteQuota, "/sites/<name>/quotas/<partition>", endpoint="site_quota")
openapi.ns.add_resource(Evacuation, "/sites/<name>/evacuation", endpoint="site_evacuation")
openapi.ns.add_resource(Losses, "/sites/<name>/losses", endpoint="site_losses")
