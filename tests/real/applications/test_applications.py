"""Imports databases of real applications by every path: every object and every table is equal, or listed."""

from collections.abc import Iterator

import pytest
from _pytest.mark import ParameterSet
from tests.real.applications.applications import APPLICATIONS, NEED_NO_PACKAGE
from tests.real.applications.generated_rows import generate_rows
from tests.real.imports import ImportPath, ImportResult, import_database, import_file
from tests.real.servers import RealServers
from tests.real.sources import Source, compare_copy, imported, read_reference

QUICK_PATHS = (ImportPath.RELAY, ImportPath.CUSTOM, ImportPath.PLAIN)
# Extensions that no object of the application needs, and that the admin may not create.
SKIPPED = {"rails": ["EXTENSION pg_stat_statements"]}


def _build_parameters() -> Iterator[ParameterSet]:
    for name in APPLICATIONS:
        for path in ImportPath:
            for majors in ((17, 17), (15, 18)):
                is_quick = name in NEED_NO_PACKAGE and path in QUICK_PATHS and majors == (17, 17)
                mark = pytest.mark.thorough if is_quick else pytest.mark.real
                yield pytest.param(name, path, *majors, marks=mark, id=f"{name}, {path}, {majors[0]} to {majors[1]}")


@pytest.mark.parametrize(("name", "path", "source_major", "target_major"), list(_build_parameters()))
def test_an_application_arrives(
    servers: RealServers, name: str, path: ImportPath, source_major: int, target_major: int
) -> None:
    source, target = _create_database(servers, name, source_major), servers.server(target_major)
    with imported(_import(servers, name, path, source, target_major), target) as result:
        assert result.code == 0, result.err
        assert [entry.title for entry in result.skipped] == SKIPPED.get(name, []), result.skipped
        if path.is_live:
            assert result.verification["verified"]
        # A server prints the condition of some indexes differently after a restore, also of the same major.
        key = (name, source_major, target_major)
        if key not in servers.references:
            servers.references[key] = read_reference(source, target)
        differences = compare_copy(source, target, SKIPPED.get(name, []), servers.references[key])
        assert "\n".join(differences) == ""


def _create_database(servers: RealServers, name: str, major: int) -> Source:
    """Creates and fills the application's database once for each server."""
    server, database = servers.server(major), f"app_{name.replace('-', '_')}"
    if (name, major) not in servers.databases:
        server.execute(f"CREATE DATABASE {database} TEMPLATE template0")
        APPLICATIONS[name](server, database)
        with server.connect(database) as connection:
            counts = generate_rows(connection)
        print(f"{name}: {len(counts)} tables, {sum(counts.values())} rows, {list(counts.values()).count(0)} empty")
        servers.databases[(name, major)] = database
    return Source(server, database)


def _import(servers: RealServers, name: str, path: ImportPath, source: Source, target_major: int) -> ImportResult:
    target = servers.server(target_major)
    if path.is_live:
        return import_database(servers, source.url, target, "--engine", path, "--verify", "checksums")
    key = (name, source.server.major, str(path))
    if key not in servers.dumps:
        servers.dumps[key] = source.dump(path, servers.folder)
    return import_file(servers, servers.dumps[key], target)
