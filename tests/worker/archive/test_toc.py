"""Tables of contents of real archives, and of archives that are none."""

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
    """(major, format) → the bytes with the table of contents, and what pg_restore lists."""
    found = {}
    folder = tmp_path_factory.mktemp("archives")
    for server in (postgres16, postgres18):
        with server.database("contents") as name:
            server.execute(SCHEMA, name)
            for form in FORMATS:
                path = folder / f"{server.major}-{form}"
                subprocess.run(
                    [server.bin / "pg_dump", f"--format={form}", f"--file={path}", server.url(name)], check=True
                )
                listed = subprocess.run(
                    [server.bin / "pg_restore", "--list", path], check=True, capture_output=True, text=True
                ).stdout
                found[server.major, form] = (_contents(path, form), listed)
    return found


def _contents(path: Path, form: str) -> bytes:
    if form == "directory":
        return (path / "toc.dat").read_bytes()
    return path.read_bytes()[0 if form == "custom" else 512 :]


def _parse(content: bytes) -> tuple[ArchiveHeader, list[TocEntry]]:
    header, entries = parse_table_of_contents(io.BytesIO(content).read)
    return header, list(entries)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("major", [16, 18])
def test_says_what_pg_restore_lists(archives: dict[tuple[int, str], tuple[bytes, str]], major: int, form: str) -> None:
    content, listed = archives[major, form]
    header, entries = _parse(content)
    shown = {
        f"{one.dump_id}; {one.catalog} {one.oid} {one.kind} {one.schema or '-'} {one.tag} {one.owner}"
        for one in entries
    }
    lines = {line for line in listed.splitlines() if line and not line.startswith(";")}
    assert lines <= shown
    assert {text.split(" ")[3] for text in shown - lines} <= {"DATABASE", "ENCODING", "STDSTRINGS", "SEARCHPATH"}
    assert header.custom is (form == "custom")
    assert header.server_major == major
    assert (header.dbname, header.entries) == ("contents", len(entries))
    assert header.compression is (Compression.NONE if form == "tar" else Compression.GZIP)


def test_keeps_names_and_dependencies_apart(archives: dict[tuple[int, str], tuple[bytes, str]]) -> None:
    _, entries = _parse(archives[18, "directory"][0])
    by_title = {one.title: one for one in entries}
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
def test_refuses(content: bytes, reason: Reason) -> None:
    with pytest.raises(ImportStopped) as stopped:
        _parse(content)
    assert stopped.value.failure.reason is reason


def test_refuses_every_cut(archives: dict[tuple[int, str], tuple[bytes, str]]) -> None:
    content, _ = archives[16, "directory"]
    for length in range(len(content)):
        with pytest.raises(ImportStopped):
            _parse(content[:length])
