"""Whatever happens in whatever order, nothing that was promised is broken.

In the ordinary suite the same few plays each time; `make nightly` draws many long ones anew. What
fails is shortened and printed as Python; `@reproduce_failure` as printed repeats it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.services.machine.machine import Machine
from tests.services.machine.play import Act, Play

NIGHTLY = os.environ.get("NIGHTLY") == "1"

UPLOADED: list[Act] = [("inject", (0, [(0, "push")], [0])), ("upload", (0, True))]
"""A job books an upload at the first site and writes the right bytes."""

CONFIRM: Act = ("confirm", (0,))


@dataclass(frozen=True, slots=True)
class Size:
    """How many plays of how many steps at most."""

    plays: int
    steps: int

    @property
    def settings(self) -> settings:
        """Return what Hypothesis is told."""
        return settings(
            max_examples=self.plays,
            stateful_step_count=self.steps,
            derandomize=not NIGHTLY,
            deadline=None,
            phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        )


def _size(ordinary: Size, nightly: Size) -> settings:
    return (nightly if NIGHTLY else ordinary).settings


@pytest.mark.timeout(0 if NIGHTLY else 600)  # where one fails, shortening it takes minutes
def test_whatever_happens_on_sqlite_no_promise_is_broken(on_sqlite: Callable[[], Play]):
    size = _size(Size(16, 35), nightly=Size(600, 60))

    run_state_machine_as_test(lambda: Machine(on_sqlite()), settings=size)


@pytest.mark.timeout(0 if NIGHTLY else 600)
def test_whatever_happens_on_mariadb_no_promise_is_broken(on_mariadb: Callable[[], Play]):
    size = _size(Size(4, 25), nightly=Size(150, 60))

    run_state_machine_as_test(lambda: Machine(on_mariadb()), settings=size)


@pytest.mark.parametrize("confirmed", [False, True])
def test_right_bytes_come_whatever_refuses_when_their_booking_ends(
    on_sqlite: Callable[[], Play], confirmed: bool
):
    for at in range(1, 15):
        play = on_sqlite()
        for act in [
            *UPLOADED,
            *([CONFIRM] if confirmed else []),
            ("tick", (25 * 60,)),
            ("sweep", ()),
            ("troubled", (("work", ()), at, "refuse", [])),
        ]:
            play.step(act)
        play.let_everything_run()


@pytest.mark.parametrize("how", ["lost", "push", "unsized"])
def test_what_was_confirmed_is_not_given_up_for_a_second_life_elsewhere(
    on_sqlite: Callable[[], Play], how: str
):
    play = on_sqlite()
    for act in [
        *UPLOADED,
        CONFIRM,
        ("status", (0, 1)),
        ("work", ()),
        ("inject", (0, [(0, how)], [1])),
        ("work", ()),
    ]:
        play.step(act)
    play.let_everything_run()
