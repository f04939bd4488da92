"""PostGIS and pg_partman, which only a superuser can create, come from a template in imports by every path."""

from collections.abc import Iterator

import pytest
from tests.real.extension_servers import run_server_with_extensions
from tests.real.imports import COPY, ImportPath, ImportResult
from tests.real.servers import RealServers
from tests.real.sources import Source, create_source, import_by, imported, run_script
from tests.support.postgres import ADMIN, PostgresServer

pytestmark = pytest.mark.real

TEMPLATE = f"""
CREATE DATABASE preview_template TEMPLATE template0;
\\connect preview_template
CREATE EXTENSION postgis SCHEMA public;
GRANT SELECT, INSERT, UPDATE, DELETE ON spatial_ref_sys TO {ADMIN} WITH GRANT OPTION;
CREATE SCHEMA partman;
CREATE EXTENSION pg_partman SCHEMA partman;
GRANT USAGE, CREATE ON SCHEMA partman TO {ADMIN} WITH GRANT OPTION;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA partman TO {ADMIN} WITH GRANT OPTION;
\\connect postgres
ALTER DATABASE preview_template IS_TEMPLATE true ALLOW_CONNECTIONS false;
"""
SOURCE = """
CREATE EXTENSION postgis SCHEMA public;
CREATE SCHEMA partman;
CREATE EXTENSION pg_partman SCHEMA partman;
INSERT INTO spatial_ref_sys (srid, auth_name, auth_srid, srtext, proj4text)
  VALUES (990001, 'shop', 1, 'LOCAL_CS["shop"]', '+proj=longlat +datum=WGS84 +no_defs');
CREATE TABLE places (id int PRIMARY KEY, at geometry(Point, 4326), in_shop geometry(Point, 990001), area geography);
INSERT INTO places SELECT i, ST_SetSRID(ST_MakePoint(i, i), 4326), ST_SetSRID(ST_MakePoint(i, -i), 990001),
  ST_Buffer(ST_SetSRID(ST_MakePoint(i, i), 4326)::geography, 10) FROM generate_series(1, 50) AS i;
CREATE INDEX places_at ON places USING gist (at);
CREATE VIEW near AS SELECT id FROM places WHERE ST_DWithin(at, ST_SetSRID(ST_MakePoint(1, 1), 4326), 5);
CREATE TABLE events (id int, created_at timestamptz NOT NULL DEFAULT now()) PARTITION BY RANGE (created_at);
SELECT partman.create_parent('public.events', 'created_at', 'native', 'daily');
INSERT INTO events (id) SELECT generate_series(1, 100);
"""
# The relay refuses such a source by name: only pg_dump copies rows of users in tables of extensions.
PATHS = [path for path in ImportPath if path is not ImportPath.RELAY]
# What the copy must answer as the source does.
QUERIES = (
    "SELECT srid, auth_name, proj4text FROM spatial_ref_sys ORDER BY 1",
    "SELECT id, ST_AsEWKT(at), ST_AsEWKT(in_shop), ST_AsEWKT(area::geometry) FROM places ORDER BY 1",
    "SELECT id FROM near ORDER BY 1",
    "SELECT tableoid::regclass::text, id, created_at FROM events ORDER BY 2",
    "SELECT * FROM partman.part_config ORDER BY 1",
    "SELECT extname::text, extversion, extnamespace::regnamespace::text FROM pg_extension ORDER BY 1",
)


@pytest.fixture(scope="module")
def server(servers: RealServers) -> Iterator[PostgresServer]:
    """A server with the extensions, and with the template of the documentation."""
    clients = servers.clients.with_name("clients")
    with run_server_with_extensions(clients) as running:
        run_script(running, "postgres", TEMPLATE)
        yield running


@pytest.fixture(scope="module")
def source(server: PostgresServer) -> Iterator[Source]:
    with create_source(server, "maps", SOURCE) as created:
        yield created


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_extensions_of_a_template_arrive_with_the_users_rows(
    servers: RealServers, server: PostgresServer, source: Source, path: ImportPath
) -> None:
    with imported(_import(servers, path, source, server), server) as result:
        assert result.code == 0, result.err
        assert result.skipped == []
        for query in QUERIES:
            assert server.query(query, COPY) == server.query(query, source.database), query


def test_the_owner_of_the_copy_can_use_the_extensions(
    servers: RealServers, server: PostgresServer, source: Source
) -> None:
    with imported(_import(servers, ImportPath.DUMP, source, server), server) as result:
        assert result.code == 0, result.err
        with server.connect(COPY) as connection:
            connection.execute(f'SET ROLE "{COPY}_owner"'.encode())
            parents = connection.execute("SELECT parent_table FROM partman.part_config").fetchall()
            assert parents == [("public.events",)]
            connection.execute("UPDATE partman.part_config SET premake = premake + 2")
            connection.execute("SELECT partman.run_maintenance()")
            connection.execute("INSERT INTO spatial_ref_sys (srid) VALUES (990002)")
        count = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass"
        ((partitions,),) = server.query(count, COPY)
        ((partitions_before,),) = server.query(count, source.database)
        assert partitions == partitions_before + 2


def _import(servers: RealServers, path: ImportPath, source: Source, server: PostgresServer) -> ImportResult:
    allowed = [argument for name in ("postgis", "pg_partman") for argument in ("--allow-extension", name)]
    return import_by(servers, path, source, server, "--template", "preview_template", *allowed)
