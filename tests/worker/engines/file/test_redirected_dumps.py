"""Dumps written in all the ways people write them: to a file, by redirection, through a pipe, in every compression."""

import gzip
import io
import os
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cluster.debian_postgres import link_clients, server_tree
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench
from tests.worker.engines.file.archive_bytes import count_rows, read_header, read_whole_dump

from pgimport.model.reasons import Reason
from pgimport.worker.archive.toc import parse_table_of_contents
from pgimport.worker.postgres.errors import ImportStopped

ServeDump = Callable[[bytes], None]
# Shell commands that write a dump to {path}. {dump} is pg_dump with its options and its database.
WAYS = {
    "file": "{dump} --file={path}",
    "redirected": "{dump} > {path}",
    "appended": "rm -f {path}; touch {path}; {dump} >> {path}",
    "piped": "{dump} | cat > {path}",
}
COMPRESSIONS = ("0", "9", "none", "gzip", "gzip:1", "lz4", "zstd", "zstd:long")
INTEGER_LENGTH = 5  # bytes of a number in an archive: its sign and a 32-bit value
ROWS = {"customers": 5000, "orders": 3000}


@dataclass(frozen=True, slots=True)
class Clients:
    """pg_dump of one major version, and a database that it can dump."""

    major: int
    pg_dump: Path
    url: str

    def write(self, way: str, path: Path, *options: str) -> bytes:
        dump = shlex.join([str(self.pg_dump), *options, self.url])
        command = WAYS[way].format(dump=dump, path=shlex.quote(str(path)))
        subprocess.run(["sh", "-ec", command], check=True, env=os.environ)
        return path.read_bytes()


@pytest.fixture(scope="module", params=[17, 18])
def clients(
    request: pytest.FixtureRequest,
    dumps: dict[str, bytes],
    postgres16: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Clients:
    """Debian's clients, which have every compression, and the database of `dumps`."""
    folder = tmp_path_factory.mktemp("clients")
    link_clients(server_tree(request.param), request.param, folder)
    return Clients(request.param, folder / str(request.param) / "bin" / "pg_dump", postgres16.url("file_shop"))


@pytest.fixture(scope="module")
def old_clients(dumps: dict[str, bytes], postgres16: PostgresServer) -> Clients:
    return Clients(16, postgres16.bin / "pg_dump", postgres16.url("file_shop"))


def count_shop_rows(content: bytes) -> dict[str, int]:
    return {table: count for table, count in count_rows(content).items() if table in ROWS}


def find_row_end(content: bytes) -> int:
    """Returns the offset of the appended table of contents, which is as long as the first one."""
    source = io.BytesIO(content)
    parse_table_of_contents(source.read)
    header_length = source.tell() - INTEGER_LENGTH  # the number of entries, which the second one repeats
    _, rows_begin = read_header(content)
    return len(content) - (rows_begin - header_length)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_custom_archive_is_read_however_it_was_written(
    clients: Clients, tmp_path: Path, way: str, compression: str
) -> None:
    content = clients.write(way, tmp_path / "dump", "-Fc", f"--compress={compression}")
    assert count_shop_rows(content) == ROWS


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dump_format", ["custom", "tar", "plain"])
def test_every_format_is_read_however_it_was_written(
    old_clients: Clients, tmp_path: Path, way: str, dump_format: str
) -> None:
    read_whole_dump(old_clients.write(way, tmp_path / "dump", f"--format={dump_format}"))


def test_a_redirected_archive_has_a_second_table_of_contents(old_clients: Clients, tmp_path: Path) -> None:
    """Shows that these tests test what they say: without the second one they would pass for any reader."""
    redirected = old_clients.write("redirected", tmp_path / "redirected", "-Fc")
    piped = old_clients.write("piped", tmp_path / "piped", "-Fc")
    _, rows_begin = read_header(piped)
    assert len(redirected) > len(piped) + rows_begin // 2


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["gzip", "0"])
def test_a_redirected_archive_is_imported(
    old_clients: Clients, file_bench: Bench, serve_dump: ServeDump, tmp_path: Path, compression: str
) -> None:
    serve_dump(old_clients.write("redirected", tmp_path / "dump", "-Fc", f"--compress={compression}"))
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        assert file_bench.target.query("SELECT count(*) FROM customers", shadow) == [(5000,)]
    assert result.verification is not None
    assert result.verification.verified


def test_a_redirected_archive_without_rows_is_imported(
    old_clients: Clients, file_bench: Bench, serve_dump: ServeDump, tmp_path: Path
) -> None:
    serve_dump(old_clients.write("redirected", tmp_path / "dump", "-Fc", "--schema-only"))
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        assert file_bench.target.query("SELECT count(*) FROM customers", shadow) == [(0,)]


def test_a_truncated_redirected_archive_is_refused(old_clients: Clients, tmp_path: Path) -> None:
    """A file cut at the end of its rows is complete: pg_dump writes the same bytes into a pipe."""
    content = old_clients.write("redirected", tmp_path / "dump", "-Fc")
    rows_end = find_row_end(content)
    assert count_shop_rows(content[:rows_end]) == ROWS
    lengths = {*range(rows_end - 20, rows_end), *range(rows_end + 1, len(content), 7), len(content) - 1}
    for length in lengths:
        with pytest.raises(ImportStopped) as stopped:
            read_whole_dump(content[:length])
        assert stopped.value.failure.reason is Reason.DUMP_CORRUPT


def test_archives_in_one_file_are_refused(old_clients: Clients, tmp_path: Path) -> None:
    """A tail that is not this archive's own table of contents is another file, or damage."""
    redirected = old_clients.write("redirected", tmp_path / "redirected", "-Fc")
    piped = old_clients.write("piped", tmp_path / "piped", "-Fc")
    other = old_clients.write("redirected", tmp_path / "other", "-Fc", "--exclude-table=orders")
    rows_end, other_end = find_row_end(redirected), find_row_end(other)
    contents = redirected[rows_end:]
    renamed = contents.replace(b"customers", b"customerz", 1)
    for spliced in (
        redirected + redirected,
        redirected + piped,
        piped + redirected,
        piped + piped,
        redirected[:rows_end] + other[other_end:],
        redirected + contents,
        redirected + b"\x00",
        redirected + b"\n",
        redirected[:rows_end] + renamed,
    ):
        with pytest.raises(ImportStopped) as stopped:
            read_whole_dump(spliced)
        assert stopped.value.failure.reason is Reason.DUMP_CORRUPT


@pytest.mark.parametrize("way", ["piped", "redirected"])
def test_text_after_an_archive_is_named(old_clients: Clients, tmp_path: Path, way: str) -> None:
    content = old_clients.write(way, tmp_path / "dump", "-Fc")
    with pytest.raises(ImportStopped) as stopped:
        read_whole_dump(content + b"pg_dump: warning: there are circular foreign-key constraints\n")
    assert "text follows after its end ('pg_dump: warning: there are circular" in stopped.value.failure.message


def test_an_archive_that_a_terminal_changed_is_named(old_clients: Clients, tmp_path: Path) -> None:
    for dump_format in ("custom", "tar"):
        content = old_clients.write("file", tmp_path / dump_format, f"--format={dump_format}")
        for changed in (content.replace(b"\n", b"\r\n"), gzip.compress(content).replace(b"\n", b"\r\n")):
            with pytest.raises(ImportStopped) as stopped:
                read_whole_dump(changed)
            assert "each line feed became CR LF" in stopped.value.failure.message
            assert "without a terminal (-t)" in stopped.value.failure.message
