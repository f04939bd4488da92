"""The cache of the operator: it keeps what decisions need, and little of an import that has ended.

10,000 ended imports need about 4 MiB.
"""

from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.kubernetes_client.custom_resources import (
    is_terminal,
    parse_import,
    parse_import_owner,
    parse_preview,
    parse_project,
    parse_schedule,
)
from pgimport.kubernetes_client.watch_cache import WatchCache
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS, SCHEDULES
from pgimport.model.resources import ImportObject, ImportOwner, PreviewObject, ProjectObject, ScheduleObject

CachedResource = ProjectObject | PreviewObject | ImportObject | ImportOwner | ScheduleObject


class ResourceCache(WatchCache[CachedResource]):
    """Lists our objects as the watches have shown them, with our own writes. See `ResourceLists`."""

    def __init__(self, cluster: KubernetesClient) -> None:
        # An upgrade may bring the operator before the CRD of schedules.
        super().__init__(cluster, (PROJECTS, PREVIEWS, IMPORTS, SCHEDULES), optional=(SCHEDULES,))

    def pack(self, kind: str, body: Json) -> CachedResource:
        if kind == PROJECTS:
            return parse_project(body)
        if kind == PREVIEWS:
            return parse_preview(body)
        if kind == SCHEDULES:
            return parse_schedule(body)
        return parse_import_owner(body) if is_terminal(body) else parse_import(body)

    def remember(self, kind: str, body: Json) -> None:
        """Stores the answer to a write of ours. An object that is being deleted is left to the watch.

        It may be gone before this call, when its last finalizer was removed.
        """
        if "deletionTimestamp" not in body["metadata"]:
            super().remember(kind, body)

    def list_active_imports(self, namespace: str) -> list[ImportObject]:
        return self.list_instances(IMPORTS, ImportObject, namespace)

    def list_import_owners(self, namespace: str) -> list[ImportOwner]:
        ended = self.list_instances(IMPORTS, ImportOwner, namespace)
        return ended + [_to_owner(item) for item in self.list_active_imports(namespace)]

    def list_previews(self, namespace: str) -> list[PreviewObject]:
        return self.list_instances(PREVIEWS, PreviewObject, namespace)

    def list_projects(self) -> list[ProjectObject]:
        return self.list_instances(PROJECTS, ProjectObject)


def _to_owner(item: ImportObject) -> ImportOwner:
    project = item.spec.project if item.spec is not None else ""
    return ImportOwner(name=item.meta.name, uid=item.meta.uid, project=project, cleaned_up=bool(item.status.cleaned_up))
