"""The machine: Hypothesis chooses what happens next, and shortens what went wrong."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.services.machine.play import DATASETS, ROOM, SITES, STATUSES, SWITCHES, Act, Play

_DATASET = st.integers(0, len(DATASETS) - 1)
_SITE = st.integers(0, len(SITES) - 1)
_PICK = st.integers(0, 30)
_NUMBER = st.integers(0, 7)
_WAY = st.sampled_from(["pull", "pull", "push", "push", "unsized", "lost", "wrong"])
_FILES = st.lists(st.tuples(_NUMBER, _WAY), min_size=1, max_size=5)
_WHERE = st.lists(_SITE, min_size=1, max_size=2, unique=True)
_MINUTES = st.sampled_from([1, 1, 2, 60, 25 * 60, 31 * 24 * 60])


def _act(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Act]:
    return st.tuples(st.just(name), st.tuples(*arguments))


INJECT = _act("inject", _DATASET, _FILES, _WHERE)
JOB = st.one_of(_act("upload", _PICK, st.booleans()), _act("confirm", _PICK))
OWNER = st.one_of(
    _act("close", _DATASET),
    _act("copy", _DATASET, _SITE, st.sampled_from([None, False])),
    _act("spread", _DATASET, st.integers(1, 2)),
    _act("cancel", _PICK),
)
DELETE = st.one_of(
    _act("delete", _DATASET),
    _act("delete_files", _DATASET, st.lists(_NUMBER, min_size=1, max_size=4)),
    _act("delete_block", _PICK),
    _act("delete_at", _DATASET, _SITE, st.booleans()),
)
OPERATOR = st.one_of(
    _act("switch", st.integers(0, len(SWITCHES) - 1), st.booleans()),
    _act("status", _SITE, st.integers(0, len(STATUSES) - 1)),
    _act("room", _SITE, st.integers(0, len(ROOM) - 1)),
)
POOL = st.one_of(
    _act("deliver", _PICK, st.integers(1, 5)),
    _act("lose", _PICK),
    _act("sweep"),
    _act("idle"),
    _act("purge"),
)
TICK = _act("tick", _MINUTES)
WORK = _act("work")
BATCH = _act("deliver", _PICK, st.just(1))
ANY = st.one_of(INJECT, JOB, OWNER, DELETE, OPERATOR, POOL, TICK, WORK)
TROUBLED = st.one_of(BATCH, BATCH, WORK, _act("sweep"), INJECT, OWNER, DELETE)


class Machine(RuleBasedStateMachine):
    """Anything may follow anything; after each step all is looked at."""

    def __init__(self, play: Play) -> None:
        super().__init__()
        self.play = play

    @rule(act=INJECT)
    def inject(self, act: Act) -> None:
        self.play.step(act)

    @rule(act=JOB)
    def job(self, act: Act) -> None:
        self.play.step(act)

    @rule(act=OWNER)
    def owner(self, act: Act) -> None:
        self.play.step(act)

    @rule(act=DELETE)
    def delete(self, act: Act) -> None:
        self.play.step(act)

    @rule(act=OPERATOR)
    def operator(self, act: Act) -> None:
        self.play.step(act)

    @rule(act=POOL)
    def pool(self, act: Act) -> None:
        self.play.step(act)

    @rule(act=st.one_of(TICK, WORK))
    def time(self, act: Act) -> None:
        self.play.step(act)

    @rule(
        act=TROUBLED,
        at=st.integers(1, 40),
        what=st.sampled_from(["die", "refuse", "freeze"]),
        others=st.lists(ANY, min_size=1, max_size=3),
    )
    def trouble(self, act: Act, at: int, what: str, others: list[Act]) -> None:
        self.play.step(("troubled", (act, at, what, others if what == "freeze" else [])))

    def teardown(self) -> None:
        self.play.let_everything_run()
