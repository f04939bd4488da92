"""A Project in the cluster of `make up`, and a shell for blocks that need the cluster."""

import base64
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.docs.blocks import ROOT, find_pages, runs_on
from tests.docs.local import write_program
from tests.docs.sessions import Session
from tests.e2e.fixtures import name_for_worker
from tests.e2e.postgres_pods import SYSTEM_NAMESPACE, Source
from tests.e2e.tenant import PROJECTS, make_tenant, remove_tenant
from tests.support import kubectl

NAMESPACE = name_for_worker("docs")
NEW_PROJECT = name_for_worker("docs-shop")
ADMIN_SECRET = name_for_worker("shop-server-admin")
# Other pages use the import that this page creates.
FIRST = ROOT / "docs/quick-start.md"


def find_cluster_pages() -> list[Path]:
    """Returns the pages with blocks for the cluster, in the order in which they must run."""
    return sorted((page for page in find_pages() if runs_on(page, "cluster")), key=lambda page: (page != FIRST, page))


@contextmanager
def open_cluster_session(source: Source, folder: Path) -> Iterator[Session]:
    """Yields a session in which the pages' project `demo` is one that may import from the tests' source."""
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
            "projects.capydb.dev/shop\n": f"projects.capydb.dev/{NEW_PROJECT}\n",
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
