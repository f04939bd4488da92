"""Warnings about the template databases that a Project names."""

from collections.abc import Sequence

from psycopg import sql

from pgimport.server.connection import Connection, read_query


def describe_unusable_templates(connection: Connection, names: Sequence[str]) -> list[str]:
    """Returns a warning for each template of the Project that does not exist, or that this role may not copy."""
    warnings = []
    for name in names:
        row = connection.execute(read_query("database_locale"), {"database": name}).fetchone()
        if row is None:
            warnings.append(
                f"spec.server.templates: the target server has no database {name}, so databases are created without"
                " what it should bring. Create it, or correct the name"
            )
        elif not row[6]:
            statement = sql.SQL("ALTER DATABASE {} IS_TEMPLATE true").format(sql.Identifier(name)).as_string(connection)
            warnings.append(
                f"spec.server.templates: the admin may not copy database {name}, so databases are created without what"
                f" it should bring. As its owner or a superuser, run {statement}"
            )
    return warnings


def describe_open_templates(connection: Connection, names: Sequence[str]) -> list[str]:
    """Returns a warning for each template of the Project to which every role may connect."""
    rows = connection.execute(read_query("databases_with_connect"), {"names": list(names)}).fetchall()
    warnings = []
    for (name,) in rows:
        statement = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name))
        warnings.append(
            f"spec.server.templates: the user of each preview may connect to database {name}, and so delay others that"
            f" are created from it. As its owner or a superuser, run {statement.as_string(connection)}"
        )
    return warnings
