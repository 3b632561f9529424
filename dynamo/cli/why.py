"""`dynamo why`: what the last cycles decided about a dataset at a site, and on what grounds."""

from typing import Annotated

import typer

from dynamo.cli import console
from dynamo.cli.session import Session, reading
from dynamo.reasons import words


@reading
def why(
    session: Session,
    dataset: Annotated[str, typer.Argument(help="Name of the dataset.")],
    site: Annotated[str, typer.Argument(help="Name of the site.")],
) -> None:
    """Say why a dataset is, or is not, deleted at a site or copied there."""
    found = session.service().get("/v1/decisions", {"dataset": dataset, "site": site})
    if session.json:
        console.show_json(found)
        return
    # what is proposed several times, as by many jobs that wait, becomes the same each time
    alike = [(one, found["items"].count(one)) for one in found["items"]]
    for n, (one, times) in enumerate(alike):
        if (one, times) in alike[:n]:
            continue
        when = console.moment(one["at"])
        console.say(f"{one['kind']}: cycle {one['cycle']} of {one['partition']}, {when}")
        console.facts(
            (
                ("what", one["block"] or one["dataset"]),
                ("becomes", one["action"]),
                *((("but", words(one["refused"])),) if one["refused"] else ()),
                ("size", console.size(one["bytes"])),
                ("line", one["line"] or None),
                ("its text" if one["line"] else "why", one["text"] or None),
                *((("how often", times),) if times > 1 else ()),
                *((f"  {name}", _value(value)) for name, value in one["values"].items()),
            )
        )


def _value(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list) else value
