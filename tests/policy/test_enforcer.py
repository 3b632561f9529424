"""Placement rules are read from JSON, and protect what they need."""

import json

import pytest

from dynamo.cli.cases import load
from dynamo.errors import Invalid
from dynamo.policy.enforcer import check_rules, enforced, enforcer_from, read_enforcer
from dynamo.policy.image import Image
from dynamo.policy.reading import Known
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
