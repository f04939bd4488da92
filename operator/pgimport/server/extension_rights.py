"""Gives the owner of a new database the rights on extension objects that the source database's owner has there."""

from psycopg import errors as postgres
from psycopg import sql

from pgimport.server.connection import Connection, read_query

# Its member is the owner of the current database, so a copy's owner has the rights without a new grant.
DATABASE_OWNER = "pg_database_owner"


def grant_extension_rights(connection: Connection, owner: str) -> list[str]:
    """Grants rights on the objects of all extensions of the connected database; returns notes for the user.

    These objects belong to the admin, or to a superuser if the database was created from a template. The owner of the
    database gets rights on their schemas, tables, views, sequences and functions, as far as the admin may grant them.
    EXECUTE on a function that would run with the admin's rights (SECURITY DEFINER) is revoked from PUBLIC.

    Must run before the database contains anything of its source. May be repeated.
    """
    statements = [
        str(text)
        for role in (owner, DATABASE_OWNER)
        for (text,) in connection.execute(read_query("extension_grants"), {"owner": role})
    ]
    if statements:
        with connection.transaction():
            connection.execute("; ".join(statements).encode())
    rows = connection.execute(read_query("unwritable_configuration_tables"), {"owner": owner}).fetchall()
    return [
        f"rows that users added to {name} cannot be copied: the target server's admin may not grant INSERT on it."
        f" A superuser of the target server can install the extension {extension} in a database of the Project's"
        " spec.server.templates and grant the right"
        for extension, name in rows
    ]


def take_schemas(connection: Connection, schemas: list[str], owner: str) -> None:
    """Makes the owner of the database the owner of these schemas."""
    for schema in schemas:
        try:
            connection.execute(
                sql.SQL("ALTER SCHEMA {} OWNER TO {}").format(sql.Identifier(schema), sql.Identifier(owner))
            )
        except postgres.InsufficientPrivilege:
            continue  # a superuser created it in the template
