"""A caller and an id come in; the Project, job or preview goes out, if it is the caller's.

What is not there and what is somebody else's take the same path and give the same answer.
"""

from dataclasses import dataclass

from pgimport.api.error_responses import ApiError, not_there
from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.kubernetes_client.custom_resources import parse_import, parse_preview, parse_project
from pgimport.kubernetes_client.watch_cache import WatchCache
from pgimport.model.api_caller import ApiScope, Caller
from pgimport.model.errors import NotFound
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS
from pgimport.model.resources import ImportObject, PreviewObject, ProjectObject


@dataclass(frozen=True, slots=True)
class CallerAccess:
    """What one caller may see."""

    cluster: KubernetesClient
    cache: WatchCache
    caller: Caller

    def need(self, scope: ApiScope) -> None:
        """Raises 403."""
        if scope not in self.caller.scopes:
            raise ApiError(403, f"the key lacks the scope {scope.value}")

    def find_project(self, name: str, what: str = "project") -> ProjectObject:
        """Raises 404."""
        body = self.cache.find(PROJECTS, "", name)
        project = parse_project(body) if body else None
        if project is None or project.spec is None or not self.caller.sees(project.spec.organization_id, name):
            raise not_there(what)
        return project

    def find_import(self, job_id: str) -> tuple[ProjectObject, ImportObject]:
        """Raises 404."""
        project, body = self._find(job_id, IMPORTS, "job")
        found = parse_import(body)
        if found.spec is not None and found.spec.project != project.meta.name:
            raise not_there("job")
        return project, found

    def find_preview(self, preview_id: str) -> tuple[ProjectObject, PreviewObject]:
        """Raises 404."""
        project, body = self._find(preview_id, PREVIEWS, "preview database")
        found = parse_preview(body)
        if found.spec is None or found.spec.project != project.meta.name:
            raise not_there("preview database")
        return project, found

    def _find(self, text: str, kind: str, what: str) -> tuple[ProjectObject, Json]:
        """By `<project>.<name>`. One that another replica has made a moment ago is asked of Kubernetes itself."""
        owner, _, name = text.partition(".")
        project = self.find_project(owner, what)
        namespace = namespace_of(project)
        if not is_object_name(name):
            raise not_there(what)
        body = self.cache.find(kind, namespace, name)
        if body is None:
            try:
                body = self.cluster.get(api_paths.resource(kind, namespace, name))
            except NotFound:
                raise not_there(what) from None
            self.cache.remember(kind, body)
        return project, body


def namespace_of(project: ProjectObject) -> str:
    assert project.spec is not None  # noqa: S101 (find_project has seen to it)
    return project.spec.namespace


def is_object_name(text: str) -> bool:
    """Nothing else may become part of a path."""
    allowed = "abcdefghijklmnopqrstuvwxyz0123456789.-"
    return 0 < len(text) <= 253 and not set(text) - set(allowed) and text[0].isalnum() and text[-1].isalnum()
