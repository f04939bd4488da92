"""`pgimport release`: stops the operator, and removes its finalizers and its rights on tenants.

The chart's hook calls it before an uninstall.

`helm template | kubectl apply` creates the hook's Job too. So the Job names itself in PGIMPORT_JOB, and the command
does nothing if kubectl created this Job.

Databases on the target servers stay. A new installation finds their objects, adds the finalizers again and continues.
"""

import argparse
import sys
import time
from collections.abc import Mapping

from pgimport.extras import EX_CONFIG
from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import KubernetesClient, connect_kubernetes
from pgimport.kubernetes_client.custom_resources import list_objects
from pgimport.kubernetes_client.namespaces import remove_role, remove_role_binding
from pgimport.model.errors import NotFound, PgimportError
from pgimport.model.names import (
    EARLIER_NAMES,
    FINALIZER_PREVIEW,
    FINALIZER_PROJECT,
    PREVIEWS,
    PROJECTS,
    NamespaceNames,
    namespace_names,
)
from pgimport.model.resources import ResourceKey
from pgimport.model.watch_scope import EVERYWHERE, WatchScope, split_names

STOP_SECONDS = 60.0
POLL_SECONDS = 0.5
VARIABLES = ("PGIMPORT_NAMESPACE", "PGIMPORT_DEPLOYMENT")
# Parts of the names of field managers that create the hook's Job only for an uninstall. Helm's is the name of the
# program, such as `helm` or `helm-controller`.
UNINSTALLERS = ("helm", "argocd")
FINALIZERS = ((PREVIEWS, FINALIZER_PREVIEW), (PROJECTS, FINALIZER_PROJECT))


class UnknownCreator(PgimportError):
    """Neither Helm, Argo CD nor kubectl created the hook's Job, so it may not belong to an uninstall."""


class OperatorStillRunning(PgimportError):
    """The operator's pod did not end in time. The Job of the hook starts another pod."""


def main(_arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Returns 0 when no object has a finalizer of the operator. Raises PgimportError."""
    for variable in VARIABLES:
        if not environment.get(variable):
            print(f"pgimport release: set {variable}", file=sys.stderr)
            return EX_CONFIG
    namespace, deployment = (environment[variable] for variable in VARIABLES)
    kubernetes = connect_kubernetes()
    job = environment.get("PGIMPORT_JOB")
    if job and not is_uninstall(kubernetes, namespace, job):
        print(
            f"kubectl created Job {job}, so this is no uninstall, and nothing was changed."
            " Render the chart with `helm template --no-hooks`."
        )
        return 0
    stop_operator(kubernetes, namespace, deployment)
    scope = WatchScope(split_names(environment.get("PGIMPORT_WATCH_NAMESPACES", "")))
    count = sum(remove_finalizers(kubernetes, kind, finalizer, scope) for kind, finalizer in FINALIZERS)
    release = environment.get("PGIMPORT_RELEASE_NAME")
    remove_tenant_rights(kubernetes, namespace_names(release) if release else EARLIER_NAMES, scope)
    print(f"removed the finalizers of {count} objects; databases on the target servers are unchanged")
    return 0


def remove_tenant_rights(kubernetes: KubernetesClient, names: NamespaceNames, scope: WatchScope = EVERYWHERE) -> None:
    """Deletes the RoleBindings and Roles of the operator and the HTTP API in the namespaces of the scope's Projects.

    Otherwise, a service account created later with the operator's or API's name would have these rights. A new
    installation creates the RoleBindings again.
    """
    try:
        projects = list_objects(kubernetes, PROJECTS)["items"]
    except NotFound:  # Without the CRD there are no Projects.
        return
    for namespace in sorted({item["spec"]["namespace"] for item in projects if scope.includes(PROJECTS, item)}):
        for name in (names.operator_binding, names.api_binding, names.connection_reader):
            remove_role_binding(kubernetes, namespace, name)
        remove_role(kubernetes, namespace, names.connection_reader)


def is_uninstall(kubernetes: KubernetesClient, namespace: str, job: str) -> bool:
    """Returns True if the Job was created for an uninstall, and False if kubectl created it as one of many manifests.

    Raises UnknownCreator if another tool created it.
    """
    fields = kubernetes.get(api_paths.jobs(namespace, job))["metadata"].get("managedFields", [])
    managers = sorted({entry["manager"] for entry in fields if entry.get("subresource") != "status"})
    if any(manager.startswith("kubectl") for manager in managers):
        return False
    if any(part in manager for manager in managers for part in UNINSTALLERS):
        return True
    raise UnknownCreator(
        f"{', '.join(managers) or 'an unknown tool'} created Job {job}, which may not belong to an uninstall."
        " Nothing was changed. To uninstall, run `helm uninstall --no-hooks` and remove the operator's finalizers"
    )


def stop_operator(
    kubernetes: KubernetesClient,
    namespace: str,
    deployment: str,
    stop_seconds: float = STOP_SECONDS,
    poll_seconds: float = POLL_SECONDS,
) -> None:
    """Scales the Deployment to zero and waits until its pods are gone: a running pod would add the finalizers again.

    `status.replicas` of a Deployment does not count pods that are terminating. Raises OperatorStillRunning.
    """
    path = api_paths.deployments(namespace, deployment)
    try:
        kubernetes.patch(f"{path}/scale", {"spec": {"replicas": 0}})
        labels = kubernetes.get(path)["spec"]["selector"]["matchLabels"]
    except NotFound:
        return
    selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
    deadline = time.monotonic() + stop_seconds
    while kubernetes.get(api_paths.core(namespace, "pods"), labelSelector=selector)["items"]:
        if time.monotonic() > deadline:
            raise OperatorStillRunning(f"the pod of Deployment {deployment} did not end within {stop_seconds:.0f} s")
        time.sleep(poll_seconds)


def remove_finalizers(kubernetes: KubernetesClient, kind: str, finalizer: str, scope: WatchScope) -> int:
    """Removes the finalizer from all objects of this kind and scope. Returns how many had it."""
    count = 0
    try:
        resources = list_objects(kubernetes, kind)["items"]
    except NotFound:  # Without its CRD a kind has no objects.
        return 0
    for resource in resources:
        metadata = resource["metadata"]
        finalizers = metadata.get("finalizers", [])
        if finalizer not in finalizers or not scope.includes(kind, resource):
            continue
        path = api_paths.of_key(ResourceKey(kind, metadata.get("namespace", ""), metadata["name"]))
        others = [name for name in finalizers if name != finalizer]
        try:
            kubernetes.patch(path, {"metadata": {"finalizers": others}})
        except NotFound:
            continue
        count += 1
    return count
