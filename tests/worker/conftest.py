"""Fixtures that give a worker its order, the files of a pod, and a shadow as the operator creates it."""

import io
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql
from tests.support.postgres import INSTALLATIONS, PostgresServer, installation

from pgimport.model import order as order_names
from pgimport.model.names import AttemptNames, attempt_names, attempt_password
from pgimport.model.order import Order, OrderTarget
from pgimport.model.project_spec import AllowedSources, SSLMode
from pgimport.model.result import WorkerResult
from pgimport.model.row_values import show_values
from pgimport.worker.checks.preflight import run_preflight
from pgimport.worker.environment import WorkerEnvironment
from pgimport.worker.main import report_result
from pgimport.worker.pipeline.import_steps import run_import
from pgimport.worker.postgres.clients import ClientProcesses, ClientPrograms
from pgimport.worker.report.reporter import Reporter
from pgimport.worker.report.result_texts import change_texts

LOOPBACK = AllowedSources(allowed_cidrs=["127.0.0.0/8"])
# Minor releases of the clients that the tests use. They are older than those in the worker's image.
TEST_FLOORS = {16: 14, 18: 4}


def list_skipped(result: WorkerResult) -> str:
    """Returns a line with name and reason for each skipped object."""
    return "\n".join(f"{item.object}: {item.reason}" for item in result.skipped)


@dataclass
class Bench:
    """One attempt: its order, its files and its output."""

    home: Path
    source_url: str
    target: PostgresServer
    bin_root: Path
    seed: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    pod_uid: str = field(default_factory=lambda: secrets.token_hex(16))
    out: io.StringIO = field(default_factory=io.StringIO)

    @property
    def names(self) -> AttemptNames:
        return attempt_names(self.pod_uid)

    @property
    def environment(self) -> WorkerEnvironment:
        for folder in ("scratch", "private"):
            (self.home / folder).mkdir(exist_ok=True)
        (self.home / "url").write_text(self.source_url)
        (self.home / "seed").write_bytes(self.seed)
        return WorkerEnvironment(
            pod_uid=self.pod_uid,
            source_url=self.home / "url",
            seed=self.home / "seed",
            scratch=self.home / "scratch",
            private=self.home / "private",
            termination_message=self.home / "message",
            post_import=self._file("post-import"),
            ca=self._file("ca"),
        )

    def _file(self, name: str) -> Path | None:
        """Returns the path of a file if the test has created it."""
        return path if (path := self.home / name).exists() else None

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables that the operator gives to a container, without the order."""
        environment = self.environment
        return {
            order_names.ENV_POD_UID: environment.pod_uid,
            order_names.ENV_SOURCE_URL_FILE: str(environment.source_url),
            order_names.ENV_SEED_FILE: str(environment.seed),
            order_names.ENV_SCRATCH: str(environment.scratch),
            order_names.ENV_PRIVATE: str(environment.private),
            order_names.ENV_TERMINATION_MESSAGE: str(environment.termination_message),
            order_names.ENV_CLIENTS: str(self.bin_root),
        }

    def order(self, **changes: Any) -> Order:
        target = OrderTarget(
            host=self.target.host,
            port=self.target.port,
            sslmode=SSLMode.DISABLE,
            server_version="18.4",
            server_version_num=changes.pop("target_version_num", 180004),
            creatable_extensions=changes.pop("creatable_extensions", ["vector"]),
        )
        fields: dict[str, Any] = {"sources": LOOPBACK, "allowed_extensions": ["vector", "citext"], "jobs": 2, **changes}
        return Order(import_uid="uid", import_name="orders", namespace="shop", target=target, **fields)

    def preflight(self, **changes: Any) -> WorkerResult:
        return change_texts(run_preflight(self.order(**changes), self.environment, Reporter(self.out)), show_values)

    def run(self, **changes: Any) -> WorkerResult:
        """Runs an import. Its result has the texts of the report, with values of rows."""
        return change_texts(self._run(**changes), show_values)

    def run_and_report(self, **changes: Any) -> None:
        """Runs an import as its container does: with the report in the log, and the termination message."""
        result = self._run(**changes)
        report_result(result, self.order(), self.environment, Reporter(self.out))

    def _run(self, **changes: Any) -> WorkerResult:
        clients = ClientPrograms(bin_root=self.bin_root, floors=changes.pop("floors", TEST_FLOORS), compression="gzip")
        return run_import(self.order(**changes), self.environment, Reporter(self.out), clients, ClientProcesses())

    def lines(self, kind: str) -> list[dict[str, Any]]:
        """Returns all printed lines of a kind: `log` or `progress`."""
        return [entry[kind] for line in self.out.getvalue().splitlines() if kind in (entry := json.loads(line))]

    @contextmanager
    def shadow(self, login: bool = True, encoding: str = "UTF8") -> Iterator[str]:
        """Creates role and database of this attempt as the operator does, and drops them at the end."""
        role, database = sql.Identifier(self.names.role), sql.Identifier(self.names.database)
        password = sql.Literal(attempt_password(self.seed, self.pod_uid))
        with self.target.connect(user="admin") as admin:
            admin.execute(sql.SQL("CREATE ROLE {} NOLOGIN PASSWORD {}").format(role, password))
            admin.execute(sql.SQL("GRANT {} TO admin WITH INHERIT TRUE, SET TRUE").format(role))
            admin.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {}").format(database, sql.Literal(encoding))
            )
            admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
        with self.target.connect(self.names.database, "admin") as shadow_admin:
            shadow_admin.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(role))
            shadow_admin.execute(
                sql.SQL("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {} TO {}").format(database, role)
            )
        if login:
            self.open_gate()
        try:
            yield self.names.database
        finally:
            with self.target.connect() as superuser:
                superuser.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
                superuser.execute(sql.SQL("DROP ROLE {}").format(role))

    def open_gate(self) -> None:
        with self.target.connect(user="admin") as admin:
            admin.execute(sql.SQL("ALTER ROLE {} LOGIN").format(sql.Identifier(self.names.role)))


@pytest.fixture(scope="session")
def bin_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `<major>/bin` for every installed major, as in the worker's image."""
    root = tmp_path_factory.mktemp("clients")
    for major in INSTALLATIONS:
        (root / str(major)).symlink_to(installation(major))
    return root


@pytest.fixture
def bench(tmp_path: Path, postgres16: PostgresServer, postgres18: PostgresServer, bin_root: Path) -> Bench:
    """A source 16 and a target 18; a test names its own database in `source_url`."""
    return Bench(tmp_path, postgres16.url("postgres"), postgres18, bin_root)
