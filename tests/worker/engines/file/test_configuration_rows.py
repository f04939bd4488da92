"""Users' rows of extensions' configuration tables, whose other rows belong to the extension."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.postgres import PostgresServer, run_postgres
from tests.worker.conftest import Bench, list_skipped
from tests.worker.engines.file.conftest import dump

from pgimport.model.import_choices import Engine, SkipGroup
from pgimport.worker.engines.configuration_rows import ConfigurationStaging, ConfigurationTable

ServeDump = Callable[[bytes], None]
EXTENSION = "pgimport_systems"
# Like PostGIS: rows of the extension in a table that users extend. Version 1.1 adds a row with a key of a user, and a
# column, and lacks a function. `settings` and `jobs` are like pg_partman's: all rows belong to users, and one table
# refers to another.
VERSIONS = {
    "1.0": """
CREATE TABLE systems (id int PRIMARY KEY, name text, doubled int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO systems VALUES (1, 'theirs'), (2, 'theirs');
SELECT pg_catalog.pg_extension_config_dump('systems', 'WHERE id NOT IN (1, 2)');
CREATE TABLE settings (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
INSERT INTO settings (name) VALUES ('default');
SELECT pg_catalog.pg_extension_config_dump('settings', '');
CREATE TABLE jobs (setting int REFERENCES settings, note text);
CREATE TABLE kinds (id int);
INSERT INTO kinds VALUES (1);
SELECT pg_catalog.pg_extension_config_dump('jobs', '');
CREATE FUNCTION old() RETURNS int LANGUAGE sql AS 'SELECT 1';
""",
    "1.1": """
CREATE TABLE systems (id int PRIMARY KEY, name text, doubled int GENERATED ALWAYS AS (id * 2) STORED,
    checked boolean NOT NULL DEFAULT true);
INSERT INTO systems VALUES (1, 'theirs'), (2, 'theirs'), (1000, 'theirs');
SELECT pg_catalog.pg_extension_config_dump('systems', 'WHERE id NOT IN (1, 2, 1000)');
CREATE TABLE settings (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
INSERT INTO settings (name) VALUES ('default');
SELECT pg_catalog.pg_extension_config_dump('settings', '');
CREATE TABLE jobs (setting int REFERENCES settings, note text);
CREATE TABLE kinds (id int);
INSERT INTO kinds VALUES (1);
SELECT pg_catalog.pg_extension_config_dump('jobs', '');
""",
}
# Like periods: while a trigger is missing that a row names, event triggers refuse each DDL.
GUARDING = """
CREATE TABLE guarded (trigger text);
SELECT pg_catalog.pg_extension_config_dump('guarded', '');
CREATE FUNCTION guard() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF EXISTS (SELECT trigger FROM public.guarded EXCEPT SELECT tgname FROM pg_catalog.pg_trigger) THEN
        RAISE 'a trigger is missing';
    END IF;
END $$;
CREATE EVENT TRIGGER guard_drop ON sql_drop EXECUTE FUNCTION guard();
CREATE EVENT TRIGGER guard_end ON ddl_command_end EXECUTE FUNCTION guard();
"""
GUARDED = """
CREATE EXTENSION pgimport_guard SCHEMA public;
CREATE TABLE t (id int PRIMARY KEY CHECK (id > 0));
INSERT INTO t VALUES (1);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER teller BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION tell();
INSERT INTO guarded VALUES ('teller');
"""
SOURCE = """
CREATE EXTENSION pgimport_systems SCHEMA public VERSION '1.0';
INSERT INTO systems VALUES (1000, 'ours'), (1001, E'ours\\n\\\\.');
DELETE FROM settings;
INSERT INTO settings (id, name) OVERRIDING SYSTEM VALUE VALUES (7, 'ours');
INSERT INTO jobs VALUES (7, 'ours');
CREATE TABLE places (id int, system int REFERENCES systems);
INSERT INTO places VALUES (1, 1001);
"""
GRANTS = "SELECT, INSERT, UPDATE, DELETE, REFERENCES"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with tempfile.TemporaryDirectory(prefix="pgimport-tests-extensions-") as folder:
        extension_folder = Path(folder) / "extension"
        extension_folder.mkdir()
        (extension_folder / f"{EXTENSION}.control").write_text("default_version = '1.1'\nrelocatable = true\n")
        for version, script in VERSIONS.items():
            (extension_folder / f"{EXTENSION}--{version}.sql").write_text(script)
        (extension_folder / "pgimport_guard.control").write_text("default_version = '1'\n")
        (extension_folder / "pgimport_guard--1.sql").write_text(GUARDING)
        for path in (Path(folder), extension_folder):
            path.chmod(0o755)
        with run_postgres(18, extension_control_path=f"$system:{folder}") as running:
            yield running


@pytest.fixture(scope="module")
def source(server: PostgresServer) -> Iterator[str]:
    with server.database("systems_source") as name:
        server.execute(SOURCE, name)
        yield name


def prepare_bench(
    file_bench: Bench, serve_dump: ServeDump, server: PostgresServer, source: str, folder: Path, path: str
) -> Bench:
    """A bench whose source is a dump in the format `path`, or the database itself for `live`."""
    bench = replace(file_bench, target=server)
    if path == "live":
        bench.source_url = server.url(source)
        (bench.home / "ca").unlink()
    else:
        serve_dump(dump(server, source, path, folder))
    return bench


@contextmanager
def prepared_shadow(bench: Bench, version: str, grants: str = GRANTS) -> Iterator[str]:
    """A shadow with the extension, on whose tables the attempt's role has these privileges."""
    with bench.shadow(login=False) as shadow:
        bench.target.execute(f"CREATE EXTENSION {EXTENSION} SCHEMA public VERSION '{version}'", shadow)
        if grants:
            bench.target.execute(f'GRANT {grants} ON systems, settings, jobs, kinds TO "{bench.names.role}"', shadow)
            sequences = f'GRANT UPDATE, SELECT ON SEQUENCE settings_id_seq TO "{bench.names.role}"'
            bench.target.execute(sequences, shadow)
        bench.open_gate()
        yield shadow


def read_rows(server: PostgresServer, dbname: str) -> dict[str, list[tuple[object, ...]]]:
    return {
        "systems": server.query("SELECT id, name, doubled FROM systems ORDER BY id", dbname),
        "settings": server.query("SELECT id, name FROM settings ORDER BY id", dbname),
        "jobs": server.query("SELECT setting, note FROM jobs", dbname),
        "places": server.query("SELECT id, system FROM places", dbname),
    }


@pytest.mark.parametrize("path", ["custom", "tar", "directory", "live"])
def test_rows_of_users_are_restored_beside_those_of_the_extension(
    file_bench: Bench, serve_dump: ServeDump, server: PostgresServer, source: str, tmp_path: Path, path: str
) -> None:
    bench = prepare_bench(file_bench, serve_dump, server, source, tmp_path, path)
    with prepared_shadow(bench, "1.0") as shadow:
        result = bench.run(allowed_extensions=[EXTENSION])
        assert result.ok, result.failure
        assert read_rows(server, shadow) == read_rows(server, source)
        # Seen before: the sequence stood at 1, so the next row would have violated the primary key.
        assert server.query("SELECT nextval('settings_id_seq')", shadow) == [(8,)]
        assert server.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'pgimport%'", shadow) == []
    assert result.verification is not None
    assert result.verification.verified


@pytest.mark.parametrize("path", ["custom", "directory", "live"])
def test_a_row_that_a_newer_version_of_the_extension_brings_stays(
    file_bench: Bench, serve_dump: ServeDump, server: PostgresServer, source: str, tmp_path: Path, path: str
) -> None:
    bench = prepare_bench(file_bench, serve_dump, server, source, tmp_path, path)
    with prepared_shadow(bench, "1.1") as shadow:
        result = bench.run(allowed_extensions=[EXTENSION])
        assert result.ok, result.failure
        systems = server.query("SELECT id, name, checked FROM systems ORDER BY id", shadow)
    assert systems == [
        (1, "theirs", True),
        (2, "theirs", True),
        (1000, "theirs", True),
        (1001, "ours\n\\.", True),
    ]
    assert result.verification is not None
    note = "1 of 2 rows of public.systems were not restored: the target's version of extension pgimport_systems"
    assert any(text.startswith(note) for text in result.verification.notes)


@pytest.mark.parametrize("path", ["custom", "directory"])
def test_rows_that_the_target_refuses_are_skipped_with_their_number(
    file_bench: Bench, serve_dump: ServeDump, server: PostgresServer, source: str, tmp_path: Path, path: str
) -> None:
    """The foreign key of `places` finds no row then, so its table is not in this dump."""
    bench = replace(file_bench, target=server)
    serve_dump(dump(server, source, path, tmp_path, "--exclude-table=places"))
    with prepared_shadow(bench, "1.0", grants="") as shadow:
        result = bench.run(allowed_extensions=[EXTENSION])
        assert result.ok, result.failure
        assert server.query("SELECT id FROM systems ORDER BY id", shadow) == [(1,), (2,)]
    assert "TABLE DATA public.systems: permission denied for table systems" in list_skipped(result)


@pytest.mark.parametrize("path", ["custom", "directory", "live"])
def test_rows_of_an_extension_that_is_skipped_do_not_end_the_import(
    file_bench: Bench, serve_dump: ServeDump, server: PostgresServer, source: str, tmp_path: Path, path: str
) -> None:
    """Seen before: `TABLE DATA systems: relation "public.systems" does not exist` ended the import."""
    bench = prepare_bench(file_bench, serve_dump, server, source, tmp_path, path)
    engine = Engine.DUMP if path == "live" else Engine.AUTO
    with bench.shadow() as shadow:
        result = bench.run(engine=engine)
        assert result.ok, result.failure
        assert server.query("SELECT * FROM places", shadow) == [(1, 1001)]
    rows = {item.object: item.rows for item in result.skipped if item.object.startswith("TABLE DATA")}
    dumped = {"TABLE DATA public.systems": 2, "TABLE DATA public.settings": 1, "TABLE DATA public.jobs": 1}
    assert rows == dumped | ({"TABLE DATA public.kinds": 1} if path == "live" else {})
    assert "its table belongs to an extension that is skipped (pgimport_systems)" in list_skipped(result)


@pytest.mark.parametrize("path", ["custom", "directory", "live"])
def test_rows_that_an_event_trigger_of_their_extension_reads_come_last(
    file_bench: Bench, serve_dump: ServeDump, server: PostgresServer, tmp_path: Path, path: str
) -> None:
    """Seen before: an import of `periods` ended when the staging tables were dropped."""
    with server.database("guarded_source") as source:
        for statement in GUARDED.split(";\n"):
            server.execute(statement, source)
        bench = prepare_bench(file_bench, serve_dump, server, source, tmp_path, path)
        with bench.shadow(login=False) as shadow:
            bench.target.execute("CREATE EXTENSION pgimport_guard SCHEMA public", shadow)
            bench.target.execute(f'GRANT ALL ON guarded TO "{bench.names.role}"', shadow)
            bench.open_gate()
            result = bench.run(allowed_extensions=["pgimport_guard"])
            assert result.ok, result.failure
            assert server.query("SELECT * FROM guarded", shadow) == [("teller",)]
    assert result.skipped == []


ADDED = """
CREATE EXTENSION pgimport_systems SCHEMA public VERSION '1.0';
INSERT INTO kinds VALUES (2), (3);
CREATE TABLE added (id int PRIMARY KEY);
INSERT INTO added VALUES (1), (2);
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1';
ALTER EXTENSION pgimport_systems ADD TABLE added;
ALTER EXTENSION pgimport_systems ADD FUNCTION twice;
"""


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_what_a_dump_leaves_out_of_an_extension_is_listed(bench: Bench, server: PostgresServer, version: str) -> None:
    """Seen before: a verified copy lacked a table that ALTER EXTENSION added, and rows in tables of an extension."""
    bench = replace(bench, target=server)
    with server.database("members") as name, prepared_shadow(bench, version):
        server.execute(ADDED, name)
        bench.source_url = server.url(name)
        result = bench.run(allowed_extensions=[EXTENSION])
    assert result.ok, result.failure
    listed = {item.object: (item.rows, item.group) for item in result.skipped}
    assert listed["TABLE public.added"] == (2, SkipGroup.REFUSED)
    assert listed["TABLE DATA public.kinds"] == (3, SkipGroup.BY_DESIGN)
    is_same = version == "1.0"
    assert ("FUNCTION public.twice(integer)" in listed) == is_same
    assert result.verification is not None
    note = (
        "extension pgimport_systems 1.1 of the target lacks objects that 1.0 of the source has: FUNCTION public.old()"
    )
    assert any(text.startswith(note) for text in result.verification.notes) != is_same


def test_rows_of_an_extension_that_are_equal_are_not_listed(bench: Bench, server: PostgresServer) -> None:
    bench = replace(bench, target=server)
    with server.database("members") as name, prepared_shadow(bench, "1.0"):
        server.execute("CREATE EXTENSION pgimport_systems SCHEMA public VERSION '1.0'", name)
        bench.source_url = server.url(name)
        result = bench.run(allowed_extensions=[EXTENSION])
    assert result.ok, result.failure
    assert result.verification is not None
    assert (result.skipped, result.verification.not_compared) == ([], [])


def test_a_copy_statement_is_redirected_by_its_tables_name() -> None:
    table = ConfigurationTable(
        name=("public", 'odd "table'),
        extension="x",
        condition=None,
        replaceable=True,
        staging=("shadow", "0"),
        columns=(("a", "int"),),
    )
    staging = ConfigurationStaging(tables={table.name: table}, schema="shadow")
    statement = 'COPY public."odd ""table" (a, "b ""c(", d) FROM stdin;\n'
    assert staging.redirect(table.name, statement) == 'COPY "shadow"."0" (a, "b ""c(", d) FROM stdin;\n'
    assert staging.redirected == {table.name: ("a", 'b "c(', "d")}
    assert staging.redirect(("public", "other"), "COPY public.other (a) FROM stdin;") == (
        "COPY public.other (a) FROM stdin;"
    )
