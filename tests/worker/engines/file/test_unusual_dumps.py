"""Unusual but correct dumps are restored. Damaged and hostile dumps are refused, and nothing else happens."""

import io
import random
import subprocess
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import lz4.frame
import pytest
from backports import zstd
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench
from tests.worker.engines.file.archive_bytes import (
    build_plain_dump,
    count_rows,
    encode_integer,
    read_header,
    read_whole_dump,
    recompress,
)
from tests.worker.engines.file.conftest import FORMATS, dump

from pgimport.model.reasons import Reason
from pgimport.worker.archive.toc import Compression
from pgimport.worker.engines.file.dump_stream import DumpStream
from pgimport.worker.postgres.errors import ImportStopped

ServeDump = Callable[[bytes], None]
FLIPS = 400


def unpack(content: bytes) -> None:
    """Unpacks a file and ignores its content. Raises ImportStopped."""
    stream = DumpStream(io.BytesIO(content))
    while stream.read_some():
        pass


# --- compressions that the installed clients do not write ---

PACKED: dict[str, tuple[Compression, Callable[[bytes], bytes]]] = {
    "lz4": (Compression.LZ4, lz4.frame.compress),
    "zstd": (Compression.ZSTD, zstd.compress),
    "none": (Compression.NONE, lambda content: content),
}


@pytest.mark.parametrize("name", PACKED)
def test_rows_are_counted_in_every_compression(dumps: dict[str, bytes], name: str) -> None:
    archive = recompress(dumps["custom"], *PACKED[name])
    assert count_rows(archive) == count_rows(dumps["custom"])
    assert count_rows(archive)["customers"] == 5000


@pytest.mark.parametrize("name", PACKED)
def test_a_truncated_archive_is_refused_in_every_compression(dumps: dict[str, bytes], name: str) -> None:
    archive = recompress(dumps["custom"], *PACKED[name])
    chance = random.Random(4711)  # noqa: S311 (no secret)
    for length in (*range(0, len(archive), 65536), *(chance.randrange(len(archive)) for _ in range(200))):
        with pytest.raises(ImportStopped):
            read_whole_dump(archive[:length])


# --- damage ---


@pytest.mark.slow
@pytest.mark.parametrize("dump_format", FORMATS)
def test_a_changed_byte_causes_nothing_but_a_refusal(dumps: dict[str, bytes], dump_format: str) -> None:
    """A changed byte may go unnoticed without a checksum, but it must not raise any other exception."""
    dump_bytes, chance = dumps[dump_format], random.Random(4712)  # noqa: S311 (no secret)
    refused = 0
    for _ in range(FLIPS):
        content = bytearray(dump_bytes)
        at = chance.randrange(len(content))
        match chance.randrange(3):
            case 0:
                content[at] ^= 1 << chance.randrange(8)
            case 1:
                del content[at]
            case _:
                content.insert(at, chance.randrange(256))
        with suppress(ImportStopped):
            read_whole_dump(bytes(content))
            continue
        refused += 1
    assert dump_format == "plain" or refused > FLIPS // 4


LENGTHS = {
    "negative": b"\x01\x10\x00\x00\x00",
    "zero": encode_integer(0),
    "one too many": None,
    "4 GB": b"\x00\xff\xff\xff\xff",
}


@pytest.mark.parametrize("name", LENGTHS)
def test_a_wrong_length_of_a_piece_is_refused_in_little_memory(dumps: dict[str, bytes], name: str) -> None:
    archive = dumps["custom"]
    _, begin = read_header(archive)
    at = begin + 1 + 5  # the block's type and its entry's dump id
    length = int.from_bytes(archive[at + 1 : at + 5], "little")
    wrong = LENGTHS[name] or encode_integer(length + 1)
    tracemalloc.start()
    try:
        with pytest.raises(ImportStopped) as stopped:
            read_whole_dump(archive[:at] + wrong + archive[at + 5 :])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stopped.value.failure.reason is Reason.DUMP_CORRUPT
    assert peak < 8 * len(archive) + 16 * 1024 * 1024


