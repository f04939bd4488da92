"""How the output of a command is compared with a page."""

import pytest
from tests.docs.sessions import matches
from tests.docs.update import hide_volatile, shorten


@pytest.mark.parametrize(
    ("expected", "output"),
    [
        ("one\ntwo\n", "one\ntwo"),
        ("…\ntwo\n", "two"),
        ("…\nthree\n", "one\ntwo\nthree"),
        ("password: …\n", "password: secret"),
        ("NAME   STATE …\n", "NAME   STATE   TARGET"),
    ],
)
def test_an_output_matches(expected: str, output: str) -> None:
    assert matches(expected, output)


@pytest.mark.parametrize(
    ("expected", "output"), [("one\n", "one\ntwo"), ("one\ntwo\n", "one"), ("o…e\n", "two"), ("a.c\n", "abc")]
)
def test_an_output_differs(expected: str, output: str) -> None:
    assert not matches(expected, output)


def test_secrets_and_derived_names_are_not_written_into_a_page() -> None:
    output = "copying into pgimport_39b17e468af5df6f46ac\npassword of x (not shown again): abc"
    assert hide_volatile(output) == "copying into pgimport_…\npassword of x (not shown again): …"


def test_a_short_output_has_the_first_check_alone() -> None:
    assert shorten("checking\n  ✓ one: 1\n  ✓ two: 2\ncopying\n") == "checking\n  ✓ one: 1\n…\ncopying\n"
