"""What the first Dynamo decided about small worlds, and where ours differs on purpose."""

from dynamo.golden.detox import detox
from tests.detox.drawing import DAY, NOW, case

LAST_COPY = "Protect replica.num_full_other_copy_common_owner == 0"


def verdicts(drawn):
    """Return {site dataset: {verdict: {line: blocks}}}."""
    answer = detox(drawn)
    assert answer["status"] == "ok", answer
    return {
        f"{site} {dataset}": {
            verdict: {
                entry["line"]: "".join(block[1:] for block in entry["blocks"]) for entry in entries
            }
            for verdict, entries in lists.items()
        }
        for site, datasets in answer["decisions"].items()
        for dataset, lists in datasets.items()
    }


TWO_COPIES = """
    dataset  S1    S2
    /D/E/F   full  full
"""


def test_of_two_dismissed_copies_the_last_one_stays():
    found = verdicts(case(TWO_COPIES, f"{LAST_COPY}\nDismiss"))

    assert found == {"S1 /D/E/F": {"delete": {0: "12"}}, "S2 /D/E/F": {"protect": {1: "12"}}}


def test_algo_static_lets_both_copies_go():
    found = verdicts(case(TWO_COPIES, f"{LAST_COPY}\nDismiss\nAlgo Static"))

    assert found == {"S1 /D/E/F": {"delete": {0: "12"}}, "S2 /D/E/F": {"delete": {0: "12"}}}


def test_delete_if_another_copy_exists_leaves_one():
    found = verdicts(
        case(TWO_COPIES, "Delete replica.num_full_other_copy_common_owner > 0\nProtect")
    )

    assert found == {"S1 /D/E/F": {"delete": {1: "12"}}, "S2 /D/E/F": {"protect": {0: "12"}}}


def test_blocks_of_the_other_owner_are_handed_over():
    drawn = case("dataset S1\n/D/E/F ABAB", "DeleteBlock blockreplica.owner == B\nProtect")

    answer = detox(drawn)

    assert answer["reowned"] == {"S1": {"/D/E/F": {"b2": "A", "b4": "A"}}}
    assert answer["committed"] == {}
    assert verdicts(drawn) == {"S1 /D/E/F": {"protect": {0: "1234"}}}


def test_blocks_are_deleted_where_nobody_owns_the_whole():
    found = verdicts(
        case("dataset S1\n/D/E/F BBBB", "DeleteBlock blockreplica.owner == B\nProtect")
    )

    assert found == {"S1 /D/E/F": {"delete": {1: "1234"}}}


def test_new_blocks_are_protected_and_old_ones_go():
    drawn = case(
        "dataset S1 age\n/D/E/F AAAA 100",
        "ProtectBlock blockreplica.last_update newer_than 9 days ago\nDismiss",
    )
    for part in drawn["inventory"]["datasets"][0]["replicas"][0]["blocks"][:2]:
        part["last_update"] = NOW - DAY

    assert verdicts(drawn) == {"S1 /D/E/F": {"protect": {1: "12"}, "delete": {0: "34"}}}


def test_a_site_deletes_from_its_high_to_under_its_low_watermark():
    picture = "dataset S1 age\n" + "\n".join(
        f"/D/E/F{number} AAAAAAAAAA {100 - number}" for number in range(10)
    )
    drawn = case(
        picture,
        "When site.occupancy > 0.9\nUntil site.occupancy < 0.75\nDismiss",
        order="increasing dataset.last_update",
    )

    answer = detox(drawn)

    gone = [entry["dataset"] for entry in answer["deletion_order"]["S1"]]
    assert gone == ["/D/E/F0", "/D/E/F1", "/D/E/F2"]
    assert answer["usage_after"]["S1"]["used"] == 70 * 10**12


def test_no_space_at_all_empties_a_site():
    drawn = case(
        "dataset S1\n/A/B/C full\n/D/E/F full",
        "When site.occupancy > 0.9\nUntil site.occupancy < 0.75\nDismiss",
        quota=0,
    )

    assert set(verdicts(drawn)) == {"S1 /A/B/C", "S1 /D/E/F"}
    assert detox(drawn)["usage_after"]["S1"]["used"] == 0


