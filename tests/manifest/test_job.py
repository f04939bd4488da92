"""Compares the Jobs of imports with golden files, and checks the rules that hold for each of them.

`PGIMPORT_WRITE_GOLDEN=1 pytest tests/manifest` writes the golden files. Read the difference before you commit it.
"""

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.support.samples import a_meta, a_policy, an_import_spec

from pgimport.manifest.job import JobPlan, build_import_job
from pgimport.model.import_spec import Filter
from pgimport.model.names import LABEL_IMPORT, LABEL_QUEUE
from pgimport.model.object_references import SecretKey
from pgimport.model.order import Order, OrderTarget, join_order_variables
from pgimport.model.pod_template import PodTemplate, PodTemplateMetadata, PodTemplateSpec
from pgimport.model.policy import Policy
from pgimport.model.project_spec import SSLMode
from pgimport.model.reasons import PERMANENT_EXIT_CODES, Failure
from pgimport.worker.environment import parse_order

GOLDEN = Path(__file__).parent / "golden"
KUBERNETES = "1.35"
PRIORITY = "kueue.x-k8s.io/priority-class"
LONG = "a" * 240 + ".b.c-0123456"


def a_plan(
    name: str = "debian", labels: dict[str, str] | None = None, remaining_attempts: int = 3, **spec: Any
) -> JobPlan:
    import_spec = an_import_spec(**spec)
    order = Order(
        import_uid="import-uid",
        import_name=name,
        namespace="shop",
        target=OrderTarget(
            host="pg.internal",
            port=5432,
            sslmode=SSLMode.PREFER,
            server_version="17.12",
            server_version_num=170012,
            creatable_extensions=["citext"],
        ),
        allowed_extensions=["citext"],
        dry_run=import_spec.dry_run,
    )
    return JobPlan(
        meta=a_meta(name, labels=labels or {}),
        spec=import_spec,
        source_secret=SecretKey(name="source", key="url"),
        order=order,
        image="registry/worker:17",
        remaining_attempts=remaining_attempts,
    )


POD_TEMPLATE: dict[str, dict[str, Any]] = {
    "metadata": {
        "labels": {"team": "platform", LABEL_IMPORT: "forged"},
        "annotations": {"example.com/cost-center": "42"},
    },
    "spec": {
        "nodeSelector": {"pool": "batch"},
        "affinity": {
            "nodeAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 1,
                        "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]},
                    }
                ]
            }
        },
        "tolerations": [{"key": "batch", "operator": "Exists", "effect": "NoSchedule"}],
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
        "priorityClassName": "batch",
        "runtimeClassName": "gvisor",
        "serviceAccountName": "imports",
        "imagePullSecrets": [{"name": "registry-key"}, {"name": "team-key"}],
        "resources": {"requests": {"cpu": "250m"}, "limits": {"memory": "2Gi"}},
    },
}
PRIVATE_REGISTRY_POLICY = a_policy(image_pull_policy="Always", image_pull_secrets=("registry-key",))
CASES: dict[str, tuple[JobPlan, Policy]] = {
    "job": (a_plan(), a_policy()),
    "dry-run": (a_plan(dryRun=True, target=None), a_policy()),
    "queued": (a_plan(labels={LABEL_QUEUE: "imports", "team": "blue"}), a_policy()),
    "resources": (
        a_plan(
            resources={"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": 2, "memory": "4Gi"}},
            scratch={"size": "50Gi", "storageClassName": "fast"},
            timeout="90m",
            maxAttempts=1,
            remaining_attempts=1,
        ),
        PRIVATE_REGISTRY_POLICY,
    ),
    "placed": (
        replace(a_plan(), pod_template=PodTemplate.model_validate(POD_TEMPLATE), queue_name="imports"),
        PRIVATE_REGISTRY_POLICY,
    ),
    "long-name": (a_plan(LONG), a_policy()),
    "files": (
        a_plan(
            source={"urlSecretRef": {"name": "source", "key": "url"}, "caSecretRef": {"name": "ca", "key": "root.pem"}},
            postImport={"sqlConfigMapRef": {"name": "mask", "key": "mask.sql"}},
        ),
        a_policy(),
    ),
}
each = pytest.mark.parametrize("case", CASES)


def build(case: str) -> dict[str, Any]:
    return build_import_job(*CASES[case])


