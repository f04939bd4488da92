"""Two PostgreSQL servers, a file server and a `PATH` for blocks that need no cluster.

The pages name a source at `db.example.com`, a target server at `localhost`, and dump files at `files.example.com`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.docs.blocks import ROOT
from tests.docs.sessions import Session
from tests.support.https import body, run_https_server
from tests.support.postgres import PostgresServer, installation

SOURCE = "postgresql://reader:secret@db.example.com:5432/shop"
TARGET = "postgresql://admin:secret@localhost:5432/shop_copy"
DUMP = "https://files.example.com/shop.dump"
TARGET_DATABASE = "shop_copy"
# The pages show one run each; a page that makes a database leaves none of these behind.
OWNER_ROLES = ("shop_copy_owner",)
MINORS = {16: "16.99", 18: "18.99"}  # what current_clients report: the test servers' own are a few minors old
PROGRAMS = ("pg_dump", "pg_restore", "psql")

SHOP = """
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE);
CREATE TABLE orders (
    id int PRIMARY KEY, customer int NOT NULL REFERENCES customers, placed_on date NOT NULL, cents int NOT NULL
);
CREATE INDEX orders_customer ON orders (customer);
CREATE VIEW revenue AS SELECT date_trunc('month', placed_on) AS month, sum(cents) AS cents FROM orders GROUP BY 1;
CREATE TABLE sessions (id uuid PRIMARY KEY, customer int NOT NULL REFERENCES customers, token text NOT NULL);
CREATE SCHEMA audit;
CREATE TABLE audit.log (at timestamptz NOT NULL, entry text NOT NULL);
INSERT INTO customers SELECT i, 'Customer ' || i, 'customer' || i || '@example.org' FROM generate_series(1, 5000) i;
INSERT INTO orders
    SELECT i, 1 + i % 5000, date '2026-01-01' + i % 300, 500 + i * 37 % 9000 FROM generate_series(1, 60000) i;
INSERT INTO sessions SELECT md5(i::text)::uuid, i, md5('token' || i) FROM generate_series(1, 2000) i;
INSERT INTO audit.log
    SELECT timestamptz '2026-01-01 00:00Z' + i * interval '1 minute', 'login' FROM generate_series(1, 8000) i;
"""


@contextmanager
def open_session(
    source: PostgresServer, target: PostgresServer, folder: Path, variables: dict[str, str] | None = None
) -> Iterator[Session]:
    """Yields a session whose source is filled; roles and databases are gone afterwards."""
    (folder / "https").mkdir()
    (folder / "work").mkdir()
    _drop_target(target)
    source.execute("DROP ROLE IF EXISTS reader")
    source.execute("CREATE ROLE reader LOGIN PASSWORD 'secret'")
    target.execute("DROP ROLE IF EXISTS docs_admin")
    target.execute("CREATE ROLE docs_admin LOGIN CREATEDB CREATEROLE PASSWORD 'secret'")
    target.execute("GRANT CONNECT ON DATABASE postgres TO docs_admin")
    try:
        with source.database("shop"), run_https_server(folder / "https", "localhost") as files:
            source.execute(SHOP, "shop")
            source.execute(
                "GRANT USAGE ON SCHEMA audit TO reader;GRANT SELECT ON ALL TABLES IN SCHEMA public, audit TO reader",
                "shop",
            )
            files.answers["/shop.dump"] = body(_dump(source))
            (folder / "work" / "ca.pem").write_bytes(files.ca.read_bytes())
            yield Session(
                folder=folder / "work",
                environment={**_environment(folder), **(variables or {})},
                replacements={
                    f"{SOURCE}?sslmode=verify-full": source.url("shop", "reader", "secret"),
                    SOURCE: source.url("shop", "reader", "secret"),
                    SOURCE.replace("secret", "wrong"): source.url("shop", "reader", "wrong"),
                    TARGET: target.url(TARGET_DATABASE, "docs_admin", "secret"),
                    DUMP: files.url("/shop.dump"),
                    "files.example.com:443": f"localhost:{files.port}",
                    "db.example.com:5432": f"{source.host}:{source.port}",
                    "localhost:5432": f"{target.host}:{target.port}",
                },
            )
    finally:
        _drop_target(target)
        target.execute("REVOKE CONNECT ON DATABASE postgres FROM docs_admin; DROP ROLE docs_admin")
        source.execute("DROP ROLE reader")


def _drop_target(target: PostgresServer) -> None:
    target.execute(f"DROP DATABASE IF EXISTS {TARGET_DATABASE} WITH (FORCE)")
    for role in OWNER_ROLES:
        target.execute(f"DROP ROLE IF EXISTS {role}")


def _dump(source: PostgresServer) -> bytes:
    command = [str(source.bin / "pg_dump"), "--format=custom", source.url("shop")]
    return subprocess.run(command, check=True, capture_output=True).stdout


def _environment(folder: Path) -> dict[str, str]:
    """A PATH with `pgimport` and PostgreSQL's clients, and nothing of libpq's variables."""
    programs = folder / "bin"
    programs.mkdir()
    write_program(programs / "pgimport", f'exec {sys.executable} -m pgimport cli "$@"')
    clients = folder / "clients"
    for major, minor in MINORS.items():
        (clients / str(major) / "bin").mkdir(parents=True)
        for name in PROGRAMS:
            program = installation(major) / "bin" / name
            # Built without lz4: what a page says of compression is not tried here.
            write_program(
                clients / str(major) / "bin" / name,
                f'if [ "$1" = --version ]; then echo "{name} (PostgreSQL) {minor}"; exit; fi\n'
                f'exec {program} "${{@/--compress=lz4/--compress=gzip:1}}"',
            )
    (programs / "psql").symlink_to(clients / "18" / "bin" / "psql")
    scratch = folder / "scratch"
    scratch.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {
        **kept,
        "PATH": f"{programs}:{kept['PATH']}",
        "PYTHONPATH": str(ROOT / "operator"),
        "PGIMPORT_CLIENTS": str(clients),
        "TMPDIR": str(scratch),
        "COLUMNS": "110",
        "LC_ALL": "C.UTF-8",
    }


def write_program(path: Path, script: str) -> None:
    """Writes an executable bash script."""
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)
