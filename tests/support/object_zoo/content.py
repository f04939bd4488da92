"""Reads everything that a database holds, by name, so that two databases can be compared."""

import hashlib
import re
import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path

from psycopg import sql
from tests.support.object_zoo.skipped_parts import add_parts, remove_skipped_parts
from tests.support.postgres import PostgresServer

_SQL = Path(__file__).parent / "sql"
_HEADER = re.compile(r"^--\n-- Name: (?P<tag>.*); Type: (?P<kind>.*); Schema: (?P<schema>.*); Owner: .*\n--\n\n", re.M)
# Settings and remarks that pg_dump writes between two objects.
_SESSION = re.compile(
    r"^(SET default_(tablespace|table_access_method|toast_compression) = .*;"
    r"|-- \*not\* (creating|dropping) schema, since initdb creates it)\n",
    re.M,
)
# Debian's servers of 17 set an option on each column that pg_dump 17 omits and pg_dump 18 does not know.
_STAMP = re.compile(
    r"^ALTER TABLE (.*|[^;]*) SET \(pg_attver=\d+\);\n|(?<=\()pg_attver=\d+, |, pg_attver=\d+(?=[,)])", re.M
)
_END = re.compile(r"^--\n-- PostgreSQL database dump complete\n--\n.*\Z", re.M | re.S)
# These settings give a value the same text on both servers.
_SETTINGS = (
    "SET search_path = ''; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres';"
    "SET extra_float_digits = 3; SET bytea_output = 'hex'; SET row_security = off; SET lc_monetary = 'C'"
)

# Names like `TABLE shop.orders` → the definition; names like `rows shop.orders` → a hash.
Content = dict[str, str]


def read_content(server: PostgresServer, dbname: str, pg_dump: Path) -> Content:
    """Read a database as superuser, so that row security hides nothing."""
    return {**read_definitions(server, dbname, pg_dump), **dict(_read_data(server, dbname))}


def read_definitions(server: PostgresServer, dbname: str, pg_dump: Path) -> Content:
    """Read the definitions that a dump without rows holds."""
    return dict(_read_entries(server, dbname, pg_dump))


