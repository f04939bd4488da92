"""Servers with contrib extensions, and imports between them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.cluster.debian_postgres import RELEASES, link_clients, server_tree
from tests.support.postgres import PostgresServer, run_postgres, tree_programs
from tests.worker.conftest import Bench

from pgimport.model.result import WorkerResult

FLOORS = dict.fromkeys((14, 15, 16, 17, 18), 0)


@pytest.fixture(scope="session")
def contrib_clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clients")
    for major in RELEASES:
        link_clients(server_tree(major), major, folder)
    return folder


@pytest.fixture(scope="session")
def contrib_server(contrib_clients: Path) -> Iterator[Callable[[int], PostgresServer]]:
    """Starts the server of a major version when a test first needs it."""
    running: dict[int, PostgresServer] = {}
    with ExitStack() as stack:

        def start(major: int) -> PostgresServer:
            if major not in running:
                programs = tree_programs(major, server_tree(major), contrib_clients)
                running[major] = stack.enter_context(run_postgres(major, programs))
            return running[major]

        yield start


class ContribBench:
    """An import between two servers with contrib extensions, which a superuser creates in the shadow."""

    def __init__(self, bench: Bench, source: PostgresServer, target: PostgresServer) -> None:
        self.bench, self.source, self.target = bench, source, target

    def run(self, name: str, extensions: str, inspect: Callable[[str], None], **changes: object) -> WorkerResult:
        """Imports the database `name`, and calls `inspect` with the shadow's name before it is dropped."""
        self.bench.target = self.target
        self.bench.source_url = self.source.url(name)
        version = self.target.major * 10000
        with self.bench.shadow() as shadow:
            self.target.execute(extensions, shadow)
            self.target.execute(f"GRANT USAGE ON SCHEMA public TO {self.bench.names.role}", shadow)
            result = self.bench.run(target_version_num=version, floors=FLOORS, **changes)
            assert result.ok, result.failure
            inspect(shadow)
        return result


@pytest.fixture(params=[(15, 17), (17, 17), (17, 18)], ids=["15 to 17", "17 to 17", "17 to 18"])
def contrib_bench(
    request: pytest.FixtureRequest,
    bench: Bench,
    contrib_server: Callable[[int], PostgresServer],
    contrib_clients: Path,
) -> ContribBench:
    source_major, target_major = request.param
    bench.bin_root = contrib_clients
    return ContribBench(bench, contrib_server(source_major), contrib_server(target_major))
