"""An operator that a test runs step by step, and that can be frozen with an old view of the cluster."""

from typing import Any

import pytest
from tests.handlers.emulated_tenant import HOME, NAMESPACE, Tenant
from tests.support.kubernetes import Json, Kubernetes, a_body

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.kubernetes_client.resource_lists import DirectLists, ResourceLists
from pgimport.model.errors import Conflict, NotFound, PgimportError
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS
from pgimport.model.policy import Policy
from pgimport.model.resources import ImportObject, ImportOwner, PreviewObject, ProjectObject, ResourceKey
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.reconcile.reconcile_loop import reconcile
from pgimport.reconcile.work_queue import ReconcileResult

PROJECT = ResourceKey(PROJECTS, "", "shop")


POLICY = Policy(operator_namespace=HOME, worker_images={"16": "registry/worker:16"})


def build_context(cluster: KubernetesClient, lists: ResourceLists | None = None) -> ReconcileContext:
    """Builds the context of an operator, without a cache unless `lists` is one."""
    return ReconcileContext(cluster=cluster, lists=lists or DirectLists(cluster), policy=POLICY)


class EmptyLists:
    """The lists of a cache that has not seen any object yet."""

    def list_active_imports(self, namespace: str) -> list[ImportObject]:
        return []

    def list_import_owners(self, namespace: str) -> list[ImportOwner]:
        return []

    def list_previews(self, namespace: str) -> list[PreviewObject]:
        return []

    def list_projects(self) -> list[ProjectObject]:
        return []

    def remember(self, kind: str, body: Json) -> None:
        pass


class Stopped(Exception):
    """Stops an operator before a write. The message is the path of that write."""


class FreezableClient(KubernetesClient):
    """Answers reads from memory while `is_frozen`, and raises Stopped before a write while `stops`."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        super().__init__(kubernetes.connect()._api)
        self._read: dict[Any, Json | PgimportError] = {}
        self.is_frozen = self.stops = False

    def create(self, path: str, body: Json) -> Json:
        self._stop(path)
        return super().create(path, body)

    def patch(self, path: str, body: Json | list[Json]) -> Json:
        self._stop(path)
        return super().patch(path, body)

    def _stop(self, path: str) -> None:
        if self.stops:
            raise Stopped(path)

    def get(self, path: str, **query: str) -> Json:
        key = path, tuple(sorted(query.items()))
        if not self.is_frozen:
            try:
                self._read[key] = super().get(path, **query)
            except PgimportError as error:
                self._read[key] = error
        answer = self._read.get(key, NotFound(path))
        if isinstance(answer, PgimportError):
            raise answer
        return answer


class Operator:
    """One operator process with its own view of the cluster."""

    def __init__(self, kubernetes: Kubernetes, lists: ResourceLists | None = None) -> None:
        self.view = FreezableClient(kubernetes)
        self.context = build_context(self.view, lists)

    def reconcile(self, *keys: ResourceKey) -> None:
        """Reconciles each key until nothing is requeued immediately."""
        for key in keys:
            for _ in range(12):
                try:
                    result = reconcile(self.context, key)
                except Conflict:
                    if self.view.is_frozen:
                        raise
                    continue
                if not _is_immediate(result):
                    break

    def freeze(self, key: ResourceKey, at: str) -> None:
        """Reconciles until the first write to this path, stops there, and keeps the view of the cluster."""
        self.view.stops = True
        with pytest.raises(Stopped, match=at):
            reconcile(self.context, key)
        self.view.stops, self.view.is_frozen = False, True


def _is_immediate(result: ReconcileResult) -> bool:
    return result.requeue_after is not None and result.requeue_after.total_seconds() == 0


def key(kind: str, name: str) -> ResourceKey:
    return ResourceKey(kind, NAMESPACE, name)


def create_ready_preview(tenant: Tenant, name: str) -> None:
    tenant.create(api_paths.resource(PREVIEWS, NAMESPACE), a_body(PREVIEWS, name, spec={"project": "shop"}))
    Operator(tenant.kubernetes).reconcile(key(PREVIEWS, name))
    assert tenant.status(name, PREVIEWS)["state"] == "ready"


def start_import(tenant: Tenant, name: str) -> tuple[Operator, Json]:
    """Starts an import and returns its operator and its Job."""
    tenant.apply(name)
    operator = Operator(tenant.kubernetes)
    operator.reconcile(key(PREVIEWS, name), key(IMPORTS, name))
    return operator, tenant.job(name)


def read_tables(tenant: Tenant, name: str) -> list[tuple[Any, ...]]:
    with tenant.as_owner(name) as connection:
        return connection.execute("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'").fetchall()


def create_table(tenant: Tenant, name: str, table: str) -> None:
    with tenant.as_owner(name) as connection:
        connection.execute(f"CREATE TABLE {table} (id int)".encode())
