"""Tests what the API server accepts and refuses by the CRDs alone, and that every refusal names the field.

The objects name a project that does not exist, so that a running operator does nothing for them.
"""

import copy
import json
import os
import re
import shlex
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pgimport.model.import_spec import MUTABLE_IMPORT_FIELDS, ImportSpec
from pgimport.schema.crd import IMPORT as IMPORT_KIND

CHECKOUT = Path(__file__).parents[2]
EXAMPLES = CHECKOUT / "charts/pgimport/examples"
Manifest = dict[str, Any]

pytestmark = pytest.mark.cluster


def _environment() -> dict[str, str]:
    """Returns this process's environment with the variables of `make up`."""
    lines = (CHECKOUT / ".cluster/env").read_text(encoding="utf-8").splitlines()
    words = [os.path.expandvars(shlex.split(line)[1]) for line in lines if line.startswith("export ")]
    return {**os.environ, **dict(word.split("=", 1) for word in words)}


def kubectl(*arguments: str, manifest: Manifest | None = None) -> subprocess.CompletedProcess[str]:
    """Runs kubectl and returns its result, whatever its exit code is."""
    return subprocess.run(
        ["kubectl", *arguments],
        input=None if manifest is None else json.dumps(manifest),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=_environment(),
        cwd=CHECKOUT,
    )


def accepted(result: subprocess.CompletedProcess[str]) -> None:
    assert result.returncode == 0, result.stderr


def refused(result: subprocess.CompletedProcess[str], message: str) -> None:
    assert result.returncode != 0, f"accepted: {result.stdout}"
    assert re.search(message, result.stderr), result.stderr


def changed(manifest: Manifest, changes: dict[str, Any]) -> Manifest:
    """Returns a copy with the path `a.b` set for each entry of `changes`, or removed if its value is None."""
    result = copy.deepcopy(manifest)
    for path, value in changes.items():
        *folders, last = path.split(".")
        parent = result
        for folder in folders:
            parent = parent.setdefault(folder, {})
        if value is None:
            parent.pop(last, None)
        else:
            parent[last] = value
    return result


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    name = f"admission-{uuid.uuid4().hex[:8]}"
    accepted(kubectl("create", "namespace", name))
    yield name
    accepted(kubectl("delete", "namespace", name, "--wait=false"))


