"""What is surely not meant is warned of."""

from dynamo.policy.lint import check_policy

HEAD = "Partition P\nOn always\nWhen site.occupancy > 0.9\nUntil site.occupancy < 0.8\nDismiss\n"


def warnings(text, head=HEAD):
    return [(problem.spot.line, problem.message) for problem in check_policy(head + text).warnings]


def test_a_line_below_one_that_takes_the_same_or_more_is_never_reached():
    assert warnings("Protect dataset.name == /A/B/C\nDelete dataset.name == /A/B/C") == [
        (7, "never reached: line 6 takes all that fits it (Protect dataset.name == /A/B/C)")
    ]
    found = warnings(
        "ProtectBlock blockreplica.is_locked\nDelete replica.incomplete and blockreplica.is_locked"
    )
    assert [line for line, _ in found] == [7]
    windowed = "Delete replica.incomplete until tomorrow"
    found = warnings(f"Protect dataset.name == *\nDismiss dataset.size > 5\n{windowed}")
    assert [line for line, _ in found] == [7, 8]


def test_what_is_joined_by_or_is_never_reached_if_none_of_it_is():
    both = "Protect replica.incomplete or dataset.size > 5"
    assert [line for line, _ in warnings(f"{both}\nDelete replica.incomplete until tomorrow")] == [
        7
    ]
    found = warnings(
        "Protect replica.incomplete\nProtect dataset.size > 5\n"
        "Delete dataset.status == VALID and (dataset.size > 5 or replica.incomplete)"
    )
    assert found == [(8, "never reached: line 7 takes all that fits it (Protect dataset.size > 5)")]
    windowed = "Dismiss replica.size > 5 or replica.incomplete from tomorrow"
    assert [line for line, _ in warnings(f"Protect site.name == *\n{windowed}")] == [7]


def test_a_line_is_reached_by_what_is_smaller_when_blocks_were_taken_away():
    taken = "Protect replica.size < 5\nProtectBlock blockreplica.is_locked"

    assert warnings(f"{taken}\nDelete replica.size < 5") == []
    assert [line for line, _ in warnings(f"{taken}\nDelete blockreplica.is_locked")] == [8]
    itself = "ProtectBlock blockreplica.is_locked or replica.size < 5"
    assert warnings(f"{itself}\nDelete replica.size < 5") == []


def test_lines_that_can_be_reached_are_left_alone():
    two = "ProtectBlock blockreplica.is_locked and blockreplica.on_tape"
    assert warnings(f"{two}\nDelete blockreplica.is_locked and blockreplica.on_tape") == []
    assert (
        warnings(
            "Protect replica.incomplete and dataset.size > 5 or dataset.size < 3\n"
            "Delete replica.incomplete or dataset.size < 3"
        )
        == []
    )
    assert (
        warnings("Protect replica.incomplete and dataset.size > 5\nDelete replica.incomplete") == []
    )
    assert warnings("Protect replica.incomplete until tomorrow\nDelete replica.incomplete") == []
    assert warnings("Protect dataset.name != *\nDelete replica.incomplete") == []


def test_watermarks_that_contradict_each_other():
    contrary = HEAD.replace("0.8", "0.95")

    assert [message for _, message in warnings("", contrary)] == [
        "it starts over 0.9 and stops under 0.95: expected a lower stop"
    ]
    assert (
        "stops after its first deletion"
        in warnings("", HEAD.replace("site.occupancy < 0.8", "always"))[0][1]
    )


def test_a_default_decision_about_blocks_selects_nothing():
    head = "Partition P\nOn always\nWhen site.occupancy > 0.9\nUntil site.occupancy < 0.8\n"
    for verb in ("Protect", "Delete", "Dismiss"):
        told = f"selects nothing, having no condition: {verb} takes the whole rest"
        assert warnings(f"{verb}Block\n", head) == [(5, told)]
        assert warnings(f"{verb}\n", head) == []


def test_errors_come_alone():
    assert check_policy("Protect").warnings == ()
    assert check_policy("Protect").errors
