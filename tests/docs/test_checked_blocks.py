"""Commands that install, build and remove: their targets, files, values and resources exist."""

import os
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT, find_pages, parse_blocks, runs_on
from tests.docs.sessions import Session, find_problem
from tests.docs.stand_ins import write_stand_ins

PAGES = [page for page in find_pages() if runs_on(page, "checked")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_would_work(page: Path, tmp_path: Path) -> None:
    write_stand_ins(tmp_path)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": f"{ROOT}:{ROOT / 'operator'}"}
    outcomes = Session(tmp_path, environment, {}).run(parse_blocks(page), "checked")
    assert [problem for outcome in outcomes if (problem := find_problem(outcome))] == []
