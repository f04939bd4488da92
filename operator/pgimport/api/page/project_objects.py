"""Finds the objects of all Projects that a user may access, newest first."""

from collections.abc import Callable, Iterator

from pgimport.api.authorization import CallerAccess, namespace_of
from pgimport.kubernetes_client.api_client import Json
from pgimport.kubernetes_client.custom_resources import parse_import, parse_preview, parse_project, parse_schedule
from pgimport.model.names import IMPORTS, LABEL_EPHEMERAL, PREVIEWS, PROJECTS, SCHEDULES
from pgimport.model.resources import ImportObject, PreviewObject, ProjectObject, ScheduleObject

MAX_ROWS = 1000


def list_projects(access: CallerAccess) -> list[ProjectObject]:
    """Lists the Projects that the caller may access, by name."""
    projects = map(parse_project, access.cache.list_all(PROJECTS))
    mine = (
        project
        for project in projects
        if project.spec is not None and access.caller.may_access(project.spec.organization_id, project.meta.name)
    )
    return sorted(mine, key=lambda project: project.meta.name)


def list_imports(
    access: CallerAccess, project: str, state: str, limit: int
) -> tuple[list[tuple[ProjectObject, ImportObject]], bool]:
    """Lists imports, newest first, and tells whether there are more than `limit`.

    An empty `project` or `state` chooses all.
    """

    def matches(body: Json) -> bool:
        return state in ("", (body.get("status") or {}).get("state") or "pending")

    pairs = _list(access, project, IMPORTS, lambda labels: LABEL_EPHEMERAL not in labels, matches)
    return [(owner, parse_import(body)) for owner, body in pairs[:limit]], len(pairs) > limit


def list_previews(access: CallerAccess, project: str) -> list[tuple[ProjectObject, PreviewObject]]:
    """Lists previews, newest first. An empty `project` chooses all."""
    pairs = _list(access, project, PREVIEWS, lambda _: True, lambda _: True)
    return [(owner, parse_preview(body)) for owner, body in pairs]


def _list(
    access: CallerAccess,
    project: str,
    kind: str,
    has_labels: Callable[[dict[str, str]], bool],
    matches: Callable[[Json], bool],
) -> list[tuple[ProjectObject, Json]]:
    def bodies() -> Iterator[tuple[ProjectObject, Json]]:
        for owner in list_projects(access):
            if project in ("", owner.meta.name):
                name, namespace = owner.meta.name, namespace_of(owner)
                for body in access.cache.list_newest(kind, namespace, name, matches=has_labels):
                    if matches(body):
                        yield owner, body

    return sorted(bodies(), key=lambda pair: _position(pair[1]), reverse=True)


def _position(body: Json) -> tuple[str, str]:
    return body["metadata"]["creationTimestamp"], body["metadata"]["name"]


def list_schedules(access: CallerAccess) -> list[tuple[ProjectObject, ScheduleObject]]:
    """Lists the schedules of all Projects, newest first."""
    pairs = _list(access, "", SCHEDULES, lambda _: True, lambda _: True)
    return [(owner, parse_schedule(body)) for owner, body in pairs]
