"""Fills the tables of any schema with rows, as far as their constraints and triggers accept them."""

import psycopg
from psycopg import sql

ROWS = 15  # of a table, unless it has rows
PASSES = 4  # a table whose foreign keys are not nullable needs the rows of an earlier pass

_TABLES = """
SELECT c.oid, n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e')
ORDER BY 2, 3
"""
_COLUMNS = """
SELECT a.attname, COALESCE(NULLIF(t.typbasetype, 0), t.oid)::regtype::text, a.atttypmod, t.typcategory, t.typtype,
  (SELECT (f.confrelid::regclass::text || ' ' || r.attname)
   FROM pg_constraint AS f JOIN pg_attribute AS r ON r.attrelid = f.confrelid AND r.attnum = f.confkey[1]
   WHERE f.conrelid = a.attrelid AND f.contype = 'f' AND f.conkey = ARRAY[a.attnum] LIMIT 1)
FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity = '' AND a.attgenerated = ''
ORDER BY a.attnum
"""
# Type → expression of the row's number i.
_EXPRESSIONS = {
    "boolean": "i % 2 = 0",
    "date": "date '2026-01-01' + i",
    "timestamp without time zone": "timestamp '2026-01-01' + i * interval '1 hour 0.123456 seconds'",
    "timestamp with time zone": "timestamptz '2026-01-01 00:00:00+00' + i * interval '1 hour 0.123456 seconds'",
    "time without time zone": "time '00:00' + i * interval '1 minute'",
    "interval": "i * interval '1 day 02:03:04.5'",
    "bytea": "decode(lpad(to_hex(i), 8, '0') || '00ff5c0a', 'hex')",
    "uuid": "md5(i::text)::uuid",
    "json": "json_build_object('i', i, 'text', E'\\u00e9 \\\\ \"')",
    "jsonb": "jsonb_build_object('i', i, 'nested', jsonb_build_array(i, null, 'x'))",
    "inet": "('10.0.0.' || i)::inet",
    "cidr": "('10.0.' || i || '.0/24')::cidr",
    "macaddr": "('08:00:2b:01:02:' || lpad(to_hex(i), 2, '0'))::macaddr",
    "tsvector": "to_tsvector('simple', 'word' || i)",
    "xml": "('<a>' || i || '</a>')::xml",
    '"char"': "'x'::\"char\"",
    "bit": "B'1'",
}


def generate_rows(connection: psycopg.Connection[tuple[object, ...]]) -> dict[str, int]:
    """Returns the number of rows of each table. A table that refuses generated rows has none."""
    counts: dict[str, int] = {}
    for _ in range(PASSES):
        for oid, schema, name in connection.execute(_TABLES).fetchall():
            table = sql.Identifier(str(schema), str(name))
            count = sql.SQL("SELECT count(*) FROM {}").format(table)
            if not _count(connection, count):
                _insert(connection, oid, table)
            counts[f"{schema}.{name}"] = _count(connection, count)
    return counts


def _count(connection: psycopg.Connection[tuple[object, ...]], statement: sql.Composed) -> int:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return int(str(row[0]))


def _insert(connection: psycopg.Connection[tuple[object, ...]], oid: object, table: sql.Identifier) -> None:
    """Inserts rows one by one, each in a transaction, because constraints may refuse some of them."""
    names, expressions = [], []
    for name, type_name, modifier, category, kind, reference in connection.execute(_COLUMNS, (oid,)).fetchall():
        names.append(sql.Identifier(str(name)))
        expressions.append(_build_expression(str(type_name), int(str(modifier)), f"{category}{kind}", reference))
    if not names:
        return
    statement = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM (SELECT {}::int AS i) AS numbers")
    for number in range(1, ROWS + 1):
        values = sql.SQL(", ").join(expressions)
        try:
            connection.execute(statement.format(table, sql.SQL(", ").join(names), values, sql.Literal(number)))
        except psycopg.Error:
            continue


def _build_expression(type_name: str, modifier: int, kind: str, reference: object) -> sql.Composable:
    """Builds the value of a column. `kind` is the category and the kind of its type, as in pg_type."""
    if reference:
        table, column = str(reference).split(" ", 1)
        text = (
            f'SELECT "{column}" FROM {table} ORDER BY 1 OFFSET i % GREATEST((SELECT count(*) FROM {table}), 1) LIMIT 1'
        )
        return _raw(f"({text})")
    if kind == "Ee":
        return _raw(f"(enum_range(NULL::{type_name}))[1]")
    if kind.startswith("A"):
        return _raw(f"'{{}}'::{type_name}")
    if type_name in _EXPRESSIONS:
        return _raw(_EXPRESSIONS[type_name])
    if kind.startswith("N"):
        return _raw(f"i::{type_name}")
    if kind.startswith("S"):
        length = modifier - 4 if modifier > 4 else 60
        return _raw(f"left(i || ' é \\ text', {length})")
    return sql.SQL("NULL")


def _raw(text: str) -> sql.Composable:
    """Names and types come from the catalogue, not from people."""
    return sql.SQL(text)
