"""Tables of contents of archives from pg_dump are read, and damaged ones are refused."""

import io
import subprocess
from pathlib import Path

import pytest
from tests.support.postgres import PostgresServer

from pgimport.model.reasons import Reason
from pgimport.worker.archive.toc import MAGIC, ArchiveHeader, Compression, Section, TocEntry, parse_table_of_contents
from pgimport.worker.postgres.errors import ImportStopped

SCHEMA = """
CREATE SCHEMA "odd; 1 2 TABLE";
CREATE TABLE public.orders (id int PRIMARY KEY, note text);
CREATE TABLE "odd; 1 2 TABLE"."TABLE DATA" (id int REFERENCES public.orders);
COMMENT ON TABLE public.orders IS 'what was sold';
INSERT INTO public.orders VALUES (1, 'a'), (2, 'b');
SELECT lo_from_bytea(4711, 'large');
"""
FORMATS = ("custom", "tar", "directory")


@pytest.fixture(scope="module")
def archives(
    postgres16: PostgresServer, postgres18: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[int, str], tuple[bytes, str]]:
    """Returns (major, format) → bytes that begin with the table of contents, and the output of pg_restore --list."""
    archives = {}
    folder = tmp_path_factory.mktemp("archives")
    for server in (postgres16, postgres18):
        with server.database("contents") as name:
            server.execute(SCHEMA, name)
            for dump_format in FORMATS:
                path = folder / f"{server.major}-{dump_format}"
                subprocess.run(
                    [server.bin / "pg_dump", f"--format={dump_format}", f"--file={path}", server.url(name)], check=True
                )
                listed = subprocess.run(
                    [server.bin / "pg_restore", "--list", path], check=True, capture_output=True, text=True
                ).stdout
                archives[server.major, dump_format] = (_contents(path, dump_format), listed)
    return archives


def _contents(path: Path, dump_format: str) -> bytes:
    if dump_format == "directory":
        return (path / "toc.dat").read_bytes()
    return path.read_bytes()[0 if dump_format == "custom" else 512 :]


def _parse(content: bytes) -> tuple[ArchiveHeader, list[TocEntry]]:
    header, entries = parse_table_of_contents(io.BytesIO(content).read)
    return header, list(entries)


@pytest.mark.parametrize("dump_format", FORMATS)
@pytest.mark.parametrize("major", [16, 18])
def test_the_entries_are_those_that_pg_restore_lists(
    archives: dict[tuple[int, str], tuple[bytes, str]], major: int, dump_format: str
) -> None:
    content, listed = archives[major, dump_format]
    header, entries = _parse(content)
    formatted = {
        f"{entry.dump_id}; {entry.catalog} {entry.oid} {entry.kind} {entry.schema or '-'} {entry.tag} {entry.owner}"
        for entry in entries
    }
    lines = {line for line in listed.splitlines() if line and not line.startswith(";")}
    assert lines <= formatted
    assert {text.split(" ")[3] for text in formatted - lines} <= {"DATABASE", "ENCODING", "STDSTRINGS", "SEARCHPATH"}
    assert header.custom is (dump_format == "custom")
    assert header.server_major == major
    assert (header.dbname, header.entries) == ("contents", len(entries))
    assert header.compression is (Compression.NONE if dump_format == "tar" else Compression.GZIP)


def test_names_and_dependencies_are_read(archives: dict[tuple[int, str], tuple[bytes, str]]) -> None:
    _, entries = _parse(archives[18, "directory"][0])
    by_title = {entry.title: entry for entry in entries}
    table, rows = by_title["TABLE odd; 1 2 TABLE.TABLE DATA"], by_title["TABLE DATA odd; 1 2 TABLE.TABLE DATA"]
    assert (rows.section, rows.has_rows, rows.file) == (Section.DATA, True, f"{rows.dump_id}.dat")
    assert rows.copy_statement.startswith('COPY "odd; 1 2 TABLE"."TABLE DATA" (id) FROM stdin')
    assert table.dump_id in rows.dependencies
    assert by_title["COMMENT public.TABLE orders"].dependencies == (by_title["TABLE public.orders"].dump_id,)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", Reason.DUMP_CORRUPT, id="empty"),
        pytest.param(b"PGDMQ\x01\x10", Reason.DUMP_CORRUPT, id="another file"),
        pytest.param(MAGIC + b"\x01\x11\x00\x04\x08\x01\x00", Reason.DUMP_UNSUPPORTED, id="newer"),
        pytest.param(MAGIC + b"\x01\x09\x00\x04\x08\x01\x00", Reason.DUMP_UNSUPPORTED, id="too old"),
        pytest.param(MAGIC + b"\x01\x10\x00\x09\x08\x01\x00", Reason.DUMP_CORRUPT, id="impossible integers"),
        pytest.param(MAGIC + b"\x01\x10\x00\x04\x08\x01\x09", Reason.DUMP_UNSUPPORTED, id="unknown compression"),
        pytest.param(
            MAGIC + b"\x01\x10\x00\x04\x08\x01\x00" + b"\x00\x01\x00\x00\x00" * 7 + b"\x00\xff\xff\xff\x7f",
            Reason.DUMP_CORRUPT,
            id="a text of 2 GB",
        ),
    ],
)
def test_a_damaged_or_unknown_header_is_refused(content: bytes, reason: Reason) -> None:
    with pytest.raises(ImportStopped) as stopped:
        _parse(content)
    assert stopped.value.failure.reason is reason


def test_an_archive_truncated_anywhere_is_refused(archives: dict[tuple[int, str], tuple[bytes, str]]) -> None:
    content, _ = archives[16, "directory"]
    for length in range(len(content)):
        with pytest.raises(ImportStopped):
            _parse(content[:length])


def test_a_title_is_text_whatever_bytes_a_name_has() -> None:
    entry = TocEntry(
        dump_id=1,
        catalog=1259,
        oid=1,
        kind="TABLE",
        schema="public",
        tag=b"gr\xfc\xdfe".decode("utf-8", "surrogateescape"),
        owner="",
        section=Section.PRE_DATA,
        definition="",
        copy_statement="",
        has_rows=False,
        dependencies=(),
        file="",
    )
    assert entry.title == "TABLE public.gr��e"
    assert entry.title.encode()
