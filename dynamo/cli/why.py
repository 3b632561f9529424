"""`dynamo why`: the last decisions about a dataset at a site, and their grounds."""

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
    """Explain why a dataset is, or is not, deleted at a site or copied to it."""
    answer = session.service().get("/v1/decisions", {"dataset": dataset, "site": site})
    if session.json:
        console.show_json(answer)
        return
    # equal proposals, as of many waiting jobs, have equal decisions
    alike = [(decision, answer["items"].count(decision)) for decision in answer["items"]]
    for n, (decision, times) in enumerate(alike):
        if (decision, times) in alike[:n]:
            continue
        when = console.moment(decision["at"])
        console.say(
            f"{decision['kind']}: cycle {decision['cycle']} of {decision['partition']}, {when}"
        )
        console.facts(
            (
                ("item", decision["block"] or decision["dataset"]),
                ("action", decision["action"]),
                *((("refused", words(decision["refused"])),) if decision["refused"] else ()),
                ("size", console.size(decision["bytes"])),
                ("line", decision["line"] or None),
                ("text" if decision["line"] else "why", decision["text"] or None),
                *((("times", times),) if times > 1 else ()),
                *((f"  {name}", _value(value)) for name, value in decision["values"].items()),
            )
        )


def _value(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list) else value
