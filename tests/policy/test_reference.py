"""The committed reference page is the generated one, and names everything."""

from pathlib import Path

from dynamo.policy.parser import KEYWORDS, VERBS
from dynamo.policy.reader import read_policy
from dynamo.policy.reference import page
from dynamo.policy.variables import VARIABLES, Scope

PAGE = Path(__file__).parents[2] / "docs" / "policy.md"


def test_the_committed_page_is_the_generated_one():
    assert PAGE.read_text("utf-8") == page(), (
        "run: python -m dynamo.policy.reference > docs/policy.md"
    )


def test_every_variable_and_keyword_is_on_the_page():
    missing = [
        name
        for name in (*KEYWORDS, *VERBS, *(one.name for one in VARIABLES))
        if f"`{name}`" not in page()
    ]

    assert missing == []


def test_the_example_on_the_page_is_a_policy():
    example = page().split("```")[1]

    assert read_policy(example).problems == ()


def test_every_variable_can_be_read_somewhere_and_says_what_it_means():
    for variable in VARIABLES:
        assert variable.meaning
        assert variable.stands_in(Scope.REPLICA) or variable.stands_in(Scope.SITE)
