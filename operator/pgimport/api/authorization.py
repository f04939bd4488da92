"""Looks up Projects, imports and previews that a caller may access.

A caller cannot distinguish an object of another organization from one that does not exist: the code and the response
are the same for both.
"""

from dataclasses import dataclass

from pgimport.api.error_responses import ApiError, not_found
from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.kubernetes_client.custom_resources import parse_import, parse_preview, parse_project
from pgimport.kubernetes_client.json_cache import JsonCache
from pgimport.model.api_caller import ApiScope, Caller
from pgimport.model.errors import NotFound
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS
from pgimport.model.resources import ImportObject, PreviewObject, ProjectObject


@dataclass(frozen=True, slots=True)
class CallerAccess:
    """Checks the scopes of one caller and finds the objects of its organization."""

    cluster: KubernetesClient
    cache: JsonCache
    caller: Caller

    def has_scope(self, scope: ApiScope) -> bool:
        """Tells whether the caller has the scope."""
        return scope in self.caller.scopes

    def require_scope(self, scope: ApiScope) -> None:
        """Raises ApiError 403 if the caller does not have the scope."""
        if not self.has_scope(scope):
            raise ApiError(403, f"the API key lacks the scope {scope.value}")

    def find_project(self, name: str, kind: str = "project") -> ProjectObject:
        """Returns the Project. Raises ApiError 404.

        `kind` is the kind of object that the caller asked for, for the message.
        """
        body = self.cache.find(PROJECTS, "", name)
        project = parse_project(body) if body else None
        if project is None or project.spec is None or not self.caller.may_access(project.spec.organization_id, name):
            raise not_found(kind)
        return project

    def find_project_to_change(self, name: str) -> ProjectObject:
        """Returns the Project in which the caller wants to create something. Raises ApiError 404 or 409."""
        project = self.find_project(name)
        if project.meta.deleting:
            raise ApiError(409, "the project is being deleted")
        return project

    def find_import(self, job_id: str) -> tuple[ProjectObject, ImportObject]:
        """Returns the import and its Project. Raises ApiError 404."""
        project, body = self._find(job_id, IMPORTS, "job")
        return project, parse_import(body)

    def find_preview(self, preview_id: str) -> tuple[ProjectObject, PreviewObject]:
        """Returns the preview database and its Project. Raises ApiError 404."""
        project, body = self._find(preview_id, PREVIEWS, "preview database")
        return project, parse_preview(body)

    def _find(self, object_id: str, resource: str, kind: str) -> tuple[ProjectObject, Json]:
        """Finds an object by `<project>.<name>`. Its spec names the Project, also if it cannot be parsed.

        If the cache lacks the object, reads it from Kubernetes: another replica may have created it a moment ago.
        """
        project_name, _, name = object_id.partition(".")
        project = self.find_project(project_name, kind)
        namespace = namespace_of(project)
        if not is_object_name(name):
            raise not_found(kind)
        body = self.cache.find(resource, namespace, name)
        if body is None:
            try:
                body = self.cluster.get(api_paths.resource(resource, namespace, name))
            except NotFound:
                raise not_found(kind) from None
            self.cache.remember(resource, body)
        if (body.get("spec") or {}).get("project") != project_name:
            raise not_found(kind)
        return project, body


def namespace_of(project: ProjectObject) -> str:
    """Returns the namespace of a Project that `find_project` returned."""
    assert project.spec is not None  # noqa: S101 (find_project returns no Project without a spec)
    return project.spec.namespace


def is_object_name(name: str) -> bool:
    """Returns whether `name` can be part of a URL path: a DNS subdomain name (RFC 1123)."""
    allowed = "abcdefghijklmnopqrstuvwxyz0123456789.-"
    return 0 < len(name) <= 253 and not set(name) - set(allowed) and name[0].isalnum() and name[-1].isalnum()
