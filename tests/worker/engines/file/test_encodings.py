"""Dumps in another encoding than the database's: the copy has the database's encoding and the same text."""

from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from psycopg import sql
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench
from tests.worker.engines.file.conftest import dump

from pgimport.model.import_spec import Filter

ServeDump = Callable[[bytes], None]
FORMATS_OF_TEXT = ("custom", "directory", "plain")
# Client encoding → text that it has. In those that no server can have, the second byte of a character may be ASCII,
# such as the backslash in 表 of SJIS.
TEXTS = {
    "LATIN1": "Größe",
    "WIN1252": "€uro",
    "ISO_8859_5": "цена",
    "KOI8R": "цена",
    "SJIS": "表ソ能",
    "SHIFT_JIS_2004": "表ソ能",
    "GBK": "碶表",
    "BIG5": "功許",
    "UHC": "가격",
    "JOHAB": "몫뭠",
    "GB18030": "碶表",
    "EUC_JP": "表",
}


def create_table(text: str) -> bytes:
    """Returns statements that create a table with this text in names, values and definitions."""
    name, value = sql.Identifier(text), sql.Literal(text)
    return (
        sql.SQL(
            "CREATE TABLE {name} (id int PRIMARY KEY, {name} text DEFAULT {value} CHECK ({name} <> {other}));"
            "INSERT INTO {name} (id) VALUES (1); INSERT INTO {name} VALUES (2, {escaped});"
            "COMMENT ON TABLE {name} IS {value};"
            "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS {body};"
        )
        .format(
            name=name,
            value=value,
            other=sql.Literal(text + "x"),
            escaped=sql.Literal(f"{text}\\{text}\t{text}\n{text}"),
            body=sql.Literal(f"SELECT '{text}'"),
        )
        .as_bytes()
    )


def read_content(server: PostgresServer, dbname: str, text: str) -> list[tuple[object, ...]]:
    name = sql.Identifier(text).as_string()
    return [
        *server.query(f"SELECT * FROM {name} ORDER BY id", dbname),  # noqa: S608 (a constant)
        *server.query(f"SELECT f(), obj_description('{name}'::regclass)", dbname),
        *server.query("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c'", dbname),
        *server.query("SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef", dbname),
    ]


def list_encodings_and_formats() -> Iterator[ParameterSet]:
    """Yields each encoding with each format. `make check` tries one format for each encoding, in turn."""
    quick_formats = cycle(FORMATS_OF_TEXT)
    for client_encoding in TEXTS:
        quick_format = next(quick_formats)
        for dump_format in FORMATS_OF_TEXT:
            marks = () if dump_format == quick_format else (pytest.mark.thorough,)
            yield pytest.param(client_encoding, dump_format, id=f"{client_encoding}-{dump_format}", marks=marks)


@pytest.mark.parametrize(("client_encoding", "dump_format"), list(list_encodings_and_formats()))
def test_a_utf8_database_dumped_in_another_encoding_arrives_in_utf8(
    file_bench: Bench,
    serve_dump: ServeDump,
    postgres16: PostgresServer,
    tmp_path: Path,
    client_encoding: str,
    dump_format: str,
) -> None:
    text = TEXTS[client_encoding]
    with postgres16.database("encoded") as name:
        postgres16.execute(create_table(text).decode(), name)
        expected = read_content(postgres16, name, text)
        serve_dump(dump(postgres16, name, dump_format, tmp_path, f"--encoding={client_encoding}"))
    preflight = file_bench.preflight().preflight
    assert preflight is not None
    assert preflight.source is not None
    assert preflight.source.encoding == "UTF8"
    with file_bench.shadow(encoding=preflight.source.encoding) as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        assert result.verification is not None
        assert result.verification.verified
        assert read_content(file_bench.target, shadow, text) == expected


@pytest.mark.parametrize("client_encoding", ["LATIN1", "SJIS"])
def test_a_filter_names_tables_in_utf8(
    file_bench: Bench, serve_dump: ServeDump, postgres16: PostgresServer, tmp_path: Path, client_encoding: str
) -> None:
    text = TEXTS[client_encoding]
    with postgres16.database("encoded") as name:
        postgres16.execute(create_table(text).decode(), name)
        postgres16.execute("CREATE TABLE other (id int)", name)
        serve_dump(dump(postgres16, name, "custom", tmp_path, f"--encoding={client_encoding}"))
    with file_bench.shadow() as shadow:
        result = file_bench.run(filter=Filter.model_validate({"excludeTables": [f'"{text}"']}))
        assert result.ok, result.failure
        assert file_bench.target.query("SELECT relname FROM pg_class WHERE relname ~ '[^ -~]'", shadow) == []


def test_a_database_in_another_encoding_keeps_it(
    file_bench: Bench, serve_dump: ServeDump, postgres16: PostgresServer, tmp_path: Path
) -> None:
    postgres16.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    try:
        serve_dump(dump(postgres16, "latin", "custom", tmp_path))
    finally:
        postgres16.execute("DROP DATABASE latin")
    preflight = file_bench.preflight().preflight
    assert preflight is not None
    assert preflight.source is not None
    assert (preflight.source.encoding, preflight.source.locale_known) == ("LATIN1", True)


def test_a_plain_dump_does_not_tell_its_locale(
    file_bench: Bench, serve_dump: ServeDump, dumps: dict[str, bytes]
) -> None:
    serve_dump(dumps["plain"])
    preflight = file_bench.preflight().preflight
    assert preflight is not None
    assert preflight.source is not None
    assert (preflight.source.encoding, preflight.source.locale_known) == ("UTF8", False)
    (check,) = (check for check in preflight.checks if check.name == "encoding_and_collation")
    assert check.status == "warn"
    assert "The copy gets" in check.detail
