"""Commands that need the cluster of `make up` print what their page says."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT, parse_blocks
from tests.docs.cluster import find_cluster_pages, open_cluster_session
from tests.docs.sessions import Session, find_problem
from tests.e2e.postgres_pods import Source

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def session(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with open_cluster_session(source, tmp_path_factory.mktemp("docs")) as session:
        yield session


@pytest.mark.parametrize("page", find_cluster_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_print_what_it_says(page: Path, session: Session) -> None:
    outcomes = session.run(parse_blocks(page), "cluster")
    assert [problem for outcome in outcomes if (problem := find_problem(outcome))] == []
