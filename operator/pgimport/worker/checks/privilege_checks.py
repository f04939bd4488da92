"""Checks that the source's user can read all rows of what is imported. Pure."""

from pgimport.model.preflight_checks import CheckName
from pgimport.model.reasons import Reason
from pgimport.worker.checks.catalog_reader import ResultRows
from pgimport.worker.checks.check_results import (
    ROW_LIMIT,
    TRUNCATED,
    CheckResult,
    NotChecked,
    failed_check,
    passed_check,
    unknown_check,
)
from pgimport.worker.scope.patterns import NameFilter
from pgimport.worker.text import count_of, quote_name, some_of

SEQUENCE = "S"  # pg_class.relkind
SCHEMAS_IN_ADVICE = 5  # for more schemas, the advice is to grant pg_read_all_data
NAMES_IN_A_GRANT = 3  # for more objects of one schema, the advice is to grant ON ALL TABLES IN SCHEMA


def judge_privileges(rows: ResultRows | NotChecked, includes: NameFilter, user: str) -> CheckResult:
    """Judges the rows of `privileges.sql`."""
    if isinstance(rows, NotChecked):
        return unknown_check(CheckName.SOURCE_PRIVILEGES, rows)
    unreadable = [row for row in rows if includes(row[1], row[2])]
    if not unreadable and len(rows) >= ROW_LIMIT:
        return unknown_check(CheckName.SOURCE_PRIVILEGES, TRUNCATED)
    if not unreadable:
        return passed_check(CheckName.SOURCE_PRIVILEGES, f"{user} can read every table and sequence to import")
    tables = [f"{schema}.{name}" for kind, schema, name, _ in unreadable if kind != SEQUENCE]
    sequences = [f"{schema}.{name}" for kind, schema, name, _ in unreadable if kind == SEQUENCE]
    objects = [
        f"{count_of(len(names), noun)} ({some_of(names)})"
        for names, noun in ((tables, "table"), (sequences, "sequence"))
        if names
    ]
    return failed_check(
        CheckName.SOURCE_PRIVILEGES,
        Reason.SOURCE_PERMISSION_DENIED,
        f"{user} cannot read {' and '.join(objects)}",
        f"Ask {_name_grantors(unreadable)} to run: {_build_grants(unreadable, user)}",
    )


def _name_grantors(unreadable: ResultRows) -> str:
    """Returns who may execute the statements of `_build_grants`."""
    if len({row[1] for row in unreadable}) > SCHEMAS_IN_ADVICE:
        return "a superuser"
    if any(row[3] for row in unreadable):
        return "the owners of these schemas and objects, or a superuser,"
    return f"{'its owner' if len(unreadable) == 1 else 'their owners'}, or a superuser,"


def _build_grants(unreadable: ResultRows, user: str) -> str:
    """Returns GRANT statements for each schema, or `GRANT pg_read_all_data` if there are many schemas."""
    schemas: dict[str, ResultRows] = {}
    for row in unreadable:
        schemas.setdefault(row[1], []).append(row)
    role = quote_name(user)
    if len(schemas) > SCHEMAS_IN_ADVICE:
        return f"GRANT pg_read_all_data TO {role};"
    grants = []
    for schema, rows in schemas.items():
        if rows[0][3]:
            grants.append(f"GRANT USAGE ON SCHEMA {quote_name(schema)} TO {role};")
        for kind, noun in (("TABLE", "TABLES"), ("SEQUENCE", "SEQUENCES")):
            names = [quote_name(schema, row[2]) for row in rows if (row[0] == SEQUENCE) == (kind == "SEQUENCE")]
            if len(names) > NAMES_IN_A_GRANT:
                grants.append(f"GRANT SELECT ON ALL {noun} IN SCHEMA {quote_name(schema)} TO {role};")
            elif names:
                grants.append(f"GRANT SELECT ON {kind} {', '.join(names)} TO {role};")
    return " ".join(grants)


def judge_row_security(rows: ResultRows | NotChecked, includes_rows: NameFilter, user: str) -> CheckResult:
    """Judges the rows of `row_level_security.sql`."""
    if isinstance(rows, NotChecked):
        return unknown_check(CheckName.ROW_LEVEL_SECURITY, rows)
    secured = [row for row in rows if includes_rows(row[0], row[1])]
    hidden = [(quote_name(schema, name), forced) for schema, name, forced, active in secured if active]
    if not hidden and len(rows) >= ROW_LIMIT:
        return unknown_check(CheckName.ROW_LEVEL_SECURITY, TRUNCATED)
    if not secured:
        return passed_check(CheckName.ROW_LEVEL_SECURITY, "no table has row level security")
    if not hidden:
        tables = count_of(len(secured), "table")
        return passed_check(CheckName.ROW_LEVEL_SECURITY, f"row level security of {tables} does not apply to {user}")
    titles = [title for title, _ in hidden]
    forced = [title for title, is_forced in hidden if is_forced]
    role = quote_name(user)
    advice = (
        f"Ask a superuser of the source to run ALTER ROLE {role} BYPASSRLS; or use the URL of a role that has BYPASSRLS"
    )
    if forced:
        advice += f", or, for their owner, run ALTER TABLE {forced[0]} NO FORCE ROW LEVEL SECURITY;"
    else:
        advice += " or that owns the tables"
    return failed_check(
        CheckName.ROW_LEVEL_SECURITY,
        Reason.SOURCE_PERMISSION_DENIED,
        f"policies may hide rows of {count_of(len(titles), 'table')} from {user}: {some_of(titles)}",
        advice,
    )
