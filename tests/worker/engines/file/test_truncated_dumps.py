"""Truncated, foreign and hostile files are refused with a clear reason, and nothing is executed."""

import gzip
import hashlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from backports import zstd
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench
from tests.worker.engines.file.archive_bytes import build_plain_dump, read_whole_dump
from tests.worker.engines.file.conftest import FORMATS, WRAPPINGS, dump

from pgimport.model.reasons import Reason
from pgimport.worker.postgres.errors import ImportStopped

ServeDump = Callable[[bytes], None]


def find_end(content: bytes, dump_format: str) -> int:
    """Returns the offset after which only padding or pg_dump's last empty lines follow, which are not needed."""
    if dump_format == "plain":
        return content.rindex(b"-- PostgreSQL database dump complete") + len(b"-- PostgreSQL database dump complete")
    if dump_format in ("tar", "directory"):
        return -(-len(content.rstrip(b"\x00")) // 512) * 512 + 1024
    return len(content)


def choose_lengths(length: int) -> Iterator[int]:
    """Yields every 64 KiB, 200 random lengths (the same in every run), and the last bytes."""
    chance = random.Random(4711)  # noqa: S311 (no secret)
    yield from range(0, length, 65536)
    yield from (chance.randrange(length) for _ in range(200))
    yield from range(max(length - 3, 0), length)


@pytest.mark.slow
@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("dump_format", FORMATS)
def test_a_dump_truncated_anywhere_is_refused(dumps: dict[str, bytes], dump_format: str, wrapping: str) -> None:
    dump_bytes = dumps[dump_format]
    content = WRAPPINGS[wrapping](dump_bytes)
    read_whole_dump(content)
    end = find_end(dump_bytes, dump_format) if wrapping == "bare" else len(content)
    for length in choose_lengths(end):
        with pytest.raises(ImportStopped) as stopped:
            read_whole_dump(content[:length])
        expected = {Reason.DUMP_CORRUPT} if length > 4096 else {Reason.DUMP_CORRUPT, Reason.DUMP_UNSUPPORTED}
        assert stopped.value.failure.reason in expected, length


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.3, 0.7])
@pytest.mark.parametrize("dump_format", FORMATS)
def test_the_import_of_a_truncated_dump_fails(
    file_bench: Bench, serve_dump: ServeDump, dumps: dict[str, bytes], dump_format: str, share: float
) -> None:
    serve_dump(dumps[dump_format][: int(len(dumps[dump_format]) * share)])
    with file_bench.shadow():
        result = file_bench.run()
    assert result.failure is not None
    assert result.failure.reason is Reason.DUMP_CORRUPT


TEN_GIGABYTES = 160
Pack = Callable[[bytes], bytes]


def build_ten_gigabytes(pack: Pack, letter: bytes = b"\0") -> bytes:
    return pack(letter * 64 * 1024 * 1024) * TEN_GIGABYTES


