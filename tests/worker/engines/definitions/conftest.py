"""Imports one source by every path that creates definitions from an archive."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench
from tests.worker.engines.file.conftest import dump, file_bench, https, serve_dump

from pgimport.model.result import SkippedObject, WorkerResult

__all__ = ["file_bench", "https", "serve_dump"]  # fixtures

PATHS = [
    "relay",
    "custom",
    pytest.param("dump", marks=pytest.mark.thorough),
    pytest.param("directory", marks=pytest.mark.thorough),
]
ImportBy = Callable[..., WorkerResult]


@pytest.fixture(params=PATHS)
def import_by(
    request: pytest.FixtureRequest,
    file_bench: Bench,
    serve_dump: Callable[[bytes], None],
    postgres16: PostgresServer,
    tmp_path: Path,
) -> ImportBy:
    """Returns a function that imports a database of the source into the bench's shadow."""
    folder = tmp_path / "dumps"
    folder.mkdir()

    def run(database: str, **changes: Any) -> WorkerResult:
        if request.param in ("relay", "dump"):
            file_bench.source_url = postgres16.url(database)
            (file_bench.home / "ca").unlink()
            return file_bench.run(engine=request.param, **changes)
        serve_dump(dump(postgres16, database, request.param, folder))
        return file_bench.run(**changes)

    return run


def find_skipped(result: WorkerResult, title: str) -> SkippedObject:
    """Returns the only skipped object with this title."""
    (item,) = [item for item in result.skipped if item.object == title]
    return item
