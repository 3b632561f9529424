"""Campaigns: data that are planned to come, and where they are wanted."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec

from dynamo.errors import Invalid
from dynamo.inventory import schemas
from dynamo.services.copies import submission as copies_submission
from dynamo.simulation.workload import PRODUCER, Workload
from dynamo.units import parse_bytes

BLOCK = 10**12
"""Bytes of a block of a campaign at most."""
RETRY = timedelta(hours=6)
"""How long production waits where no disk has room."""


class Campaign(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Datasets that are made one after the other, each copied to some of the named sites."""

    name: str
    """Of the datasets: `{n}` stands for a number, such as `/Higgs/Run3-{n}/AOD`."""
    datasets: int
    bytes: str
    """Size of each, such as `5TB`."""
    sites: tuple[str, ...]
    """Names or globs of where the copies are wanted."""
    first_day: int = 1
    per_day: float = 10.0
    copies: int = 1


def read(path: Path) -> list[Campaign]:
    """Read the tables `[[campaign]]` of a TOML file. Raises Invalid with what is wrong."""
    try:
        told = tomllib.loads(path.read_text("utf-8"))
        found = msgspec.convert(told, dict[str, list[Campaign]])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as wrong:
        raise Invalid(f"{path.name}: {wrong}") from wrong
    if set(found) - {"campaign"} or not found:
        raise Invalid(f"{path.name}: write tables [[campaign]] and nothing else")
    for one in found["campaign"]:
        if "{n}" not in one.name or one.datasets < 1 or one.per_day <= 0:
            detail = "its name needs {n}, and datasets and per_day are above 0"
            raise Invalid(f"{path.name}: campaign {one.name!r}: {detail}")
        parse_bytes(one.bytes)
    return found["campaign"]


@dataclass(slots=True)
class Planned:
    """Datasets of campaigns."""

    names: list[str] = field(default_factory=list)
    waiting: dict[str, tuple[datetime, int]] = field(default_factory=dict)
    """Those that no disk has had room for yet: since when, and how large they are."""


def plan(life: Workload, campaigns: Sequence[Campaign]) -> Planned:
    """Put campaigns into the agenda; return what there is of them as days go by."""
    planned = Planned()
    for one in campaigns:
        for number in range(one.datasets):
            name = one.name.replace("{n}", str(number))
            days = one.first_day - 1 + number / one.per_day
            moment = life.agenda.now + timedelta(days=days)
            life.agenda.at(moment, partial(_make, life, one, name, planned))
            planned.names.append(name)
    return planned


def _make(life: Workload, one: Campaign, name: str, planned: Planned) -> None:
    """Let a dataset be written at a disk that has room, today or later, and be copied."""
    size = parse_bytes(one.bytes)
    parts = max(1, -(-size // BLOCK))
    if not life.write(name, tuple(size // parts for _ in range(parts))):
        planned.waiting.setdefault(name, (life.agenda.now, size))
        life.agenda.at(life.agenda.now + RETRY, partial(_make, life, one, name, planned))
        return
    planned.waiting.pop(name, None)
    wanted = schemas.Copy(dataset=name, site=one.sites, copies=one.copies)
    copies_submission.file(life.ctx, wanted, PRODUCER)
