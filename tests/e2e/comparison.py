"""Two databases in, all differences out: structure as pg_dump writes it, rows, sequences, large objects, extensions."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.e2e.postgres_pods import Postgres

# What differs from run to run, or says nothing of the database.
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
    """All that a database holds; equal ones are equal databases."""

    structure: list[str]  # the lines of a dump without data
    rows: dict[str, list[str]]  # table or filled materialized view → number of rows, hash of what they hold
    sequences: dict[str, list[str]]  # where it stands, and whether that value was given away
    large_objects: dict[str, list[str]]  # oid → hash
    extensions: dict[str, list[str]]  # name → schema


def read_content(server: Postgres, dbname: str) -> Content:
    """As the superuser, whom no row security hides anything from."""
    found: dict[str, dict[str, list[str]]] = {"rows": {}, "sequence": {}, "large object": {}, "extension": {}}
    for what, name, *values in server.query(_CONTENT, dbname):
        found[what][name] = values
    return Content(
        structure=[line for line in _NOISE.sub("", server.dump_schema(dbname)).splitlines() if line],
        rows=found["rows"],
        sequences=found["sequence"],
        large_objects=found["large object"],
        extensions=found["extension"],
    )


def assert_same(one: Postgres, one_database: str, other: Postgres, other_database: str) -> None:
    """Equal in everything an import promises to bring."""
    with ThreadPoolExecutor() as both:
        wanted, found = both.map(read_content, (one, other), (one_database, other_database))
    assert found.structure == wanted.structure
    assert found.rows == wanted.rows
    assert found.sequences == wanted.sequences
    assert found.large_objects == wanted.large_objects
    assert found.extensions == wanted.extensions
