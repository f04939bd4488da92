"""Dumps of one small database in every format, an HTTPS server for them, and a bench whose source is that server."""

import bz2
import gzip
import io
import lzma
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import lz4.frame
import pytest
from backports import zstd
from tests.support.https import HttpsServer, body, run_https_server
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench
from tests.worker.engines.file.psql_comparison import Comparison

NAME = "localhost"  # of the server's certificate; the address is checked nevertheless
SHOP = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, feels mood);
INSERT INTO customers SELECT i, E'na\\nme\\t' || i || '\\.', 'happy' FROM generate_series(1, 5000) AS i;
CREATE TABLE orders (id serial PRIMARY KEY, customer int REFERENCES customers, total numeric CHECK (total >= 0));
INSERT INTO orders (customer, total) SELECT 1 + i % 5000, i FROM generate_series(1, 3000) AS i;
CREATE TABLE empty (id int);
CREATE TABLE guarded (id int, note text);
INSERT INTO guarded SELECT i, 'x' FROM generate_series(1, 10) AS i;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
CREATE POLICY one ON guarded USING (id = 1);
CREATE TABLE parted (id int, at date) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (100);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (100) TO (200);
INSERT INTO parted SELECT i, '2026-01-01' FROM generate_series(1, 150) AS i;
CREATE VIEW spenders AS SELECT name, sum(total) FROM customers JOIN orders ON customer = customers.id GROUP BY 1;
CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM orders;
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS $body$ SELECT $1 * 2; -- ';' 
$body$;
CREATE FUNCTION standard() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER teller BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION tell();
CREATE FUNCTION native(int) RETURNS int LANGUAGE internal AS 'int4abs';
COMMENT ON TABLE orders IS 'it''s; "what" was sold';
SELECT lo_from_bytea(4711, 'large'), lo_from_bytea(4712, repeat('x', 100000)::bytea);
SELECT setval('orders_id_seq', 4000);
"""
FORMATS = ("custom", "tar", "directory", "plain")
WRAPPINGS: dict[str, Callable[[bytes], bytes]] = {
    "bare": lambda content: content,
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lz4": lz4.frame.compress,
}


def dump(server: PostgresServer, dbname: str, dump_format: str, folder: Path, *options: str) -> bytes:
    """Runs pg_dump and returns the dump as one file. A directory archive is packed into a tar."""
    path = folder / f"{dbname}-{dump_format}-{len(list(folder.iterdir()))}"
    subprocess.run(
        [server.bin / "pg_dump", f"--format={dump_format}", f"--file={path}", *options, server.url(dbname)], check=True
    )
    if dump_format != "directory":
        return path.read_bytes()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.add(path, "shop")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def dumps(postgres16: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, bytes]]:
    """Returns format → dump of the database `file_shop`, which exists as long as the tests run."""
    folder = tmp_path_factory.mktemp("dumps")
    with postgres16.database("file_shop") as name:
        postgres16.execute(SHOP, name)
        yield {dump_format: dump(postgres16, name, dump_format, folder) for dump_format in FORMATS}


@pytest.fixture(scope="session")
def https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsServer]:
    with run_https_server(tmp_path_factory.mktemp("files"), NAME) as server:
        yield server


@pytest.fixture
def file_bench(bench: Bench, https: HttpsServer) -> Bench:
    """A bench whose source is the file that `serve_dump` puts on the HTTPS server."""
    bench.source_url = https.url("/dump?signature=0123456789")
    (bench.home / "ca").write_bytes(https.ca.read_bytes())
    return bench


@pytest.fixture
def serve_dump(https: HttpsServer) -> Callable[[bytes], None]:
    """Returns a function that sets the content of the bench's dump file."""

    def set_content(content: bytes) -> None:
        https.answers["/dump"] = body(content)

    return set_content


@pytest.fixture
def comparison(file_bench: Bench, serve_dump: Callable[[bytes], None], tmp_path: Path) -> Comparison:
    return Comparison(file_bench, serve_dump, tmp_path)
