"""Who am I: what a caller may name, as the service sees it, not as the token looks."""

from api.app import create_app
from dynamo.inventory.ownership import Namespace
from tests.api.web import Web, problem


def test_a_caller_is_told_what_is_reserved_for_it(web: Web) -> None:
    assert web.get("/v1/me", by="alice") == {
        "user": "alice",
        "namespace": "/store/user/dynamo/alice",
        "datasets": "/*/alice-*/USER",
    }
    problem(web.call("GET", "/v1/me", by=None), 401)
    problem(web.call("GET", "/v1/me?user=bob"), 422)


def test_a_namespace_that_was_configured_is_told(web: Web) -> None:
    users = {"namespace": "/data/people", "dataset_pattern": "/{user}/{part}/PRIVATE"}
    ctx = web.world.with_settings(user=users)
    told = Web(create_app(ctx, web.broker), web.world, web.broker).get("/v1/me")

    assert (told["namespace"], told["datasets"]) == ("/data/people/alice", "/alice/*/PRIVATE")
    assert Namespace("/data/people", "/x", users["dataset_pattern"]).is_dataset_of(
        told["datasets"].replace("*", "Higgs"), "alice"
    )
