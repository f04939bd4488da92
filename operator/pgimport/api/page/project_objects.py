"""Finds the objects of all Projects that a user may access, newest first."""

from collections.abc import Callable, Iterable

from pgimport.api.authorization import CallerAccess, namespace_of
from pgimport.kubernetes_client.api_client import Json
from pgimport.kubernetes_client.custom_resources import parse_import, parse_preview, parse_project, parse_schedule
from pgimport.kubernetes_client.json_cache import CachedJson
from pgimport.model.names import IMPORTS, LABEL_EPHEMERAL, PREVIEWS, PROJECTS, SCHEDULES
from pgimport.model.resources import ImportObject, PreviewObject, ProjectObject, ScheduleObject
from pgimport.model.status import ImportState

MAX_ROWS = 1000


def list_projects(access: CallerAccess) -> list[ProjectObject]:
    """Lists the Projects that the caller may access, by name. It reads all Projects: call it once for each view."""
    bodies = (body for body in access.cache.list_all(PROJECTS) if _may_access(access, body))
    projects = (parse_project(body) for body in bodies)  # parsed after the check, as most belong to others
    return sorted((item for item in projects if item.spec is not None), key=lambda item: item.meta.name)


def choose_projects(projects: Iterable[ProjectObject], name: str) -> list[ProjectObject]:
    """Returns the Project with this name if it is among them, and all for an empty name."""
    return [project for project in projects if name in ("", project.meta.name)]


def _may_access(access: CallerAccess, body: Json) -> bool:
    organization = (body.get("spec") or {}).get("organizationID")
    return isinstance(organization, str) and access.caller.may_access(organization, body["metadata"]["name"])


def list_namespaces(projects: Iterable[ProjectObject]) -> set[str]:
    """Lists the namespaces of these Projects."""
    return {namespace_of(project) for project in projects}


def count_changes(access: CallerAccess, projects: Iterable[ProjectObject]) -> int:
    """Counts the changes in these Projects that a view has seen. Call it before the view reads anything else."""
    return access.cache.count_changes(list_namespaces(projects))


def list_imports(
    access: CallerAccess, projects: Iterable[ProjectObject], state: str, limit: int
) -> tuple[list[tuple[ProjectObject, ImportObject]], bool]:
    """Lists imports, newest first, and tells whether there are more than `limit`. An empty `state` chooses all."""

    def matches(content: CachedJson) -> bool:
        return LABEL_EPHEMERAL not in content.labels and state in ("", content.state or ImportState.PENDING)

    pairs = _list(access, projects, IMPORTS, limit + 1, matches)
    return [(owner, parse_import(body)) for owner, body in pairs[:limit]], len(pairs) > limit


def list_previews(
    access: CallerAccess, projects: Iterable[ProjectObject], limit: int | None = None
) -> list[tuple[ProjectObject, PreviewObject]]:
    """Lists previews, newest first."""
    return [(owner, parse_preview(body)) for owner, body in _list(access, projects, PREVIEWS, limit)]


def list_schedules(
    access: CallerAccess, projects: Iterable[ProjectObject]
) -> list[tuple[ProjectObject, ScheduleObject]]:
    """Lists schedules, newest first."""
    return [(owner, parse_schedule(body)) for owner, body in _list(access, projects, SCHEDULES, None)]


def _list(
    access: CallerAccess,
    projects: Iterable[ProjectObject],
    kind: str,
    limit: int | None,
    matches: Callable[[CachedJson], bool] = lambda _: True,
) -> list[tuple[ProjectObject, Json]]:
    """Lists objects of one kind of these Projects, newest first, and at most `limit` of them. Parses no others."""
    pairs = [
        (owner, body)
        for owner in projects
        for body in access.cache.list_newest(kind, namespace_of(owner), owner.meta.name, limit, matches=matches)
    ]
    return sorted(pairs, key=lambda pair: _position(pair[1]), reverse=True)[:limit]


def _position(body: Json) -> tuple[str, str]:
    return body["metadata"]["creationTimestamp"], body["metadata"]["name"]
