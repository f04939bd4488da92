"""Golden previews and their copies, reconciled as by the operator, with an emulated Kubernetes and a real server."""

import secrets
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.kubernetes import Kubernetes, a_body, run_kubernetes
from tests.support.postgres import ADMIN, PostgresServer
from tests.support.samples import a_policy

from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.kubernetes_client.custom_resources import read_preview
from pgimport.kubernetes_client.resource_lists import DirectLists
from pgimport.model.errors import Conflict
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS, connection_secret_name
from pgimport.model.observations import MeasuredCopy
from pgimport.model.owner_comment import (
    DatabasePhase,
    ImportedContent,
    OwnerComment,
    ShadowRecord,
    format_owner_comment,
)
from pgimport.model.project_status import CloneMethod
from pgimport.model.resources import PreviewObject, ResourceKey
from pgimport.reconcile import act_on_previews
from pgimport.reconcile.background_copies import PER_PROJECT
from pgimport.reconcile.observe_projects import observe_project
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.reconcile.reconcile_loop import reconcile
from pgimport.server.preview_copy import CopyPlan, ensure_copy
from pgimport.server.server_access import Access

SNAPSHOT = datetime(2026, 1, 1, 2, 0, tzinfo=UTC)
WAIT_SECONDS = 30
COPIES = 20  # copies


