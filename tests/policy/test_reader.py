"""What a policy file may say, and what people are told when it is wrong."""

import pytest

from dynamo.errors import Invalid
from dynamo.policy.comparisons import Compares, Fits, IsAmong, IsTrue
from dynamo.policy.reader import Known, read_condition, read_policy
from dynamo.policy.syntax import All, Some, Verb
from dynamo.policy.variables import Scope

HEAD = "Partition P\nOn always\nWhen always\nUntil never\nDismiss\n"


def shown(line):
    """Return the only error of a line, as people see it."""
    reading = read_policy(HEAD + line, "p.txt")
    (error,) = reading.errors
    return error.show("p.txt")


def test_errors_point_at_the_place_with_a_caret():
    assert shown("Protect dataset.usage_rnk > 5") == (
        "p.txt:6:9: error: unknown variable dataset.usage_rnk; did you mean dataset.usage_rank?\n"
        "    Protect dataset.usage_rnk > 5\n"
        "            ^"
    )


def test_a_caret_stands_right_under_tabs():
    assert shown("\tProtect\tdataset.size > x").splitlines()[1:] == [
        "    \tProtect\tdataset.size > x",
        "    \t       \t               ^",
    ]


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        ("Protct dataset.size > 5", 1, "unknown keyword Protct; did you mean Protect?"),
        ("5 > 3", 1, "unknown keyword 5"),
        ("Protect dataset.colour == red", 9, "unknown variable dataset.colour"),
        ("Protect dataset.usage_rank", 9, "dataset.usage_rank is a number, not a boolean"),
        ("Protect not dataset.usage_rank", 13, "dataset.usage_rank is a number, not a boolean"),
        ("Protect dataset.usage_rank >", 29, "expected a value"),
        ("Protect dataset.usage_rank ~ 5", 28, "expected an operator, not ~"),
        (
            "Protect dataset.usage_rank newer than 5",
            28,
            "expected an operator, not newer; did you mean newer_than?",
        ),
        ("Protect dataset.name = /A/B/C", 22, "expected an operator, not =; did you mean ==?"),
        ("Protect dataset.name=/A/B/C", 21, "expected an operator, not =; did you mean ==?"),
        ("Protect dataset.size => 5", 22, "expected an operator, not =>; did you mean >=?"),
        ("Protect dataset.name ~ /A.*", 22, "expected an operator, not ~; did you mean =~?"),
        (
            "Protect dataset.name in /A/B/C",
            25,
            "expected a list in brackets, such as [A B], not /A/B/C",
        ),
        ("Protect dataset.name in [A", 25, "expected a list in brackets"),
        ("Protect dataset.name in [A] B", 29, "expected 'and', 'or' or the end of the line, not B"),
        ("Protect site.name not in [A B]", 23, "expected an operator: write notin"),
        ("Protect not replica.size > 3", 26, "expected 'and', 'or' or the end of the line, not >"),
        (
            "Protect replica.incomplete == True",
            28,
            "takes no value: write replica.incomplete or not replica.incomplete",
        ),
        ("Protect replica.incomplete in [True]", 28, "takes no value"),
        (
            "Protect dataset.on_tape == FOO",
            28,
            "dataset.on_tape cannot be FOO: expected NONE, FULL, PARTIAL",
        ),
        ("Protect dataset.status == VALD", 27, "cannot be VALD; did you mean VALID?"),
        ("Protect dataset.status in [VALID INVLID]", 34, "cannot be INVLID; did you mean INVALID?"),
        ("Protect dataset.size > many", 24, "many is not a number, such as 0.9 or 5e12"),
        ("Protect dataset.size =~ 5", 22, "=~ does not go with dataset.size, a number"),
        (
            "Protect dataset.name > /A/B/C",
            22,
            "> does not go with dataset.name, a text: expected ==, !=, =~, !=~",
        ),
        ("Protect dataset.name =~ a[b", 25, "a[b is no regular expression"),
        ("Protect dataset.name =~ a{99999999999}", 25, "is no regular expression: the repetition"),
        (f"Protect {'(' * 101}replica.incomplete{')' * 101}", 9, "more than 100 brackets"),
        (f"Protect dataset.last_update newer_than {'9' * 5000} days ago", 40, "15 digits"),
        ("Protect dataset.last_update > 0", 31, "a bare number is no time"),
        ("Protect dataset.last_update newer_than 2019-02-29", 40, "there is no such day"),
        ("Protect dataset.last_update in [soon]", 33, "'soon' is no time"),
        ("Protect replica.incomplete until soon", 34, "'soon' is no time"),
        ("Protect (replica.incomplete", 28, "a closing bracket"),
        ("Protect replica.incomplete)", 27, "expected the end of the line, not )"),
        ("Protect dataset.name =~ a and b", 31, "unknown variable b"),
        ("Protect never", 9, "never cannot stand here: this line speaks of replicas"),
        (
            "When dataset.size > 5",
            6,
            "dataset.size cannot stand here: On, When and Until speak of sites",
        ),
        ("Order increasing dataset.name", 18, "cannot sort by dataset.name, a text of a dataset"),
        ("Order increasing replica.incomplete", 18, "cannot sort by replica.incomplete"),
        (
            "Order increasing blockreplica.last_update",
            18,
            "cannot sort by blockreplica.last_update",
        ),
        ("Order upward replica.size", 7, "expected increasing or decreasing or none, not upward"),
        ("Order increasing", 17, "expected a variable"),
        ("Partition", 10, "expected a value"),
        ("Algo", 5, "expected a value"),
        ("On", 3, "expected a variable"),
    ],
)
def test_each_mistake_is_told_at_its_place(line, column, message):
    (error,) = read_policy(HEAD + line).errors

    assert (error.spot.line, error.spot.column) == (6, column)
    assert message in error.message


