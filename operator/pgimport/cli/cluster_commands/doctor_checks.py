"""Decides what `pgimport doctor` reports about an installation, from objects that were read. Pure.

A check that the user may not make is a warning that says whom to ask: most users are tenants, not admins.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import combinations

from pgimport.cli.cluster_commands.blocks import Sign
from pgimport.cli.cluster_commands.import_pages import describe_condition
from pgimport.cli.cluster_commands.objects import (
    Json,
    find_condition,
    format_since,
    has_ended,
    is_observed,
    name_of,
    namespace_of,
    parse_time,
    read,
)
from pgimport.cli.cluster_commands.projects import describe_server, describe_webhooks
from pgimport.model.names import GROUP
from pgimport.model.watch_scope import split_names

Row = tuple[Sign, str, str]

RESOURCES = ("postgresimports", "previewdatabases", "postgresimportschedules", "projects")
WATCH_NAMESPACES = "PGIMPORT_WATCH_NAMESPACES"
UNKNOWN = "unknown"  # the version of what the chart has not installed
UNSEEN_LIMIT = timedelta(minutes=2)  # an operator that works sees an object within seconds
CLEANUP_LIMIT = timedelta(minutes=5)
DELETION_LIMIT = timedelta(minutes=10)

# API group, resource, verbs, and which commands need them.
_TENANT_RESOURCES = RESOURCES[:3]
_RIGHTS = (
    *((GROUP, resource, ("get", "list", "watch"), "show and wait") for resource in _TENANT_RESOURCES),
    *((GROUP, resource, ("create", "patch", "delete"), "create and change") for resource in _TENANT_RESOURCES),
    ("", "secrets", ("get",), "preview psql, preview url, import retry"),
    ("", "secrets", ("create",), "import create --from-file and --from-env"),
    ("", "pods", ("get", "list", "watch"), "import logs"),
    ("", "pods/log", ("get",), "import logs"),
    ("", "configmaps", ("get",), "import report"),
)


def check_resources(names: Sequence[str]) -> Row:
    """Checks which of our resources the API server serves. `names`: the resources of our API group."""
    missing = [resource for resource in RESOURCES if resource not in names]
    if missing:
        return (
            Sign.FAIL,
            "resources",
            f"the cluster does not serve {', '.join(missing)}. Install the chart, or its CRDs.",
        )
    return Sign.PASS, "resources", f"the cluster serves {', '.join(RESOURCES)}"


def check_rights(rules: Sequence[Json], namespace: str, *, complete: bool) -> list[Row]:
    """Checks what the user may do in the namespace. `rules`: of a SelfSubjectRulesReview, which may be incomplete."""
    lacking: dict[str, list[str]] = {}
    for group, resource, verbs, purpose in _RIGHTS:
        refused = [verb for verb in verbs if not is_allowed(rules, group, resource, verb)]
        if refused:
            lacking.setdefault(purpose, []).append(f"{'/'.join(refused)} {resource}")
    if not lacking:
        return [(Sign.PASS, "rights", f"you may use all commands in namespace {namespace}")]
    unsure = "" if complete else " This list may be incomplete: the cluster's authorizer does not tell all."
    return [
        (
            Sign.WARN,
            "rights",
            f"in namespace {namespace}, you may not {', '.join(what)}. Ask your admin, to use: {purpose}.{unsure}",
        )
        for purpose, what in lacking.items()
    ]


def is_allowed(rules: Sequence[Json], group: str, resource: str, verb: str) -> bool:
    """Tells whether a rule allows the verb on all objects of the resource."""

    def covers(values: Sequence[str] | None, value: str) -> bool:
        return "*" in (values or ()) or value in (values or ())

    _, _, subresource = resource.partition("/")
    return any(
        covers(rule.get("verbs"), verb)
        and covers(rule.get("apiGroups"), group)
        and (
            covers(rule.get("resources"), resource)
            or (subresource and f"*/{subresource}" in (rule.get("resources") or ()))
        )
        and not rule.get("resourceNames")
        for rule in rules
    )


def check_deployments(deployments: Sequence[Json], version: str) -> list[Row]:
    """Checks the operator and the API: they run, in the version of this program."""
    operators = [item for item in deployments if component_of(item) == "operator"]
    if not operators:
        return [(Sign.FAIL, "operator", "the cluster has no operator. Install the chart.")]
    return [
        row for item in deployments if component_of(item) in ("operator", "api") for row in _check_one(item, version)
    ]


def component_of(deployment: Json) -> str:
    labels: Json = read(deployment, "metadata", "labels") or {}
    return str(labels.get("app.kubernetes.io/component") or "")


def deployed_version(body: Json) -> str:
    """Returns the version of the chart's programs with which an object was installed."""
    labels: Json = read(body, "metadata", "labels") or {}
    return str(labels.get("app.kubernetes.io/version") or UNKNOWN)


