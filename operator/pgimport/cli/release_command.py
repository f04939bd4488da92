"""`pgimport release`: before the chart goes, the operator stops and its finalizers come off what it looked after.

Databases on the target servers stay: a new installation finds their objects, puts the finalizers back and goes on.
"""

import sys
import time

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import KubernetesClient, connect_kubernetes
from pgimport.kubernetes_client.custom_resources import list_raw
from pgimport.model.errors import NotFound, PgimportError
from pgimport.model.names import FINALIZER_PREVIEW, FINALIZER_PROJECT, PREVIEWS, PROJECTS
from pgimport.model.resources import ResourceKey

PATIENCE = 60  # seconds for the operator's pod to end


def release(namespace: str, deployment: str) -> int:
    """0 when nothing of ours holds an object any more; 1 with the reason on stderr."""
    try:
        cluster = connect_kubernetes()
        stop_operator(cluster, namespace, deployment)
        count = sum(strip_finalizers(cluster, *one) for one in _OURS)
    except PgimportError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    print(f"released {count} objects; databases on the target servers stay as they are")
    return 0


class OperatorStillThere(PgimportError):
    """Helm tries the hook again."""


_OURS = ((PREVIEWS, FINALIZER_PREVIEW), (PROJECTS, FINALIZER_PROJECT))


def stop_operator(
    cluster: KubernetesClient, namespace: str, deployment: str, patience: float = PATIENCE, pause: float = 0.5
) -> None:
    """Scales to zero and waits until its pods are gone: one that still ends would put the finalizers back.

    A Deployment's `status.replicas` does not count pods that are about to end. Raises OperatorStillThere.
    """
    path = api_paths.deployments(namespace, deployment)
    try:
        cluster.patch(f"{path}/scale", {"spec": {"replicas": 0}})
        labels = cluster.get(path)["spec"]["selector"]["matchLabels"]
    except NotFound:
        return
    selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
    deadline = time.monotonic() + patience
    while cluster.get(api_paths.core(namespace, "pods"), labelSelector=selector)["items"]:
        if time.monotonic() > deadline:
            raise OperatorStillThere(f"the pod of Deployment {deployment} has not ended within {patience:.0f} s")
        time.sleep(pause)


def strip_finalizers(cluster: KubernetesClient, kind: str, finalizer: str) -> int:
    """How many objects had ours."""
    count = 0
    try:
        items = list_raw(cluster, kind)["items"]
    except NotFound:  # the CRD is gone, and all its objects with it
        return 0
    for body in items:
        before = body["metadata"].get("finalizers", [])
        if finalizer not in before:
            continue
        key = ResourceKey(kind, body["metadata"].get("namespace", ""), body["metadata"]["name"])
        try:
            cluster.patch(
                api_paths.of_key(key), {"metadata": {"finalizers": [one for one in before if one != finalizer]}}
            )
        except NotFound:
            continue
        count += 1
    return count
