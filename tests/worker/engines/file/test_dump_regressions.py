"""Dump files that were once refused or accepted wrongly."""

import io
import subprocess
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench
from tests.worker.engines.file.archive_bytes import build_plain_dump, encode_text, pack_tar, unpack_tar
from tests.worker.engines.file.conftest import FORMATS, dump

from pgimport.model.reasons import Reason
from pgimport.worker.archive.toc import parse_table_of_contents
from pgimport.worker.engines.file.dump_stream import DumpStream
from pgimport.worker.engines.file.plain_sql_lexer import CopyRows, PlainSqlLexer

pytestmark = pytest.mark.thorough

ServeDump = Callable[[bytes], None]
SECRET = "what only the pod may read\n"


class GeneratedFile:
    """A file that is generated while it is read, so that it is never in memory as a whole."""

    def __init__(self, head: bytes, piece: bytes, times: int, tail: bytes = b"") -> None:
        self._pieces = iter((head, *(piece for _ in range(times)), tail))
        self._buffer = b""
        self.ended = False

    def read(self, count: int) -> bytes:
        while len(self._buffer) < count and not self.ended:
            next_piece = next(self._pieces, None)
            self.ended = next_piece is None
            self._buffer += next_piece or b""
        content, self._buffer = self._buffer[:count], self._buffer[count:]
        return content


@pytest.fixture
def directory(postgres16: PostgresServer, tmp_path: Path) -> dict[str, bytes]:
    """Files of a directory archive with one table, one row and one large object."""
    with postgres16.database("odd"):
        postgres16.execute(
            "CREATE TABLE a (x text); INSERT INTO a VALUES ('good'); SELECT lo_from_bytea(1, 'x');", "odd"
        )
        return unpack_tar(dump(postgres16, "odd", "directory", tmp_path, "--compress=none"))


def run_and_read_shadow(bench: Bench) -> tuple[Reason | None, str]:
    """Runs an import. Returns the reason of its failure, and all values in the shadow."""
    with bench.shadow() as shadow:
        result = bench.run()
        has_table = bench.target.query("SELECT count(*) FROM pg_class WHERE relname = 'a'", shadow) == [(1,)]
        values = bench.target.query("SELECT convert_from(lo_get(oid), 'UTF8') FROM pg_largeobject_metadata", shadow)
        values += bench.target.query("SELECT x FROM a", shadow) if has_table else []
    return result.failure.reason if result.failure else None, str(values)


def test_an_entry_with_a_file_outside_the_tar_is_refused(
    file_bench: Bench, serve_dump: ServeDump, directory: dict[str, bytes]
) -> None:
    (file_bench.home / "stolen").write_text(SECRET)
    _, entries = parse_table_of_contents(io.BytesIO(directory["toc.dat"]).read)
    file = next(entry.file for entry in entries if entry.kind == "TABLE DATA")
    contents = directory["toc.dat"].replace(encode_text(file.encode()), encode_text(b"../../stolen"))
    serve_dump(pack_tar({**directory, "toc.dat": contents, "stolen": directory[file]}))
    reason, values = run_and_read_shadow(file_bench)
    assert SECRET.strip() not in values
    assert reason is Reason.DUMP_CORRUPT


def test_a_large_object_with_a_file_outside_the_tar_is_refused(
    file_bench: Bench, serve_dump: ServeDump, directory: dict[str, bytes]
) -> None:
    (file_bench.home / "stolen").write_text(SECRET)
    serve_dump(pack_tar({**directory, "blobs.toc": b"1 ../../stolen\n"}))
    reason, values = run_and_read_shadow(file_bench)
    assert SECRET.strip() not in values
    assert reason is Reason.DUMP_CORRUPT


@pytest.mark.parametrize("dump_format", ["custom", "tar", "directory"])
def test_T11_an_archive_newer_than_the_targets_pg_restore_fails_in_preflight(
    file_bench: Bench,
    serve_dump: ServeDump,
    postgres16: PostgresServer,
    postgres18: PostgresServer,
    tmp_path: Path,
    dump_format: str,
) -> None:
    with postgres16.database("odd"):
        path = tmp_path / "by18"
        subprocess.run(
            [postgres18.bin / "pg_dump", f"--format={dump_format}", f"--file={path}", postgres16.url("odd")], check=True
        )
    serve_dump(
        pack_tar({file.name: file.read_bytes() for file in path.iterdir()}) if path.is_dir() else path.read_bytes()
    )
    result = file_bench.preflight(target_version_num=160014)
    assert result.failure is not None
    assert (result.failure.reason, "1.16" in result.failure.message) == (Reason.DUMP_UNSUPPORTED, True)


@pytest.fixture
def latin(postgres16: PostgresServer) -> Iterator[str]:
    postgres16.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with postgres16.connect("latin", client_encoding="UTF8") as connection:
        connection.execute("""CREATE TABLE "größe" (id int, "wört" text); INSERT INTO "größe" VALUES (1, 'ä');
            ALTER TABLE "größe" ENABLE ROW LEVEL SECURITY; CREATE POLICY "für" ON "größe" USING ("wört" <> 'ü');""")
    yield "latin"
    postgres16.execute("DROP DATABASE latin")


@pytest.mark.parametrize("dump_format", FORMATS)
def test_names_in_another_encoding_are_restored(
    file_bench: Bench, serve_dump: ServeDump, postgres16: PostgresServer, latin: str, tmp_path: Path, dump_format: str
) -> None:
    serve_dump(dump(postgres16, latin, dump_format, tmp_path))
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        assert file_bench.target.query('SELECT "wört" FROM "größe"', shadow) == [("ä",)]
        assert file_bench.target.query("SELECT polname FROM pg_policy", shadow) == [("für",)]