def _read_entries(server: PostgresServer, dbname: str, pg_dump: Path) -> Iterator[tuple[str, str]]:
    """Yield each object with the statements that pg_dump writes for it."""
    text = subprocess.run(
        [pg_dump, "--schema-only", "--no-owner", "--no-privileges", "--no-tablespaces", server.url(dbname)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    text = _STAMP.sub("", _END.sub("", text))
    definitions: dict[str, list[str]] = {}
    headers = list(_HEADER.finditer(text))
    for header, next_header in zip(headers, [*headers[1:], None], strict=True):
        schema_prefix = "" if header["schema"] == "-" else f"{header['schema']}."
        body = _SESSION.sub("", text[header.end() : next_header.start() if next_header else len(text)]).strip()
        if body:
            definitions.setdefault(f"{header['kind']} {schema_prefix}{header['tag']}", []).append(body)
    for title, bodies in definitions.items():
        yield title, "\n".join(sorted(bodies))


def _read_data(server: PostgresServer, dbname: str) -> Iterator[tuple[str, str]]:
    """Yield what a dump without rows does not hold: rows, sequence positions, large objects and states."""
    with server.connect(dbname) as connection:
        connection.execute(_SETTINGS)
        for file in sorted(_SQL.glob("*.sql")):
            for name, value in connection.execute(file.read_bytes()):
                yield f"{file.stem} {name}", value
        tables = connection.execute((_SQL / "tables" / "tables.sql").read_bytes()).fetchall()
        for schema, table, only in tables:
            statement = sql.SQL("COPY (SELECT * FROM {}{}) TO STDOUT").format(
                sql.SQL("ONLY " if only else ""), sql.Identifier(schema, table)
            )
            with connection.cursor().copy(statement) as copy:
                lines = sorted(b"".join(bytes(block) for block in copy).splitlines())
            digest = hashlib.sha256(b"\n".join(lines)).hexdigest()
            yield f"rows {schema}.{table}", f"{len(lines)} rows, {digest[:16]}"
        for schema, name in connection.execute((_SQL / "tables" / "sequences.sql").read_bytes()).fetchall():
            row = connection.execute(
                sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(schema, name))
            ).fetchone()
            yield f"position {schema}.{name}", str(row)


def find_differences(source: Content, copy: Content, skipped: Collection[str], reference: Content) -> list[str]:
    """List everything that differs, except for the skipped objects, given by their titles, and what belongs to them.

    Servers of two majors may write the same definition differently. `reference` holds the source's definitions as the
    copy's server writes them, restored by a superuser with PostgreSQL's own clients. A copy may also equal it.
    """
    differences = []
    titles = [title.replace('"', "") for title in add_parts(skipped, source)]
    source, copy, reference = (remove_skipped_parts(content, skipped) for content in (source, copy, reference))
    for name in sorted(source.keys() | copy.keys()):
        source_value, copy_value = source.get(name), copy.get(name)
        is_same_definition = None not in (source_value, copy_value) and copy_value == reference.get(name)
        if source_value == copy_value or is_same_definition or name.startswith("COMMENT EXTENSION "):
            continue
        if copy_value is None and _belongs_to_skipped(name.replace('"', ""), titles):
            continue
        if source_value is None:
            differences.append(f"only in the copy: {name}: {copy_value}")
        elif copy_value is None:
            differences.append(f"not in the copy: {name}: {source_value}")
        else:
            differences.append(f"{name}:\n  source: {source_value}\n  copy:   {copy_value}")
    return differences


def _title_in_plain_sql(name: str) -> str:
    """Return the title that an object has in a plain dump, where it comes from the first words of a statement."""
    kind, _, _ = name.partition(" ")
    if kind in ("FUNCTION", "AGGREGATE", "PROCEDURE"):
        return name.partition("(")[0]
    if kind == "CAST":
        return "CAST " + name.partition(" CAST ")[2].lower()
    return name.removeprefix("USER MAPPING ") if kind == "USER" else name


def _belongs_to_skipped(name: str, skipped: Collection[str]) -> bool:
    """Return whether this is a skipped object, or its comment, its rows or its membership in a publication."""
    if name in skipped or _title_in_plain_sql(name) in skipped:
        return True
    kind, _, rest = name.partition(" ")
    for title in skipped:
        match = re.match(r"(?P<kind>[A-Z ]+) (?:(?P<schema>[^.]*)\.)?(?P<tag>.*)", title)
        if match is None:  # the state of an index, which has no comments
            continue
        skipped_kind, tag = match["kind"], match["tag"]
        schema_prefix = f"{match['schema']}." if match["schema"] else ""
        comments = (f"{schema_prefix}{skipped_kind} {tag}", f"{schema_prefix}COLUMN {tag}.")
        if kind == "COMMENT" and rest.startswith(comments):
            return True
        if kind == "rows" and rest == f"{schema_prefix}{tag}":
            return True
        if skipped_kind == "INDEX" and name == f"index {schema_prefix}{tag}":
            return True
        if skipped_kind == "CONSTRAINT" and name == f"index {schema_prefix}{tag.rpartition(' ')[2]}":
            return True
        if skipped_kind == "TABLE" and kind == "DEFAULT" and rest.startswith(f"{schema_prefix}{tag} "):
            return True
        if skipped_kind == "SEQUENCE" and name in (
            f"position {schema_prefix}{tag}",
            f"SEQUENCE OWNED BY {schema_prefix}{tag}",
        ):
            return True
        if skipped_kind == "PUBLICATION" and name.startswith("PUBLICATION TABLE") and f".{tag} " in name:
            return True
    return False