def manifest_of(kind: str, name: str, spec: dict[str, Any]) -> Manifest:
    return {"apiVersion": "capydb.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


IMPORT = manifest_of(
    "PostgresImport",
    "debian",
    {
        "project": "nowhere",
        "source": {"urlSecretRef": {"name": "debian-source", "key": "url"}},
        "target": {"previewDatabase": "debian"},
    },
)
PREVIEW = manifest_of("PreviewDatabase", "debian", {"project": "nowhere"})
PROJECT = manifest_of(
    "Project",
    f"admission-{uuid.uuid4().hex[:8]}",
    {
        "organizationID": "nobody",
        "namespace": "nowhere",
        "server": {"clusterID": "none", "host": "none.invalid", "adminSecretRef": {"name": "none"}},
    },
)

# Field → two valid values. A test checks that every immutable field has an entry.
VALUES: dict[str, tuple[Any, Any]] = {
    "project": ("nowhere", "elsewhere"),
    "source": ({"urlSecretRef": {"name": "debian-source", "key": "url"}}, {"uploadKey": "nowhere/dump"}),
    "target": ({"previewDatabase": "debian"}, {"previewDatabase": "other"}),
    "engine": ("auto", "dump"),
    "recreate": (False, True),
    "dryRun": (False, True),
    "maxAttempts": (3, 4),
    "pendingTimeout": ("1h", "2h"),
    "timeout": ("6h", "7h"),
    "startTimeout": ("5m", "6m"),
    "stallTimeout": ("10m", "11m"),
    "jobs": (4, 5),
    "filter": ({"excludeTables": ["a.b"]}, {"excludeTables": ["a.c"]}),
    "provider": ("auto", "neon"),
    "verify": ("counts", "none"),
    "onObjectError": ("skip", "fail"),
    "postImport": (
        {"sqlConfigMapRef": {"name": "sql", "key": "mask"}},
        {"sqlConfigMapRef": {"name": "sql", "key": "other"}},
    ),
    "resources": ({"limits": {"memory": "512Mi"}}, {"limits": {"memory": "1Gi"}}),
    "scratch": ({"size": "10Gi"}, {"size": 1024}),
    "ttlSecondsAfterFinished": (60, 61),
}
REQUIRED = ("project", "source")
OPTIONAL = tuple(name for name in VALUES if name not in (*REQUIRED, "target"))


def test_every_immutable_field_has_values_here() -> None:
    fields = {field.alias or name for name, field in ImportSpec.model_fields.items()}
    assert VALUES.keys() == fields - set(MUTABLE_IMPORT_FIELDS)


@pytest.fixture(scope="module")
def full(namespace: str) -> str:
    """Creates an import with every field set, and returns its name."""
    spec = {**{name: first for name, (first, _) in VALUES.items()}, "suspend": True, "cancel": False}
    accepted(kubectl("create", "-n", namespace, "-f", "-", manifest=manifest_of("PostgresImport", "full", spec)))
    return "full"


@pytest.fixture(scope="module")
def bare(namespace: str) -> str:
    """Creates an import with the required fields alone, and returns its name."""
    accepted(kubectl("create", "-n", namespace, "-f", "-", manifest=changed(IMPORT, {"metadata.name": "bare"})))
    return "bare"


def patch(namespace: str, name: str, change: Manifest, *arguments: str) -> subprocess.CompletedProcess[str]:
    return kubectl(
        "patch", "postgresimport", name, "-n", namespace, "--type=merge", "-p", json.dumps(change), *arguments
    )


def try_patch(namespace: str, name: str, spec: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return patch(namespace, name, {"spec": spec}, "--dry-run=server")


# --- What is accepted --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["project.yaml", "preview.yaml", "import.yaml"])
def test_accepts_the_example(name: str, namespace: str) -> None:
    example = yaml.safe_load((EXAMPLES / name).read_text(encoding="utf-8"))
    if "namespace" in example["metadata"]:
        example["metadata"]["namespace"] = namespace
    accepted(kubectl("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-", manifest=example))


GOOD = [
    pytest.param(IMPORT, {}, id="an import"),
    pytest.param(IMPORT, {"spec.target": None, "spec.dryRun": True}, id="a dry run without a target"),
    pytest.param(IMPORT, {"spec.timeout": "1h30m", "spec.scratch": {"size": 1}}, id="a compound duration"),
    pytest.param(IMPORT, {"spec.maxAttempts": 10, "spec.jobs": 32}, id="the upper bounds"),
    pytest.param(IMPORT, {"spec.source": {"uploadKey": "k", "sha256": "0" * 64}}, id="an upload"),
    pytest.param(PREVIEW, {"spec.ttl": "168h"}, id="the longest life"),
    pytest.param(PREVIEW, {"spec.renewedAt": "2026-01-01T00:00:00Z"}, id="a renewed preview"),
    pytest.param(PROJECT, {"spec.storageLimitBytes": "10Gi"}, id="a limit as a quantity"),
    pytest.param(PROJECT, {"spec.storageLimitBytes": 1024}, id="a limit in bytes"),
    pytest.param(PROJECT, {"metadata.name": "p" * 63}, id="the longest name of a project"),
]


@pytest.mark.parametrize(("manifest", "changes"), GOOD)
def test_accepts(manifest: Manifest, changes: dict[str, Any], namespace: str) -> None:
    result = kubectl("create", "-n", namespace, "--dry-run=server", "-f", "-", manifest=changed(manifest, changes))
    accepted(result)


def test_a_new_object_is_not_taken_for_a_finished_one(namespace: str) -> None:
    result = kubectl("create", "-n", namespace, "--dry-run=server", "-o", "json", "-f", "-", manifest=IMPORT)
    accepted(result)
    assert json.loads(result.stdout)["status"] == {"observedGeneration": -1}
    assert json.loads(result.stdout)["spec"] == IMPORT["spec"]


# --- What is refused at birth ------------------------------------------------------------------------------------

BAD = [
    pytest.param(IMPORT, {"spec": None}, r"spec: Required value", id="no spec"),
    pytest.param(IMPORT, {"spec.project": None}, r"spec\.project: Required value", id="no project"),
    pytest.param(IMPORT, {"spec.project": "a.b"}, r"spec\.project: Invalid value.*a\.b", id="project with a dot"),
    pytest.param(IMPORT, {"spec.project": "p" * 64}, r"spec\.project: Too long", id="project too long"),
    pytest.param(IMPORT, {"spec.source": None}, r"spec\.source: Required value", id="no source"),
    pytest.param(
        IMPORT, {"spec.source": {}}, r"spec\.source: .*exactly one of urlSecretRef and uploadKey", id="no way in"
    ),
    pytest.param(
        IMPORT,
        {"spec.source.uploadKey": "k"},
        r"spec\.source: .*exactly one of urlSecretRef and uploadKey",
        id="two ways in",
    ),
    pytest.param(
        IMPORT,
        {"spec.source.urlSecretRef.key": None},
        r"spec\.source\.urlSecretRef\.key: Required value",
        id="secret without a key",
    ),
    pytest.param(
        IMPORT,
        {"spec.source.urlSecretRef.name": "Not_A_Name"},
        r"spec\.source\.urlSecretRef\.name: Invalid value",
        id="a name that no Secret can have",
    ),
    pytest.param(IMPORT, {"spec.source.url": "x"}, r'unknown field "spec\.source\.url"', id="a URL in the spec"),
    pytest.param(IMPORT, {"spec.source.sha256": "abc"}, r"spec\.source\.sha256: Invalid value", id="a short checksum"),
    pytest.param(
        IMPORT, {"spec.source.sha256": "A" * 64}, r"spec\.source\.sha256: Invalid value", id="a checksum in capitals"
    ),
    pytest.param(
        IMPORT,
        {"spec.target": None},
        r"spec\.target: .*target\.previewDatabase is required unless dryRun is true",
        id="no target",
    ),
    pytest.param(
        IMPORT,
        {"spec.target": None, "spec.dryRun": False},
        r"spec\.target: .*target\.previewDatabase is required unless dryRun is true",
        id="no target and dryRun false",
    ),
    pytest.param(IMPORT, {"spec.target": {}}, r"spec\.target\.previewDatabase: Required value", id="an empty target"),
    pytest.param(IMPORT, {"spec.engine": "magic"}, r'spec\.engine: Unsupported value: "magic"', id="unknown engine"),
    pytest.param(
        IMPORT, {"spec.provider": "acme"}, r'spec\.provider: Unsupported value: "acme"', id="unknown provider"
    ),
    pytest.param(IMPORT, {"spec.verify": "maybe"}, r'spec\.verify: Unsupported value: "maybe"', id="unknown verify"),
    pytest.param(IMPORT, {"spec.maxAttempts": 0}, r"spec\.maxAttempts: Invalid value: 0", id="no attempt"),
    pytest.param(IMPORT, {"spec.maxAttempts": 11}, r"spec\.maxAttempts: Invalid value: 11", id="11 attempts"),
    pytest.param(
        IMPORT, {"spec.maxAttempts": "3"}, r'spec\.maxAttempts: Invalid value: "string"', id="attempts as a string"
    ),
    pytest.param(IMPORT, {"spec.jobs": 33}, r"spec\.jobs: Invalid value: 33", id="too many streams"),
    pytest.param(IMPORT, {"spec.timeout": "soon"}, r'spec\.timeout: Invalid value: "soon"', id="no duration"),
    pytest.param(IMPORT, {"spec.timeout": "1d"}, r'spec\.timeout: Invalid value: "1d"', id="a duration in days"),
    pytest.param(
        IMPORT, {"spec.timeout": "145h"}, r"spec\.timeout: .*more than 0s and at most 144h", id="timeout too long"
    ),
    pytest.param(
        IMPORT, {"spec.stallTimeout": "0s"}, r"spec\.stallTimeout: .*more than 0s and at most 144h", id="no patience"
    ),
    pytest.param(
        IMPORT, {"spec.pendingTimeout": "0s"}, r"spec\.pendingTimeout: .*more than 0s and at most 144h", id="no wait"
    ),
    pytest.param(IMPORT, {"spec.timeout": "9" * 20 + "h"}, r"timeout", id="a duration that no clock can hold"),
    pytest.param(IMPORT, {"spec.suspend": "yes"}, r"spec\.suspend: Invalid value", id="suspend as a string"),
    pytest.param(
        IMPORT,
        {"spec.filter": {"excludeTables": ["t"] * 257}},
        r"spec\.filter\.excludeTables: Too many",
        id="a long list",
    ),
    pytest.param(
        IMPORT,
        {"spec.scratch": {"size": "10GB"}},
        r"spec\.scratch\.size: Invalid value",
        id="a size that is no quantity",
    ),
    pytest.param(
        IMPORT,
        {"spec.resources": {"limits": {"memory": "much"}}},
        r"spec\.resources\.limits\.memory: Invalid value",
        id="memory that is no quantity",
    ),
    pytest.param(
        IMPORT,
        {"spec.ttlSecondsAfterFinished": -1},
        r"spec\.ttlSecondsAfterFinished: Invalid value: -1",
        id="a negative time to live",
    ),
    pytest.param(IMPORT, {"spec.colour": "red"}, r'unknown field "spec\.colour"', id="an unknown field"),
    pytest.param(PREVIEW, {"spec": {}}, r"spec\.project: Required value", id="preview without a project"),
    pytest.param(PREVIEW, {"spec.ttl": "169h"}, r"spec\.ttl: .*at most 168h", id="ttl too long"),
    pytest.param(PREVIEW, {"spec.ttl": "0s"}, r"spec\.ttl: .*more than 0s", id="ttl of nothing"),
    pytest.param(PREVIEW, {"spec.ttl": "1d"}, r"spec\.ttl: .*for one day, write 24h", id="ttl in days"),
    pytest.param(PREVIEW, {"spec.ttl": "24"}, r'spec\.ttl: Invalid value: "24"', id="ttl without a unit"),
    pytest.param(PREVIEW, {"spec.mode": "copy"}, r'spec\.mode: Unsupported value: "copy"', id="unknown mode"),
    pytest.param(PREVIEW, {"spec.resetAt": "today"}, r"spec\.resetAt: Invalid value", id="no time"),
    pytest.param(PROJECT, {"metadata.name": "a.b"}, r"metadata\.name must be a DNS label", id="project named a.b"),
    pytest.param(
        PROJECT, {"metadata.name": "p" * 64}, r"metadata\.name must be a DNS label", id="project with a long name"
    ),
    pytest.param(
        PROJECT, {"spec.namespace": None}, r"spec\.namespace: Required value", id="project without a namespace"
    ),
    pytest.param(PROJECT, {"spec.server": None}, r"spec\.server: Required value", id="project without a server"),
    pytest.param(PROJECT, {"spec.server.port": 0}, r"spec\.server\.port: Invalid value: 0", id="port 0"),
    pytest.param(
        PROJECT, {"spec.server.sslmode": "on"}, r'spec\.server\.sslmode: Unsupported value: "on"', id="unknown sslmode"
    ),
    pytest.param(
        PROJECT, {"spec.server.password": "x"}, r'unknown field "spec\.server\.password"', id="a password in the spec"
    ),
    pytest.param(
        PROJECT,
        {"spec.storageLimitBytes": "10 GB"},
        r"spec\.storageLimitBytes: Invalid value",
        id="a limit that is no quantity",
    ),
    pytest.param(
        PROJECT,
        {"spec.podTemplate": {"metadata": {"labels": {"team": "a b"}}}},
        r"spec\.podTemplate\.metadata\.labels: .*no label: write a key like team",
        id="a pod's label with a space",
    ),
    pytest.param(
        PROJECT,
        {"spec.podTemplate": {"metadata": {"annotations": {"a b": "c"}}}},
        r"spec\.podTemplate\.metadata\.annotations: .*no annotation: write a key like team",
        id="a pod's annotation with a space",
    ),
    pytest.param(
        PROJECT,
        {"spec.podTemplate": {"spec": {"nodeSelector": {"a b": "c"}}}},
        r"spec\.podTemplate\.spec\.nodeSelector: .*no label: write a key like team",
        id="a node's label that none can have",
    ),
    pytest.param(
        PROJECT, {"spec.namespace": "kube-system"}, r"spec\.namespace: .*must not begin with kube-", id="kube-system"
    ),
    pytest.param(
        PROJECT,
        {"spec.limits": {"maxConcurrentImports": 0}},
        r"spec\.limits\.maxConcurrentImports: Invalid value: 0",
        id="no import at a time",
    ),
]


@pytest.mark.parametrize(("manifest", "changes", "message"), BAD)
def test_refuses(manifest: Manifest, changes: dict[str, Any], message: str, namespace: str) -> None:
    result = kubectl("create", "-n", namespace, "--dry-run=server", "-f", "-", manifest=changed(manifest, changes))
    refused(result, message)


# --- What is refused later ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", VALUES)
def test_a_field_never_changes(field: str, namespace: str, full: str) -> None:
    value = VALUES[field][1]
    # A merge patch keeps what it does not name.
    without = {"urlSecretRef": None} if field == "source" else {}
    change = {field: {**value, **without} if isinstance(value, dict) else value}
    refused(try_patch(namespace, full, change), rf"spec\.{field}: .*{field} is immutable: create a new PostgresImport")


@pytest.mark.parametrize("field", REQUIRED)
def test_a_required_field_never_goes(field: str, namespace: str, full: str) -> None:
    refused(try_patch(namespace, full, {field: None}), rf"spec\.{field}: Required value")


@pytest.mark.parametrize("field", [*OPTIONAL, "target"])
def test_a_field_never_goes(field: str, namespace: str, full: str) -> None:
    refused(try_patch(namespace, full, {field: None}), rf"spec\.{field}: .*{field} is immutable")


@pytest.mark.parametrize("field", OPTIONAL)
def test_a_field_never_comes(field: str, namespace: str, bare: str) -> None:
    refused(try_patch(namespace, bare, {field: VALUES[field][0]}), rf"spec\.{field}: .*{field} is immutable")


@pytest.mark.parametrize("spec", [{"suspend": False}, {"suspend": None}, {"cancel": True}], ids=json.dumps)
def test_what_may_change(spec: dict[str, Any], namespace: str, full: str) -> None:
    accepted(try_patch(namespace, full, spec))


def test_applied_again_it_is_the_same(namespace: str, bare: str) -> None:
    manifest = changed(IMPORT, {"metadata.name": bare})
    accepted(kubectl("apply", "--server-side", "--force-conflicts", "-n", namespace, "-f", "-", manifest=manifest))


@pytest.mark.parametrize("value", [False, None], ids=["false", "absent"])
def test_cancel_never_goes_back(value: bool | None, namespace: str) -> None:
    name = f"cancelled-{str(value).lower()}"
    manifest = changed(IMPORT, {"metadata.name": name, "spec.cancel": True})
    accepted(kubectl("create", "-n", namespace, "-f", "-", manifest=manifest))
    refused(try_patch(namespace, name, {"cancel": value}), r"spec\.cancel: .*cancel never goes back to false")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        pytest.param("project", "elsewhere", r"spec\.project: .*project is immutable", id="project"),
        pytest.param("mode", "clone", r"spec\.mode: .*mode is immutable", id="mode added"),
        pytest.param("ttl", "169h", r"spec\.ttl: .*at most 168h", id="ttl too long"),
    ],
)
def test_a_preview_never_changes(field: str, value: str, message: str, namespace: str) -> None:
    name = f"preview-{field}"
    accepted(kubectl("create", "-n", namespace, "-f", "-", manifest=changed(PREVIEW, {"metadata.name": name})))
    change = json.dumps({"spec": {field: value}})
    arguments = ["previewdatabase", name, "-n", namespace, "--type=merge", "--dry-run=server"]
    refused(kubectl("patch", *arguments, "-p", change), message)
    accepted(kubectl("patch", *arguments, "-p", json.dumps({"spec": {"ttl": "48h"}})))


