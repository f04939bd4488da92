"""Builds the manifest of the Job that runs an import.

The Job starts the attempts. Its first failure rule ignores pods that a disruption ended, because an evicted pod can
exit with one of our codes. Its second rule fails the Job at once for a permanent exit code.
"""

from dataclasses import dataclass, field

from pgimport.manifest.metadata import Json, build_labels, build_owner_reference
from pgimport.manifest.pod_security import CONTAINER_SECURITY, build_pod_security
from pgimport.model import order as order_model
from pgimport.model.import_spec import ImportSpec, ResourceAmounts, Resources
from pgimport.model.names import (
    CONTAINER_IMPORT,
    CONTAINER_PREFLIGHT,
    LABEL_IMPORT,
    LABEL_IMPORT_UID,
    LABEL_PROJECT,
    LABEL_QUEUE,
    SCRATCH_VOLUME,
    SECRET_KEY_SEED,
    job_name,
    job_secret_name,
    short_hash,
)
from pgimport.model.object_references import SecretKey
from pgimport.model.order import Order
from pgimport.model.pod_template import PodTemplate, PodTemplateSpec
from pgimport.model.policy import Policy
from pgimport.model.queue_labels import find_queue_labels
from pgimport.model.reasons import PERMANENT_EXIT_CODES
from pgimport.model.resources import ObjectMeta
from pgimport.model.scalar_types import measure_quantity

SOURCE_FOLDER = "/run/pgimport/source"
SEED_FOLDER = "/run/pgimport/seed"
CA_FOLDER = "/run/pgimport/ca"
POST_IMPORT_FOLDER = "/run/pgimport/post-import"
PRIVATE_FOLDER = "/run/pgimport/private"
SCRATCH_FOLDER = "/scratch"
TERMINATION_MESSAGE = "/dev/termination-log"
GRACE_SECONDS = 5

# The requests fit into a small cluster. pg_restore with four jobs stayed below the limit in our measurements.
DEFAULT_REQUESTS = {"cpu": "100m", "memory": "128Mi"}
DEFAULT_LIMITS = {"memory": "1Gi"}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """Values from which the manifest of a Job is built."""

    meta: ObjectMeta
    spec: ImportSpec
    source_secret: SecretKey  # holds the source's URL
    order: Order
    image: str
    remaining_attempts: int
    pod_template: PodTemplate = field(default_factory=PodTemplate)
    queue_name: str | None = None  # of the Project


def build_import_job(plan: JobPlan, policy: Policy) -> Json:
    """Builds the manifest. The pod of a dry run has one container, which runs the preflight."""
    labels, template = _build_labels(plan), plan.pod_template.metadata
    queue = find_queue_labels(plan.meta.labels, plan.queue_name)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(plan.meta.name, plan.meta.uid),
            "namespace": plan.meta.namespace,
            "labels": {**labels, **queue},
            "ownerReferences": [build_owner_reference("PostgresImport", plan.meta)],
        },
        "spec": {
            # Kueue starts Jobs that were created suspended.
            **({"suspend": True} if LABEL_QUEUE in queue else {}),
            "backoffLimit": max(plan.remaining_attempts - 1, 0),
            "activeDeadlineSeconds": int(plan.spec.timeout.total_seconds()),
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    {
                        "action": "FailJob",
                        "onExitCodes": {"operator": "In", "values": list(PERMANENT_EXIT_CODES)},
                    },
                ]
            },
            "template": {
                "metadata": {
                    "labels": {**template.labels, **labels},
                    "annotations": {**template.annotations, "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
                },
                "spec": _build_pod(plan, policy),
            },
        },
    }


def _build_labels(plan: JobPlan) -> dict[str, str]:
    # A label value has at most 63 characters, the name of an import up to 253.
    name = plan.meta.name if len(plan.meta.name) <= 63 else f"{plan.meta.name[:50]}-{short_hash(plan.meta.name)}"
    return build_labels(**{LABEL_IMPORT_UID: plan.meta.uid, LABEL_IMPORT: name, LABEL_PROJECT: plan.spec.project})


def _build_pod(plan: JobPlan, policy: Policy) -> Json:
    preflight = _build_container(plan, policy, CONTAINER_PREFLIGHT)
    main = _build_container(plan, policy, CONTAINER_IMPORT)
    own_secrets = [secret.name for secret in plan.pod_template.spec.image_pull_secrets]
    pull_secrets = [{"name": name} for name in dict.fromkeys([*policy.image_pull_secrets, *own_secrets])]
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": build_pod_security(policy.set_user),
        **({"imagePullSecrets": pull_secrets} if pull_secrets else {}),
        **({"containers": [preflight]} if plan.spec.dry_run else {"initContainers": [preflight], "containers": [main]}),
        "volumes": _build_volumes(plan),
        **_build_placement(plan.pod_template.spec),
    }


def _build_placement(spec: PodTemplateSpec) -> Json:
    """Returns the fields of a pod that only the Project's template sets."""
    values = {
        "nodeSelector": spec.node_selector,
        "affinity": spec.affinity,
        "tolerations": spec.tolerations,
        "topologySpreadConstraints": spec.topology_spread_constraints,
        "priorityClassName": spec.priority_class_name,
        "runtimeClassName": spec.runtime_class_name,
        "serviceAccountName": spec.service_account_name,
    }
    return {name: value for name, value in values.items() if value}


