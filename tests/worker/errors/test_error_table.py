"""The text for an input that cannot be imported has cause, object and next step, and is on the page of errors."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.https import HttpsServer, run_https_server
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench
from tests.worker.engines.file.conftest import dump
from tests.worker.errors.error_texts import READER_PASSWORD, format_page, format_row, read_text
from tests.worker.errors.inputs import INPUTS, BrokenInput

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "errors.md"
CONTENT = """
CREATE TABLE t AS SELECT i, repeat('x', 50) AS body FROM generate_series(1, 500) AS i;
ALTER TABLE t ADD UNIQUE (i);
"""
WRITE_PAGE = "PGIMPORT_WRITE_ERRORS_PAGE"  # environment variable; `make errors` sets it


@pytest.fixture(scope="module")
def https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsServer]:
    with run_https_server(tmp_path_factory.mktemp("files"), "localhost") as server:
        yield server


@pytest.fixture(scope="module")
def source(postgres16: PostgresServer) -> Iterator[PostgresServer]:
    postgres16.execute(f"CREATE ROLE reader LOGIN PASSWORD '{READER_PASSWORD}'")
    yield postgres16
    postgres16.execute("DROP ROLE reader")


@pytest.fixture(scope="module")
def dumps(postgres16: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """A custom and a plain dump."""
    folder = tmp_path_factory.mktemp("dumps")
    with postgres16.database("error_dumps") as name:
        postgres16.execute(CONTENT, name)
        return dump(postgres16, name, "custom", folder), dump(postgres16, name, "plain", folder)


@pytest.fixture(scope="module")
def texts() -> Iterator[dict[str, str]]:
    """Collects the text of each input, and writes the page if the environment variable is set."""
    collected: dict[str, str] = {}
    yield collected
    if os.environ.get(WRITE_PAGE):
        PAGE.write_text(format_page(collected))


@pytest.mark.slow
@pytest.mark.parametrize("case", INPUTS, ids=lambda case: case.name)
def test_the_text_says_what_and_how(
    case: BrokenInput,
    bench: Bench,
    source: PostgresServer,
    https: HttpsServer,
    dumps: tuple[bytes, bytes],
    texts: dict[str, str],
) -> None:
    text = texts[case.name] = read_text(case, bench, source, https, dumps)
    missing = [part for part in case.says if part not in text]
    assert missing == [], text
    assert [word for word in ("spec.", "status.", "lastStderr", "Traceback") if word in text] == []
    if not os.environ.get(WRITE_PAGE):
        assert _mask(format_row(case.name, text)) in _mask(PAGE.read_text()), "run make errors"


def _mask(text: str) -> str:
    """Replaces sizes and checksums, which differ between two dumps of the same database."""
    return re.sub(r"[0-9a-f]{64}|\d+", "…", text)


def test_the_page_has_every_input() -> None:
    page = PAGE.read_text()
    assert [case.name for case in INPUTS if f"| {case.name} |" not in page] == []
