"""What `make demo` says at its end is true of the command line and of the web page."""

import shlex

import pytest
from tests.demo.demo import NEXT, PAGE
from tests.docs.blocks import ROOT

from pgimport.cli.arguments import build_parser, parse_arguments

PROGRAM = ".venv/bin/pgimport"


@pytest.mark.parametrize("command", [command for _, command in NEXT if command.startswith(PROGRAM)])
def test_a_command_has_these_arguments(command: str) -> None:
    parse_arguments(build_parser("pgimport"), shlex.split(command)[1:])


def test_the_command_line_and_the_page_are_shown_as_the_documentation_does() -> None:
    assert any(command.startswith(f"{PROGRAM} ") for _, command in NEXT)
    page = (ROOT / "docs" / "web-page.md").read_text()
    [command] = [command for meaning, command in NEXT if PAGE in meaning]
    assert (PAGE in page, command in page.replace("\n", " ")) == (True, True)
