"""Sources with settings that once made every import fail: a standby, old encodings, read-only defaults, enum keys."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from psycopg import sql
from psycopg.pq import ExecStatus
from tests.support.postgres import PostgresServer, run_postgres
from tests.worker.conftest import Bench

ENGINES = ["relay", "dump"]


@contextmanager
def standby_of(primary: PostgresServer) -> Iterator[PostgresServer]:
    """Restarts the server as a hot standby of its own data directory."""
    ((data,),) = primary.query("SHOW data_directory")
    folder = Path(data)
    user, group = (folder.stat().st_uid, folder.stat().st_gid) if os.geteuid() == 0 else (None, None)

    def control(*arguments: str) -> None:
        subprocess.run(
            [primary.bin / "pg_ctl", "-D", data, "-w", *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"LC_ALL": "C"},
            cwd=folder,
            user=user,
            group=group,
        )

    control("stop", "-m", "fast")
    (folder / "standby.signal").touch()
    options = f"-p {primary.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
    control("start", "-o", f"{options} -c max_prepared_transactions=5", "-l", str(folder / "standby.log"))
    try:
        yield primary
    finally:
        control("stop", "-m", "fast")


UNLOGGED = """
CREATE TABLE kept (id int PRIMARY KEY, note text);
INSERT INTO kept VALUES (1, 'one');
CREATE UNLOGGED TABLE cache (id serial PRIMARY KEY, kept int REFERENCES kept, body text);
INSERT INTO cache (kept, body) VALUES (1, 'x');
CREATE UNLOGGED TABLE identities (id bigint GENERATED ALWAYS AS IDENTITY, body text);
CREATE VIEW cached AS SELECT body FROM cache;
CREATE UNLOGGED SEQUENCE loose;
CREATE TABLE parts (id int) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE UNLOGGED TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
INSERT INTO parts VALUES (1), (11);
"""


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_unlogged_relations_of_a_standby_are_skipped_and_named(
    bench: Bench, postgres18: PostgresServer, engine: str
) -> None:
    with run_postgres(16, hot_standby="on", wal_level="replica") as primary:
        primary.execute("CREATE DATABASE shop")
        primary.execute(UNLOGGED, "shop")
        with standby_of(primary) as standby:
            bench.source_url = standby.url("shop")
            with bench.shadow() as shadow:
                result = bench.run(engine=engine)
                assert result.ok, result.failure
                assert postgres18.query("SELECT * FROM kept", shadow) == [(1, "one")]
                assert postgres18.query("SELECT * FROM parts", shadow) == [(1,)]
    skipped = {item.object: item.reason for item in result.skipped}
    assert {name for name, reason in skipped.items() if "unlogged" in reason} == {
        "TABLE public.cache",
        "TABLE public.identities",
        "TABLE public.parts_2",
        "SEQUENCE public.cache_id_seq",
        "SEQUENCE public.identities_id_seq",
        "SEQUENCE public.loose",
    }
    assert "VIEW public.cached" in skipped


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("encoding", "values"),
    [
        ("SQL_ASCII", [b"plain"]),
        ("SQL_ASCII", [b"plain", b"m\xe4rz", "März".encode(), b"\xff\xfe\x80"]),
        ("EUC_TW", [b"plain", b"\xc4\xe3\xc5\xc6"]),
        ("MULE_INTERNAL", [b"plain", b"\x81\xe4", b"\x92\xa4\xa2"]),
    ],
    ids=["ASCII only", "bytes above 127", "EUC_TW", "MULE_INTERNAL"],
)
def test_bytes_of_an_old_encoding_are_equal(
    bench: Bench,
    postgres16: PostgresServer,
    postgres18: PostgresServer,
    engine: str,
    encoding: str,
    values: list[bytes],
) -> None:
    name = f"old_{encoding.lower()}"
    postgres16.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'")
    try:
        with postgres16.connect(name) as connection:
            connection.execute(f"SET client_encoding = '{'LATIN1' if encoding == 'SQL_ASCII' else 'SQL_ASCII'}'")
            connection.pgconn.exec_(b"CREATE TABLE texts (id serial PRIMARY KEY, body text UNIQUE)")
            connection.pgconn.exec_(b"CREATE VIEW long AS SELECT * FROM texts WHERE length(body) > 3")
            for value in values:
                inserted = connection.pgconn.exec_params(b"INSERT INTO texts (body) VALUES ($1)", [value])
                assert inserted.status == ExecStatus.COMMAND_OK, inserted.error_message
        bench.source_url = postgres16.url(name)
        preflight = bench.preflight()
        assert preflight.ok, preflight.failure
        with bench.shadow(encoding=encoding) as shadow:
            result = bench.run(engine=engine)
            assert result.ok, result.failure
            assert read_bytes(postgres18, shadow) == sorted(values)
    finally:
        postgres16.execute(f"DROP DATABASE {name} WITH (FORCE)")


def read_bytes(server: PostgresServer, database: str) -> list[bytes]:
    with server.connect(database) as connection:
        result = connection.pgconn.exec_(b"SELECT encode(textsend(body), 'hex') FROM texts")
        return sorted(bytes.fromhex((result.get_value(row, 0) or b"").decode()) for row in range(result.ntuples))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_read_only_defaults_at_both_ends_do_not_matter(
    bench: Bench, postgres16: PostgresServer, postgres18: PostgresServer, engine: str
) -> None:
    with postgres16.database("calm"):
        postgres16.execute(
            "CREATE TABLE t AS SELECT 1 AS x; ALTER DATABASE calm SET default_transaction_read_only = on", "calm"
        )
        bench.source_url = postgres16.url("calm")
        with bench.shadow(login=False) as shadow:
            with postgres18.connect() as superuser:
                for kind, name in (("DATABASE", shadow), ("ROLE", bench.names.role)):
                    superuser.execute(
                        sql.SQL("ALTER {} {} SET default_transaction_read_only = on").format(
                            sql.SQL(kind), sql.Identifier(name)
                        )
                    )
            bench.open_gate()
            result = bench.run(engine=engine)
            assert result.ok, result.failure
            assert postgres18.query("SELECT x FROM t", shadow) == [(1,)]


ENUM_KEYS = """
CREATE TYPE color AS ENUM ('red', 'green', 'blue', 'black', 'white');
CREATE DOMAIN shade AS color;
CREATE DOMAIN deep_shade AS shade;
CREATE FUNCTION mix(color) RETURNS color LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE TYPE pair AS (c color, n int);
"""
KEYS = {
    "an enum": "c",
    "an expression": "(mix(c))",
    "a domain over a domain": "d",
    "an array of enums": "a",
    "a composite type": "p",
    "a range of enums": "r",
    "a regtype": "t",
    "two columns": "n, c",
}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_hash_partitions_whose_hashes_follow_oids_arrive(
    bench: Bench, postgres16: PostgresServer, postgres18: PostgresServer, engine: str
) -> None:
    with postgres16.database("colors"):
        postgres16.execute(ENUM_KEYS + "CREATE TYPE colors AS RANGE (subtype = color)", "colors")
        for number, key in enumerate(KEYS.values()):
            postgres16.execute(
                f"""
                CREATE TABLE t{number} (n int, c color, d deep_shade, a color[], p pair, r colors, t regtype)
                    PARTITION BY HASH ({key});
                CREATE TABLE t{number}_0 PARTITION OF t{number} FOR VALUES WITH (MODULUS 3, REMAINDER 0);
                CREATE TABLE t{number}_1 PARTITION OF t{number} FOR VALUES WITH (MODULUS 3, REMAINDER 1);
                CREATE TABLE t{number}_2 PARTITION OF t{number} FOR VALUES WITH (MODULUS 3, REMAINDER 2);
                INSERT INTO t{number} SELECT n, c, c, ARRAY[c], ROW(c, n)::pair, colors(c, c, '[]'), 'color'
                FROM generate_series(1, 5) AS n, unnest(enum_range(NULL::color)) AS c;
                """,  # noqa: S608 (constants)
                "colors",
            )
        bench.source_url = postgres16.url("colors")
        with bench.shadow() as shadow:
            # Types of other databases make the OIDs differ.
            postgres18.execute("CREATE TYPE ahead AS ENUM ('a', 'b', 'c', 'd', 'e', 'f', 'g'); DROP TYPE ahead", shadow)
            result = bench.run(engine=engine)
            assert result.ok, result.failure
            for number, key in enumerate(KEYS.values()):
                query = f"SELECT n, c::text FROM t{number} ORDER BY 1, 2"  # noqa: S608 (constants)
                assert postgres18.query(query, shadow) == postgres16.query(query, "colors"), key


@pytest.mark.slow
def test_a_hash_key_of_a_common_type_is_copied_by_partition(postgres16: PostgresServer) -> None:
    from pgimport.worker.scope.live_scope import SourceScope
    from pgimport.worker.scope.snapshot import take_snapshot

    with postgres16.database("common"):
        postgres16.execute(
            """
            CREATE DOMAIN code AS text;
            CREATE TABLE t (i int, c code, u uuid, v varchar(9)) PARTITION BY HASH (i, c, u, (lower(v)));
            CREATE TABLE t_0 PARTITION OF t FOR VALUES WITH (MODULUS 1, REMAINDER 0);
            """,
            "common",
        )
        with postgres16.connect("common") as connection:
            snapshot = take_snapshot(connection, SourceScope())
    assert {table.title: table.counted_as for table in snapshot.tables} == {"public.t": None, "public.t_0": None}
