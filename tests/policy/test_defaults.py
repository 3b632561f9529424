"""A fresh system's partitions and policies can be read, and keep what they promise to keep."""

from importlib.resources import files

import pytest

from dynamo.golden.detox import detox
from dynamo.policy import defaults
from dynamo.policy.lint import check_policy
from dynamo.policy.reader import Known
from tests.detox.drawing import case

NAMES = ("Analysis", "Production", "User", "Official")
GROUPS = [{"name": "analysis", "olevel": "Dataset"}, {"name": "production", "olevel": "Block"}]


@pytest.mark.parametrize("name", NAMES)
def test_each_default_policy_reads_without_errors_and_warnings(name):
    reading = check_policy(defaults.policy(name), name, known=Known(partitions=NAMES))

    assert reading.problems == ()
    assert reading.policy.partition == name


def test_the_default_partitions_are_those_of_the_design():
    assert [definition.name for definition in defaults.partitions()] == list(NAMES)


def world(picture, name, owner, **changes):
    drawn = case(picture, "Dismiss", quota=1, **changes)
    inventory = drawn["inventory"]
    inventory["groups"] = GROUPS
    inventory["partitions"] = [
        {"name": one.name, "definition": one.text} for one in defaults.partitions()
    ]
    for site in inventory["sites"]:
        site["quotas_tb"] = {name: site["quotas_tb"]["All"]}
    for dataset in inventory["datasets"]:
        for replica in dataset["replicas"]:
            for part in replica["blocks"]:
                part["group"] = owner
    return drawn | {"policy": defaults.policy(name)}


@pytest.mark.parametrize(
    ("name", "owner", "tier"),
    [
        ("Analysis", "analysis", "AOD"),
        ("Production", "production", "RAW"),
        ("User", "analysis", "USER"),
    ],
)
def test_only_copies_beyond_the_first_go(name, owner, tier):
    rows = [f"/A/E/{tier} full full -", f"/B/E/{tier} full - full", f"/C/E/{tier} hole - -"]
    picture = "\n".join(["dataset S1 S2 T1_MSS", *rows])

    answer = detox(world(picture, name, owner))

    assert answer["status"] == "ok", answer
    assert answer["committed"] == {"S1": {f"/A/E/{tier}": None}}


def test_scattered_user_blocks_with_a_second_copy_may_go_block_by_block():
    drawn = world("dataset S1 S2\n/A/E/USER full part", "User", "analysis")
    drawn["inventory"]["sites"][1]["quotas_tb"] = {"User": 100}

    assert detox(drawn)["committed"] == {"S1": {"/A/E/USER": ["b1"]}}


def test_production_hands_over_to_analysis_what_is_finished_and_deletes_nothing():
    drawn = world(
        "dataset S1 S2 status\n/A/E/AOD full full valid\n/B/E/AOD full full production",
        "Official",
        "production",
    )
    for dataset in drawn["inventory"]["datasets"]:
        dataset["replicas"][0]["blocks"][0]["group"] = "analysis"
    for site in drawn["inventory"]["sites"]:
        site["quotas_tb"] = {"Analysis": 1, "Production": 1}

    answer = detox(drawn)

    assert answer["reowned"] == {"S1": {"/A/E/AOD": {"b2": "analysis"}}}
    assert answer["committed"] == {}


def test_bad_data_go_although_the_site_is_not_full():
    drawn = world("dataset S1 status\n/A/E/AOD full invalid", "Analysis", "analysis")
    drawn["inventory"]["sites"][0]["quotas_tb"] = {"Analysis": 100}

    assert detox(drawn)["committed"] == {"S1": {"/A/E/AOD": None}}


def test_every_default_is_shipped():
    shipped = {path.name for path in files("dynamo.policy").joinpath("defaults").iterdir()}

    assert shipped == {f"{name}.policy" for name in NAMES} | {"partitions.txt"}
