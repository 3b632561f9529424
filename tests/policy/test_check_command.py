"""`dynamo policy check` tells all errors of a file, and by its exit code whether there are any."""

from typer.testing import CliRunner

from dynamo.cli.policy import app

GOOD = "Partition P\nOn always\nWhen always\nUntil never\nDismiss\nProtect dataset.name == x\n"


def checked(tmp_path, text, *options):
    file = tmp_path / "some.policy"
    file.write_text(text)
    return CliRunner().invoke(app, ["check", str(file), *options])


def test_a_good_policy_passes_with_its_warnings(tmp_path):
    done = checked(tmp_path, GOOD)

    assert done.exit_code == 0
    assert "some.policy:6:25: warning: x can never match" in done.output
    assert "a policy for P, 1 rules" in done.output


def test_a_bad_policy_fails_with_all_its_errors(tmp_path):
    done = checked(tmp_path, GOOD.replace("Dismiss", "Dismis") + "Order up\n")

    assert done.exit_code == 1
    assert "some.policy:5:1: error: unknown keyword Dismis; did you mean Dismiss?" in done.output
    assert "some.policy:7:7: error: expected increasing or decreasing" in done.output


def test_placement_rules_are_checked_as_well(tmp_path):
    good = checked(tmp_path, '{"partition": "P", "rules": {}}')
    assert (good.exit_code, "0 placement rules for P" in good.output) == (0, True)

    bad = checked(tmp_path, '{"partition": "P", "rules": {"a": {"num_copies": 0}}}')
    assert bad.exit_code == 1
    assert "some.policy:1:31: error: rule a: expected a number of copies" in bad.output


def test_a_partition_may_be_named_for_files_that_name_none(tmp_path):
    text = GOOD.replace("Partition P\n", "")

    assert checked(tmp_path, text).exit_code == 1
    assert checked(tmp_path, text, "--partition", "Q").exit_code == 0
