"""Campaigns: planned data, and the sites that need them."""

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
"""Limit of bytes in a block of a campaign."""
RETRY = timedelta(hours=6)
"""Pause of production while no disk has space."""


class Campaign(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Datasets produced one after the other, each copied to `copies` of the sites."""

    name: str
    """Name of the datasets with `{n}` for a number, such as `/Higgs/Run3-{n}/AOD`."""
    datasets: int
    bytes: str
    """Size of a dataset, such as `5TB`."""
    sites: tuple[str, ...]
    """Names or globs of target sites."""
    first_day: int = 1
    per_day: float = 10.0
    copies: int = 1


def read(path: Path) -> list[Campaign]:
    """Return the tables `[[campaign]]` of a TOML file. Raises Invalid with the errors."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
        tables = msgspec.convert(document, dict[str, list[Campaign]])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise Invalid(f"{path.name}: {error}") from error
    if set(tables) - {"campaign"} or not tables:
        raise Invalid(f"{path.name}: write tables [[campaign]] and nothing else")
    for campaign in tables["campaign"]:
        if "{n}" not in campaign.name or campaign.datasets < 1 or campaign.per_day <= 0:
            detail = "its name needs {n}, and datasets and per_day are above 0"
            raise Invalid(f"{path.name}: campaign {campaign.name!r}: {detail}")
        parse_bytes(campaign.bytes)
    return tables["campaign"]


@dataclass(slots=True)
class Planned:
    """Datasets of campaigns."""

    names: list[str] = field(default_factory=list)
    waiting: dict[str, tuple[datetime, int]] = field(default_factory=dict)
    """Datasets that no disk has space for yet: time of production, and bytes."""


def plan(life: Workload, campaigns: Sequence[Campaign]) -> Planned:
    """Schedule campaigns; return their datasets, updated as days pass."""
    planned = Planned()
    for campaign in campaigns:
        for number in range(campaign.datasets):
            name = campaign.name.replace("{n}", str(number))
            days = campaign.first_day - 1 + number / campaign.per_day
            moment = life.agenda.now + timedelta(days=days)
            life.agenda.at(moment, partial(_make, life, campaign, name, planned))
            planned.names.append(name)
    return planned


def _make(life: Workload, campaign: Campaign, name: str, planned: Planned) -> None:
    """Write a dataset to a disk with space, now or later, and request its copies."""
    size = parse_bytes(campaign.bytes)
    parts = max(1, -(-size // BLOCK))
    if not life.write(name, tuple(size // parts for _ in range(parts))):
        planned.waiting.setdefault(name, (life.agenda.now, size))
        life.agenda.at(life.agenda.now + RETRY, partial(_make, life, campaign, name, planned))
        return
    planned.waiting.pop(name, None)
    wanted = schemas.Copy(dataset=name, site=campaign.sites, copies=campaign.copies)
    copies_submission.file(life.ctx, wanted, PRODUCER)
