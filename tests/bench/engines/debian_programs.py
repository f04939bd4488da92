"""Provides the programs that are measured, from Debian, so that this host can run them."""

from functools import cache
from pathlib import Path

from tests.cluster.bare.buildah import base_image, ensure_archive
from tests.cluster.debian_postgres import (
    ensure_programs,
    image_tree,
    link_clients,
    link_program,
    reference,
    server_tree,
)
from tests.cluster.digest import digest_of
from tests.cluster.provider import Build

IMAGE = Path(__file__).parent / "image"
SUITE = "sid"
MAJORS = (17, 18)
# pgcopydb requires all of these programs, and runs some of them.
CLIENTS = ("pg_dump", "pg_dumpall", "pg_restore", "psql", "vacuumdb", "pg_config")


@cache
def pgcopydb_tree() -> Path:
    """Return the root file system that contains pgcopydb. It is built once and cached."""
    ensure_programs()
    base = base_image(SUITE)
    build = Build("pgcopydb", IMAGE / "Dockerfile", IMAGE, digest_of([IMAGE], [base]), arguments={"BASE": base})
    return image_tree(build, ensure_archive(build, reference(build)))


def ensure_trees() -> None:
    """Download everything that needs the network."""
    for major in MAJORS:
        server_tree(major)
    pgcopydb_tree()


def link_programs(folder: Path) -> None:
    """Create `<folder>/17/bin/pg_dump` and the other clients of each major, and `<folder>/pgcopydb`."""
    for major in MAJORS:
        link_clients(server_tree(major), major, folder, CLIENTS)
    link_program(pgcopydb_tree(), Path("usr/bin/pgcopydb"), folder / "pgcopydb")
