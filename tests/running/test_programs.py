"""The table of programs: what each is told, and that no secret stands on a command line."""

import signal
from pathlib import Path

import pytest

from dynamo.errors import Conflict
from dynamo.running import broker, ports, programs, run_file
from dynamo.running.data_directory import Layout
from dynamo.running.programs import Stage
from dynamo.running.run_file import Running
from dynamo.running.system import Addresses
from dynamo.tasks import POOLS

AT = Addresses(
    "mysql+pymysql://dynamo:secret@db/dynamo", "redis://:hidden@queues:6379/0", 8080, 5555
)


def test_every_queue_has_a_pool_that_works_on_it() -> None:
    threads = dict.fromkeys(POOLS, 3)
    made = [programs.pool(pool) for pool in programs.pools(POOLS, threads, "here")]

    assert [program.name for program in made] == list(POOLS)
    for program, queues in zip(made, POOLS.values(), strict=True):
        assert program.command[program.command.index("-Q") + 1] == ",".join(queues)
        assert program.command[program.command.index("-n") + 1] == f"{program.name}@here"
        assert (program.stage, program.farewell) == (Stage.WORKERS, signal.SIGQUIT)
        assert program.grace == 15


def test_secrets_travel_in_the_environment() -> None:
    flower = programs.flower(5555, "pass")
    assert flower.env == {"FLOWER_BASIC_AUTH": "dynamo:pass"}
    assert not any("pass" in word for word in flower.command)

    env = programs.environment({"PATH": "/bin"}, Path("/data"), AT.database_url, AT.broker_url)
    assert env == {
        "PATH": "/bin",
        "DYNAMO_DATA": "/data",
        "DYNAMO_DATABASE_URL": AT.database_url,
        "DYNAMO_BROKER_URL": AT.broker_url,
    }


def test_addresses_are_shown_without_passwords() -> None:
    assert AT.database == "mysql+pymysql://dynamo:***@db/dynamo"
    assert AT.broker == "redis://:***@queues:6379/0"


def test_the_bundled_broker_is_reached_by_nobody_else_and_forgets_nothing(tmp_path: Path) -> None:
    command = broker.command(tmp_path / "b.sock", tmp_path)
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--port"] == "0"
    assert options["--unixsocketperm"] == "700"
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"


def test_a_held_port_is_not_given_to_a_second_system() -> None:
    with ports.reserve(0) as held:
        held.listen()
        with pytest.raises(Conflict, match="is in use"):
            ports.reserve(ports.number(held))


def test_a_record_is_believed_only_while_its_system_runs(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    running = Running(
        address=AT.api, flower=AT.flower, database=AT.database, broker=AT.broker, pid=1, pids={}
    )
    assert run_file.read(tmp_path) is None
    with run_file.alone(layout):
        run_file.write(layout, running)
        assert run_file.read(tmp_path) == running
        with pytest.raises(Conflict, match="runs on"), run_file.alone(layout):
            pass
    assert layout.record.exists()
    assert run_file.read(tmp_path) is None
