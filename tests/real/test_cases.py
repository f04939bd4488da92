"""Imports every case that is a script, by every path and from every major version, and checks its outcome."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from tests.real.cases import CASES, Case, ImportedCase
from tests.real.comparison import find_unexpected, remove_skipped_parts
from tests.real.dump_files import dump_database, run_client
from tests.real.imports import (
    COPY,
    ImportPath,
    ImportResult,
    drop_copy,
    import_database,
    import_file,
    list_leftovers,
)
from tests.real.known_failures import find_known_failure
from tests.real.servers import CONTRIB_MAJORS, MAJORS, RealServers
from tests.support.object_zoo.content import Content, find_differences, read_content, read_definitions
from tests.support.postgres import PostgresServer


@dataclass(frozen=True, slots=True)
class Cell:
    """A case, by one path from one major version to another."""

    case: Case
    path: ImportPath
    source: int
    target: int

    def __str__(self) -> str:
        return f"{self.case.name}, {self.path}, {self.source} to {self.target}"


def _build_cells() -> Iterator[Cell]:
    for case in CASES:
        for target in (17, 18):
            for source in CONTRIB_MAJORS if case.needs_contrib else MAJORS:
                for path in ImportPath:
                    if case.oldest <= source <= target and (path.is_live or not case.only_live):
                        yield Cell(case, path, source, target)


def _parameter(cell: Cell) -> ParameterSet:
    """`make test` runs each case by each path once, from 17 to 17."""
    marks = [pytest.mark.thorough if (cell.source, cell.target) == (17, 17) else pytest.mark.real]
    if reason := find_known_failure(cell.case.name, cell.path):
        marks.append(pytest.mark.xfail(reason=reason, strict=True))
    return pytest.param(cell, marks=marks, id=str(cell))


@pytest.mark.parametrize("cell", [_parameter(cell) for cell in _build_cells()])
def test_a_case_has_its_outcome_by_every_path(servers: RealServers, cell: Cell) -> None:
    source, target = servers.server(cell.source), servers.server(cell.target)
    database = _create_database(servers, cell.case, source)
    try:
        result = _import(servers, cell, source, database, target)
        assert result.code == 0, result.err
        expected = set(cell.case.skipped)
        for title, rows in cell.case.may_be_skipped.items():
            if listed := [entry.rows for entry in result.skipped if entry.title == title]:
                assert listed == [rows]
                expected.add(title)
        assert find_unexpected(result.skipped, expected) == []
        assert "\n".join(_compare(servers, cell, result, database)) == ""
        if cell.case.check is not None:
            cell.case.check(ImportedCase(result, source, database, target, COPY))
    finally:
        drop_copy(target)
    assert list_leftovers(target) == []


def _create_database(servers: RealServers, case: Case, server: PostgresServer) -> str:
    """Creates the case's database once for each server, and returns its name."""
    key = (case.name, server.major)
    if key not in servers.databases:
        name = case.name.replace("-", "_")
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        psql: list[str | Path] = [
            server.bin / "psql",
            "--quiet",
            "--no-psqlrc",
            "--set=ON_ERROR_STOP=1",
            f"--file={case.path}",
        ]
        run_client([*psql, server.url(name)])
        servers.databases[key] = name
    return servers.databases[key]


def _import(
    servers: RealServers, cell: Cell, source: PostgresServer, database: str, target: PostgresServer
) -> ImportResult:
    if cell.path.is_live:
        return import_database(servers, source.url(database), target, "--engine", cell.path)
    key = (cell.case.name, cell.source, str(cell.path))
    if key not in servers.dumps:
        servers.dumps[key] = dump_database(source, database, cell.path, servers.folder)
    return import_file(servers, servers.dumps[key], target)


def _compare(servers: RealServers, cell: Cell, result: ImportResult, database: str) -> list[str]:
    source, target = servers.server(cell.source), servers.server(cell.target)
    pg_dump = target.bin / "pg_dump"
    titles = [entry.title for entry in result.skipped]
    contents = [
        remove_skipped_parts(content, titles)
        for content in (
            read_content(source, database, pg_dump),
            read_content(target, COPY, pg_dump),
            _read_reference(servers, cell.case, source, target, database),
        )
    ]
    return find_differences(contents[0], contents[1], titles, contents[2])


def _read_reference(
    servers: RealServers, case: Case, source: PostgresServer, target: PostgresServer, database: str
) -> Content:
    """Returns the source's definitions as the target prints them, restored by a superuser with PostgreSQL's clients."""
    key = (case.name, source.major, target.major)
    if key not in servers.references and source.major == target.major:
        servers.references[key] = {}
    elif key not in servers.references:
        text = run_client(
            [source.bin / "pg_dump", "--schema-only", "--no-owner", "--no-privileges", source.url(database)]
        )
        with target.database(f"reference_{source.major}") as name:
            psql: list[str | Path] = [target.bin / "psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1"]
            run_client([*psql, target.url(name)], text)
            servers.references[key] = read_definitions(target, name, target.bin / "pg_dump")
    return servers.references[key]
