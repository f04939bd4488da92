"""Lists of our objects, from the API server or from the operator's cache."""

from typing import Protocol

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.kubernetes_client.custom_resources import (
    parse_import,
    parse_import_owner,
    parse_preview,
    parse_project,
)
from pgimport.model.names import IMPORTS, LABEL_SCHEDULE, PREVIEWS, PROJECTS
from pgimport.model.resources import ImportObject, ImportOwner, ObjectMeta, PreviewObject, ProjectObject
from pgimport.model.status import TERMINAL_STATES, ImportState

ACTIVE = ",".join(f"status.state!={state.value}" for state in TERMINAL_STATES)  # also an import without a state


class ResourceLists(Protocol):
    """Lists of the objects that a decision about another object needs."""

    def list_active_imports(self, namespace: str) -> list[ImportObject]:
        """Lists the imports that are not terminal, including those that have no state yet."""

    def list_import_owners(self, namespace: str) -> list[ImportOwner]:
        """Lists all imports of a namespace, including those that ended."""

    def list_previews(self, namespace: str) -> list[PreviewObject]: ...

    def list_projects(self) -> list[ProjectObject]: ...

    def remember(self, kind: str, body: Json) -> None:
        """Stores the answer to a write of ours, so that the next list shows it."""


class DirectLists:
    """Lists from the API server. This is slow if there are many objects, but shows every write of others."""

    def __init__(self, cluster: KubernetesClient) -> None:
        self._cluster = cluster

    def list_active_imports(self, namespace: str) -> list[ImportObject]:
        return list_imports(self._cluster, namespace, ACTIVE)

    def list_import_owners(self, namespace: str) -> list[ImportOwner]:
        pages = self._cluster.list_pages(api_paths.resource(IMPORTS, namespace))
        return [parse_import_owner(body) for page in pages for body in page["items"]]

    def list_previews(self, namespace: str) -> list[PreviewObject]:
        return [parse_preview(body) for body in self._cluster.get(api_paths.resource(PREVIEWS, namespace))["items"]]

    def list_projects(self) -> list[ProjectObject]:
        return [parse_project(body) for body in self._cluster.get(api_paths.resource(PROJECTS))["items"]]

    def remember(self, kind: str, body: Json) -> None:
        pass  # the API server has it


def list_running_imports(cluster: KubernetesClient, namespace: str) -> list[ImportObject]:
    """Lists the running imports from the API server. There are at most limits.maxConcurrentImports, and dry runs."""
    return list_imports(cluster, namespace, f"status.state={ImportState.RUNNING.value}")


def list_imports_of_upload(cluster: KubernetesClient, namespace: str, upload_key: str) -> list[ImportObject]:
    """Lists the imports whose source is this uploaded file from the API server."""
    return list_imports(cluster, namespace, f"spec.source.uploadKey={upload_key}")


def list_scheduled_imports(cluster: KubernetesClient, schedule: ObjectMeta) -> list[ImportObject]:
    """Lists the imports that a schedule owns from the API server. The label alone proves nothing: users may set it."""
    selector = f"{LABEL_SCHEDULE}={schedule.name}"
    listed = cluster.get(api_paths.resource(IMPORTS, schedule.namespace), labelSelector=selector)
    return [item for item in map(parse_import, listed["items"]) if schedule.uid in item.meta.owner_uids]


def list_imports(cluster: KubernetesClient, namespace: str, selector: str) -> list[ImportObject]:
    """Lists the imports of a namespace that match a field selector. The CRD's `selectableFields` allow few fields."""
    listed = cluster.get(api_paths.resource(IMPORTS, namespace), fieldSelector=selector)
    return [parse_import(body) for body in listed["items"]]
