"""Imports every case that is a script, by every path and from every major version, and checks its outcome."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from _pytest.mark import ParameterSet
from tests.real.cases import CASES, Case, ImportedCase
from tests.real.comparison import find_unexpected
from tests.real.imports import COPY, ImportPath, ImportResult, import_database, import_file
from tests.real.servers import MAJORS, RealServers
from tests.real.sources import Source, compare_copy, imported, read_reference, run_script
from tests.support.object_zoo.content import Content

QUICK_PATHS = (ImportPath.RELAY, ImportPath.CUSTOM, ImportPath.PLAIN)


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
            for source in (major for major in MAJORS if major <= target):
                yield from (Cell(case, path, source, target) for path in ImportPath if case.has(path, source))


def _parameter(cell: Cell) -> ParameterSet:
    """`make test` runs each case by three of the paths, from 17 to 17 if its script runs there."""
    majors = (min(17, cell.case.newest), 17)
    is_quick = cell.path in QUICK_PATHS and (cell.source, cell.target) == majors
    return pytest.param(cell, marks=pytest.mark.thorough if is_quick else pytest.mark.real, id=str(cell))


@pytest.mark.parametrize("cell", [_parameter(cell) for cell in _build_cells()])
def test_a_case_has_its_outcome_by_every_path(servers: RealServers, cell: Cell) -> None:
    source, target = _create_database(servers, cell), servers.server(cell.target)
    with imported(_import(servers, cell, source), target) as result:
        assert result.code == 0, result.err
        skipped = result.skipped
        assert find_unexpected(skipped, _expected(cell.case, result)) == []
        if cell.case.is_compared:
            titles = [entry.title for entry in skipped]
            differences = compare_copy(source, target, titles, _read_reference(servers, cell, source))
            assert "\n".join(differences) == ""
        if cell.case.check is not None:
            cell.case.check(ImportedCase(result, source.server, source.database, target, COPY))


def _expected(case: Case, result: ImportResult) -> set[str]:
    """Returns what must be listed. A table that may be skipped is listed with its rows."""
    expected = set(case.skipped)
    for title, rows in case.may_be_skipped.items():
        if listed := [entry.rows for entry in result.skipped if entry.title == title]:
            assert listed == [rows]
            expected.add(title)
    return expected


def _create_database(servers: RealServers, cell: Cell) -> Source:
    """Creates the case's database once for each server."""
    server = servers.server(cell.source)
    key = (cell.case.name, cell.source)
    if key not in servers.databases:
        name = cell.case.name.replace("-", "_")
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        run_script(server, name, cell.case.path)
        servers.databases[key] = name
    return Source(server, servers.databases[key])


def _import(servers: RealServers, cell: Cell, source: Source) -> ImportResult:
    target = servers.server(cell.target)
    if cell.path.is_live:
        return import_database(servers, source.url, target, "--engine", cell.path, *cell.case.arguments)
    key = (cell.case.name, cell.source, str(cell.path))
    if key not in servers.dumps:
        servers.dumps[key] = source.dump(cell.path, servers.folder)
    return import_file(servers, servers.dumps[key], target, *cell.case.arguments)


def _read_reference(servers: RealServers, cell: Cell, source: Source) -> Content:
    """Reads the definitions as the target's major prints them, once for each pair of majors."""
    key = (cell.case.name, cell.source, cell.target)
    if cell.source == cell.target:
        return {}
    if key not in servers.references:
        servers.references[key] = read_reference(source, servers.server(cell.target))
    return servers.references[key]