def pod_of(job: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = job["spec"]["template"]["spec"]
    return pod


def containers_of(job: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod_of(job).get("initContainers", ()), *pod_of(job)["containers"]]


@each
def test_a_job_equals_its_golden_file(case: str) -> None:
    path = GOLDEN / f"{case}.yaml"
    built = build(case)
    if os.environ.get("PGIMPORT_WRITE_GOLDEN"):
        path.write_text(yaml.safe_dump(json.loads(json.dumps(built)), sort_keys=False, width=120))
    assert built == yaml.safe_load(path.read_text())


@each
def test_each_field_is_in_the_schema_of_kubernetes(case: str) -> None:
    kubernetes_validate.validate(build(case), KUBERNETES, strict=True)


@pytest.mark.parametrize("queue_name", ["imports", None])
def test_an_empty_label_names_no_queue(queue_name: str | None) -> None:
    """Kueue ignores a Job with an empty label, and a suspended one would wait for ever."""
    job = build_import_job(replace(a_plan(labels={LABEL_QUEUE: ""}), queue_name=queue_name), a_policy())
    assert job["metadata"]["labels"].get(LABEL_QUEUE) == queue_name
    assert job["spec"].get("suspend", False) is (queue_name is not None)


def test_a_platform_can_choose_the_user() -> None:
    """OpenShift refuses a pod whose user is not of the namespace's range, so no import could start."""
    context = pod_of(build_import_job(a_plan(), a_policy(set_user=False)))["securityContext"]
    assert context == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


@each
def test_each_pod_meets_the_restricted_standard(case: str) -> None:
    pod = pod_of(build(case))
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers", "nodeName"} & set(pod)
    assert all(set(volume) - {"name"} <= {"secret", "configMap", "emptyDir", "ephemeral"} for volume in pod["volumes"])
    for container in containers_of(build(case)):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["readOnlyRootFilesystem"] is True
        assert security["runAsNonRoot"] is True
        assert "privileged" not in security
        assert {"requests", "limits"} <= set(container["resources"])


@each
def test_each_mount_has_a_volume(case: str) -> None:
    job = build(case)
    volumes = {volume["name"] for volume in pod_of(job)["volumes"]}
    mounted = {mount["name"] for container in containers_of(job) for mount in container["volumeMounts"]}
    assert mounted == volumes


@each
def test_names_and_labels_fit(case: str) -> None:
    job = build(case)
    labels = job["metadata"]["labels"] | job["spec"]["template"]["metadata"]["labels"]
    for text in (job["metadata"]["name"], *labels.values()):
        assert 0 < len(text) <= 63
        assert text[0].isalnum()
        assert text[-1].isalnum()


@each
def test_the_rule_for_disruptions_comes_before_the_rule_for_exit_codes(case: str) -> None:
    first, second = build(case)["spec"]["podFailurePolicy"]["rules"]
    assert first == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert second["action"] == "FailJob"
    assert second["onExitCodes"] == {"operator": "In", "values": list(PERMANENT_EXIT_CODES)}
    assert all(64 <= code <= 113 for code in PERMANENT_EXIT_CODES)


@each
def test_only_the_import_container_mounts_the_seed(case: str) -> None:
    for container in containers_of(build(case)):
        knows = any(mount["name"] == "seed" for mount in container["volumeMounts"])
        assert knows == (container["name"] == "import")


@each
def test_a_job_is_deleted_with_its_import_and_does_not_block_it(case: str) -> None:
    job = build(case)
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("PostgresImport", "import-uid", True)
    assert owner["blockOwnerDeletion"] is False
    assert "ttlSecondsAfterFinished" not in job["spec"]


@each
def test_each_container_gets_the_order(case: str) -> None:
    for container in containers_of(build(case)):
        assert read_order(container) == CASES[case][0].order


def read_order(container: dict[str, Any]) -> Order | Failure:
    """Returns what the worker reads from the variables, whose values the kubelet expands."""
    values = {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}
    return parse_order(join_order_variables({name: expand(value, values) for name, value in values.items()}))


def expand(value: str, values: dict[str, str]) -> str:
    """Replaces `$$` and `$(NAME)` as the kubelet does."""
    return re.sub(
        r"\$(?:\$|\(([^)]*)\))", lambda match: "$" if match[1] is None else values.get(match[1], match[0]), value
    )


@pytest.mark.parametrize("pattern", ["price$$old", "$(HOME)", "$$(HOME)", r"cost\$", '"$1"', "straße", "a\nb"])
def test_the_worker_gets_the_patterns_of_a_filter_as_the_user_wrote_them(pattern: str) -> None:
    """Seen before: `price$$old` excluded the table price$old, because the kubelet replaces `$$` in a variable."""
    plan = a_plan()
    plan = replace(plan, order=plan.order.model_copy(update={"filter": Filter(exclude_tables=[pattern])}))
    for container in containers_of(build_import_job(plan, a_policy())):
        assert read_order(container) == plan.order


@pytest.mark.parametrize("character", ["t", "\N{PILE OF POO}"])
def test_the_largest_filter_fits_into_the_variables_of_a_pod(character: str) -> None:
    """Seen before: the pod could not start, because Linux refuses a variable of more than 128 KiB."""
    largest = [f"{number:03d}{character * 252}" for number in range(256)]
    filter_ = Filter(exclude_tables=largest, exclude_table_data=largest, exclude_schemas=largest[:64])
    plan = a_plan()
    plan = replace(plan, order=plan.order.model_copy(update={"filter": filter_}))
    for container in containers_of(build_import_job(plan, a_policy())):
        assert read_order(container) == plan.order
        lengths = [len(f"{item['name']}={item.get('value')}".encode()) for item in container["env"]]
        assert max(lengths) < 128 * 1024


@each
def test_a_job_contains_no_secret_and_no_url(case: str) -> None:
    text = json.dumps(build(case)).lower()
    assert "://" not in text
    assert "password" not in text


@pytest.mark.parametrize(
    ("resources", "requests", "limits"),
    [
        pytest.param({}, {"cpu": "100m", "memory": "128Mi"}, {"memory": "1Gi"}, id="nothing"),
        pytest.param(
            {"limits": {"cpu": "50m", "memory": "64Mi"}},
            {"cpu": "50m", "memory": "64Mi"},
            {"cpu": "50m", "memory": "64Mi"},
            id="limits below the default requests",
        ),
        pytest.param(
            {"requests": {"memory": "2Gi"}},
            {"cpu": "100m", "memory": "2Gi"},
            {"memory": "2Gi"},
            id="a request above the default limit",
        ),
        pytest.param(
            {"limits": {"cpu": "0.5", "memory": "4Gi"}},
            {"cpu": "100m", "memory": "128Mi"},
            {"cpu": "0.5", "memory": "4Gi"},
            id="limits above the default requests",
        ),
    ],
)
def test_defaults_are_adapted_to_the_requested_resources(
    resources: dict[str, Any], requests: dict[str, str], limits: dict[str, str]
) -> None:
    job = build_import_job(a_plan(resources=resources), a_policy())
    for container in containers_of(job):
        assert container["resources"] == {"requests": requests, "limits": limits}


@pytest.mark.parametrize(
    ("left", "limit"),
    [pytest.param(3, 2, id="three"), pytest.param(1, 0, id="one"), pytest.param(0, 0, id="none")],
)
def test_the_backoff_limit_follows_from_the_attempts_left(left: int, limit: int) -> None:
    assert build_import_job(a_plan(remaining_attempts=left), a_policy())["spec"]["backoffLimit"] == limit


def test_long_import_names_with_the_same_start_have_different_labels() -> None:
    first, second = (build_import_job(a_plan("a" * 250 + end), a_policy()) for end in ("x", "y"))
    assert first["metadata"]["labels"]["capydb.dev/import"] != second["metadata"]["labels"]["capydb.dev/import"]


def test_a_job_without_a_queue_starts_at_once() -> None:
    assert "suspend" not in build("job")["spec"]
    assert build("queued")["spec"]["suspend"] is True
    assert "team" not in build("queued")["metadata"]["labels"]


def test_the_queue_of_an_import_takes_precedence_over_the_projects() -> None:
    plan = replace(a_plan(labels={LABEL_QUEUE: "own", PRIORITY: "high"}), queue_name="imports")
    job = build_import_job(plan, a_policy())
    assert (job["metadata"]["labels"][LABEL_QUEUE], job["metadata"]["labels"][PRIORITY]) == ("own", "high")
    assert job["spec"]["suspend"] is True
    job = build_import_job(a_plan(labels={PRIORITY: "high"}), a_policy())
    assert job["metadata"]["labels"][PRIORITY] == "high"
    assert "suspend" not in job["spec"]


def test_the_golden_file_has_each_field_of_a_pod_template() -> None:
    fields = {field.alias or name for name, field in PodTemplateSpec.model_fields.items()}
    assert POD_TEMPLATE["spec"].keys() == fields
    assert POD_TEMPLATE["metadata"].keys() == {field for field in PodTemplateMetadata.model_fields}


@pytest.mark.parametrize(
    ("own", "requests", "limits"),
    [
        ({}, {"cpu": "250m", "memory": "3Gi"}, {"memory": "3Gi"}),
        ({"limits": {"memory": "512Mi"}}, {"cpu": "250m", "memory": "512Mi"}, {"memory": "512Mi"}),
        ({"requests": {"memory": "8Gi"}}, {"cpu": "250m", "memory": "8Gi"}, {"memory": "8Gi"}),
    ],
    ids=["the Project's", "a lower limit", "a higher request"],
)
def test_the_projects_resources_are_defaults(
    own: dict[str, Any], requests: dict[str, str], limits: dict[str, str]
) -> None:
    project = {"spec": {"resources": {"requests": {"cpu": "250m", "memory": "3Gi"}}}}
    plan = replace(a_plan(resources=own), pod_template=PodTemplate.model_validate(project))
    for container in containers_of(build_import_job(plan, a_policy())):
        assert container["resources"] == {"requests": requests, "limits": limits}
