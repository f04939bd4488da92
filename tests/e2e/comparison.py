"""Compares two databases: structure as pg_dump writes it, rows, sequences, large objects, extensions."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.e2e.postgres_pods import Postgres

# Lines that differ from run to run, or that say nothing about the database.
_NOISE = re.compile(r"(?m)^(--.*|\\(un)?restrict .*|SET .*;|SELECT pg_catalog\.set_config.*)\n")

# The statements that end in \gexec write statements. Hash partitions are read through their root: where a row lies
# depends on the key's type, whose hash may follow its oid.
_CONTENT = r"""
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SET row_security = off;
SELECT string_agg(format(
    'SELECT %L, %L, count(*), md5(coalesce(string_agg(md5(t::text), %L ORDER BY md5(t::text)), %L)) FROM %s %I.%I AS t',
    'rows', n.nspname || '.' || c.relname, '', '', CASE c.relkind WHEN 'p' THEN '' ELSE 'ONLY' END,
    n.nspname, c.relname), ' UNION ALL ')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm') AND c.relispopulated
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_inherits i JOIN pg_partitioned_table p ON p.partrelid = i.inhparent
                  WHERE i.inhrelid = c.oid AND p.partstrat = 'h')
\gexec
SELECT string_agg(format('SELECT %L, %L, last_value, is_called FROM %I.%I',
    'sequence', schemaname || '.' || sequencename, schemaname, sequencename), ' UNION ALL ')
FROM pg_sequences
\gexec
SELECT 'large object', oid, md5(lo_get(oid)), '' FROM pg_largeobject_metadata;
SELECT 'extension', extname, extnamespace::regnamespace, '' FROM pg_extension;
"""


@dataclass(frozen=True)
class Content:
    """Everything that an import must copy from a database; two equal ones belong to equal databases."""

    structure: list[str]  # the lines of a dump without data
    rows: dict[str, list[str]]  # table or filled materialized view → number of rows, hash of what they hold
    sequences: dict[str, list[str]]  # last_value, and is_called
    large_objects: dict[str, list[str]]  # oid → hash
    extensions: dict[str, list[str]]  # name → schema


def read_content(server: Postgres, dbname: str) -> Content:
    """Reads the content as the superuser, from whom row security hides nothing."""
    values: dict[str, dict[str, list[str]]] = {"rows": {}, "sequence": {}, "large object": {}, "extension": {}}
    for kind, name, *columns in server.query(_CONTENT, dbname):
        values[kind][name] = columns
    return Content(
        structure=[line for line in _NOISE.sub("", server.dump_schema(dbname)).splitlines() if line],
        rows=values["rows"],
        sequences=values["sequence"],
        large_objects=values["large object"],
        extensions=values["extension"],
    )


def assert_same(source: Postgres, source_database: str, target: Postgres, target_database: str) -> None:
    """Checks that two databases are equal in everything that an import copies."""
    with ThreadPoolExecutor() as pool:
        expected, copied = pool.map(read_content, (source, target), (source_database, target_database))
    assert copied.structure == expected.structure
    assert copied.rows == expected.rows
    assert copied.sequences == expected.sequences
    assert copied.large_objects == expected.large_objects
    assert copied.extensions == expected.extensions
