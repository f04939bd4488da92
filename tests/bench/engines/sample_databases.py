"""A size comes in; databases made by script go out: the same rows on every machine, without chance."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql
from tests.support.postgres import PostgresServer

_SQL = Path(__file__).parent / "sql"


@dataclass(frozen=True, slots=True)
class Database:
    """Files of SQL, and how many rows they make."""

    name: str
    title: str
    files: Sequence[str]


_MID = ("trade", "events", "tables")
BIG = Database("big", "as pgbench's, TPC-H-like, JSON with GIN, texts, partitions, large objects",
               ("bank", *_MID, "large_objects"))  # fmt: skip
MID = Database("mid", "`big` without pgbench's tables and large objects: many indexes for its size", _MID)
SMALL = Database("small", "nearly empty tables with an identity column", ("many",))
OBJECTS = Database("objects", "large objects of some kilobytes, and nothing else", ("large_objects",))
EMPTY = Database("empty", "nothing", ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Rows, tables and objects; whole multiples keep the scripts' arithmetic simple."""

    accounts: int
    lines: int
    events: int
    documents: int
    measurements: int
    large_objects: int
    tables: int


FULL = Size(
    accounts=10_000_000, lines=1_600_000, events=320_000, documents=60_000, measurements=1_200_000,
    large_objects=5_000, tables=2_000,
)  # fmt: skip
QUICK = Size(
    accounts=200_000, lines=48_000, events=12_000, documents=2_000, measurements=36_000, large_objects=100, tables=60
)


def fill_database(server: PostgresServer, database: Database, size: Size, enter: Sequence[str] = ()) -> None:
    """Made from nothing, analysed, and on disk afterwards; `enter`: what starts psql where the server is near."""
    name = sql.Identifier(database.name)
    with server.connect() as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
    variables = [f"--set={one}={getattr(size, one)}" for one in Size.__dataclass_fields__]
    files = [f"--file={_SQL / one}.sql" for one in ("chance", *database.files)]
    psql: list[str | Path] = [
        *enter,
        server.bin / "psql",
        "--quiet",
        "--no-psqlrc",
        "--set=ON_ERROR_STOP=1",
        "--output=/dev/null",
    ]
    done = subprocess.run(
        [*psql, *variables, *files], env=connecting(server, database.name), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{database.name} was not made: {done.stderr}")
    for statement in ("VACUUM (ANALYZE, FREEZE)", "CHECKPOINT"):
        server.execute(statement, database.name)


def connecting(server: PostgresServer, dbname: str) -> Mapping[str, str]:
    """libpq's variables: passwords stay out of argument lists."""
    return {
        "PATH": os.defpath, "PGHOST": server.host, "PGPORT": str(server.port), "PGUSER": "postgres",
        "PGPASSWORD": server.superuser_password, "PGDATABASE": dbname, "PGSSLMODE": "disable",
    }  # fmt: skip


def database_bytes(server: PostgresServer, dbname: str) -> int:
    """On the server's disk."""
    return int(server.query("SELECT pg_database_size(current_database())", dbname)[0][0])
