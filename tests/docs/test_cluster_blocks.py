"""Commands that need the cluster of `make up` print what their page says."""

import base64
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT, find_pages, parse_blocks, runs_on
from tests.docs.local import write_program
from tests.docs.sessions import Session, find_problem
from tests.e2e.fixtures import name_for_worker
from tests.e2e.postgres_pods import SYSTEM_NAMESPACE, Source
from tests.e2e.tenant import PROJECTS, make_tenant, remove_tenant
from tests.support import kubectl

pytestmark = pytest.mark.cluster

NAMESPACE = name_for_worker("docs")
NEW_PROJECT = name_for_worker("docs-shop")
ADMIN_SECRET = name_for_worker("shop-server-admin")
# Other pages use the import that this page creates.
FIRST = ROOT / "docs/quick-start.md"
PAGES = sorted((page for page in find_pages() if runs_on(page, "cluster")), key=lambda page: (page != FIRST, page))


@pytest.fixture(scope="module")
def session(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A session in which the pages' project `demo` is one that may import from the tests' source."""
    folder = tmp_path_factory.mktemp("docs")
    remove_tenant(NAMESPACE)
    _remove_new_project()
    make_tenant(NAMESPACE, source, organizationID=NAMESPACE)
    (folder / "bin").mkdir()
    write_program(folder / "bin" / "pgimport", f'exec {sys.executable} -m pgimport cli "$@"')
    environment = kubectl.environment()
    (folder / "work").mkdir()
    _write_files(folder / "work", source)
    yield Session(
        folder=folder / "work",
        environment={
            **environment,
            "PATH": f"{folder / 'bin'}:{environment['PATH']}",
            "PYTHONPATH": str(ROOT / "operator"),
            "PGIMPORT_NAMESPACE": SYSTEM_NAMESPACE,
        },
        replacements={
            "postgresql://reader:secret@db.example.com:5432/shop": source.url("shop"),
            "-n demo": f"-n {NAMESPACE}",
            "namespace: demo": f"namespace: {NAMESPACE}",
            "project: demo": f"project: {NAMESPACE}",
            "/projects/demo/": f"/projects/{NAMESPACE}/",
            "--organization demo": f"--organization {NAMESPACE}",
            "postgres.databases.svc": f"pgimport-server.{SYSTEM_NAMESPACE}.svc",
            "shop-server-admin": ADMIN_SECRET,
            "name: shop\n": f"name: {NEW_PROJECT}\n",
            "namespace: shop\n": f"namespace: {NEW_PROJECT}\n",
            "namespace shop\n": f"namespace {NEW_PROJECT}\n",
            "namespace/shop ": f"namespace/{NEW_PROJECT} ",
            "project/shop\n": f"project/{NEW_PROJECT}\n",
            "project.capydb.dev/shop ": f"project.capydb.dev/{NEW_PROJECT} ",
            "8090": str(_port()),
        },
        seconds=240,
    )
    _remove_new_project()
    remove_tenant(NAMESPACE)


def _remove_new_project() -> None:
    """Removes what the page about the installation creates."""
    kubectl.delete(PROJECTS, NEW_PROJECT)
    kubectl.delete("namespace", NEW_PROJECT)
    kubectl.delete("secret", ADMIN_SECRET, namespace=SYSTEM_NAMESPACE)


def _port() -> int:
    """Returns a port that no other pytest-xdist worker uses."""
    return 18090 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def _write_files(folder: Path, source: Source) -> None:
    """Writes the files that the pages expect in the reader's folder: the admin's credentials and a dump."""
    admin = kubectl.get("secret", "pgimport-server-admin", SYSTEM_NAMESPACE)["data"]
    for name in ("user", "password"):
        (folder / name).write_bytes(base64.b64decode(admin[name]))
    pod = (source.server.namespace, source.server.pod)
    dump = kubectl.execute(*pod, "pg_dump", "--username=postgres", "--format=plain", "shop")
    (folder / "shop.dump").write_text(dump, encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_print_what_it_says(page: Path, session: Session) -> None:
    outcomes = session.run(parse_blocks(page), "cluster")
    assert [problem for outcome in outcomes if (problem := find_problem(outcome))] == []
