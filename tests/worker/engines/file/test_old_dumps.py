"""Archives in the layouts of pg_dump 9.0 to 13, built by hand, because no such client can be installed."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from tests.worker.conftest import Bench
from tests.worker.engines.file.archive_bytes import encode_integer, encode_text

from pgimport.model.reasons import Reason
from pgimport.worker.archive.toc import Section

ServeDump = Callable[[bytes], None]
NULL = b"\x01\x01\x00\x00\x00"  # the text that is not there: length -1


@dataclass(frozen=True, slots=True, kw_only=True)
class OldEntry:
    """An entry as pg_dump wrote it when names had no schema: `search_path` comes from the entry's schema."""

    kind: str
    tag: str
    section: Section = Section.PRE_DATA
    definition: str = ""
    schema: str | None = "public"
    copy_statement: str | None = None
    rows: bytes | None = None
    catalog: int = 0
    with_oids: bool = False
    dependencies: tuple[int, ...] = field(default=())


ENTRIES = (
    OldEntry(kind="ENCODING", tag="ENCODING", schema=None, definition="SET client_encoding = 'UTF8';\n"),
    OldEntry(kind="STDSTRINGS", tag="STDSTRINGS", schema=None, definition="SET standard_conforming_strings = 'on';\n"),
    OldEntry(
        kind="DATABASE",
        tag="shop",
        schema=None,
        catalog=1262,
        definition="CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8'"
        " LC_COLLATE = 'C' LC_CTYPE = 'C';\n",
    ),
    OldEntry(kind="SCHEMA", tag="public", schema=None, catalog=2615, definition="CREATE SCHEMA public;\n"),
    OldEntry(
        kind="PROCEDURAL LANGUAGE",
        tag="plpgsql",
        schema=None,
        catalog=2612,
        definition="CREATE OR REPLACE PROCEDURAL LANGUAGE plpgsql;\n",
    ),
    OldEntry(
        kind="FUNCTION",
        tag="twice(integer)",
        catalog=1255,
        definition="CREATE FUNCTION twice(n integer) RETURNS integer\n    LANGUAGE plpgsql IMMUTABLE\n"
        "    AS 'BEGIN RETURN n * 2; END';\n",
        dependencies=(5,),
    ),
    OldEntry(
        kind="TABLE",
        tag="items",
        catalog=1259,
        definition="CREATE TABLE items (\n    id integer NOT NULL,\n    name text\n);\n",
        with_oids=True,
    ),
    OldEntry(
        kind="VIEW",
        tag="names",
        catalog=1259,
        definition="CREATE VIEW names AS\n    SELECT items.name, twice(items.id) AS twice FROM items;\n",
        dependencies=(7, 6),
    ),
    OldEntry(
        kind="TABLE DATA",
        tag="items",
        section=Section.DATA,
        copy_statement="COPY items (id, name) FROM stdin;\n",
        rows=b"1\ta\n2\t\\N\n\\.\n\n\n",
        dependencies=(7,),
    ),
    OldEntry(
        kind="CONSTRAINT",
        tag="items_pkey",
        catalog=2606,
        section=Section.POST_DATA,
        definition="ALTER TABLE ONLY items\n    ADD CONSTRAINT items_pkey PRIMARY KEY (id);\n",
        dependencies=(7,),
    ),
    OldEntry(
        kind="INDEX",
        tag="items_twice",
        catalog=1259,
        section=Section.POST_DATA,
        definition="CREATE INDEX items_twice ON items USING btree (twice(id));\n",
        dependencies=(7, 6),
    ),
)
VERSIONS = {"1.12": "9.2.24", "1.13": "10.23", "1.14": "13.23"}


def encode_optional(text: str | None) -> bytes:
    return NULL if text is None else encode_text(text.encode())


