"""Placement rules are read from JSON, and protect what they need."""

import json

import pytest

from dynamo.errors import Invalid
from dynamo.golden.cases import load
from dynamo.policy.image import Image
from dynamo.policy.placement_evaluation import enforced, unmet
from dynamo.policy.placement_rules import check_rules, enforcer_from, read_enforcer
from dynamo.policy.reader import Known
from tests.detox.drawing import NOW, case

RULE = {
    "replicas": ["dataset.name == /A/*/*", "blockreplica.owner == B"],
    "destinations": ["site.name in [S1 S2]"],
    "sources": ["site.name == *"],
    "num_copies": 1,
    "protect": True,
}


def rules(**changed):
    return {"partition": "All", "default_destination_group": "A", "rules": {"some": RULE | changed}}


def protected(**changed):
    rows = ["/A/E/F full - full", "/A/E/G full full -", "/B/E/F - BB -", "/C/E/F full - -"]
    loaded = load(case("\n".join(["dataset S1 S2 S3", *rows]), "Dismiss"))
    image = Image.whole(loaded.snapshot)
    needed = enforced(image, enforcer_from(rules(**changed)), loaded.partitions, NOW)
    names = loaded.snapshot.datasets.labels, loaded.snapshot.sites.labels
    return [
        f"{names[0][dataset]} {names[1][site]}"
        for dataset, site, yes in zip(image.dataset, image.site, needed, strict=True)
        if yes
    ]


def test_replicas_are_protected_where_there_are_no_more_than_wanted():
    assert protected() == ["/A/E/F S1", "/B/E/F S2"]
    assert protected(num_copies=2) == ["/A/E/F S1", "/A/E/G S1", "/A/E/G S2", "/B/E/F S2"]
    assert protected(protect=False) == []
    assert protected(destinations=["site.occupancy > 5"]) == []


def test_rules_of_old_files_stand_alone_and_get_their_partition_from_outside():
    text = json.dumps({"usa": {**RULE, "sources": ["site.storage_type == DISK"]}})

    assert check_rules(text, partition="Physics").enforcer.partition == "Physics"
    assert "expected the name of a partition" in check_rules(text).errors[0].message


def test_mistakes_point_at_their_place_in_the_file():
    text = """{
  "partition": "Al",
  "default_destination_group": "analysi",
  "rules": {"one": {
    "replicas": ["dataset.name == /a/b/c", "dataset.nam == x"],
    "destinations": ["site.name == *"], "sources": [], "num_copies": 1, "protekt": true
  }}
}"""
    known = Known(partitions=["All"])

    reading = check_rules(text, "e.json", known=known, groups=["analysis"])

    assert [problem.show("e.json").splitlines() for problem in reading.problems] == [
        [
            "e.json:2:17: error: there is no partition Al; did you mean All?",
            '      "partition": "Al",',
            " " * 20 + "^",
        ],
        [
            "e.json:3:33: error: there is no group analysi; did you mean analysis?",
            '      "default_destination_group": "analysi",',
            " " * 36 + "^",
        ],
        [
            "e.json:4:14: warning: rule one: nothing under sources: it applies to nothing",
            '      "rules": {"one": {',
            " " * 17 + "^",
        ],
        [
            "e.json:5:45: error: unknown variable dataset.nam; did you mean dataset.name?",
            '        "replicas": ["dataset.name == /a/b/c", "dataset.nam == x"],',
            " " * 48 + "^",
        ],
        [
            "e.json:6:74: warning: rule one: protekt means nothing; did you mean protect?",
            '        "destinations": ["site.name == *"], "sources": [], "num_copies": 1, "protekt": true',  # noqa: E501
            " " * 77 + "^",
        ],
    ]


def test_rules_are_read_with_their_groups():
    body = rules(destination_group="B", spread=True)
    body["rules"]["other"] = RULE

    enforcer = read_enforcer(json.dumps(body))

    assert [(rule.name, rule.group, rule.spread) for rule in enforcer.rules] == [
        ("some", "B", True),
        ("other", "A", False),
    ]
    assert [len(rule.sources) for rule in enforcer.rules] == [1, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "e:1:2: error: Expecting"),
        ("[]", "expected {"),
        (
            json.dumps(rules(num_copies=0)),
            "rule some: expected a number of copies, at least 1, under num_copies",
        ),
        (
            json.dumps(rules(replicas="x")),
            "rule some: expected a list of conditions under replicas",
        ),
        (json.dumps(rules(sources=["dataset.size > 1"])), "dataset.size cannot stand here"),
        (json.dumps(rules() | {"partition": None}), "expected the name of a partition"),
    ],
)
def test_mistakes_in_rules_are_told(text, message):
    with pytest.raises(Invalid) as refused:
        read_enforcer(text, "e")

    assert message in refused.value.detail


def told(quota=100, **changed):
    """Return what nothing here can meet in a rule, asked of a small world."""
    rows = ["/A/E/F full - - full", "/B/E/F - BB - -"]
    picture = "\n".join(["dataset S1 S2 S3 S4Dead", *rows])
    loaded = load(case(picture, "Dismiss", quota=quota))
    reading = check_rules(json.dumps(rules(**changed), indent=1), "e")
    found = unmet(reading, loaded.snapshot, loaded.partitions, NOW)
    return [problem.message.removeprefix("rule some: ") for problem in found if problem.warning]


NOT_THERE = "1 in the morgue or without a quota of All"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_copies": 2}, None),
        ({"destinations": ["site.name == T9_*"]}, "no site fits its destinations"),
        ({"num_copies": 3}, "too few sites fit its destinations: 2 for 3 copies"),
        (
            {"num_copies": 3, "destinations": ["site.name in [S1 S2 S4Dead]"]},
            f"too few sites fit its destinations: 2 for 3 copies (and {NOT_THERE})",
        ),
        (
            {"quota": {"S1": 100, "S2": 0}, "num_copies": 1, "destinations": ["site.name == S2"]},
            f"no site fits its destinations (but {NOT_THERE})",
        ),
        ({"sources": ["site.storage_type == MSS"]}, "no site fits its sources"),
        (
            {"replicas": ["dataset.name == /C/*/*"]},
            "no replica of a dataset in All at its sources fits its replicas",
        ),
        (
            {"sources": ["site.name == S3"]},
            "no replica of a dataset in All at its sources fits its replicas",
        ),
        ({"replicas": []}, "nothing under replicas: it applies to nothing"),
    ],
)
def test_what_nothing_can_meet_is_told(changed, message):
    assert told(**changed) == ([] if message is None else [message])


def test_what_cannot_be_met_points_at_its_rule():
    text = """{
  "partition": "All", "default_destination_group": "A",
  "rules": {"good": {"replicas": ["dataset.name == *"], "destinations": ["site.name == S1"],
                     "sources": ["site.name == *"], "num_copies": 1},
            "All":  {"replicas": ["dataset.name == *"], "destinations": ["site.name == T9"],
                     "sources": ["site.name == *"], "num_copies": 1}}
}"""
    loaded = load(case("dataset S1\n/A/E/F full", "Dismiss"))

    [found] = unmet(check_rules(text, "e"), loaded.snapshot, loaded.partitions, NOW)

    assert found.show("e").splitlines() == [
        "e:5:14: warning: rule All: no site fits its destinations",
        "    " + text.splitlines()[4],
        " " * 17 + "^",
    ]