class Operator:
    """Reconciles previews of one Project, one key after the other."""

    def __init__(self, cluster: KubernetesClient, server: PostgresServer) -> None:
        self.cluster, self.server = cluster, server
        self.context = ReconcileContext(cluster=cluster, lists=DirectLists(cluster), policy=a_policy())
        self.project = f"project-{secrets.token_hex(4)}"
        spec: Json = {
            "organizationID": "capy",
            "namespace": "shop",
            "server": {
                "clusterID": "eu-1",
                "host": server.host,
                "port": server.port,
                "adminSecretRef": {"name": "admin"},
                "sslmode": "disable",
            },
        }
        self.cluster.create(
            "/apis/capydb.dev/v1alpha1/projects",
            a_body(PROJECTS, self.project, None, spec=spec, status={"ready": True, "inUse": True}),
        )
        self.project_uid = self.cluster.get(f"/apis/capydb.dev/v1alpha1/projects/{self.project}")["metadata"]["uid"]

    def restart(self) -> None:
        self.context = ReconcileContext(cluster=self.cluster, lists=DirectLists(self.cluster), policy=a_policy())

    def create(self, name: str, **spec: Any) -> None:
        body = a_body(PREVIEWS, name, spec={"project": self.project, **spec})
        self.cluster.create("/apis/capydb.dev/v1alpha1/namespaces/shop/previewdatabases", body)

    def path(self, name: str) -> str:
        return f"/apis/capydb.dev/v1alpha1/namespaces/shop/previewdatabases/{name}"

    def write_status(self, path: str, status: Json) -> None:
        self.cluster.patch(f"{path}/status", [{"op": "add", "path": "/status", "value": status}])

    def read(self, name: str) -> PreviewObject:
        preview = read_preview(self.cluster, "shop", name)
        assert preview is not None
        return preview

    def reconcile(self, name: str) -> None:
        with suppress(Conflict):  # the queue repeats it
            reconcile(self.context, ResourceKey(PREVIEWS, "shop", name))

    def settle(self, name: str, condition: Callable[[PreviewObject], object]) -> PreviewObject:
        """Reconciles a preview until a condition holds."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            self.reconcile(name)
            preview = self.read(name)
            if condition(preview):
                return preview
            assert time.monotonic() < deadline, preview.status.conditions
            time.sleep(0.05)

    def fill(self, name: str, table: str) -> None:
        """Leaves in a golden preview what the swap of an import leaves."""
        preview = self.read(name)
        statements = f"DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE public.{table} (id int);"
        statements += f"ALTER SCHEMA public OWNER TO {preview.role}; ALTER TABLE public.{table} OWNER TO {preview.role}"
        self.server.execute(statements, preview.database)
        mark = OwnerComment(
            project_uid=self.project_uid, preview_uid=preview.meta.uid, owner_name=name, phase=DatabasePhase.READY
        )
        comment = format_owner_comment(mark, ShadowRecord(imported=ImportedContent(data_as_of=SNAPSHOT)))
        self.server.execute(f"COMMENT ON ROLE {preview.role} IS '{comment}'")

    def list_tables(self, name: str) -> list[str]:
        """Lists tables as the user of a preview, who knows only its Secret."""
        preview = self.read(name)
        secret = self.cluster.get(f"/api/v1/namespaces/shop/secrets/{connection_secret_name(name)}")
        password = b64decode(secret["data"]["password"]).decode()
        with self.server.connect(preview.database, preview.role, password) as connection:
            rows = connection.execute("SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace")
            return [str(table) for (table,) in rows.fetchall()]

    def on_server(self, preview: PreviewObject) -> list[tuple[Any, ...]]:
        with self.server.connect() as connection:
            return connection.execute(
                "SELECT datname FROM pg_database WHERE datname = %s UNION ALL SELECT rolname FROM pg_roles"
                " WHERE rolname = %s",
                [preview.database, preview.role],
            ).fetchall()


@pytest.fixture(scope="module")
def kubernetes(postgres18: PostgresServer) -> Iterator[Kubernetes]:
    with run_kubernetes() as emulator:
        login = {"user": ADMIN, "password": postgres18.admin_password}
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "admin", "namespace": "pgimport"},
            "data": {name: b64encode(value.encode()).decode() for name, value in login.items()},
        }
        emulator.connect().create("/api/v1/namespaces/pgimport/secrets", secret)
        yield emulator


@pytest.fixture
def operator(kubernetes: Kubernetes, postgres18: PostgresServer) -> Operator:
    return Operator(kubernetes.connect(), postgres18)


def is_ready(preview: PreviewObject) -> bool:
    return preview.status.state == "ready"


def has_reason(reason: str) -> Callable[[PreviewObject], bool]:
    return lambda preview: any(item.reason == reason for item in preview.status.conditions)


def test_a_golden_preview_is_filled_and_copied(operator: Operator) -> None:
    golden, copy = (f"{kind}-{secrets.token_hex(4)}" for kind in ("golden", "copy"))
    operator.create(golden, golden=True)
    operator.create(copy, mode="clone", **{"from": {"previewDatabase": golden}})
    operator.settle(copy, has_reason("NoData"))
    operator.settle(golden, lambda preview: preview.status.database is not None and has_reason("NoData")(preview))
    operator.fill(golden, "first")
    assert operator.settle(golden, is_ready).status.data_as_of == SNAPSHOT
    ready = operator.settle(copy, is_ready)
    assert (ready.status.data_as_of, ready.status.clones) == (SNAPSHOT, 1)
    assert operator.list_tables(copy) == ["first"]
    project = observe_project(operator.context, ResourceKey(PROJECTS, "", operator.project), datetime.now(UTC))
    assert project is not None
    assert project.last_copy is not None
    assert project.last_copy.method is CloneMethod.WAL_LOG
    assert operator.read(golden).status.connection_secret is None

    operator.fill(golden, "second")
    patch = {"spec": {"resetAt": datetime.now(UTC).isoformat()}}
    operator.cluster.patch(operator.path(copy), patch)
    operator.settle(copy, lambda preview: is_ready(preview) and preview.status.clones == 2)
    assert operator.list_tables(copy) == ["second"]

    operator.cluster.delete(operator.path(copy))
    operator.reconcile(copy)
    assert operator.on_server(ready) == []


def test_a_restarted_operator_completes_the_copy(operator: Operator) -> None:
    golden, copy = (f"{kind}-{secrets.token_hex(4)}" for kind in ("golden", "copy"))
    operator.create(golden, golden=True)
    operator.settle(golden, has_reason("NoData"))
    operator.fill(golden, "first")
    preview = operator.settle(golden, is_ready)
    with closing(operator.server.connect(preview.database)):  # CREATE DATABASE waits for the end of this session
        operator.create(copy, mode="clone", **{"from": {"previewDatabase": golden}})
        operator.settle(copy, has_reason("Cloning"))
        time.sleep(0.5)
        operator.restart()
        operator.reconcile(copy)
    operator.settle(copy, is_ready)
    assert operator.list_tables(copy) == ["first"]


def test_a_deletion_ends_a_copy_that_runs(operator: Operator) -> None:
    golden, copy = (f"{kind}-{secrets.token_hex(4)}" for kind in ("golden", "copy"))
    operator.create(golden, golden=True)
    operator.settle(golden, has_reason("NoData"))
    operator.fill(golden, "first")
    preview = operator.settle(golden, is_ready)
    with closing(operator.server.connect(preview.database)):
        operator.create(copy, mode="clone", **{"from": {"previewDatabase": golden}})
        copying = operator.settle(copy, has_reason("Cloning"))
        time.sleep(0.5)
        operator.cluster.delete(operator.path(copy))
        deadline = time.monotonic() + WAIT_SECONDS
        while read_preview(operator.cluster, "shop", copy) is not None:
            assert time.monotonic() < deadline
            operator.reconcile(copy)
            time.sleep(0.1)
    time.sleep(0.5)
    assert operator.on_server(copying) == []


def test_a_copy_waits_for_the_import_that_is_about_to_replace_its_source(operator: Operator) -> None:
    golden, copy = (f"{kind}-{secrets.token_hex(4)}" for kind in ("golden", "copy"))
    operator.create(golden, golden=True)
    operator.settle(golden, has_reason("NoData"))
    operator.fill(golden, "first")
    operator.settle(golden, is_ready)
    body = a_body(IMPORTS, f"{golden}-again", spec={"project": operator.project, "target": {"previewDatabase": golden}})
    imports = "/apis/capydb.dev/v1alpha1/namespaces/shop/postgresimports"
    uid = operator.cluster.create(imports, body)["metadata"]["uid"]
    shadow = {"podUID": "pod", "database": "d", "role": "r", "verified": True}
    operator.write_status(f"{imports}/{golden}-again", {"state": "running", "shadow": shadow})
    claimed = operator.read(golden).status.model_copy(
        update={"active_import": uid, "active_import_name": f"{golden}-again"}
    )
    operator.write_status(operator.path(golden), claimed.to_json())
    operator.create(copy, mode="clone", **{"from": {"previewDatabase": golden}})
    operator.settle(copy, has_reason("WaitingForRefresh"))
    assert operator.read(copy).status.clones is None
    operator.write_status(f"{imports}/{golden}-again", {"state": "completed"})
    operator.settle(copy, is_ready)


def test_twenty_copies_of_one_tenant_delay_no_preview_of_another(
    operator: Operator, kubernetes: Kubernetes, postgres18: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They use no worker of the queue, and leave room on the server. Each step of the other tenant ends before them."""
    other, may_end, begun = Operator(kubernetes.connect(), postgres18), threading.Event(), threading.Semaphore(0)
    other.context = operator.context

    def copy(access: Access, plan: CopyPlan) -> MeasuredCopy | None:
        if plan.preview.mark.project_uid == operator.project_uid:
            begun.release()
            may_end.wait()
            return None
        return ensure_copy(access, plan)

    monkeypatch.setattr(act_on_previews, "ensure_copy", copy)
    goldens = {tenant: f"golden-{secrets.token_hex(4)}" for tenant in (operator, other)}
    for tenant, golden in goldens.items():
        tenant.create(golden, golden=True)
        tenant.settle(golden, has_reason("NoData"))
        tenant.fill(golden, "first")
        tenant.settle(golden, is_ready)
    try:
        for number in range(COPIES):
            name = f"{goldens[operator]}-{number}"
            operator.create(name, mode="clone", **{"from": {"previewDatabase": goldens[operator]}})
            operator.settle(name, has_reason("Cloning"))
        for _ in range(PER_PROJECT):
            assert begun.acquire(timeout=WAIT_SECONDS)
        empty, copied = (f"other-{secrets.token_hex(4)}" for _ in range(2))
        other.create(empty)
        other.settle(empty, is_ready)
        other.create(copied, mode="clone", **{"from": {"previewDatabase": goldens[other]}})
        other.settle(copied, is_ready)
        assert other.list_tables(copied) == ["first"]
        assert not begun.acquire(blocking=False), "one Project has more copies at the same time than the limit"
    finally:
        may_end.set()


