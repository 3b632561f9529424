"""Whoever can write into the broker can send hints, and nothing else.

No message becomes code, and none ends a pool or holds a place in it.
"""

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
JSON = "application/json"
QUEUE = "close"
TO_ALL = "/0.celery.pidbox"
"""The channel on which Celery tells all pools something."""
TASK = {"lang": "py", "task": QUEUE, "id": "1"}
HINT = b"[[[]], {}, {}]"
THREADS = 4
"""So many messages does a pool take at once that has so many threads."""


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
    arguments = dumps(([Bomb(folder)], {}, {}))
    whole = dumps({"task": QUEUE, "id": "1", "args": [Bomb(folder)], "kwargs": {}})
    words = f"!!python/object/apply:os.mkdir [{folder}]".encode()
    return {
        "a task": message(arguments, PICKLE, **TASK),
        "a task by the short name of its format": message(arguments, "pickle", **TASK),
        "a task of the first protocol": message(whole, PICKLE),
        "a task that says it is JSON": message(arguments, JSON, **TASK),
        "a task that says nothing": message(arguments, "", **TASK),
        "YAML": message(words, "application/x-yaml", **TASK),
        "no message": dumps(Bomb(folder)),
        "JSON that is no message": b'["close"]',
        "a message without all that belongs to one": b'{"body": "", "properties": {}}',
        "a task that nobody has": message(arguments, PICKLE, **TASK | {"task": "os.system"}),
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


def bent(**changed: object) -> bytes:
    """Lay out a good message, but for some of its parts."""
    return json.dumps({**json.loads(message(HINT, JSON, **TASK)), **changed}).encode()


def told(**changed: object) -> bytes:
    """Lay out a good message, but for what it tells the broker."""
    properties = json.loads(message(HINT, JSON))["properties"]
    return bent(properties=properties | changed)


def shapes() -> dict[str, bytes]:
    """Return messages that are none; each time with delivery tags of their own."""
    return {
        "no text": b"\xff\xfe",
        "no JSON": b"{",
        "JSON without an end": b"[" * 100_000,
        "a number": b"5",
        "a type that nobody knows": b'{"__type__": "other", "__value__": "hidden word"}',
        "a value that its type does not take": b'{"__type__": "bytes", "__value__": 5}',
        "a number that is none": b'{"__type__": "decimal", "__value__": "hidden word"}',
        "properties that are a list": b'{"body": "x", "properties": []}',
        "no properties": bent(properties=None),
        "a body in an encoding that nobody knows": told(body_encoding="rot13"),
        "a body that is no base64": bent(body="x"),
        "a body that is a number": bent(body=5),
        "no body": bent(body=None),
        "no delivery tag": told(delivery_tag=None),
        "a delivery tag that Redis does not take": told(delivery_tag=True),
        "a delivery tag that is a list": told(delivery_tag=[]),
        "no word of where it went": told(delivery_info=None),
        "headers that are a list": bent(headers=["x"]),
        "headers that are a word": bent(headers="x"),
        "a format that is a list": bent(**{"content-type": ["x"]}),
        "letters that nobody knows": bent(**{"content-encoding": "other"}),
        "a task without an id": message(HINT, JSON, lang="py", task=QUEUE),
        "an id that is a list": message(HINT, JSON, **TASK | {"id": []}),
        "a task that is a list": message(HINT, JSON, **TASK | {"task": []}),
        "a task that nobody has, without an id": message(HINT, JSON, task="other"),
        "a name that is a list": message(HINT, JSON, **TASK, shadow=["x"]),
        "a limit that is a word": message(HINT, JSON, **TASK, timelimit="x"),
        "an end that is a list": message(HINT, JSON, **TASK, expires=[]),
        "arguments alone": message(b"[[]]", JSON, **TASK),
        "arguments that are a number": message(b"[5, {}, {}]", JSON, **TASK),
        "keywords that are a number": message(b"[[], 5, {}]", JSON, **TASK),
        "a third part that is a number": message(b"[[[]], {}, 5]", JSON, **TASK),
        "what follows is a number": message(b'[[[]], {}, {"callbacks": 5}]', JSON, **TASK),
        "what follows a failure is a number": message(b'[[], {}, {"errbacks": 5}]', JSON, **TASK),
        "a chain in the headers": message(HINT, JSON, **TASK, chain="x"),
        "the first protocol, without an id": message(b'{"task": "close"}', JSON),
    }


def test_no_message_ends_a_pool_or_holds_a_place_in_it(small_plant: Plant):
    broker = small_plant.broker
    pool = small_plant.start(threads=THREADS)
    quickly(lambda: broker.client.publish(TO_ALL, b"") == 1)  # it listens once it is ready
    for number, (name, shape) in enumerate(shapes().items()):
        assert broker.client.publish(TO_ALL, shape) == 1, name
        for _ in range(THREADS + 1):
            broker.client.lpush(QUEUE, shapes()[name])
        broker.client.lpush(QUEUE, message(HINT, JSON, **TASK | {"id": f"good-{number}"}))
        done = f"Task close[good-{number}] succeeded"
        quickly(lambda done=done: done in pool.said or pool.process.poll() is not None)
        assert pool.process.poll() is None, name
        quickly(lambda: broker.client.hlen("unacked") == 0)
    assert pool.said.count(" ready.") == 1
    left = [line for line in pool.said.splitlines() if "malformed message dropped" in line]
    assert left
    assert not any("hidden word" in line for line in left)
