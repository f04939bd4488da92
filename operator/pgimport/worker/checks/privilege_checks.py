"""May this role read what is to come along: rows of the catalogues come in, verdicts with the cure go out. Pure."""

from pgimport.model.preflight_checks import CheckName
from pgimport.model.reasons import Reason
from pgimport.worker.checks.catalog_reader import ResultRows
from pgimport.worker.checks.check_results import CheckResult, NotChecked, failed_check, passed_check, unknown_check
from pgimport.worker.scope.patterns import NameFilter
from pgimport.worker.text import count_of, quote_name, some_of

SEQUENCE = "S"
MOST = 5000  # rows that a question brings: what is asked must fit into memory
SCHEMAS_IN_A_CURE = 5
TABLES_BY_NAME = 3  # more of one schema, and all of it is granted
_TOO_MANY = NotChecked(f"more than {MOST} objects that stay behind stand before those that come along")


def judge_privileges(found: ResultRows | NotChecked, wanted: NameFilter, user: str) -> CheckResult:
    """Rows of `privileges.sql`."""
    if isinstance(found, NotChecked):
        return unknown_check(CheckName.SOURCE_PRIVILEGES, found)
    closed = [row for row in found if wanted(row[1], row[2])]
    if not closed and len(found) >= MOST:
        return unknown_check(CheckName.SOURCE_PRIVILEGES, _TOO_MANY)
    if not closed:
        return passed_check(CheckName.SOURCE_PRIVILEGES, f"{user} may read every table and sequence that comes along")
    tables = [f"{schema}.{name}" for kind, schema, name, _ in closed if kind != SEQUENCE]
    sequences = [f"{schema}.{name}" for kind, schema, name, _ in closed if kind == SEQUENCE]
    told = [
        f"{count_of(len(names), noun)} ({some_of(names)})"
        for names, noun in ((tables, "table"), (sequences, "sequence"))
        if names
    ]
    return failed_check(
        CheckName.SOURCE_PRIVILEGES,
        Reason.SOURCE_PERMISSION_DENIED,
        f"{user} may not read {' and '.join(told)}",
        f"their owner cures it: {_build_grants(closed, user)}",
    )


def _build_grants(closed: ResultRows, user: str) -> str:
    """The statements for the first schemas; one for everything where there are many."""
    schemas: dict[str, ResultRows] = {}
    for row in closed:
        schemas.setdefault(row[1], []).append(row)
    to = quote_name(user)
    if len(schemas) > SCHEMAS_IN_A_CURE:
        return f"GRANT pg_read_all_data TO {to};"
    grants = []
    for schema, rows in schemas.items():
        if rows[0][3]:
            grants.append(f"GRANT USAGE ON SCHEMA {quote_name(schema)} TO {to};")
        for kind, noun in (("TABLE", "TABLES"), ("SEQUENCE", "SEQUENCES")):
            names = [quote_name(schema, row[2]) for row in rows if (row[0] == SEQUENCE) == (kind == "SEQUENCE")]
            if len(names) > TABLES_BY_NAME:
                grants.append(f"GRANT SELECT ON ALL {noun} IN SCHEMA {quote_name(schema)} TO {to};")
            elif names:
                grants.append(f"GRANT SELECT ON {kind} {', '.join(names)} TO {to};")
    return " ".join(grants)


def judge_row_security(found: ResultRows | NotChecked, wanted: NameFilter, user: str) -> CheckResult:
    """Rows of `row_level_security.sql`."""
    if isinstance(found, NotChecked):
        return unknown_check(CheckName.ROW_LEVEL_SECURITY, found)
    secured = [row for row in found if wanted(row[0], row[1])]
    hidden = [(quote_name(schema, name), forced) for schema, name, forced, active in secured if active]
    if not hidden and len(found) >= MOST:
        return unknown_check(CheckName.ROW_LEVEL_SECURITY, _TOO_MANY)
    if not secured:
        return passed_check(CheckName.ROW_LEVEL_SECURITY, "no table has row level security")
    if not hidden:
        return passed_check(
            CheckName.ROW_LEVEL_SECURITY, f"{count_of(len(secured), 'table')} with it, none hides rows from {user}"
        )
    titles = [title for title, _ in hidden]
    forced = [title for title, is_forced in hidden if is_forced]
    cure = f"ALTER ROLE {quote_name(user)} BYPASSRLS; cures it, or the URL of a role that has it"
    if not forced:
        cure += " or owns the tables"
    else:
        cure += f", or, for their owner, ALTER TABLE {forced[0]} NO FORCE ROW LEVEL SECURITY;"
    return failed_check(
        CheckName.ROW_LEVEL_SECURITY,
        Reason.SOURCE_PERMISSION_DENIED,
        f"policies may hide rows of {count_of(len(titles), 'table')} from {user}: {some_of(titles)}",
        cure,
    )
