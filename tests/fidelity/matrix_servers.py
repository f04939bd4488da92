"""Starts the servers of the fidelity matrix, each when a cell first needs it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.cluster.debian_postgres import RELEASES, link_clients, server_tree
from tests.fidelity.fidelity_matrix import MAJORS, Matrix
from tests.support.https import run_https_server
from tests.support.object_zoo.database import create_object_zoo
from tests.support.postgres import PostgresServer, installation, run_postgres, tree_programs


@contextmanager
def run_matrix(folder: Path) -> Iterator[Matrix]:
    """Run the matrix. 15, 17 and 18 are Debian's servers, with contrib; 16 is a plain build without it."""
    clients = folder / "bin"
    clients.mkdir()
    for major in MAJORS:
        if major in RELEASES:
            link_clients(server_tree(major), major, clients)
        else:
            (clients / str(major)).symlink_to(installation(major))
    running: dict[int, PostgresServer] = {}
    with ExitStack() as stack:

        def server(major: int) -> PostgresServer:
            if major not in running:
                has_contrib = major in RELEASES
                programs = tree_programs(major, server_tree(major), clients) if has_contrib else None
                running[major] = stack.enter_context(
                    run_postgres(major, programs, tls=has_contrib, max_locks_per_transaction="256")
                )
                create_object_zoo(running[major], has_contrib)
            return running[major]

        https = stack.enter_context(run_https_server(_make_folder(folder / "https"), "localhost"))
        yield Matrix(server, clients, https, _make_folder(folder / "work"))


def _make_folder(folder: Path) -> Path:
    folder.mkdir()
    return folder
