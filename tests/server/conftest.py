"""Fixtures: PostgreSQL servers that log every statement, and a preview with one attempt."""

import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.cluster.debian_postgres import link_clients, server_tree
from tests.support.postgres import ADMIN, PostgresServer, run_postgres, tree_programs

from pgimport.model.names import AttemptNames, attempt_names, replaced_names
from pgimport.model.owner_comment import OwnerComment
from pgimport.model.result import SourceExtension, SourceInfo
from pgimport.server.preview import ensure_preview
from pgimport.server.server_access import Access
from pgimport.server.shadow import ShadowPlan, prepare_shadow
from pgimport.server.swap import SwapPlan

TRUSTED, DEPENDENT, UNTRUSTED = "pgimport_trusted", "pgimport_dependent", "pgimport_untrusted"
ALLOWED = (TRUSTED, DEPENDENT, UNTRUSTED, "plpgsql", "vector")


def write_extensions(folder: Path) -> None:
    """Writes three extensions for a server with extension_control_path (18).

    An ordinary admin can create the trusted one, whose objects then belong to the bootstrap superuser, and the
    dependent one, whose objects then belong to the admin. Only a superuser can create the untrusted one.
    """
    extension_folder = folder / "extension"
    extension_folder.mkdir(parents=True)
    (extension_folder / f"{TRUSTED}.control").write_text(
        "default_version = '1.1'\nrelocatable = true\ntrusted = true\nsuperuser = true\n"
    )
    (extension_folder / f"{TRUSTED}--1.1.sql").write_text(
        "CREATE TABLE systems (id int);\nSELECT pg_catalog.pg_extension_config_dump('systems', '');\n"
    )
    (extension_folder / f"{DEPENDENT}.control").write_text(
        f"default_version = '1.0'\nrelocatable = false\nsuperuser = false\nschema = dependent\nrequires = '{TRUSTED}'\n"
    )
    (extension_folder / f"{DEPENDENT}--1.0.sql").write_text(
        "CREATE TABLE rules (id serial);\nSELECT pg_catalog.pg_extension_config_dump('rules', '');\n"
        "SELECT pg_catalog.pg_extension_config_dump('rules_id_seq', '');\n"
        "CREATE FUNCTION own() RETURNS int LANGUAGE sql RETURN 1;\n"
        "REVOKE EXECUTE ON FUNCTION own() FROM PUBLIC;\n"
        "CREATE FUNCTION as_admin() RETURNS text LANGUAGE sql SECURITY DEFINER RETURN current_user;\n"
    )
    (extension_folder / f"{UNTRUSTED}.control").write_text(
        "default_version = '1.0'\nrelocatable = true\ntrusted = false\nsuperuser = true\n"
    )
    (extension_folder / f"{UNTRUSTED}--1.0.sql").write_text(
        "CREATE TABLE places (id int);\nSELECT pg_catalog.pg_extension_config_dump('places', '');\n"
        "CREATE DOMAIN place AS int;\n"
    )
    for path in (folder, extension_folder, *extension_folder.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.fixture(scope="session")
def extensions() -> Iterator[Path]:
    """Folder with the extensions. It is not in pytest's folder, because the server may run as another account."""
    with tempfile.TemporaryDirectory(prefix="pgimport-tests-extensions-") as folder:
        write_extensions(Path(folder))
        yield Path(folder)


@pytest.fixture(
    scope="session",
    params=[
        # `make check` runs the newest major, `make test` also the oldest, `make majors` those between. 15 and 17 are
        # Debian packages in a chroot.
        pytest.param(15, marks=pytest.mark.thorough),
        pytest.param(16, marks=pytest.mark.majors),
        pytest.param(17, marks=pytest.mark.majors),
        18,
    ],
    ids=lambda major: f"postgres-{major}",
)
def server(
    request: pytest.FixtureRequest, extensions: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PostgresServer]:
    """Server with log_statement=all, so that a password in clear text would be in its log."""
    options: dict[str, Any] = {}
    if request.param == 18:
        options["extension_control_path"] = f"$system:{extensions}"
    programs = None
    if request.param in (15, 17):
        clients = tmp_path_factory.mktemp("clients")
        link_clients(server_tree(request.param), request.param, clients)
        programs = tree_programs(request.param, server_tree(request.param), clients)
    with run_postgres(request.param, programs, tls=False, log_statement="all", **options) as running:
        yield running


@pytest.fixture
def access(server: PostgresServer) -> Access:
    return Access(host=server.host, port=server.port, user=ADMIN, password=server.admin_password, sslmode="disable")


def read_log(server: PostgresServer) -> str:
    assert server.log is not None
    return server.log.read_text(errors="replace")


def build_source_info(*extensions: tuple[str, str, str | None], **changes: str) -> SourceInfo:
    return SourceInfo(
        server_version="16.14",
        server_version_num=160014,
        database_size_bytes=1,
        extensions=[
            SourceExtension(name=name, version=version, schema_name=schema) for name, version, schema in extensions
        ],
    ).model_copy(update=changes)


@dataclass(frozen=True, slots=True)
class PreviewScenario:
    """A preview with a table `old`, and an attempt that can import a table `new`."""

    server: PostgresServer
    access: Access
    database: str
    owner: str
    owner_password: str
    mark: OwnerComment
    names: AttemptNames
    attempt_password: str

    @property
    def attempt_mark(self) -> OwnerComment:
        return self.mark.model_copy(update={"import_uid": "import", "pod_uid": "pod"})

    @property
    def shadow_plan(self) -> ShadowPlan:
        return ShadowPlan(
            names=self.names,
            password=self.attempt_password,
            source=build_source_info(),
            mark=self.attempt_mark,
            allowed_extensions=ALLOWED,
        )

    def swap_plan(self, busy_timeout: float = 0) -> SwapPlan:
        return SwapPlan(
            target=self.database,
            owner=self.owner,
            owner_password=self.owner_password,
            names=self.names,
            busy_timeout_seconds=busy_timeout,
        )

    def as_owner(self, dbname: str | None = None) -> "psycopg.Connection[tuple[object, ...]]":
        return self.server.connect(dbname or self.database, self.owner, self.owner_password)

    def as_attempt(self, dbname: str | None = None) -> "psycopg.Connection[tuple[object, ...]]":
        return self.server.connect(dbname or self.names.database, self.names.role, self.attempt_password)

    def fill_shadow(self) -> None:
        """Writes to the shadow as the worker does."""
        with self.as_attempt() as connection:
            connection.execute("CREATE TABLE new (id int)")
            connection.execute("SELECT lo_create(0)")

    def prepare(self) -> None:
        prepare_shadow(self.access, self.shadow_plan)
        self.fill_shadow()

    def tables(self) -> list[str]:
        """Returns the tables that the owner sees in the target."""
        with self.as_owner() as connection:
            rows = connection.execute("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'").fetchall()
        return [str(name) for (name,) in rows]

    def leftovers(self) -> list[str]:
        replaced = replaced_names(self.names.database)
        rows = self.query(
            "SELECT 'database ' || datname FROM pg_database WHERE datname IN (%s, %s)"
            " UNION SELECT 'role ' || rolname FROM pg_roles WHERE rolname IN (%s, %s)",
            self.names.database,
            replaced.database,
            self.names.role,
            replaced.role,
        )
        return [str(name) for (name,) in rows]

    def query(self, statement: str, *values: str) -> list[tuple[object, ...]]:
        """Runs a statement as the superuser and returns its rows."""
        with self.server.connect() as connection:
            return connection.execute(statement.encode(), values).fetchall()


@pytest.fixture
def scenario(server: PostgresServer, access: Access) -> PreviewScenario:
    return build_scenario(server, access)


def build_scenario(server: PostgresServer, access: Access) -> PreviewScenario:
    tag = secrets.token_hex(4)
    scenario = PreviewScenario(
        server=server,
        access=access,
        database=f"shop_{tag}",
        owner=f"shop_{tag}_owner",
        owner_password=f"owner-{secrets.token_hex(12)}",
        mark=OwnerComment(project_uid=f"project-{tag}", preview_uid=f"preview-{tag}"),
        names=attempt_names(f"pod-{tag}"),
        attempt_password=f"attempt-{secrets.token_hex(12)}",
    )
    ensure_preview(access, scenario.database, scenario.owner, scenario.owner_password, scenario.mark)
    with scenario.as_owner() as connection:
        connection.execute("CREATE TABLE old (id int)")
    return scenario
