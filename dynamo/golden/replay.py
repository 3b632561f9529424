"""What our engines answer to golden cases, as JSON (`python -m dynamo.cli.replay`)."""

import json
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dynamo.errors import Invalid
from dynamo.golden.answers import Answer, error
from dynamo.golden.cases import Json
from dynamo.golden.conditions import conditions, times
from dynamo.golden.dealer import dealer
from dynamo.golden.detox import detox
from dynamo.golden.partitions import partitions

KINDS: Mapping[str, Callable[[Json], Answer]] = {
    "detox": detox,
    "partitions": partitions,
    "conditions": conditions,
    "times": times,
    "dealer": dealer,
}
"""What answers which kind of case."""


def answer(case: Json) -> Answer:
    """Answer a case, with the fields that its expectation has, if it comes with one."""
    kind = str(case.get("kind"))
    if kind not in KINDS:
        return error("kind", Invalid(f"cases of kind {kind} are not answered here"))
    given = KINDS[kind](case)
    expected = case.get("expected") or next(iter(case.get("expected_any_of") or ()), None)
    return given if expected is None else _shaped(given, expected)


def _shaped(given: Answer, expected: Json) -> Answer:
    """Leave out what the case says nothing about: it differed between runs of the first Dynamo."""
    if given["status"] != expected["status"]:
        return given
    shaped = {key: value for key, value in given.items() if key in expected}
    wanted = expected.get("deletion_order") or {}
    counted = any("iteration" in entry for entries in wanted.values() for entry in entries)
    if "deletion_order" in shaped and not counted:
        for entries in shaped["deletion_order"].values():
            for entry in entries:
                del entry["iteration"]
    return shaped


def _answered(path: str) -> Answer:
    """Answer the case of a file; one that is no case must not cost the answers to the others."""
    try:
        case = json.loads(Path(path).read_text("utf-8"))
        if not isinstance(case, dict):
            return error("case", Invalid("expected a JSON object"))
        return answer(case)
    except Exception as wrong:  # noqa: BLE001 - whatever it is, it is told on stderr
        traceback.print_exc()
        return error("case", wrong)


def main(paths: Sequence[str]) -> int:
    """Print the answer to one case, or a list for several."""
    if not paths:
        sys.stderr.write("usage: python -m dynamo.cli.replay CASE.json…\n")
        return 2
    answers = [_answered(path) for path in paths]
    sys.stdout.write(
        json.dumps(answers[0] if len(answers) == 1 else answers, indent=1, sort_keys=True) + "\n"
    )
    return 0
