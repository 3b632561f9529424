"""Names are searched by beginning and part, with the same answer as asking each."""

import fnmatch
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo.inventory.labels import Labels
from dynamo.policy.patterns import Pattern

NAMES = sorted(
    {
        f"/{a}{n}/{b}-{n % 7}/{c}"
        for n in range(40)
        for a in ("Aa", "Ab", "B")
        for b in ("X", "Y")
        for c in ("RAW", "AOD", "AODSIM")
    }
    | {"/odd", "odd/er/name/AOD", "/a/b/c/AOD", "plain", "/é/X-1/AOD"}
)
MANY = Labels(NAMES)


@pytest.mark.parametrize(
    "text",
    [
        "/*/*/AOD",
        "/*/*/AOD*",
        "/Aa*/X-3/*",
        "/A?1*/*/RAW",
        "*",
        "/*",
        "*AOD",
        "/Aa1/X-1/RAW",
        "/*/[XY]-1/AOD",
        "*/b/*",
        "/a/b/c/*",
        "?odd",
        "/*1*/*/*",
    ],
)
def test_globs_find_what_fits(text):
    expected = [place for place, name in enumerate(NAMES) if fnmatch.fnmatchcase(name, text)]

    assert Pattern.plain(text).places(MANY).tolist() == expected
    assert Pattern.plain(text).places(Labels(NAMES[:9])).tolist() == [
        place for place in expected if place < 9
    ]


@pytest.mark.parametrize(
    "text",
    ["/Aa1.*", "/(Aa|B)1/", ".*AOD$", "/Aab*", "/Aa1?/X", "/A{1}a", "^/Aa", "|/Aa", "/Aa1[0-3]/.*"],
)
def test_regular_expressions_are_anchored_at_the_start_only(text):
    expected = [place for place, name in enumerate(NAMES) if re.match(text, name)]

    assert Pattern.regex(text).places(MANY).tolist() == expected


piece = st.text("ab*?", max_size=3)


@given(
    st.builds("/{}/{}/{}".format, piece, piece, piece),
    st.lists(st.text("ab/", max_size=7), max_size=12),
)
def test_any_glob_on_any_names(text, names):
    padding = [f"/x{number}/y/z" for number in range(600)]
    labels = Labels(sorted({*names, *padding}))

    assert Pattern.plain(text).places(labels).tolist() == [
        place for place, name in enumerate(labels) if fnmatch.fnmatchcase(name, text)
    ]


def test_labels_look_up_and_remember():
    labels = Labels(["b", "a", "c"])

    assert not labels.is_sorted
    assert [labels.find(text) for text in ("a", "x")] == [1, -1]
    assert [MANY.find(text) for text in ("/odd", "/none", "zzz")] == [NAMES.index("/odd"), -1, -1]
    assert labels == Labels(["b", "a", "c"])
    assert hash(labels) == hash(Labels(["b", "a", "c"]))
    assert MANY.containing("é").tolist() == [NAMES.index("/é/X-1/AOD")]
    first = labels.remembered("question", lambda found: np.array([len(found)]))
    assert labels.remembered("question", lambda _: np.array([])) is first