def _check_one(deployment: Json, version: str) -> list[Row]:
    name, component = f"{namespace_of(deployment)}/{name_of(deployment)}", component_of(deployment)
    if not read(deployment, "status", "availableReplicas"):
        advice = f"Run `kubectl -n {namespace_of(deployment)} describe deployment {name_of(deployment)}`."
        return [(Sign.FAIL, component, f"{name} has no pod that is ready. {advice}")]
    installed = deployed_version(deployment)
    if installed != version:
        return [
            (Sign.WARN, component, f"{name} runs in version {installed}, this program has {version}. Use the same.")
        ]
    return [(Sign.PASS, component, f"{name} runs in version {installed}")]


def check_scopes(deployments: Sequence[Json]) -> list[Row]:
    """Checks that no two operators work on the same objects."""
    scopes = [
        (f"{namespace_of(item)}/{name_of(item)}", split_names(read_variable(item, WATCH_NAMESPACES) or ""))
        for item in deployments
        if component_of(item) == "operator"
    ]
    rows: list[Row] = []
    for (one, first), (other, second) in combinations(scopes, 2):
        shared = sorted(set(first) & set(second)) if first and second else [*first, *second] or ["all namespaces"]
        if shared:
            advice = "Set operator.watchNamespaces of both releases so that each namespace has one operator."
            rows.append((Sign.FAIL, "operator", f"{one} and {other} both work on {', '.join(shared)}. {advice}"))
    return rows


def read_variable(deployment: Json, name: str) -> str | None:
    """Returns the value of an environment variable of a Deployment's pods, if it is written there."""
    containers = read(deployment, "spec", "template", "spec", "containers") or []
    values = (entry.get("value") for item in containers for entry in item.get("env") or () if entry["name"] == name)
    return next(filter(None, values), None)


def check_crds(crds: Sequence[Json], deployments: Sequence[Json]) -> list[Row]:
    """Checks that the chart installed the resources with the same version as an operator."""
    versions = {deployed_version(item) for item in deployments if component_of(item) == "operator"}
    old = [item for item in crds if deployed_version(item) not in {*versions, UNKNOWN}]
    if not old or not versions:
        return []
    names = ", ".join(sorted(name_of(item).partition(".")[0] for item in old))
    advice = "Upgrade the release with crds.install=true."
    text = f"{names} are of version {deployed_version(old[0])}, the operator of {', '.join(sorted(versions))}. {advice}"
    return [(Sign.WARN, "resources", text)]


def check_projects(projects: Sequence[Json]) -> list[Row]:
    """Checks the server of each Project, as the operator has found it, and repeats its warnings."""
    if not projects:
        return [(Sign.WARN, "projects", "there is no Project. An admin creates one for each tenant.")]
    rows: list[Row] = []
    for project in projects:
        name = f"project {name_of(project)}"
        if read(project, "status", "ready"):
            version = read(project, "status", "targetVersion")
            rows.append((Sign.PASS, name, f"PostgreSQL {version} at {describe_server(project)}"))
        else:
            reason = describe_condition(find_condition(project)) or "the operator has not seen it yet"
            rows.append((Sign.FAIL, name, f"{describe_server(project)}: {reason}"))
        rows += [(Sign.WARN, name, str(text)) for text in read(project, "status", "warnings") or []]
        if failing := describe_webhooks(project):
            rows.append((Sign.WARN, name, failing))
    return rows


def check_objects(items: Sequence[Json], noun: str, now: datetime) -> list[Row]:
    """Checks that the operator looks at the objects of a namespace, deletes what is deleted, and leaves nothing."""
    unseen = [
        item for item in items if not is_observed(item) and _is_older(item, "creationTimestamp", UNSEEN_LIMIT, now)
    ]
    stuck = [item for item in items if _is_older(item, "deletionTimestamp", DELETION_LIMIT, now)]
    left = [
        item
        for item in items
        if noun == "imports" and has_ended(item) and not read(item, "status", "cleanedUp") and _is_late(item, now)
    ]
    rows: list[Row] = []
    if unseen:
        rows.append(
            (Sign.FAIL, noun, f"the operator has not seen {_name_some(unseen)}. Ask your admin whether it runs.")
        )
    for item in stuck:
        since = format_since(read(item, "metadata", "deletionTimestamp"), now)
        rows.append((Sign.WARN, noun, f"{name_of(item)} is being deleted for {since}: {_describe(item)}"))
    for item in left:
        rows.append((Sign.WARN, noun, f"{name_of(item)} is not cleaned up yet: {_describe(item, 'CleanedUp')}"))
    if not rows and items:
        rows.append((Sign.PASS, noun, f"the operator has seen all {len(items)}"))
    return rows


def _is_late(ended: Json, now: datetime) -> bool:
    """Tells whether the clean-up of an import takes longer than usual."""
    time = parse_time(read(ended, "status", "completedAt"))
    return time is None or now - time > CLEANUP_LIMIT


def _is_older(item: Json, field: str, limit: timedelta, now: datetime) -> bool:
    time = parse_time(read(item, "metadata", field))
    return time is not None and now - time > limit


def _name_some(items: Sequence[Json]) -> str:
    names = [name_of(item) for item in items[:3]]
    return ", ".join(names) + (f" and {len(items) - 3} more" if len(items) > 3 else "")


def _describe(item: Json, kind: str = "Ready") -> str:
    return describe_condition(find_condition(item, kind)) or "the operator gives no reason"
