"""What a simulation takes for a person's work: what does not pass by itself, or stands still."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from dynamo.db.consistency import incidents
from dynamo.db.consistency.incidents import Report
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.history import Event, record
from dynamo.db.tables import Cycle, Deletion, Partition, Request, Site, Switch, Transfer
from dynamo.operations.hints import Hint
from dynamo.simulation.interventions import Look, find
from dynamo.simulation.standing import RequestStanding
from tests.conftest import Clock
from tests.services.world import World, build, lfn

GIVEN_UP = timedelta(days=14)
NEVER = timedelta()
NOTHING: list[tuple[str, str, str]] = []


@dataclass
class Evenings:
    """A world that is looked at evening by evening."""

    world: World
    clock: Clock
    standing: RequestStanding = field(default_factory=RequestStanding)
    lost: timedelta = NEVER

    def after(self, days: float = 1, silent: Collection[str] = ()) -> list[tuple[str, str, str]]:
        """Let days pass; return what a person is needed for then."""
        for _ in range(int(days)):
            self.clock.forward(days=1)
            with self.world.ctx.begin.reading() as work:
                found = find(Look(work, self.standing, silent, GIVEN_UP, self.lost))
        return [need.matter for need in found]

    def change(self, table: type, **values: object) -> None:
        with self.world.ctx.begin() as work:
            work.changed(update(table).values(**values))

    def become(self, site: str, **values: object) -> str:
        """Change a site; return its endpoint."""
        with self.world.ctx.begin() as work:
            now = {"since": work.now, **values}
            work.changed(update(Site).where(Site.name == site).values(**now))
            return str(work.scalar(select(Site.url).where(Site.name == site)))


@pytest.fixture
def evenings(begin: UnitOfWork, tmp_path: Path, published: list[Hint], clock: Clock) -> Evenings:
    """A site with some files, and one that is empty."""
    world = build(begin, tmp_path, published)
    world.site("T2_A")
    world.site("T2_B")
    world.many("T2_A", 3)
    world.work()
    return Evenings(world, clock)


def test_a_world_in_which_all_is_done_needs_nobody(evenings):
    assert evenings.after(30) == NOTHING


def test_a_dying_site_that_does_not_become_emptier_is_looked_at(evenings):
    evenings.become("T2_A", status="morgue")

    assert evenings.after(3) == NOTHING
    assert evenings.after(1) == [("site", "T2_A", "not-emptied")]


def test_what_only_a_storage_has_that_is_gone_for_good_is_a_persons_to_give_up(evenings):
    url = evenings.become("T2_A", status="morgue")

    assert evenings.after(3, silent=[url]) == NOTHING
    assert evenings.after(1, silent=[url]) == [("site", "T2_A", "not-emptied-silent")]


def test_it_is_nobodys_where_it_is_declared_lost_by_itself_unless_it_is_not(evenings):
    url = evenings.become("T2_A", status="morgue")
    evenings.lost = timedelta(days=10)
    evenings.change(Transfer, state="held", reason="source-error")

    assert evenings.after(13, silent=[url]) == NOTHING
    assert evenings.after(1, silent=[url]) == [
        ("site", "T2_A", "not-emptied-silent"),
        ("transfer", "T2_A", "source-error"),
    ]


def test_a_dying_site_that_is_empty_needs_nobody(evenings):
    evenings.become("T2_B", status="morgue")
    assert evenings.after(10) == NOTHING


def test_a_site_stays_away_for_as_long_as_its_storage_is_silent(evenings):
    url = evenings.become("T2_B", status="waitroom", set_by="probes")

    assert evenings.after(10, silent=[url]) == NOTHING
    assert evenings.after(3) == NOTHING, "its probes have yet to see it"
    assert evenings.after(1) == [("site", "T2_B", "not-back")]


@pytest.mark.parametrize("reason", ["needs-decision", "name-conflict", "source-not-allowed"])
def test_what_is_held_for_a_person_counts_at_once(evenings, reason):
    evenings.change(Transfer, state="held", reason=reason)
    evenings.change(Request, state="held", reason=reason)

    found = evenings.after(1)

    assert found == [("request", "injection", reason), ("transfer", "T2_A", reason)]


def test_what_fails_again_and_again_counts_when_its_site_is_up_for_long(evenings):
    evenings.change(Transfer, state="held", reason="checksum-mismatch")

    assert evenings.after(3) == NOTHING
    evenings.become("T2_A", status="waitroom")
    assert evenings.after(5) == NOTHING, "the site is waited for"
    evenings.become("T2_A", status="ready")
    assert evenings.after(3) == NOTHING, "it is tried once a day"
    assert evenings.after(1) == [("transfer", "T2_A", "checksum-mismatch")]


def test_what_a_storage_that_is_gone_still_has_to_delete_needs_nobody(evenings):
    evenings.world.close()
    evenings.world.work()
    evenings.world.delete()
    evenings.world.work()
    url = evenings.become("T2_A", status="ready")
    evenings.change(Deletion, state="held", reason="queue-timeout")
    evenings.change(Request, state="done")

    assert evenings.after(10, silent=[url]) == NOTHING
    assert evenings.after(1) == [("deletion", "T2_A", "queue-timeout")]


@pytest.mark.parametrize(("reason", "days"), [("waiting", 3), ("no-source", 17)])
def test_a_request_of_which_nothing_comes_counts_after_a_while(evenings, reason, days):
    evenings.change(Request, state="running", reason=reason)

    assert evenings.after(days) == NOTHING
    assert evenings.after(1) == [("request", "injection", reason)]
    evenings.change(Request, n_done=2)
    assert evenings.after(days) == NOTHING, "it goes on"


def test_what_waited_for_a_site_has_its_days_when_that_is_over(evenings):
    evenings.change(Request, state="running", reason="source-error")
    assert evenings.after(10) == NOTHING
    evenings.change(Request, reason="waiting")
    assert evenings.after(3) == NOTHING
    assert evenings.after(1) == [("request", "injection", "waiting")]


def test_a_request_that_says_something_else_each_day_is_found_too(evenings):
    for day in range(17):
        evenings.change(Request, state="running", reason=("source-error", "waiting")[day % 2])
        assert evenings.after(1) == NOTHING
    assert evenings.after(1) != NOTHING


def test_what_waits_for_a_lost_file_is_its_owners(evenings):
    evenings.change(Request, state="held", reason="lost")
    assert evenings.after(30) == NOTHING

    evenings.change(Request, reason="no-source")
    with evenings.world.ctx.begin() as work:
        incidents.report(work, Report(lfn("T2_A_0.root"), "", "lost", "the only copy"))
    assert evenings.after(30) == NOTHING
    evenings.change(Request, reason="waiting")
    assert evenings.after(4) != NOTHING, "others may wait for something else"


def test_what_is_asked_for_before_its_first_file_needs_nobody(evenings):
    evenings.change(Request, state="held", reason="dataset-unknown")

    assert evenings.after(30) == NOTHING


def test_a_lost_file_counts_unless_its_storage_is_gone(evenings):
    url = evenings.become("T2_A", status="ready")
    with evenings.world.ctx.begin() as work:
        incidents.report(work, Report("/store/x", "", "lost", "the only copy"))
        record(work, [Event("lost", "dynamo", None, None, "/store/x", "T2_A", 1, 10)])

    assert evenings.after(1) == [("file", "T2_A", "lost")]
    assert evenings.after(1, silent=[url]) == NOTHING


def test_what_is_stopped_and_a_policy_that_fails_count_at_once(evenings):
    with evenings.world.ctx.begin() as work:
        work.add(Switch, name="deletions", stopped=True, who="dynamo", why="drift", at=work.now)
        user = work.scalar(select(Partition.id).where(Partition.name == "User"))
        cycle = {"kind": "detox", "partition_id": user, "dry_run": False, "seed": 1, "who": "beat"}
        ended = {"created": work.now, "ended": work.now, "lease_no": 1, "summary": {}}
        for state, reason in (("done", None), ("failed", "invalid")):
            work.add(Cycle, **cycle, **ended, trace="t", state=state, reason=reason)

    found = evenings.after(1)

    assert found == [("cycle", "detox of User", "invalid"), ("switch", "deletions", "switched-off")]
