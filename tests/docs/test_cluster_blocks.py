"""Commands that need the cluster of `make up` print what their page says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.docs.blocks import ROOT, Block, find_pages, parse_blocks
from tests.docs.cluster import NAMESPACE, find_cluster_pages, open_cluster_session
from tests.docs.sessions import Session, find_problem
from tests.e2e.postgres_pods import Source
from tests.e2e.tenant import API_VERSION
from tests.support import kubectl

pytestmark = pytest.mark.cluster

EXAMPLES = [block for page in find_pages() for block in parse_blocks(page) if block.language == "yaml"]
# What a part of an object needs besides.
REQUIRED: dict[str, dict[str, Any]] = {
    "Project": {
        "organizationID": "acme",
        "namespace": "shop",
        "server": {"clusterID": "main", "host": "db.example.com", "adminSecretRef": {"name": "admin"}},
    },
    "PreviewDatabase": {"project": "shop"},
    "PostgresImport": {
        "project": "shop",
        "source": {"urlSecretRef": {"name": "shop", "key": "url"}},
        "target": {"previewDatabase": "pr-42"},
    },
    "PostgresImportSchedule": {"schedule": "0 3 * * *"},
}


@pytest.fixture(scope="module")
def session(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with open_cluster_session(source, tmp_path_factory.mktemp("docs")) as session:
        yield session


@pytest.mark.parametrize("page", find_cluster_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_print_what_it_says(page: Path, session: Session) -> None:
    outcomes = session.run(parse_blocks(page), "cluster")
    assert [problem for outcome in outcomes if (problem := find_problem(outcome))] == []


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: block.title)
def test_the_api_server_accepts_an_example(block: Block, session: Session) -> None:
    for body in yaml.safe_load_all(block.text):
        kind = block.marks.get("kind", body.get("kind"))
        if kind not in REQUIRED:
            continue
        namespace = {} if kind == "Project" else {"namespace": NAMESPACE}
        spec = {**REQUIRED[kind], **body.get("spec", {})}
        if kind == "PostgresImportSchedule":
            spec["importTemplate"] = {**REQUIRED["PostgresImport"], **spec.get("importTemplate", {})}
        example = {
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": {**body.get("metadata", {}), "name": "example", **namespace},
            "spec": spec,
        }
        kubectl.run("create", "--dry-run=server", "--filename", "-", stdin=json.dumps(example))