def test_all_errors_of_a_file_are_told_at_once():
    text = "Protct x\nOn site.nme == A\nProtect dataset.size > x and dataset.status == Y\nOrder up"

    reading = read_policy(text, "p.txt")

    assert [error.spot.line for error in reading.errors] == [1, 2, 3, 3, 4, 5, 5, 5, 5]
    with pytest.raises(Invalid) as refused:
        _ = reading.policy
    assert len(refused.value.faults) == 9
    assert refused.value.faults[1].pointer == "2:4"
    assert (
        "p.txt:2:4: error: unknown variable site.nme; did you mean site.name?"
        in refused.value.detail
    )


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("Partition P", "no Partition line"),
        ("On always", "no On line"),
        ("When always", "no When line"),
        ("Until never", "no Until line"),
        ("Dismiss", "no default decision"),
    ],
)
def test_what_must_stand_in_a_policy(missing, message):
    (error,) = read_policy(HEAD.replace(f"{missing}\n", ""), "p.txt").errors

    assert message in error.message
    assert error.show("p.txt").startswith("p.txt: error: there is no")


def test_a_partition_may_be_given_from_outside_or_have_blanks_and_must_exist():
    text = HEAD.replace("Partition P\n", "")

    assert read_policy(text, partition="Q").policy.partition == "Q"
    assert read_policy("Partition   IB   Test\n" + text).policy.partition == "IB Test"
    (error,) = read_policy(HEAD, known=Known(partitions=["Q", "R"])).errors
    assert (error.spot.line, error.spot.column) == (1, 11)
    assert error.message == "there is no partition P: expected Q, R"


def test_unknown_producers_are_warned_of():
    text = HEAD + "Protect dataset.usage_rank > 5 and blockreplica.is_locked"

    reading = read_policy(text, known=Known(attributes=["last_access"]))

    assert [warning.message for warning in reading.warnings] == [
        "nothing here finds out dataset.usage_rank: it is read as 0"
    ]
    assert read_policy(text, known=Known(attributes=["usage_rank"])).warnings == ()
    assert reading.policy.attributes == {"usage_rank"}


def test_sorting_by_words_is_allowed_as_it_always_was_but_warned_of():
    (warning,) = read_policy(HEAD + "Order increasing dataset.status").warnings

    assert (warning.spot.line, warning.spot.column) == (6, 18)
    assert warning.message == "Order sorts by the numbers behind the words of dataset.status"


def test_lines_are_numbered_among_the_rules_and_the_default_is_zero():
    policy = read_policy(
        HEAD + "# note\n\n  Protect   dataset.size >  5\nDeleteBlock replica.incomplete"
    ).policy

    assert [(line.number, line.at, line.text) for line in policy.lines] == [
        (1, 8, "Protect dataset.size > 5"),
        (2, 9, "DeleteBlock replica.incomplete"),
    ]
    assert (policy.line(2).verb, policy.line(2).by_block) == (Verb.DELETE, True)
    assert (policy.line(0).number, policy.line(0).text) == (0, "Dismiss")
    assert policy.order == ()
    assert policy.iterative


