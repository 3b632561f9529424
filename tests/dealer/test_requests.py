"""Copy requests: what is refused, what counts as there, where the rest goes, and what is told."""

from collections import Counter
from dataclasses import replace

from dynamo.dealer.engine import decide
from dynamo.dealer.proposer import WeightedProposer
from dynamo.dealer.proposers.requests import Requests
from dynamo.dealer.question import Veto
from dynamo.dealer.requests import Action, ActionState, Request, RequestedItem
from tests.dealer.drawing import LOOSE, TB, copies, question

PICTURE = """
    dataset  T2_A  T2_B  T2_C  T2_D
    /A/B/C   full  -     hole  BB
    /A/B/D   full  -     -     -
"""


def request(*items, sites=("T2_B",), copies=0, group=None, **given):
    return Request(
        given.pop("key", 1),
        tuple(RequestedItem.named(item) for item in items),
        sites,
        copies=copies,
        group=group,
        **given,
    )


def judged(*requests, picture=PICTURE, rules=None, **given):
    asked = question(picture, requests=requests, **given)
    return decide(asked, {"requests": WeightedProposer(rules or Requests())})


def told(plan):
    """Return state, reason and actions of the first request."""
    verdict = plan.verdicts[0]
    actions = [f"{one.item} > {one.site}: {one.state.value}" for one in verdict.actions]
    return verdict.state.value, verdict.refusal and verdict.refusal.text, actions


def test_each_site_gets_a_copy_and_what_is_there_or_comes_is_left_alone():
    plan = judged(request("/A/B/C", sites=("T2_A", "T2_B", "T2_C")))

    assert copies(plan) == ["/A/B/C > T2_B"]
    assert told(plan) == (
        "activated",
        None,
        ["/A/B/C > T2_B: queued", "/A/B/C > T2_C: queued"],
    )


def test_a_request_for_what_is_there_is_completed():
    assert told(judged(request("/A/B/C", sites=("T2_A",)))) == ("completed", None, [])


def test_a_copy_of_another_group_changes_hands_where_that_site_is_asked_for():
    plan = judged(request("/A/B/C", sites=("T2_D",)))

    assert copies(plan) == ["/A/B/C > T2_D"]
    assert plan.volume == 0


def test_copies_that_exist_or_come_count_towards_those_wanted_in_all():
    plan = judged(request("/A/B/C", sites=("T2_A", "T2_B", "T2_C"), copies=3))

    assert copies(plan) == ["/A/B/C > T2_B"]
    assert told(plan)[2] == [
        "/A/B/C > T2_B: queued",
        "/A/B/C > T2_C: queued",
    ]


def test_a_copy_of_another_group_does_not_count_unless_it_may_be_taken_over():
    asking = request("/A/B/C", sites=("T2_B", "T2_D"), copies=1)

    assert copies(judged(asking)) == ["/A/B/C > T2_B"]
    taking = judged(asking, rules=Requests(overwritten_groups=("B",)))
    assert copies(taking) == ["/A/B/C > T2_D"]
    assert taking.volume == 0


def test_nothing_is_taken_over_where_a_copy_is_there_already():
    taking = Requests(overwritten_groups=("B",))

    for sites in (("T2_A", "T2_D"), ("T2_D", "T2_A")):
        plan = judged(request("/A/B/C", sites=sites, copies=1), rules=taking)
        assert (told(plan)[0], copies(plan)) == ("completed", [])


def test_more_copies_than_sites_are_refused():
    assert told(judged(request("/A/B/D", sites=("T2_B", "T2_C"), copies=3))) == (
        "rejected",
        "Destination 2 for /A/B/D not available",
        [],
    )


def test_of_copies_that_cannot_all_be_made_those_that_can_are_where_that_will_do():
    short = request("/A/B/D", sites=("T2_B", "T2_C"), copies=3, in_part=True)

    assert told(judged(short)) == (
        "activated",
        "Destination 2 for /A/B/D not available",
        ["/A/B/D > T2_B: queued", "/A/B/D > T2_C: queued"],
    )


def test_a_site_that_could_never_take_it_refuses_the_request():
    plan = judged(request("/A/B/D", sites=("T2_B",)), quota={"T2_A": 9, "T2_B": 2})

    assert told(plan) == ("rejected", "Cannot copy /A/B/D to T2_B", [])


def test_a_veto_refuses_the_request():
    plan = judged(request("/A/B/D#b1"), vetoes=(Veto(("*",), ("T2_B",)),))

    assert told(plan)[:2] == ("rejected", "Cannot copy /A/B/D to T2_B")


def test_a_site_that_is_busy_now_lets_the_request_wait_and_says_so():
    plan = judged(request("/A/B/D"), limits=replace(LOOSE, pending=0.01))

    assert told(plan) == ("activated", None, ["/A/B/D > T2_B: new"])
    later = judged(
        request("/A/B/D", activated=True, actions=plan.verdicts[0].actions),
        limits=replace(LOOSE, pending=0.02),
    )
    assert told(later)[2] == ["/A/B/D > T2_B: queued"]


