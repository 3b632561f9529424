"""Programs that are watched: started again ever later, stopped in order, ended if need be."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynamo.running.log_rotation import Rotation
from dynamo.running.programs import Program, Stage
from dynamo.running.supervisor import Supervisor
from tests.systems import alive, eventually, family

CALM = ("sleep", "60")
DEAF = ("bash", "-c", "trap '' TERM; echo deaf; sleep 60")
PARENT = ("bash", "-c", "sleep 60 & echo born; wait")


def speaking(words: str, at: str = "TERM") -> tuple[str, ...]:
    """Run until a signal comes, and say something then."""
    return ("bash", "-c", f"trap '{words}; exit' {at}; echo listens; sleep 60 & wait")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    logs = tmp_path / "logs"
    logs.mkdir()
    found = Supervisor(logs, {"PATH": "/usr/bin:/bin"}, said.append)
    yield found
    found.stop()


def test_a_program_that_dies_at_once_is_started_again_ever_later(
    supervisor: Supervisor, said: list[str]
) -> None:
    supervisor.start([Program("hasty", ("false",))])

    eventually(lambda: supervisor.watch() and supervisor.hopeless(3))

    pauses = [line.split(", again in ")[1].split(" s;")[0] for line in said if "ended" in line]
    assert pauses == ["0.5", "1", "2"]
    assert "hasty: ended with exit code 1" in said[0]


def test_one_program_that_dies_leaves_the_others_alone(supervisor: Supervisor) -> None:
    supervisor.start([Program("hasty", ("false",)), Program("calm", CALM)])
    calm = supervisor.pids["calm"]
    eventually(supervisor.watch)
    assert supervisor.pids == {"calm": calm}


def test_a_program_that_will_not_end_is_ended(supervisor: Supervisor) -> None:
    supervisor.start([Program("deaf", DEAF, grace=0.3)])
    eventually(lambda: "deaf" in supervisor.log("deaf").read_text())
    pids = set(supervisor.pids.values())

    began = time.monotonic()
    supervisor.stop()

    assert not alive(pids)
    assert time.monotonic() - began < 3


def test_what_a_program_has_started_ends_with_it(supervisor: Supervisor) -> None:
    supervisor.start([Program("parent", PARENT)])
    eventually(lambda: "born" in supervisor.log("parent").read_text())
    parent = supervisor.pids["parent"]
    children = family(parent)
    assert children

    supervisor.stop()

    eventually(lambda: not alive({parent} | children), 5)


def test_programs_are_stopped_in_order(supervisor: Supervisor, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    stages = {"queues": Stage.BROKER, "work": Stage.WORKERS, "calls": Stage.FRONT}
    supervisor.start(
        Program(name, speaking(f"echo {name} >> {diary}"), stage) for name, stage in stages.items()
    )
    for name in stages:
        eventually(lambda name=name: "listens" in supervisor.log(name).read_text())  # type: ignore[misc]

    supervisor.stop()

    assert diary.read_text().split() == ["calls", "work", "queues"]


def test_each_program_gets_its_own_farewell(supervisor: Supervisor) -> None:
    supervisor.start([Program("worker", speaking("echo quit", "QUIT"), farewell=signal.SIGQUIT)])
    eventually(lambda: "listens" in supervisor.log("worker").read_text())
    supervisor.stop()
    assert supervisor.log("worker").read_text().split() == ["listens", "quit"]


def test_a_log_that_is_too_long_is_put_aside_while_its_program_goes_on(
    tmp_path: Path, said: list[str]
) -> None:
    talks = ("bash", "-c", "for n in $(seq 1000000); do echo line $n; sleep 0.001; done")
    supervisor = Supervisor(tmp_path, {"PATH": "/usr/bin:/bin"}, said.append, Rotation(2000, 3))
    supervisor.start([Program("talks", talks)])
    log, process = supervisor.log("talks"), supervisor.pids["talks"]
    try:
        eventually(lambda: [supervisor.watch(), (tmp_path / "talks.log.3").exists()][1])
        old = [(tmp_path / f"talks.log.{number}").read_text() for number in (3, 2, 1)]
        eventually(lambda: log.read_text().count("\n") > 3)
    finally:
        pids = supervisor.pids
        supervisor.stop()

    assert pids == {"talks": process}, "nobody was started again for it"
    assert not (tmp_path / "talks.log.4").exists()
    assert all(len(text) > 2000 for text in old)
    numbers = [int(line.split()[1]) for text in old for line in text.splitlines()]
    assert numbers == sorted(numbers)
    assert b"\0" not in log.read_bytes(), "it is written from its beginning again"