def test_a_copy_whose_database_is_gone_is_copied_again(operator: Operator) -> None:
    golden, copy = (f"{kind}-{secrets.token_hex(4)}" for kind in ("golden", "copy"))
    operator.create(golden, golden=True)
    operator.settle(golden, has_reason("NoData"))
    operator.fill(golden, "first")
    operator.settle(golden, is_ready)
    operator.create(copy, mode="clone", **{"from": {"previewDatabase": golden}})
    ready = operator.settle(copy, is_ready)
    operator.server.execute(f"DROP DATABASE {ready.database} WITH (FORCE)")
    operator.context.preview_checks.suspect([ResourceKey(PREVIEWS, "shop", copy)])  # as a check of its Project does
    lost = operator.settle(copy, has_reason("DatabaseGone"))
    assert f"with a new copy of PreviewDatabase {golden}" in lost.status.conditions[0].message
    assert operator.settle(copy, is_ready).status.database_lost_at is None
    assert operator.list_tables(copy) == ["first"]


def test_no_copy_begins_of_a_golden_preview_that_was_emptied_meanwhile(operator: Operator) -> None:
    """The status of the golden preview still says that it is ready."""
    golden, copy = (f"{kind}-{secrets.token_hex(4)}" for kind in ("golden", "copy"))
    operator.create(golden, golden=True)
    operator.settle(golden, has_reason("NoData"))
    operator.fill(golden, "first")
    preview = operator.settle(golden, is_ready)
    mark = OwnerComment(
        project_uid=operator.project_uid, preview_uid=preview.meta.uid, owner_name=golden, phase=DatabasePhase.READY
    )
    operator.server.execute(f"COMMENT ON ROLE {preview.role} IS '{format_owner_comment(mark)}'")
    operator.create(copy, mode="clone", **{"from": {"previewDatabase": golden}})
    waiting = operator.settle(copy, has_reason("NoData"))
    assert waiting.status.state == "pending"
    assert operator.on_server(waiting) == []


