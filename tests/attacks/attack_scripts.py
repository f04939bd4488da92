"""The attacks: scripts of psql that the owner of a preview runs in its own database.

Each aims at something that the operator does for other tenants. An attack may fail: the server refuses some of them.
"""

from dataclasses import dataclass

HOLD_SECONDS = 40  # how long an attack holds a session, a lock or a slot


@dataclass(frozen=True, slots=True)
class Attack:
    """A script, and whether its session stays open while the preview is deleted."""

    name: str
    script: str  # `{neighbour}`: a role of the other tenant; `{project}`: uid of the other tenant's Project
    holds: bool = False


def _run_dynamic(expression: str) -> str:
    """Returns a block that runs the statement that `format` builds."""
    return f"DO $do$ BEGIN EXECUTE {expression}; END $do$;"


def _comment(text: str) -> str:
    """Comments the own database. `text` is an SQL expression."""
    return _run_dynamic(f"format('COMMENT ON DATABASE %I IS %L', current_database(), {text})")


def _set(name: str, value: str) -> str:
    """Sets a parameter of the own database. `value` is an SQL expression."""
    return _run_dynamic(f"format('ALTER DATABASE %I SET {name} = %L', current_database(), {value})")


# psql copies from a program that says nothing: the backend waits in COPY FROM STDIN.
_IDLE_COPY = f"CREATE TABLE silent (id int);\n\\copy silent from program 'sleep {HOLD_SECONDS}'\n"
_ALL_SLOTS = f"""\
\\setenv PGHOST :HOST
\\setenv PGPORT :PORT
\\setenv PGUSER :USER
\\setenv PGDATABASE :DBNAME
\\! for n in $(seq 60); do psql -qXtc 'SELECT pg_sleep({HOLD_SECONDS})' > /dev/null 2>&1 & done; wait
"""
_HOLD = f"SELECT pg_sleep({HOLD_SECONDS});"

ATTACKS = (
    Attack(
        "B1: grants to a neighbour's role",
        'GRANT CREATE ON SCHEMA public TO "{neighbour}"; CREATE TABLE mine (id int);'
        ' GRANT ALL ON mine TO "{neighbour}"; CREATE POLICY p ON mine TO "{neighbour}";'
        ' ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO "{neighbour}";'
        " SELECT lo_create(4711); " + 'GRANT SELECT ON LARGE OBJECT 4711 TO "{neighbour}";',
    ),
    Attack("B2: a comment of 100,000 brackets", _comment("repeat('[', 100000)")),
    Attack("B2: a comment of 20 MB", _comment("repeat('x', 20000000)")),
    Attack(
        "B2: a forged mark of the neighbour's Project",
        _comment("""'{{"pgimport": {{"project_uid": "{project}", "owner_name": "../../x"}}}}'"""),
    ),
    Attack("B3: a template", _run_dynamic("format('ALTER DATABASE %I IS_TEMPLATE true', current_database())")),
    Attack("B3: a setting of 10 MB", _set("application_name", "repeat('x', 10000000)")),
    Attack("B3: a search_path of 1,000 schemas", _set("search_path", "repeat('a, ', 1000) || 'b'")),
    Attack(
        "B3: an open transaction on the own role", f"BEGIN; ALTER ROLE CURRENT_USER SET work_mem = '1MB'; {_HOLD}", True
    ),
    Attack("B3: an open transaction on the own database", "BEGIN; " + _set("work_mem", "'1MB'") + _HOLD, True),
    Attack(
        "B3: VACUUM FULL of a catalogue", f"CREATE TABLE t (id int); VACUUM FULL pg_catalog.pg_class; {_HOLD}", True
    ),
    Attack("B4: a silent COPY", _IDLE_COPY, True),
    Attack("B5: all connections", _ALL_SLOTS, True),
    Attack("B5: advisory locks", f"SELECT pg_advisory_lock(n) FROM generate_series(1, 500) AS n; {_HOLD}", True),  # noqa: S608
)