def _build_container(plan: JobPlan, policy: Policy, name: str) -> Json:
    mounts = [
        {"name": "source", "mountPath": SOURCE_FOLDER, "readOnly": True},
        {"name": "private", "mountPath": PRIVATE_FOLDER},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 (an emptyDir of this pod)
    ]
    if plan.spec.source.ca_secret_ref is not None:
        mounts.append({"name": "ca", "mountPath": CA_FOLDER, "readOnly": True})
    if name == CONTAINER_IMPORT and plan.spec.post_import is not None:
        mounts.append({"name": "post-import", "mountPath": POST_IMPORT_FOLDER, "readOnly": True})
    if name == CONTAINER_IMPORT:
        mounts += [
            {"name": "seed", "mountPath": SEED_FOLDER, "readOnly": True},
            {"name": SCRATCH_VOLUME, "mountPath": SCRATCH_FOLDER},
        ]
    return {
        "name": name,
        "image": plan.image,
        "imagePullPolicy": policy.image_pull_policy,
        "args": ["worker", name],
        "env": _build_environment(plan, name),
        "resources": _build_resources(plan.spec.resources, plan.pod_template.spec.resources),
        "securityContext": CONTAINER_SECURITY,
        "terminationMessagePath": TERMINATION_MESSAGE,
        "terminationMessagePolicy": "File",
        "volumeMounts": mounts,
    }


def _build_environment(plan: JobPlan, container: str) -> list[Json]:
    values = {
        **order_model.build_order_variables(plan.order),
        order_model.ENV_SOURCE_URL_FILE: f"{SOURCE_FOLDER}/url",
        order_model.ENV_PRIVATE: PRIVATE_FOLDER,
        order_model.ENV_SCRATCH: SCRATCH_FOLDER if container == CONTAINER_IMPORT else "/tmp",  # noqa: S108 (an emptyDir)
        order_model.ENV_TERMINATION_MESSAGE: TERMINATION_MESSAGE,
        "HOME": "/tmp",  # noqa: S108 (an emptyDir of this pod)
    }
    if plan.spec.source.ca_secret_ref is not None:
        values |= {order_model.ENV_CA_FILE: f"{CA_FOLDER}/ca.crt"}
    if container == CONTAINER_IMPORT:
        values |= {order_model.ENV_SEED_FILE: f"{SEED_FOLDER}/{SECRET_KEY_SEED}"}
        if plan.spec.post_import is not None:
            values |= {order_model.ENV_POST_IMPORT_FILE: f"{POST_IMPORT_FOLDER}/sql"}
    return [
        *({"name": name, "value": value} for name, value in values.items()),
        {"name": order_model.ENV_POD_UID, "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
    ]


def _build_resources(own: Resources | None, project: Resources | None) -> Json:
    """Merges the import's amounts with the Project's defaults and ours, so that no request exceeds its limit."""
    requests = _to_amounts(own.requests if own else None)
    limits = _to_amounts(own.limits if own else None)
    default_requests = DEFAULT_REQUESTS | _to_amounts(project.requests if project else None)
    default_limits = DEFAULT_LIMITS | _to_amounts(project.limits if project else None)
    merged_limits = _raise_defaults(default_limits, default_requests | requests if project else requests) | limits
    return {"requests": _lower_defaults(default_requests, merged_limits) | requests, "limits": merged_limits}


def _lower_defaults(defaults: dict[str, str], limits: dict[str, str]) -> dict[str, str]:
    """Lowers default requests to the user's limits. Kubernetes refuses a pod whose request exceeds its limit."""
    return {
        name: limits[name] if name in limits and measure_quantity(limits[name]) < measure_quantity(value) else value
        for name, value in defaults.items()
    }


def _raise_defaults(defaults: dict[str, str], requests: dict[str, str]) -> dict[str, str]:
    """Raises default limits to the user's requests. Kubernetes refuses a pod whose request exceeds its limit."""
    return {
        name: requests[name]
        if name in requests and measure_quantity(requests[name]) > measure_quantity(value)
        else value
        for name, value in defaults.items()
    }


def _to_amounts(amounts: ResourceAmounts | None) -> dict[str, str]:
    return amounts.model_dump(exclude_none=True) if amounts else {}


def _build_volumes(plan: JobPlan) -> list[Json]:
    volumes: list[Json] = [
        _build_secret_volume("source", plan.source_secret, "url"),
        {"name": "private", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
    ]
    if plan.spec.source.ca_secret_ref is not None:
        volumes.append(_build_secret_volume("ca", plan.spec.source.ca_secret_ref, "ca.crt"))
    if plan.spec.dry_run:
        return volumes
    if plan.spec.post_import is not None:
        script = plan.spec.post_import.sql_config_map_ref
        items = [{"key": script.key, "path": "sql"}]
        volumes.append({"name": "post-import", "configMap": {"name": script.name, "items": items}})
    seed = job_secret_name(plan.meta.name, plan.meta.uid)
    return [
        *volumes,
        {"name": "seed", "secret": {"secretName": seed, "defaultMode": 0o440}},
        {"name": SCRATCH_VOLUME, **_build_scratch(plan.spec)},
    ]


def _build_secret_volume(name: str, secret: SecretKey, path: str) -> Json:
    """Mounts one key of a Secret as a file with the name `path`."""
    items = [{"key": secret.key, "path": path}]
    return {"name": name, "secret": {"secretName": secret.name, "items": items, "defaultMode": 0o440}}


def _build_scratch(spec: ImportSpec) -> Json:
    if spec.scratch.storage_class_name is None:
        return {"emptyDir": {"sizeLimit": str(spec.scratch.size)}}
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": spec.scratch.storage_class_name,
        "resources": {"requests": {"storage": str(spec.scratch.size)}},
    }
    return {"ephemeral": {"volumeClaimTemplate": {"spec": claim}}}