def encode_entry(number: int, entry: OldEntry, version: tuple[int, int]) -> bytes:
    content = encode_integer(number) + encode_integer(entry.rows is not None)
    content += encode_optional(str(entry.catalog)) + encode_optional(str(16000 + number if entry.catalog else 0))
    # The tag contains the table since 9.6, which the layout does not tell.
    tag = f"items {entry.tag}" if entry.kind == "CONSTRAINT" and version > (1, 12) else entry.tag
    content += encode_optional(tag) + encode_optional(entry.kind) + encode_integer(entry.section)
    content += encode_optional(entry.definition) + encode_optional("") + encode_optional(entry.copy_statement)
    content += encode_optional(entry.schema) + encode_optional("")
    if version >= (1, 14):
        content += NULL  # access method
    content += encode_optional("owner") + encode_optional("true" if entry.with_oids else "false")
    content += b"".join(encode_optional(str(dump_id)) for dump_id in entry.dependencies) + NULL
    return content + bytes([1 if entry.rows is not None else 3]) + bytes(8)


def build_old_archive(name: str, entries: tuple[OldEntry, ...] = ENTRIES) -> bytes:
    """Returns a custom archive of this version, with the header of the client that wrote such archives."""
    version = (1, int(name.partition(".")[2]))
    content = b"PGDMP" + bytes([*version, 0, 4, 8, 1]) + b"\x01\x01\x00\x00\x00"  # compression -1: zlib's default
    content += b"".join(encode_integer(value) for value in (1, 2, 3, 4, 5, 120, 0))
    content += b"".join(encode_optional(text) for text in ("shop", VERSIONS[name], VERSIONS[name]))
    content += encode_integer(len(entries))
    content += b"".join(encode_entry(number, entry, version) for number, entry in enumerate(entries, 1))
    for number, entry in enumerate(entries, 1):
        if entry.rows is not None:
            packed = zlib.compress(entry.rows)
            content += b"\x01" + encode_integer(number) + encode_integer(len(packed)) + packed + encode_integer(0)
    return content


@pytest.mark.parametrize("version", VERSIONS)
def test_an_archive_of_an_old_client_is_imported(file_bench: Bench, serve_dump: ServeDump, version: str) -> None:
    serve_dump(build_old_archive(version))
    preflight = file_bench.preflight()
    assert preflight.ok, preflight.failure
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        target = file_bench.target
        assert target.query("SELECT * FROM names ORDER BY 2", shadow) == [("a", 2), (None, 4)]
        assert target.query("SELECT indexdef FROM pg_indexes WHERE indexname = 'items_twice'", shadow) != []
        assert target.query("SELECT conname FROM pg_constraint WHERE conname = 'items_pkey'", shadow) != []
    assert result.verification is not None
    assert result.verification.verified
    assert result.skipped == []


def test_rows_with_oids_are_refused_before_the_import(file_bench: Bench, serve_dump: ServeDump) -> None:
    (data,) = (entry for entry in ENTRIES if entry.rows is not None)
    oids = OldEntry(
        kind=data.kind,
        tag=data.tag,
        section=data.section,
        copy_statement="COPY items (id, name) WITH OIDS FROM stdin;\n",
        rows=b"16385\t1\ta\n\\.\n\n\n",
    )
    serve_dump(build_old_archive("1.12", (*ENTRIES[:8], oids)))
    failure = file_bench.preflight().failure
    assert failure is not None
    assert (failure.reason, "made with --oids (TABLE DATA public.items)" in failure.message) == (
        Reason.DUMP_UNSUPPORTED,
        True,
    )


@pytest.mark.parametrize(
    ("server", "advice"),
    [
        ("18.1 (Debian 18.1-1)", "The dumped server has PostgreSQL 18: dump it again with pg_dump 18"),
        ("19.0", "ask the admin of pgimport for a release that imports from PostgreSQL 19"),
        ("", "If the dumped server has PostgreSQL 18 or older, dump it again with pg_dump 18"),
    ],
)
def test_an_archive_of_a_newer_client_names_it(
    file_bench: Bench, serve_dump: ServeDump, server: str, advice: str
) -> None:
    texts = b"".join(encode_optional(text) for text in ("shop", server, "19.0 (Debian 19.0-1)"))
    numbers = b"".join(encode_integer(value) for value in (1, 2, 3, 4, 5, 120, 0))
    serve_dump(b"PGDMP\x01\x11\x00\x04\x08\x01\x01" + numbers + texts + encode_integer(0))
    failure = file_bench.preflight().failure
    assert failure is not None
    assert failure.reason is Reason.DUMP_UNSUPPORTED
    assert failure.message.startswith(
        "pg_dump 19.0 wrote the dump as an archive of version 1.17, but this worker reads"
    )
    assert advice in failure.message
