"""Creates source databases, imports them by a path, and compares source and copy."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.real.dump_files import dump_database, run_client
from tests.real.imports import COPY, ImportPath, ImportResult, drop_copy, import_database, import_file, list_leftovers
from tests.real.servers import RealServers
from tests.support.object_zoo.content import Content, find_differences, read_content, read_definitions
from tests.support.postgres import PostgresServer


@dataclass(frozen=True, slots=True)
class Source:
    """A database on a source server."""

    server: PostgresServer
    database: str

    @property
    def url(self) -> str:
        return self.server.url(self.database)

    def dump(self, path: ImportPath, folder: Path, *options: str) -> bytes:
        """Returns a dump file in the format of a path, written by the server's own pg_dump."""
        return dump_database(self.server, self.database, path, folder, *options)


def run_script(server: PostgresServer, database: str, script: Path | str, *options: str) -> None:
    """Runs a file, or the text of a script, in psql as superuser. Stops at the first error."""
    psql: list[str | Path] = [server.bin / "psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", *options]
    content = script.encode() if isinstance(script, str) else script.read_bytes()
    run_client([*psql, server.url(database)], content)


@contextmanager
def create_source(server: PostgresServer, database: str, script: str, options: str = "") -> Iterator[Source]:
    """Creates a source database for the block. `options` are those of CREATE DATABASE."""
    server.execute(f'CREATE DATABASE "{database}" TEMPLATE template0 {options}')
    try:
        run_script(server, database, script)
        yield Source(server, database)
    finally:
        server.execute(f'DROP DATABASE "{database}" WITH (FORCE)')


def import_by(
    servers: RealServers, path: ImportPath, source: Source, target: PostgresServer, *arguments: str
) -> ImportResult:
    """Imports a source by a path into `COPY`. For a file, dumps it first."""
    if path.is_live:
        return import_database(servers, source.url, target, "--engine", path, *arguments)
    return import_file(servers, source.dump(path, servers.folder), target, *arguments)


@contextmanager
def imported(result: ImportResult, target: PostgresServer) -> Iterator[ImportResult]:
    """Drops the copy at the end of the block, and checks that nothing else is left."""
    try:
        yield result
    finally:
        drop_copy(target)
    assert list_leftovers(target) == []


def compare_copy(
    source: Source, target: PostgresServer, skipped: Sequence[str], reference: Content | None = None
) -> list[str]:
    """Lists what differs between source and copy, apart from skipped objects."""
    pg_dump = target.bin / "pg_dump"
    source_content = read_content(source.server, source.database, pg_dump)
    return find_differences(source_content, read_content(target, COPY, pg_dump), skipped, reference or {})


def read_reference(source: Source, target: PostgresServer) -> Content:
    """Returns the source's definitions as the target prints them, restored by a superuser with PostgreSQL's clients.

    Without subscriptions: no copy has them, and a database that has one cannot be dropped.
    """
    options = ("--schema-only", "--no-owner", "--no-privileges", "--no-subscriptions")
    text = run_client([source.server.bin / "pg_dump", *options, source.url]).decode()
    with target.database(f"reference_{source.server.major}") as name:
        run_script(target, name, text, "--set=ON_ERROR_STOP=0")  # objects that no restore brings are not compared
        return read_definitions(target, name, target.bin / "pg_dump")
