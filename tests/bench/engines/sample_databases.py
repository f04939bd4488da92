"""Creates databases from SQL scripts. The same size gives the same rows on every machine."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from psycopg import sql
from tests.support.postgres import PostgresServer

_SQL = Path(__file__).parent / "sql"


@dataclass(frozen=True, slots=True)
class Database:
    """A database and the SQL scripts that create its content."""

    name: str
    title: str
    files: Sequence[str]
    tables: int | None = None  # instead of the number of tables of the size


FEW_TABLES = 60
_MID = ("trade", "events", "tables")
BIG = Database(
    "big", "as pgbench's, TPC-H-like, JSON with GIN, texts, partitions, large objects", ("bank", *_MID, "large_objects")
)
MID = Database("mid", "`big` without pgbench's tables and large objects: many indexes for its size", _MID)
SMALL = Database("small", "nearly empty tables with an identity column", ("many",))
OBJECTS = Database("objects", "large objects of some kilobytes, and nothing else", ("large_objects",))
FEW = Database("few", f"{FEW_TABLES} nearly empty tables with an identity column", ("many",), tables=FEW_TABLES)
EMPTY = Database("empty", "an empty database", ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Numbers of rows, tables and objects. Round numbers keep the arithmetic of the scripts simple."""

    accounts: int
    lines: int
    events: int
    documents: int
    measurements: int
    large_objects: int
    tables: int


FULL = Size(
    accounts=10_000_000,
    lines=1_600_000,
    events=320_000,
    documents=60_000,
    measurements=1_200_000,
    large_objects=5_000,
    tables=2_000,
)
QUICK = Size(
    accounts=200_000, lines=48_000, events=12_000, documents=2_000, measurements=36_000, large_objects=100, tables=60
)


def fill_database(server: PostgresServer, database: Database, size: Size, enter: Sequence[str] = ()) -> None:
    """Create the database, analyse it and write it to disk.

    `enter` is a command prefix that runs psql in the server's network namespace, where the round trip is short.
    Raises RuntimeError if a script fails.
    """
    name = sql.Identifier(database.name)
    with server.connect() as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
    if database.tables is not None:
        size = replace(size, tables=database.tables)
    variables = [f"--set={field}={getattr(size, field)}" for field in Size.__dataclass_fields__]
    files = [f"--file={_SQL / file}.sql" for file in ("random_numbers", *database.files)]
    psql: list[str | Path] = [
        *enter,
        server.bin / "psql",
        "--quiet",
        "--no-psqlrc",
        "--set=ON_ERROR_STOP=1",
        "--output=/dev/null",
    ]
    process = subprocess.run(
        [*psql, *variables, *files],
        env=connection_environment(server, database.name),
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode != 0:
        raise RuntimeError(f"the database {database.name} cannot be created: {process.stderr}")
    for statement in ("VACUUM (ANALYZE, FREEZE)", "CHECKPOINT"):
        server.execute(statement, database.name)


def connection_environment(server: PostgresServer, dbname: str) -> Mapping[str, str]:
    """Return libpq's environment variables. They keep the password out of the argument list."""
    return {
        "PATH": os.defpath,
        "PGHOST": server.host,
        "PGPORT": str(server.port),
        "PGUSER": "postgres",
        "PGPASSWORD": server.superuser_password,
        "PGDATABASE": dbname,
        "PGSSLMODE": "disable",
    }


def database_bytes(server: PostgresServer, dbname: str) -> int:
    """Read the size of the database on the server's disk."""
    return int(server.query("SELECT pg_database_size(current_database())", dbname)[0][0])
