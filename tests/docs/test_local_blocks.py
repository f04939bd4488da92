"""Commands that need two PostgreSQL servers and no cluster print what their page says."""

from pathlib import Path

import pytest
from tests.docs.blocks import ROOT, find_pages, parse_blocks, runs_on
from tests.docs.local import open_session
from tests.docs.sessions import find_problem
from tests.support.postgres import PostgresServer

PAGES = [page for page in find_pages() if runs_on(page, "local")]
# `make check` tries the first page that a newcomer reads; `make test` tries all.
QUICK = ROOT / "README.md"


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[] if page == QUICK else [pytest.mark.thorough]) for page in PAGES],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_the_commands_of_a_page_print_what_it_says(
    page: Path, postgres16: PostgresServer, postgres18: PostgresServer, tmp_path: Path
) -> None:
    with open_session(postgres16, postgres18, tmp_path) as session:
        outcomes = session.run(parse_blocks(page), "local")
    assert [problem for outcome in outcomes if (problem := find_problem(outcome))] == []
