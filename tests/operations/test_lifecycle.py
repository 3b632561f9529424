"""Tables of moves: each state can be reached, and what follows it is a state."""

import pytest

from dynamo.operations import lifecycle
from dynamo.operations.lifecycle import Lifecycle, State

TABLES = {name: value for name, value in vars(lifecycle).items() if isinstance(value, Lifecycle)}


@pytest.mark.parametrize("name", TABLES)
def test_all_states_can_be_reached_from_where_rows_begin(name: str) -> None:
    table = TABLES[name]
    reached, left = set(), set(table.starts)
    while left:
        reached |= left
        left = {after for state in left for after in table.moves[state]} - reached
    assert reached == set(table.states)


def test_work_that_is_in_hand_is_never_handed_out_again() -> None:
    for table in (lifecycle.TRANSFERS, lifecycle.DELETIONS, lifecycle.REMEDIES):
        assert table.origins(State.ACTIVE) == {State.QUEUED}


def test_what_is_done_stays_done() -> None:
    assert lifecycle.TRANSFERS.moves[State.DONE] == frozenset()