def test_the_last_of_several_counts_and_is_warned_of():
    reading = read_policy(
        HEAD
        + "Protect\nPartition Q\nOrder none\nOrder increasing replica.size\nAlgo Static\nAlgo Fast"
    )

    assert reading.policy.default.verb is Verb.PROTECT
    assert reading.policy.partition == "Q"
    assert len(reading.policy.order) == 1
    assert not reading.policy.iterative
    assert [warning.message for warning in reading.warnings] == [
        "a second default decision: the last one counts",
        "a second Partition: the last one counts",
        "a second Order: the last one counts",
        "Fast has no effect; only Static has",
    ]


def test_old_names_and_names_that_never_match_are_warned_of():
    reading = read_policy(
        HEAD
        + "Protect replica.group_name == DataOps and replica.has_locked_block\n"
        + "Protect dataset.name == A/B/C"
    )

    assert reading.errors == ()
    assert [warning.message for warning in reading.warnings] == [
        "replica.group_name is an old name; write blockreplica.owner",
        "replica.has_locked_block is an old name; write blockreplica.is_locked",
        "A/B/C can never match: dataset names look like /a/b/c",
    ]
    assert [one.variable.name for one in reading.policy.lines[0].condition.predicates()] == [
        "blockreplica.owner",
        "blockreplica.is_locked",
    ]


def condition(text, scope=Scope.REPLICA):
    return read_condition(text, scope)


def test_and_binds_closer_than_or_and_brackets_bind_closest():
    a, b, c = "replica.incomplete", "blockreplica.on_tape", "blockreplica.is_locked"

    root = condition(f"{a} or {b} and {c}").root
    assert isinstance(root, Some)
    assert isinstance(root.parts[1], All)
    root = condition(f"({a} or {b}) and {c}").root
    assert isinstance(root, All)
    assert isinstance(root.parts[0], Some)
    assert condition(f"(({a}))").root == condition(a).root


def test_values_keep_what_belongs_to_them():
    assert (
        condition("blockreplica.owner ==  IB   RelVal").root.comparison.patterns[0].text
        == "IB RelVal"
    )
    assert (
        condition("dataset.name =~ /(?:a|)[^/]+\\.x$").root.comparison.patterns[0].text
        == "/(?:a|)[^/]+\\.x$"
    )
    assert (
        condition("(dataset.name =~ /S(Mu|El).* or replica.incomplete)")
        .root.parts[0]
        .comparison.patterns[0]
        .text
        == "/S(Mu|El).*"
    )
    assert (
        condition("dataset.name == /android/or/notin").root.comparison.patterns[0].text
        == "/android/or/notin"
    )
    listed = condition("site.name in [T2_[A-C]*, X,Y Z]").root.comparison
    assert [pattern.text for pattern in listed.patterns] == ["T2_[A-C]*", "X", "Y", "Z"]
    assert condition("dataset.size<=5e12").root.comparison == Compares("<=", 5e12)


def test_comparisons_of_every_kind():
    assert condition("not replica.incomplete").root.comparison == IsTrue(negated=True)
    assert condition("replica.incomplete not").root.comparison == IsTrue(negated=True)
    assert condition("replica.num_access notin [3 50]").root.comparison == IsAmong(
        (3.0, 50.0), negated=True
    )
    assert condition("dataset.status != VALID").root.comparison == Compares("!=", 6)
    assert (
        condition("site.storage_type == MSS").root.comparison
        == condition("site.storage_type == TAPE").root.comparison
    )
    assert isinstance(condition("site.name == T2_*", Scope.SITE).root.comparison, Fits)
    assert read_policy(HEAD + "Protect dataset.status > VALID").warnings
    assert read_policy(HEAD + "Protect dataset.name in []").warnings


def test_a_single_condition_is_refused_with_its_place():
    with pytest.raises(Invalid, match=r"condition:1:1: error: unknown variable x"):
        condition("x == 1")
    with pytest.raises(Invalid, match=r"rule:1:15: error: expected a value"):
        read_condition("dataset.size >", Scope.REPLICA, "rule")
