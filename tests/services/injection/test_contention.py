"""Many callers at once: nobody is refused, and hardly any unit of work has to be run again."""

import threading

from structlog.testing import capture_logs

from dynamo.inventory import schemas
from tests.services.world import World, lfn

CALLERS = 4
CALLS = 12


def test_callers_of_one_dataset_do_not_stand_in_each_others_way(world: World) -> None:
    world.many("T2_A", 1)  # the dataset is there: who registers it first is another question

    def call(number: int) -> None:
        for turn in range(CALLS):
            name = f"{number}-{turn}"
            file = schemas.InjectedFile(lfn=lfn(name), size=1, adler32="00000001")
            world.inject(("T2_A", "T2_B")[number % 2], [file])

    with capture_logs() as logs:
        threads = [threading.Thread(target=call, args=(number,)) for number in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    files = sum(n_files for n_files, _ in world.blocks())
    assert files == 1 + CALLERS * CALLS
    again = [line for line in logs if line["event"] == "unit of work again"]
    assert len(again) <= CALLERS, again
