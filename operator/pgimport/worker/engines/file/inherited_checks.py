"""Tells whether a table has a CHECK from a parent, which then cannot be added once more. Pure."""

from psycopg import sql

_QUERY = sql.SQL(
    "shown := EXISTS (SELECT FROM pg_catalog.pg_constraint AS c WHERE c.conname = {} AND c.coninhcount > 0"
    " AND c.conrelid = pg_catalog.to_regclass({}))::text;"
)


def build_inherited_block(schema: str, table: str, name: str) -> str:
    """Returns a block of PL/pgSQL that shows `true` if the CHECK `name` of the table is inherited."""
    relation = sql.Identifier(schema, table).as_string()
    return _QUERY.format(sql.Literal(name), sql.Literal(relation)).as_string()
