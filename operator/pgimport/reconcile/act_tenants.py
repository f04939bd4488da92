"""Act on a preview's or a project's decision: every action may be repeated."""

import secrets
from urllib.parse import quote

from pgimport.cluster.resources import write_finalizers
from pgimport.cluster.secrets import create_secret
from pgimport.cluster.tenants import ensure_role_binding
from pgimport.decide.decision import (
    Action,
    DropLeftovers,
    DropPreview,
    EnsurePreview,
    EnsureTenantRights,
    SetFinalizer,
)
from pgimport.decide.seen import SeenPreview, SeenProject
from pgimport.manifest.objects import build_connection_secret, build_role_binding
from pgimport.model.errors import Absent, Conflict
from pgimport.model.facts import Key, Meta
from pgimport.model.mark import Mark
from pgimport.model.names import (
    FINALIZER_PREVIEW,
    FINALIZER_PROJECT,
    PREVIEWS,
    PROJECTS,
)
from pgimport.model.spec import Server
from pgimport.model.status import PreviewStatus
from pgimport.reconcile.access import admin_access
from pgimport.reconcile.world import World
from pgimport.server.preview import drop_preview, ensure_preview, reset_preview
from pgimport.server.sweep import Marked, drop_marked

PASSWORD_BYTES = 24


def act_on_preview(world: World, seen: SeenPreview, wanted: PreviewStatus, action: Action) -> None:
    """Raises Conflict, ServerAway, ClusterAway: look again."""
    match action:
        case SetFinalizer(present):
            _set_finalizer(
                world,
                Key(PREVIEWS, seen.object.meta.namespace, seen.object.meta.name),
                seen.object.meta,
                FINALIZER_PREVIEW,
                present,
            )
        case EnsurePreview(anew):
            _ensure(world, seen, wanted, anew)
        case DropPreview():
            _drop(world, seen)
        case _:
            raise TypeError(f"not an action on a preview: {action!r}")


def act_on_project(world: World, seen: SeenProject, leftovers: tuple[Marked, ...], action: Action) -> None:
    """Raises Conflict, ServerAway, ClusterAway: look again."""
    spec, meta = seen.object.spec, seen.object.meta
    match action:
        case SetFinalizer(present):
            _set_finalizer(world, Key(PROJECTS, "", meta.name), meta, FINALIZER_PROJECT, present)
        case EnsureTenantRights():
            rights = world.rights
            if spec is not None and rights.service_account and rights.tenant_cluster_role:
                binding = build_role_binding(
                    spec.namespace,
                    rights.tenant_cluster_role,
                    rights.service_account,
                    world.policy.operator_namespace,
                )
                ensure_role_binding(world.cluster, spec.namespace, binding)
        case DropLeftovers():
            if spec is not None:
                access = admin_access(world, spec)
                for one in leftovers:
                    drop_marked(access, one)
        case _:
            raise TypeError(f"not an action on a project: {action!r}")


def _set_finalizer(world: World, key: Key, meta: Meta, finalizer: str, present: bool) -> None:
    others = [name for name in meta.finalizers if name != finalizer]
    try:
        write_finalizers(world.cluster, key, meta, [*others, finalizer] if present else others)
    except Absent:
        return


def _ensure(world: World, seen: SeenPreview, wanted: PreviewStatus, anew: bool) -> None:
    """The Secret first: it is the only place that knows the password."""
    project, meta = seen.project, seen.object.meta
    database, role = wanted.database, wanted.role
    if project is None or project.spec is None or database is None or role is None:
        raise Conflict(f"PreviewDatabase {meta.name}: its Project is gone")
    server, password = project.spec.server, secrets.token_urlsafe(PASSWORD_BYTES)
    entries = create_secret(
        world.cluster, meta.namespace, build_connection_secret(meta), _connection(server, database, role, password)
    )
    mark = Mark(project_uid=project.meta.uid, preview_uid=meta.uid)
    make = reset_preview if anew else ensure_preview
    make(admin_access(world, project.spec), database, role, entries["password"].decode(), mark)


def _connection(server: Server, database: str, role: str, password: str) -> dict[str, bytes]:
    """libpq's names; `uri` is what a client takes as it is."""
    where = f"[{server.host}]" if ":" in server.host else server.host
    login = f"{quote(role, safe='')}:{quote(password, safe='')}"
    uri = f"postgresql://{login}@{where}:{server.port}/{quote(database, safe='')}?sslmode={server.sslmode.value}"
    values = {
        "host": server.host,
        "port": str(server.port),
        "dbname": database,
        "user": role,
        "password": password,
        "uri": uri,
    }
    return {name: value.encode() for name, value in values.items()}


def _drop(world: World, seen: SeenPreview) -> None:
    status, project = seen.object.status, seen.project
    if status.database is None or status.role is None or project is None or project.spec is None:
        return
    drop_preview(admin_access(world, project.spec), status.database, status.role)
