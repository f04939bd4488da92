"""A database comes in; everything that it holds goes out, by name, so that two can be compared one by one."""

import hashlib
import re
import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path

from psycopg import sql
from tests.support.postgres import PostgresServer

_SQL = Path(__file__).parent / "sql"
_HEADER = re.compile(r"^--\n-- Name: (?P<tag>.*); Type: (?P<kind>.*); Schema: (?P<schema>.*); Owner: .*\n--\n\n", re.M)
# Said between two objects, of the session that restores.
_SESSION = re.compile(
    r"^(SET default_(tablespace|table_access_method|toast_compression) = .*;"
    r"|-- \*not\* (creating|dropping) schema, since initdb creates it)\n",
    re.M,
)
# Debian's servers of 17 stamp each column with a number that pg_dump 17 leaves out and pg_dump 18 does not know.
_STAMP = re.compile(
    r"^ALTER TABLE (.*|[^;]*) SET \(pg_attver=\d+\);\n|(?<=\()pg_attver=\d+, |, pg_attver=\d+(?=[,)])", re.M
)
_END = re.compile(r"^--\n-- PostgreSQL database dump complete\n--\n.*\Z", re.M | re.S)
# Values mean the same text at both ends.
_SAME = (
    "SET search_path = ''; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres';"
    "SET extra_float_digits = 3; SET bytea_output = 'hex'; SET row_security = off; SET lc_monetary = 'C'"
)

# `TABLE shop.orders` → its definition; `rows shop.orders` → a hash, and the like.
Content = dict[str, str]


def read_content(server: PostgresServer, dbname: str, pg_dump: Path) -> Content:
    """As the superuser, whom no row security hides anything from."""
    return {**read_definitions(server, dbname, pg_dump), **dict(_read_facts(server, dbname))}


def read_definitions(server: PostgresServer, dbname: str, pg_dump: Path) -> Content:
    """What a dump without rows holds."""
    return dict(_read_entries(server, dbname, pg_dump))


def _read_entries(server: PostgresServer, dbname: str, pg_dump: Path) -> Iterator[tuple[str, str]]:
    """Each object with the statements that pg_dump writes for it."""
    text = subprocess.run(
        [pg_dump, "--schema-only", "--no-owner", "--no-privileges", "--no-tablespaces", server.url(dbname)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    text = _STAMP.sub("", _END.sub("", text))
    found: dict[str, list[str]] = {}
    heads = list(_HEADER.finditer(text))
    for head, after in zip(heads, [*heads[1:], None], strict=True):
        place = "" if head["schema"] == "-" else f"{head['schema']}."
        body = _SESSION.sub("", text[head.end() : after.start() if after else len(text)]).strip()
        if body:
            found.setdefault(f"{head['kind']} {place}{head['tag']}", []).append(body)
    for title, bodies in found.items():
        yield title, "\n".join(sorted(bodies))


def _read_facts(server: PostgresServer, dbname: str) -> Iterator[tuple[str, str]]:
    """What pg_dump does not write into a schema: rows, positions, large objects, states."""
    with server.connect(dbname) as connection:
        connection.execute(_SAME)
        for file in sorted(_SQL.glob("*.sql")):
            for name, value in connection.execute(file.read_bytes()):
                yield f"{file.stem} {name}", value
        listed = connection.execute((_SQL / "tables" / "tables.sql").read_bytes()).fetchall()
        for schema, table, only in listed:
            statement = sql.SQL("COPY (SELECT * FROM {}{}) TO STDOUT").format(
                sql.SQL("ONLY " if only else ""), sql.Identifier(schema, table)
            )
            with connection.cursor().copy(statement) as stream:
                lines = sorted(b"".join(bytes(block) for block in stream).splitlines())
            digest = hashlib.sha256(b"\n".join(lines)).hexdigest()
            yield f"rows {schema}.{table}", f"{len(lines)} rows, {digest[:16]}"
        for schema, name in connection.execute((_SQL / "tables" / "sequences.sql").read_bytes()).fetchall():
            row = connection.execute(
                sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(schema, name))
            ).fetchone()
            yield f"position {schema}.{name}", str(row)


def find_differences(source: Content, copy: Content, left: Collection[str], reference: Content) -> list[str]:
    """Everything that is not the same, but for what was left and what belongs to that; `left`: titles.

    Servers of two majors write one view in two ways. What the copy's server writes of the same definition, restored by
    a superuser with PostgreSQL's own clients, is in `reference`: a definition that equals it is right.
    """
    differences = []
    titles = [title.replace('"', "") for title in left]
    for name in sorted(source.keys() | copy.keys()):
        before, after = source.get(name), copy.get(name)
        if before == after or (after is not None and before is not None and after == reference.get(name)):
            continue
        if name.startswith("COMMENT EXTENSION ") or (after is None and _belongs_to_left(name.replace('"', ""), titles)):
            continue
        if before is None:
            differences.append(f"only in the copy: {name}: {after}")
        elif after is None:
            differences.append(f"not in the copy: {name}: {before}")
        else:
            differences.append(f"{name}:\n  source: {before}\n  copy:   {after}")
    return differences


def _as_in_plain_sql(name: str) -> str:
    """There, a title comes from a statement's first words."""
    kind, _, _ = name.partition(" ")
    if kind in ("FUNCTION", "AGGREGATE", "PROCEDURE"):
        return name.partition("(")[0]
    if kind == "CAST":
        return "CAST " + name.partition(" CAST ")[2].lower()
    return name.removeprefix("USER MAPPING ") if kind == "USER" else name


def _belongs_to_left(name: str, left: Collection[str]) -> bool:
    """The object itself, or its comment, its rows, its place in a publication."""
    if name in left or _as_in_plain_sql(name) in left:
        return True
    kind, _, rest = name.partition(" ")
    for title in left:
        found = re.match(r"(?P<kind>[A-Z ]+) (?:(?P<schema>[^.]*)\.)?(?P<tag>.*)", title)
        assert found is not None, title
        of = f"{found['schema']}." if found["schema"] else ""
        if kind == "COMMENT" and rest.startswith(
            (f"{of}{found['kind']} {found['tag']}", f"{of}COLUMN {found['tag']}.")
        ):
            return True
        if kind == "rows" and rest == f"{of}{found['tag']}":
            return True
        if found["kind"] == "PUBLICATION" and name.startswith("PUBLICATION TABLE") and f".{found['tag']} " in name:
            return True
    return False