GOOD = {
    "a name that ends with a space": 'CREATE TABLE "a " (x int); INSERT INTO "a " VALUES (1);',
    "a name that ends with a newline": 'CREATE TABLE "a\n" (x int); INSERT INTO "a\n" VALUES (1);',
    "words of MySQL's dumps in a name": 'CREATE SCHEMA "-- MySQL dump"; CREATE TABLE a AS SELECT 1;',
    "words of pg_dumpall in a comment": "CREATE SCHEMA s; CREATE TABLE a AS SELECT 1;"
    " COMMENT ON SCHEMA s IS 'not a -- PostgreSQL database cluster dump';",
    "a function that writes functions": "CREATE TABLE a AS SELECT 1; CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql"
    " AS $$ begin execute 'CREATE FUNCTION g() RETURNS int\nBEGIN ATOMIC\n SELECT 1;\nEND'; end $$;",
    "a rule of two statements": "CREATE TABLE a AS SELECT 1 AS x; CREATE TABLE b (x int);"
    " CREATE RULE r AS ON INSERT TO a DO ALSO (INSERT INTO b VALUES (new.x); INSERT INTO b VALUES (new.x));",
}


@pytest.mark.parametrize("dump_format", ["custom", "plain"])
@pytest.mark.parametrize("name", GOOD)
def test_T14_unusual_names_and_texts_are_restored(
    file_bench: Bench, serve_dump: ServeDump, postgres16: PostgresServer, tmp_path: Path, dump_format: str, name: str
) -> None:
    with postgres16.database("odd"):
        postgres16.execute(GOOD[name], "odd")
        serve_dump(dump(postgres16, "odd", dump_format, tmp_path))
    with file_bench.shadow():
        result = file_bench.run()
    assert result.ok, result.failure
    assert result.verification is not None
    assert (result.verification.rows, "INSERT statements" in str(result.verification.not_compared)) == (1, False)


@pytest.mark.parametrize("dump_format", ["custom", "plain"])
@pytest.mark.parametrize("option", ["--section=pre-data", "--schema-only"])
def test_T15_a_partial_dump_is_reported(
    file_bench: Bench, serve_dump: ServeDump, postgres16: PostgresServer, tmp_path: Path, dump_format: str, option: str
) -> None:
    """The verification finds no difference, so a warning must say that rows or indexes are missing."""
    with postgres16.database("odd"):
        postgres16.execute("CREATE TABLE a (x int PRIMARY KEY); INSERT INTO a VALUES (1);", "odd")
        serve_dump(dump(postgres16, "odd", dump_format, tmp_path, option))
    with file_bench.shadow():
        preflight, result = file_bench.preflight(), file_bench.run()
    assert preflight.preflight is not None
    warnings = [check for check in preflight.preflight.checks if check.status != "pass"]
    notes = result.verification.notes if result.verification else []
    assert warnings or any("no rows" in note or "no indexes" in note for note in notes)


@pytest.mark.parametrize("dump_format", ["custom", "plain"])
def test_refused_indexes_are_not_missing_from_the_dump(
    file_bench: Bench, serve_dump: ServeDump, postgres16: PostgresServer, tmp_path: Path, dump_format: str
) -> None:
    with postgres16.database("refused"):
        postgres16.execute(
            "CREATE FUNCTION size(int) RETURNS int LANGUAGE internal IMMUTABLE STRICT AS 'int4abs';"
            "CREATE TABLE a (x int); CREATE INDEX by_size ON a (size(x)); INSERT INTO a VALUES (1)",
            "refused",
        )
        serve_dump(dump(postgres16, "refused", dump_format, tmp_path))
    with file_bench.shadow():
        result = file_bench.run()
    assert result.ok, result.failure
    assert "INDEX public.by_size" in {item.object for item in result.skipped}
    assert result.verification is not None
    assert [note for note in result.verification.notes if "no indexes" in note] == []


@pytest.mark.parametrize("shape", ["a byte order mark", "lines that end with CR LF"])
def test_a_dump_that_a_shell_changed_is_reported_as_such(
    file_bench: Bench, serve_dump: ServeDump, dumps: dict[str, bytes], shape: str
) -> None:
    """If the message only said "damaged", the user would repeat the dump in the same shell."""
    content = dumps["plain"]
    serve_dump(b"\xef\xbb\xbf" + content if "mark" in shape else content.replace(b"\n", b"\r\n"))
    with file_bench.shadow():
        failure = file_bench.run().failure
    assert failure is None or (failure.reason is Reason.DUMP_UNSUPPORTED and "pg_dump" in failure.message)


@pytest.mark.slow
def test_a_long_row_is_not_held_in_memory() -> None:
    """A value of 150 MB in a bytea is a row of 300 MB, which PostgreSQL writes and reads."""
    dump_text = build_plain_dump("COPY public.t (a) FROM stdin;\n@\\.\n")
    head, tail = dump_text.split(b"@")
    start = time.monotonic()
    tracemalloc.start()
    try:
        items = PlainSqlLexer(DumpStream(GeneratedFile(head, b"x" * 1024 * 1024, 300, b"\n" + tail))).items()
        rows = sum(item.newlines for item in items if isinstance(item, CopyRows))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rows == 1
    assert peak < 16 * 1024 * 1024
    assert time.monotonic() - start < 60  # linear
