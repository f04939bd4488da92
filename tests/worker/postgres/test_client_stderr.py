"""Parallel children of pg_dump and pg_restore write pieces of lines into one stderr; the lines are put together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgimport.worker.postgres.client_stderr import LineAssembler
from pgimport.worker.postgres.errors import ClientErrorParser

# The pieces of one process's messages, as pg_log_generic_v writes them.
ERROR = (
    "pg_restore:",
    " ",
    "error: ",
    "could not execute query: ERROR:  relation x does not exist\nCommand was: ALTER\n",
)
FINISHED = ("pg_restore:", " ", "finished item 12 TABLE DATA t\n")
SKIPPING = ("pg_restore:", " ", "skipping item 2503 CONSTRAINT orders_pkey\n")
CREATING = ("pg_restore:", " ", 'creating INDEX "public.orders_day"\n')
DIED = ("pg_restore:", " ", "error: ", "a worker process died unexpectedly\n")


def assemble(text: str) -> list[str]:
    """Returns the lines of a whole stderr."""
    assembler = LineAssembler("pg_restore")
    return [assembler.add(line) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("pg_restore: error: no\n", ["pg_restore: error: no"], id="one whole message"),
        pytest.param(
            "pg_restore: error: pg_restore: skipping item 2503 CONSTRAINT c\ncould not execute query: ERROR:  x\n",
            ["pg_restore: skipping item 2503 CONSTRAINT c", "pg_restore: error: could not execute query: ERROR:  x"],
            id="a whole message between level and text",
        ),
        pytest.param(
            "pg_restore:pg_restore: error: no\n finished item 12 TABLE DATA t\n",
            ["pg_restore: error: no", "pg_restore: finished item 12 TABLE DATA t"],
            id="a whole message between name and space",
        ),
        pytest.param(
            "pg_restore: error: pg_restore:could not execute query: ERROR:  x\nCommand was: ALTER\n"
            " finished item 1 A b\n",
            [
                "pg_restore: error: could not execute query: ERROR:  x",
                "Command was: ALTER",
                "pg_restore: finished item 1 A b",
            ],
            id="a program name between level and text, and the text goes on",
        ),
        pytest.param(
            "pg_restore: error: x\n   ^\nHINT:  y\n",
            ["pg_restore: error: x", "   ^", "HINT:  y"],
            id="further lines of one message",
        ),
    ],
)
def test_each_message_gets_its_own_prefix(text: str, lines: list[str]) -> None:
    assert assemble(text) == lines


@given(
    st.lists(st.sampled_from([FINISHED, SKIPPING, CREATING]), max_size=4),
    st.lists(st.sampled_from([FINISHED, SKIPPING, CREATING]), max_size=4),
    st.lists(st.integers(0, 2), min_size=60, max_size=60),
)
def test_a_line_of_another_process_is_not_taken_for_the_first_error(
    first: list[tuple[str, ...]], second: list[tuple[str, ...]], order: list[int]
) -> None:
    """The failing process's error is found however the pieces of three processes are mixed."""
    pieces = [[piece for message in messages for piece in message] for messages in ([ERROR], first, second)]
    written = ""
    for choice in order:
        if pieces[choice]:
            written += pieces[choice].pop(0)
    written += "".join("".join(rest) for rest in pieces) + "".join(DIED)
    errors = ClientErrorParser()
    for line in assemble(written):
        errors.read_line(line)
    assert errors.error == "ERROR: relation x does not exist; command was: ALTER"
