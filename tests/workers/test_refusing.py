"""Whoever can write into the broker can send hints, and nothing else: no message becomes code."""

import json
import os
from base64 import b64encode
from pathlib import Path
from pickle import dumps, loads

import pytest

from tests.faults.endings import assert_all_ended
from tests.faults.plant import Plant, quickly

pytestmark = pytest.mark.slow

PICKLE = "application/x-python-serialize"
QUEUE = "close"


class Bomb:
    """What makes a folder when somebody reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def message(body: bytes, kind: str, **headers: object) -> bytes:
    """Lay a message out as it stands in Redis."""
    properties = {
        "body_encoding": "base64",
        "correlation_id": "1",
        "delivery_info": {"exchange": "", "routing_key": QUEUE},
        "delivery_mode": 2,
        "delivery_tag": os.urandom(8).hex(),
        "priority": 0,
    }
    told = {"content-encoding": "binary", "content-type": kind, "headers": headers}
    text = b64encode(body).decode()
    return json.dumps({"body": text, "properties": properties, **told}).encode()


def bombs(folder: Path) -> dict[str, bytes]:
    """Return messages of which each would make the folder, were it read as it wants."""
    named = {"lang": "py", "task": QUEUE, "id": "1"}
    arguments = dumps(([Bomb(folder)], {}, {}))
    whole = dumps({"task": QUEUE, "id": "1", "args": [Bomb(folder)], "kwargs": {}})
    words = f"!!python/object/apply:os.mkdir [{folder}]".encode()
    return {
        "a task": message(arguments, PICKLE, **named),
        "a task by the short name of its format": message(arguments, "pickle", **named),
        "a task of the first protocol": message(whole, PICKLE),
        "a task that says it is JSON": message(arguments, "application/json", **named),
        "a task that says nothing": message(arguments, "", **named),
        "YAML": message(words, "application/x-yaml", **named),
        "no message": dumps(Bomb(folder)),
        "JSON that is no message": b'["close"]',
        "a message without all that belongs to one": b'{"body": "", "properties": {}}',
        "a task that nobody has": message(arguments, PICKLE, **named | {"task": "os.system"}),
    }


def test_a_bomb_is_one_where_it_is_read(tmp_path: Path):
    loads(dumps(Bomb(tmp_path / "canary")))
    assert (tmp_path / "canary").exists()


def test_a_message_that_is_a_pickle_is_refused_unread_and_the_next_ones_are_handled(
    small_plant: Plant,
):
    world, broker = small_plant.world, small_plant.broker
    canary = world.folder / "canary"
    pool = small_plant.start()
    quickly(lambda: " ready." in pool.said)
    for number, (name, bomb) in enumerate(bombs(canary).items()):
        broker.client.lpush(QUEUE, bomb)
        small_plant.until_done(("injection", world.many("T2_A", 3, start=3 * number)))
        quickly(lambda: broker.depth(QUEUE) == 0)
        assert not canary.exists(), name
        assert pool.process.poll() is None, name
    small_plant.until_done(("closure", world.close()))
    assert pool.said.count(" ready.") == 1
    assert "Refusing to deserialize untrusted content of type pickle" in pool.said
    assert not canary.exists()
    assert_all_ended(world)