NOT_DUMPS = {
    "empty": (b"", Reason.DUMP_CORRUPT, "empty"),
    "empty gzip": (gzip.compress(b""), Reason.DUMP_CORRUPT, "empty"),
    "PNG": (b"\x89PNG\r\n\x1a\n" + bytes(100), Reason.DUMP_UNSUPPORTED, "PNG image"),
    "damaged xz": (b"\xfd7zXZ\x00" + bytes(100), Reason.DUMP_CORRUPT, "xz stream"),
    "damaged bzip2": (b"BZh91AY" + bytes(100), Reason.DUMP_CORRUPT, "bzip2 stream"),
    "pg_dumpall": (
        b"--\n-- PostgreSQL database cluster dump\n--\n\nCREATE ROLE a;\n",
        Reason.DUMP_CORRUPT,
        "truncated",
    ),
    "MySQL": (b"-- MySQL dump 10.13  Distrib 8.0.36\n--\n", Reason.DUMP_UNSUPPORTED, "MySQL"),
    "MariaDB": (b"/*M!999999\\- enable the sandbox mode */\n-- MariaDB dump\n", Reason.DUMP_UNSUPPORTED, "MariaDB"),
    "web page": (b"<!DOCTYPE html><title>404</title>", Reason.DUMP_UNSUPPORTED, "web page"),
    "error in XML": (b"<?xml version='1.0'?><Error/>", Reason.DUMP_UNSUPPORTED, "error message"),
    "handwritten SQL": (b"CREATE TABLE a (b int);\n", Reason.DUMP_UNSUPPORTED, "without pg_dump's header"),
    "UTF-16": ("-- PostgreSQL database dump".encode("utf-16"), Reason.DUMP_UNSUPPORTED, "UTF-16"),
    "text compressed twice": (gzip.compress(gzip.compress(b"x")), Reason.DUMP_UNSUPPORTED, "without pg_dump's header"),
    "JSON": (b'{"error": "expired"}', Reason.DUMP_UNSUPPORTED, "error message"),
    "phpMyAdmin": (b"-- phpMyAdmin SQL Dump\n-- version 5\n", Reason.DUMP_UNSUPPORTED, "of MySQL"),
    "SQLite": (b"SQLite format 3\x00" + bytes(100), Reason.DUMP_UNSUPPORTED, "an SQLite database"),
    "SQLite as SQL": (b"PRAGMA foreign_keys=OFF;\nBEGIN;\n", Reason.DUMP_UNSUPPORTED, "of SQLite"),
    "CSV": (b"id,name\n1,a\n2,b\n3,c\n", Reason.DUMP_UNSUPPORTED, "rows of one table"),
    "rows of COPY": (b"1\ta\n2\tb\n3\tc\n", Reason.DUMP_UNSUPPORTED, "rows of one table"),
    "rows of a binary COPY": (b"PGCOPY\n\xff\r\n\x00" + bytes(20), Reason.DUMP_UNSUPPORTED, "binary format"),
    "age": (b"age-encryption.org/v1\n-> X25519 x\n", Reason.DUMP_UNSUPPORTED, "decrypt it"),
    "GnuPG": (b"-----BEGIN PGP MESSAGE-----\n", Reason.DUMP_UNSUPPORTED, "decrypt it"),
    "GnuPG in binary": (b"\x8c\x0d\x04\x09\x03" + bytes(50), Reason.DUMP_UNSUPPORTED, "decrypt it"),
    "OpenSSL": (b"Salted__12345678" + bytes(50), Reason.DUMP_UNSUPPORTED, "decrypt it"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(50), Reason.DUMP_UNSUPPORTED, "unpack it"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", Reason.DUMP_UNSUPPORTED, "git lfs pull"),
    "an error instead of a dump": (
        b"pg_dump: error: connection to server failed: FATAL:  no\n",
        Reason.DUMP_UNSUPPORTED,
        "message instead of a dump ('pg_dump: error: connection to server failed: FATAL:  no')",
    ),
    "a message before plain SQL": (
        b"pg_dump: warning: there are circular foreign keys\n" + build_plain_dump(""),
        Reason.DUMP_UNSUPPORTED,
        "begins with a message of a program ('pg_dump: warning: there are circular foreign keys')",
    ),
    "a message before an archive": (
        b"Password: \nPGDMP\x01\x0f\x00\x04\x08\x01" + bytes(50),
        Reason.DUMP_UNSUPPORTED,
        "begins with a message of a program ('Password:')",
    ),
    "plain SQL from a terminal": (
        build_plain_dump("").replace(b"\n", b"\r\n"),
        Reason.DUMP_UNSUPPORTED,
        "without a terminal",
    ),
    "toc.dat of a directory": (b"PGDMP\x01\x0f\x00\x04\x08\x05" + bytes(50), Reason.DUMP_UNSUPPORTED, "pack the whole"),
    "newer archive": (b"PGDMP\x01\x11\x00\x04\x08\x01", Reason.DUMP_UNSUPPORTED, "archive of version 1.17"),
    "damaged gzip": (gzip.compress(build_plain_dump(""))[:-9] + bytes(9), Reason.DUMP_CORRUPT, "gzip stream"),
}


@pytest.mark.parametrize("name", NOT_DUMPS)
def test_T14_a_file_that_is_not_a_dump_is_refused_with_its_kind(
    file_bench: Bench, serve_dump: ServeDump, name: str
) -> None:
    content, reason, message = NOT_DUMPS[name]
    serve_dump(content)
    result = file_bench.preflight() if name != "damaged gzip" else file_bench.preflight(sha256="0" * 64)
    assert result.failure is not None
    assert (result.failure.reason, message in result.failure.message) == (reason, True), result.failure.message


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
def test_ten_gigabytes_of_zeros_are_refused(file_bench: Bench, serve_dump: ServeDump, pack: Pack) -> None:
    serve_dump(build_ten_gigabytes(pack))
    result = file_bench.preflight()
    assert result.failure is not None
    assert (result.failure.reason, "not a dump" in result.failure.message) == (Reason.DUMP_UNSUPPORTED, True)


@pytest.mark.thorough
@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
def test_a_decompression_bomb_after_a_correct_header_is_refused(pack: Pack) -> None:
    content = pack(build_plain_dump("COPY public.t (a) FROM stdin;")[:-70]) + build_ten_gigabytes(pack, b"x")
    with pytest.raises(ImportStopped) as stopped:
        read_whole_dump(content)
    assert "unpacks to more than 500 times its size" in stopped.value.failure.message


def test_a_wrong_checksum_fails_in_preflight(file_bench: Bench, serve_dump: ServeDump, dumps: dict[str, bytes]) -> None:
    serve_dump(dumps["custom"])
    sha256 = hashlib.sha256(dumps["custom"]).hexdigest()
    assert file_bench.preflight(sha256=sha256).ok
    wrong = file_bench.preflight(sha256="0" * 64)
    assert wrong.failure is not None
    assert (wrong.failure.reason, sha256 in wrong.failure.message) == (Reason.DUMP_CORRUPT, True)


def test_a_file_larger_than_the_plan_is_refused(
    file_bench: Bench, serve_dump: ServeDump, dumps: dict[str, bytes]
) -> None:
    serve_dump(dumps["plain"])
    result = file_bench.preflight(storage_limit_bytes=len(dumps["plain"]) - 1)
    assert result.failure is not None
    assert result.failure.reason is Reason.SOURCE_TOO_LARGE


HOSTILE = {
    "a shell command": "\\! touch {mark}",
    "a shell command in a restriction": "\\restrict abc\n\\! touch {mark}\n\\unrestrict abc",
    "back-quotes in the end of a restriction": "\\restrict abc\n\\unrestrict `touch {mark}`\n\\! touch {mark}",
    "a file written": "\\o {mark}\nSELECT 1;",
    "a copy to a file": "\\copy (SELECT 1) TO '{mark}'",
    "a command after a statement": "SELECT 1 \\! touch {mark}\n;",
    "a program on the server": "COPY (SELECT 1) TO PROGRAM 'touch {mark}';",
    "a file on the server": "COPY (SELECT 1) TO '{mark}';",
    "another database": "\\connect postgres",
    "a role": "CREATE ROLE intruder SUPERUSER;",
    "a text that ends elsewhere": "SELECT E'\\\\'; \\! touch {mark}\n-- ';",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_T14_a_hostile_plain_dump_does_nothing(
    file_bench: Bench, serve_dump: ServeDump, tmp_path: Path, name: str
) -> None:
    """Statements that the attempt's role may not run are skipped and listed. psql's own commands are refused."""
    mark = tmp_path / "mark"
    serve_dump(build_plain_dump("CREATE TABLE public.t (a int);\n" + HOSTILE[name].format(mark=mark)))
    with file_bench.shadow():
        result = file_bench.run()
    if result.failure is not None:
        assert result.failure.reason in (Reason.DUMP_CORRUPT, Reason.RESTORE_FAILED)
    assert not mark.exists()
    assert file_bench.target.query("SELECT count(*) FROM pg_roles WHERE rolname = 'intruder'") == [(0,)]


def test_T28_the_first_error_is_reported_with_its_line_and_sqlstate(file_bench: Bench, serve_dump: ServeDump) -> None:
    serve_dump(
        build_plain_dump(
            "CREATE TABLE public.t (a int);\nGRANT ALL ON public.t TO nobody;\n\nINSERT INTO public.t VALUES ('x');"
        )
    )
    with file_bench.shadow():
        result = file_bench.run()
    assert result.failure is not None
    assert result.failure.reason is Reason.RESTORE_FAILED
    line = 13
    assert (
        f"in line {line} of the dump: TABLE DATA public.t: invalid input syntax for type integer"
        in result.failure.message
    )
    assert "SQLSTATE 22P02" in result.failure.message


def test_T10_settings_that_the_target_lacks_are_skipped(file_bench: Bench, serve_dump: ServeDump) -> None:
    serve_dump(
        build_plain_dump(
            "SET transaction_timeout = 0;\nSET default_tablespace = 'fast';\nCREATE TABLE public.t (a int);"
        )
    )
    with file_bench.shadow() as shadow:
        assert file_bench.run().ok
        assert file_bench.target.query("SELECT count(*) FROM t", shadow) == [(0,)]


@pytest.mark.parametrize("dump_format", ["custom", "plain"])
def test_insert_statements_are_restored_and_reported_as_not_counted(
    file_bench: Bench,
    serve_dump: ServeDump,
    dumps: dict[str, bytes],
    postgres16: PostgresServer,
    tmp_path: Path,
    dump_format: str,
) -> None:
    serve_dump(dump(postgres16, "file_shop", dump_format, tmp_path, "--inserts"))
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        assert file_bench.target.query("SELECT count(*) FROM customers", shadow) == [(5000,)]
    assert result.verification is not None
    assert any("from INSERT" in text for text in result.verification.not_compared)


def test_a_plain_dump_made_with_create_tells_its_locale(
    file_bench: Bench, serve_dump: ServeDump, dumps: dict[str, bytes], postgres16: PostgresServer, tmp_path: Path
) -> None:
    serve_dump(dump(postgres16, "file_shop", "plain", tmp_path, "--create"))
    preflight = file_bench.preflight().preflight
    assert preflight is not None
    assert preflight.source is not None
    assert (preflight.ok, preflight.source.collate, preflight.source.locale_known) == (True, "C", True)
