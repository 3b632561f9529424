"""Subjects of certificates: one name in two ways of writing, and no two names in one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo.inventory.subjects import Subject, comma, either

ALICE = (("DC", "org"), ("DC", "example"), ("OU", "Users"), ("CN", "Alice Smith"))


def test_both_ways_of_writing_name_the_same() -> None:
    assert comma("CN=Alice Smith,OU=Users,DC=example,DC=org") == ALICE
    assert either("CN=Alice Smith,OU=Users,DC=example,DC=org") == ALICE
    assert either("/DC=org/DC=example/OU=Users/CN=Alice Smith") == ALICE
    assert either("/dc=org/cn=host/dynamo.example.org")[1] == ("CN", "host/dynamo.example.org")


def test_escapes_are_read() -> None:
    assert comma(r"CN=Smith\, Alice \+ \"Co\",O=a\2Fb")[1] == ("CN", 'Smith, Alice + "Co"')
    assert comma(r"CN=Ren\C3\A9e") == (("CN", "Renée"),)


@pytest.mark.parametrize(
    "text",
    [
        *("", ",", "Alice", "=Alice", "CN", "CN=a,", ",CN=a", "CN=a,,O=b", "CN=a+OU=b", "CN=a;O=b"),
        *("CN=a\\", 'CN="a,O=b"', "CN=a\nO=b", "CN=a\0", " CN=a", "CN=" + "a" * 1000),
        "/DC=org/CN=Alice Smith",
    ],
)
def test_what_a_proxy_never_writes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="subject"):
        comma(text)


def test_a_slash_in_a_value_makes_nobody_somebody_else() -> None:
    assert comma("CN=x/CN=Alice Smith,O=evil") != either("/O=evil/CN=x/CN=Alice Smith")


def written(subject: Subject) -> str:
    """Write a subject as nginx does."""

    def value(text: str) -> str:
        shown = "".join(f"\\{c}" if c in ',+"\\<>;' else c for c in text)
        return "".join(
            c if " " <= c <= "~" else "".join(f"\\{b:02X}" for b in c.encode()) for c in shown
        )

    return ",".join(f"{kind}={value(text)}" for kind, text in reversed(subject))


VALUES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(st.lists(st.tuples(st.sampled_from(["CN", "OU", "1.2.3"]), VALUES), min_size=1, max_size=6))
def test_every_subject_survives_being_written(parts: list[tuple[str, str]]) -> None:
    assert comma(written(tuple(parts))) == tuple(parts)