ON_TAPE = """
    dataset  S1    T1_MSS
    /D/E/F   full  full
"""
UNLESS_ON_TAPE = "Ignore site.name == *MSS\nProtect dataset.on_tape != FULL\nDismiss"


def test_a_copy_on_tape_frees_the_one_on_disk_and_is_not_touched():
    answer = detox(case(ON_TAPE, UNLESS_ON_TAPE))

    assert list(answer["decisions"]) == ["S1"]
    assert answer["undecided"] == {"T1_MSS": ["/D/E/F"]}
    assert verdicts(case(ON_TAPE, UNLESS_ON_TAPE)) == {"S1 /D/E/F": {"delete": {0: "12"}}}


def test_tape_that_takes_no_part_is_not_seen():
    found = verdicts(case(ON_TAPE, f"On site.name == S1\n{UNLESS_ON_TAPE}"))

    assert found == {"S1 /D/E/F": {"protect": {2: "12"}}}


def test_without_a_trigger_the_dismissed_are_kept():
    assert verdicts(case(TWO_COPIES, "When never\nDismiss"))["S1 /D/E/F"] == {"keep": {0: "12"}}


def test_the_site_with_more_protected_data_gives_the_shared_ones_away():
    rows = [f"/X/E/F{number} AAAAAAAAAA -" for number in range(6)]
    rows += [f"/Y/E/F{number} - AAAAAAAAAA" for number in range(2)]
    rows += [f"/Z/E/F{number} AAAAAAAAAA AAAAAAAAAA" for number in range(3)]
    answer = detox(case("dataset S1 S2\n" + "\n".join(rows), f"{LAST_COPY}\nDismiss"))

    assert list(answer["committed"]) == ["S1"]
    assert sorted(answer["committed"]["S1"]) == ["/Z/E/F0", "/Z/E/F1", "/Z/E/F2"]


def test_a_variable_of_blocks_fits_a_replica_if_it_fits_any_block():
    assert verdicts(
        case("dataset S1\n/D/E/F ABAB", "Protect blockreplica.owner == B\nDismiss")
    ) == {"S1 /D/E/F": {"protect": {1: "1234"}}}
    assert verdicts(
        case("dataset S1\n/D/E/F ABAB", "Protect blockreplica.owner != A\nDismiss")
    ) == {"S1 /D/E/F": {"protect": {1: "1234"}}}


def test_an_incomplete_block_protects_the_replica_unless_an_earlier_line_took_it():
    found = verdicts(case("dataset S1\n/D/E/F hole", "Protect replica.incomplete\nDismiss"))
    assert found == {"S1 /D/E/F": {"protect": {1: "12"}}}

    hidden = case(
        "dataset S1\n/D/E/F hole",
        "ProtectBlock blockreplica.last_update newer_than 9 days ago\n"
        "Protect replica.incomplete\nDismiss",
    )
    hidden["inventory"]["datasets"][0]["replicas"][0]["blocks"][1]["last_update"] = NOW - DAY
    assert verdicts(hidden) == {"S1 /D/E/F": {"protect": {1: "2"}, "delete": {0: "1"}}}


def test_a_block_line_that_fits_no_single_block_has_no_effect():
    drawn = case(
        "dataset S1\n/D/E/F ABAB",
        "ProtectBlock blockreplica.last_update newer_than 9 days ago\n"
        "DismissBlock blockreplica.owner == A and blockreplica.owner == B\nProtect",
    )
    for part in drawn["inventory"]["datasets"][0]["replicas"][0]["blocks"][:2]:
        part["last_update"] = NOW - DAY

    answer = detox(drawn)

    assert answer["iterations"] == 1
    assert verdicts(drawn) == {"S1 /D/E/F": {"protect": {0: "34", 1: "12"}}}