def test_a_copy_that_waits_is_forgotten_if_the_primary_becomes_a_url(operator: Operator) -> None:
    """It would replace what the import has copied from the URL since."""
    golden, copy = (f"{kind}-{secrets.token_hex(4)}" for kind in ("golden", "copy"))
    project = f"/apis/capydb.dev/v1alpha1/projects/{operator.project}"
    operator.create(golden, golden=True)
    operator.settle(golden, has_reason("NoData"))
    operator.fill(golden, "first")
    operator.settle(golden, is_ready)
    operator.cluster.patch(project, {"spec": {"primary": {"previewDatabase": golden}}})
    address, turn = f"{operator.server.host}:{operator.server.port}", threading.Event()

    def wait_for_turn() -> None:
        turn.wait()

    for number in range(PER_PROJECT):
        operator.context.copies.begin(address, operator.project_uid, f"other_{number}", 1, wait_for_turn)
    try:
        operator.create(copy, mode="clone")
        waiting = operator.settle(copy, has_reason("Cloning"))
        look = operator.context.copies.look(address, waiting.database)
        assert look is not None
        assert not look.started
        primary = {"previewDatabase": None, "urlSecretRef": {"name": "primary", "key": "url"}}
        operator.cluster.patch(project, {"spec": {"primary": primary}})
        operator.settle(copy, lambda preview: preview.status.clone_import is not None)
        assert operator.context.copies.look(address, waiting.database) is None
    finally:
        turn.set()
    assert operator.list_tables(copy) == []