def test_blocks_that_make_up_most_of_a_dataset_are_copied_as_the_dataset():
    picture = "dataset T2_A T2_B\n/A/B/C AAAA -"

    assert copies(judged(request("/A/B/C#b1", "/A/B/C#b2"), picture=picture)) == [
        "/A/B/C#b1,b2 > T2_B"
    ]
    most = judged(request("/A/B/C#b1", "/A/B/C#b2", "/A/B/C#b4"), picture=picture)
    assert copies(most) == ["/A/B/C > T2_B"]
    assert told(most)[2] == ["/A/B/C > T2_B: queued"]


def test_too_large_datasets_and_too_many_blocks_are_refused():
    small = Requests(max_size=1.5 * TB)

    assert (
        told(judged(request("/A/B/C"), rules=small))[1] == "Dataset /A/B/C is too large (>1.5 TB)"
    )
    assert (
        told(judged(request("/A/B/C#b1", "/A/B/C#b2"), rules=small))[1]
        == "Request size for /A/B/C too large (>1.5 TB)"
    )


def test_names_that_mean_nothing_are_told_as_they_were_given():
    plan = judged(request("/A/B/X", "/A/B/C", "/A/B/C#b9", "/A/A/A"))

    assert told(plan) == ("rejected", "Invalid item names: [/A/B/X,/A/B/C#b9,/A/A/A]", [])


def test_a_block_may_be_named_by_its_key():
    asked = question(PICTURE)
    key = int(asked.snapshot.blocks.ids[asked.snapshot.blocks.names.index("b1")])
    one = Request(1, (RequestedItem("/A/B/C", key),), ("T2_B",))

    plan = decide(replace(asked, requests=(one,)), {"r": WeightedProposer(Requests())})

    assert [len(copy.blocks) for copy in plan.each_copy()] == [1]


def test_requests_for_the_same_data_are_one_copy_and_both_are_told():
    plan = judged(
        request("/A/B/D#b1", sites=("T2_B",), key=1), request("/A/B/D", sites=("T2_B",), key=2)
    )

    assert copies(plan) == ["/A/B/D > T2_B"]
    assert [verdict.actions[0].state for verdict in plan.verdicts] == [ActionState.QUEUED] * 2
    assert plan.volume == 2 * TB


def test_what_another_request_brings_counts_for_this_one():
    plan = judged(
        request("/A/B/D", sites=("T2_B",), key=1),
        request("/A/B/D", sites=("T2_B", "T2_C"), copies=1, key=2),
    )

    assert copies(plan) == ["/A/B/D > T2_B"]
    assert [verdict.actions[0].shared for verdict in plan.verdicts] == [False, True]
    assert [verdict.actions[0].state for verdict in plan.verdicts] == [ActionState.QUEUED] * 2


def test_activated_requests_fail_for_what_is_gone_and_go_on_with_the_rest():
    actions = tuple(
        Action(RequestedItem.named(item), site)
        for item, site in (
            ("/A/B/C", "T2_A"),
            ("/A/B/C", "T2_C"),
            ("/A/B/X", "T2_B"),
            ("/A/B/C#b9", "T2_B"),
            ("/A/B/C", "T9_X"),
            ("/A/B/D#b2", "T2_B"),
        )
    )

    plan = judged(request("/A/B/C", activated=True, actions=actions))

    assert copies(plan) == ["/A/B/D#b2 > T2_B"]
    assert [action.state.value for action in plan.verdicts[0].actions] == [
        "completed",
        "queued",
        "failed",
        "failed",
        "failed",
        "queued",
    ]


def test_a_request_for_very_much_does_not_hold_up_those_behind_it():
    picture = "dataset T2_A T2_B\n" + "\n".join(f"/A/B/{letter} full -" for letter in "CDEF")
    much, little = request("/A/B/C", "/A/B/D", "/A/B/E", key=1), request("/A/B/F", key=2)

    plan = judged(much, little, picture=picture, limits=replace(LOOSE, volume=5 * TB))

    assert copies(plan) == ["/A/B/C > T2_B", "/A/B/F > T2_B"]


def test_a_dataset_too_large_for_a_cycle_comes_in_portions_until_it_is_queued():
    head, cell = "dataset T2_A T2_B\n/A/B/C AAAAA ", "-"
    limits, actions = replace(LOOSE, pending=0.02), ()
    states = []
    for arrived in ("AA", "AAAA", "AAAAA"):
        one = request("/A/B/C", activated=bool(actions), actions=actions)
        plan = judged(one, picture=head + cell, limits=limits)
        actions, cell = plan.verdicts[0].actions, arrived
        states.append((copies(plan), actions[0].state.value))

    assert states == [
        (["/A/B/C#b1,b2 > T2_B"], "new"),
        (["/A/B/C#b3,b4 > T2_B"], "new"),
        (["/A/B/C > T2_B"], "queued"),
    ]


def test_the_first_dynamos_draw_by_free_space_holds_for_requests():
    one = request("/A/B/D", sites=("T2_B", "T2_C"), copies=1)
    quota = {"T2_A": 9, "T2_B": 4, "T2_C": 20}

    found = Counter(copies(judged(one, quota=quota, cycle=cycle))[0] for cycle in range(500))

    # 2 of 4 TB and 18 - 2 of 20 TB would be free behind the copy, 2 TB of T2_C are taken
    assert abs(found["/A/B/D > T2_B"] / 500 - 0.5 / (0.5 + 0.8)) < 0.08


def test_no_wish_changes_where_no_site_takes_copies():
    plan = judged(request("/A/B/D"), target_sites=())

    assert plan.verdicts == ()