def test_missing_or_surplus_blocks_are_refused(dumps: dict[str, bytes]) -> None:
    archive = dumps["custom"]
    _, begin = read_header(archive)
    for rows in (archive[begin:] * 2, archive[begin:] + b"\x01", b"\x07" + archive[begin + 1 :], b""):
        with pytest.raises(ImportStopped):
            read_whole_dump(archive[:begin] + rows)


# --- decompression bombs ---


def zeros_in_zstd(blocks: int) -> bytes:
    """Returns a frame of blocks that repeat one byte: four bytes unpack to 128 KiB."""
    repeated = ((128 * 1024) << 3 | 1 << 1).to_bytes(3, "little") + b"\x00"
    return b"\x28\xb5\x2f\xfd\x00\x58" + repeated * blocks


@pytest.mark.parametrize("blocks", [80_000], ids=["10 GB in 320 kB"])
def test_a_bomb_of_one_frame_is_refused_in_little_memory(blocks: int) -> None:
    content = zeros_in_zstd(blocks)
    tracemalloc.start()
    try:
        with pytest.raises(ImportStopped):
            read_whole_dump(content)
        with pytest.raises(ImportStopped) as stopped:
            unpack(zstd.compress(build_plain_dump("")) + content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "times its size" in stopped.value.failure.message
    assert peak < 16 * 1024 * 1024


@pytest.mark.thorough
def test_highly_compressed_rows_are_counted_in_little_memory(dumps: dict[str, bytes]) -> None:
    """The ratio of an archive's own compression is not limited, because pg_restore unpacks it for the server."""
    packer = zlib.compressobj(9)
    piece = bytes(1024 * 1024).replace(b"\x00", b"\n")
    packed = b"".join(packer.compress(piece) for _ in range(256)) + packer.compress(b"\\.\n\n\n") + packer.flush()
    archive, (_, begin) = dumps["custom"], read_header(dumps["custom"])
    end = archive.index(encode_integer(0), begin + 6)
    content = archive[: begin + 6] + encode_integer(len(packed)) + packed + archive[end:]
    tracemalloc.start()
    try:
        row_counts = count_rows(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 256 * 1024 * 1024 in row_counts.values()
    assert peak < 32 * 1024 * 1024


# --- unusual but correct dumps ---

MARK = "\n\\! touch {mark}\n"
GOOD = {
    "names that are commands": 'CREATE SCHEMA "s{m}x"; CREATE TABLE "s{m}x"."t{m}x" ("c{m}x" int); '
    'INSERT INTO "s{m}x"."t{m}x" VALUES (1); CREATE INDEX "i{m}x" ON "s{m}x"."t{m}x" ("c{m}x"); '
    "CREATE VIEW v AS SELECT 1 AS \"a{m}x\"; COMMENT ON VIEW v IS '{m}';",
    "rows that look like the end": "CREATE TABLE a (y text); INSERT INTO a VALUES (E'\\\\.\\n\\\\.\\n');",
    "rows without columns": "CREATE TABLE a (); INSERT INTO a DEFAULT VALUES;",
    "public with a comment and rights": "COMMENT ON SCHEMA public IS 'mine'; REVOKE ALL ON SCHEMA public FROM PUBLIC;"
    " GRANT ALL ON SCHEMA public TO PUBLIC; CREATE TABLE a (x int); INSERT INTO a VALUES (1);",
    "public dropped and made again": "DROP SCHEMA public; CREATE SCHEMA public; CREATE TABLE a (x int);"
    " INSERT INTO a VALUES (1);",
}


@pytest.mark.thorough
@pytest.mark.parametrize("dump_format", FORMATS)
@pytest.mark.parametrize("name", GOOD)
def test_T15_an_unusual_dump_is_restored_and_executes_no_command(
    file_bench: Bench, serve_dump: ServeDump, postgres16: PostgresServer, tmp_path: Path, dump_format: str, name: str
) -> None:
    mark = tmp_path / "mark"
    with postgres16.database("odd"):
        postgres16.execute(GOOD[name].replace("{m}", MARK.format(mark=mark)), "odd")
        serve_dump(dump(postgres16, "odd", dump_format, tmp_path))
    with file_bench.shadow():
        assert file_bench.preflight().ok
        result = file_bench.run()
    assert result.ok, result.failure
    assert result.verification is not None
    assert (result.verification.verified, result.verification.rows) == (True, 1)
    assert not mark.exists()


@pytest.mark.thorough
@pytest.mark.parametrize("dump_format", ["custom", "tar", "directory"])
def test_T14_headers_of_other_programs_inside_an_archive_are_ignored(
    file_bench: Bench, serve_dump: ServeDump, postgres16: PostgresServer, tmp_path: Path, dump_format: str
) -> None:
    with postgres16.database("odd"):
        postgres16.execute('CREATE SCHEMA "-- MySQL dump"; CREATE SCHEMA "-- PostgreSQL database cluster dump";', "odd")
        serve_dump(dump(postgres16, "odd", dump_format, tmp_path))
    with file_bench.shadow():
        assert file_bench.preflight().ok
        assert file_bench.run().ok


def test_T10_plain_sql_of_a_newer_pg_dump_is_restored_into_an_older_target(
    file_bench: Bench, serve_dump: ServeDump, postgres16: PostgresServer, postgres18: PostgresServer, tmp_path: Path
) -> None:
    file_bench.target = postgres16
    with postgres16.database("odd"):
        postgres16.execute("CREATE TABLE a (x int PRIMARY KEY); INSERT INTO a VALUES (1);", "odd")
        path = tmp_path / "by18.sql"
        subprocess.run([postgres18.bin / "pg_dump", f"--file={path}", postgres16.url("odd")], check=True)
    assert "SET transaction_timeout" in path.read_text()
    serve_dump(path.read_bytes())
    with file_bench.shadow() as shadow:
        result = file_bench.run(target_version_num=160014)
        assert result.ok, result.failure
        assert postgres16.query("SELECT x FROM a", shadow) == [(1,)]


# --- hostile plain SQL ---

# Each of them creates the file if a superuser runs it in psql without \restrict.
HOSTILE = {
    "a command in a comment's second line": "-- Name: foo\n\\! touch {mark}\n; Type: TABLE; Schema: public\n",
    "a command in a name's second line": 'CREATE TABLE public."a\n\\! touch {mark}\n" (x int); \\! touch {mark}\n;',
    "a closing line before its end": "--\n-- PostgreSQL database dump complete\n--\n\n\\! touch {mark}\n",
    "a command behind rows": "CREATE TABLE public.t ();\nCOPY public.t FROM stdin;\n\\.\n\\! touch {mark}\n",
    "a command in rows that no COPY opened": "SELECT 'COPY public.t (a) FROM stdin;';\n1\n\\.\n\\! touch {mark}\n",
    "a result that is executed": "SELECT 'COPY (SELECT 1) TO PROGRAM ''touch {mark}''' \\gexec\n;",
    "a pipe": "SELECT 1 \\g |touch {mark}\n;",
    "another end of our restriction": "SELECT 1 \\unrestrict abc\n\\! touch {mark}\n;",
    "a quoted text that psql and the server split differently": (
        "SET standard_conforming_strings = off;\nSELECT '\\'' \\! touch {mark}\n, '\\'';"
    ),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", HOSTILE)
def test_T14_a_hostile_dump_executes_nothing(
    file_bench: Bench, serve_dump: ServeDump, tmp_path: Path, name: str
) -> None:
    mark = tmp_path / "mark"
    serve_dump(build_plain_dump(HOSTILE[name].format(mark=mark)))
    with file_bench.shadow():
        result = file_bench.run()
    assert result.failure is not None
    assert result.failure.reason in (Reason.DUMP_CORRUPT, Reason.RESTORE_FAILED, Reason.DUMP_UNSUPPORTED)
    assert not mark.exists()


def test_T32_a_refused_file_is_a_permanent_failure(
    file_bench: Bench, serve_dump: ServeDump, dumps: dict[str, bytes]
) -> None:
    """A failure that the file itself causes is never tried again."""
    for content in (b"", dumps["plain"][:-200], dumps["custom"][:-1], dumps["tar"][:-1024], b"\x89PNG"):
        serve_dump(content)
        with file_bench.shadow():
            result = file_bench.run()
        assert result.failure is not None
        assert result.failure.to_failure().classification.value == "permanent"