def test_a_project_never_moves(namespace: str) -> None:
    accepted(kubectl("create", "-f", "-", manifest=PROJECT))
    name = PROJECT["metadata"]["name"]
    try:
        change = json.dumps({"spec": {"namespace": "elsewhere"}})
        result = kubectl("patch", "project.capydb.dev", name, "--type=merge", "--dry-run=server", "-p", change)
        refused(result, r"spec\.namespace: .*namespace is immutable: create a new Project")
    finally:
        accepted(kubectl("delete", "project.capydb.dev", name))


def patch_project(name: str, change: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
    return kubectl("patch", "project.capydb.dev", name, "--type=merge", "-p", json.dumps(change), *arguments)


@pytest.fixture(scope="module")
def unreachable_project() -> Iterator[str]:
    """Yields a Project whose server does not answer, so that a running operator leaves its status.inUse as it is."""
    name = f"in-use-{uuid.uuid4().hex[:8]}"
    accepted(kubectl("create", "-f", "-", manifest=changed(PROJECT, {"metadata.name": name, "spec.namespace": name})))
    yield name
    accepted(kubectl("delete", "project.capydb.dev", name))


ADDRESS = [
    pytest.param({"clusterID": "other"}, "clusterID", id="another cluster"),
    pytest.param({"host": "other.invalid"}, "host", id="another host"),
    pytest.param({"port": 5433}, "port", id="another port"),
]


@pytest.mark.parametrize(("server", "field"), ADDRESS)
def test_the_address_of_a_server_in_use_never_changes(
    server: dict[str, Any], field: str, unreachable_project: str
) -> None:
    change, dry_run = {"spec": {"server": server}}, "--dry-run=server"
    for in_use in (None, False):
        accepted(patch_project(unreachable_project, {"status": {"inUse": in_use}}, "--subresource=status"))
        accepted(patch_project(unreachable_project, change, dry_run))
    accepted(patch_project(unreachable_project, {"status": {"inUse": True}}, "--subresource=status"))
    message = rf"spec\.server\.{field}: .*{field} cannot change while status\.inUse is true.*docs/operations/backup\.md"
    refused(patch_project(unreachable_project, change, dry_run), message)


MUTABLE = [
    pytest.param({"sslmode": "require"}, id="sslmode"),
    pytest.param({"templates": ["gis_template"]}, id="templates"),
    pytest.param({"adminSecretRef": {"name": "other"}}, id="another Secret"),
    pytest.param({"port": 5432}, id="the default of the port"),
]


@pytest.mark.parametrize("server", MUTABLE)
def test_other_fields_of_a_server_in_use_change(server: dict[str, Any], unreachable_project: str) -> None:
    accepted(patch_project(unreachable_project, {"status": {"inUse": True}}, "--subresource=status"))
    accepted(patch_project(unreachable_project, {"spec": {"server": server}}, "--dry-run=server"))


@pytest.mark.parametrize("terminal", ["completed", "failed", "cancelled"])
def test_a_terminal_state_stays(terminal: str, namespace: str) -> None:
    name = f"state-{terminal}"
    manifest = changed(IMPORT, {"metadata.name": name, "spec.suspend": True})
    accepted(kubectl("create", "-n", namespace, "-f", "-", manifest=manifest))
    accepted(patch(namespace, name, {"status": {"state": terminal}}, "--subresource=status"))
    for state in ("pending", "running", None, *({"completed", "failed", "cancelled"} - {terminal})):
        result = patch(namespace, name, {"status": {"state": state}}, "--subresource=status", "--dry-run=server")
        refused(result, r"status\.state: .*a terminal state never changes")
    accepted(patch(namespace, name, {"status": {"error": "still writable"}}, "--subresource=status"))


def test_an_unknown_state_is_refused(namespace: str, bare: str) -> None:
    result = patch(namespace, bare, {"status": {"state": "finished"}}, "--subresource=status", "--dry-run=server")
    refused(result, r'status\.state: Unsupported value: "finished"')


def test_the_shape_of_kubectl_get(namespace: str, bare: str) -> None:
    result = kubectl("get", "pgi", bare, "-n", namespace)
    accepted(result)
    assert result.stdout.split("\n")[0].split() == ["NAME", *(column.name.upper() for column in IMPORT_KIND.columns)]


def test_imports_can_be_selected(namespace: str, bare: str) -> None:
    selector = "--field-selector=spec.target.previewDatabase=debian"
    result = kubectl("get", "pgi", "-n", namespace, selector, "-o", "name")
    accepted(result)
    assert f"postgresimport.capydb.dev/{bare}" in result.stdout.split()
    nothing = kubectl(
        "get",
        "pgi",
        "-n",
        namespace,
        "--field-selector=status.state=completed,spec.target.previewDatabase=other",
        "-o",
        "name",
    )
    accepted(nothing)
    assert nothing.stdout == ""
