"""The recipes for pull requests. kubectl is a stand-in, and the objects must fit the CRDs."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from tests.charts.conftest import Helm
from tests.docs.crd_schemas import read_schemas
from tests.gitops.pull_request_recipes import (
    CHART,
    RECIPES,
    Manifest,
    read_github_actions,
    read_gitlab_ci,
    read_parameters,
    render_flux,
    run_steps,
)
from tests.support.yaml_files import read_yaml

URI = b"postgresql://pr_7_owner:correct-horse@db.internal:5432/pr_7"
# Keeps the applied objects in its folder. Prints a connection Secret as kubectl does with a template.
KUBECTL = """
import pathlib, re, sys, yaml
folder, arguments = pathlib.Path(sys.argv[1]), sys.argv[2:]
if arguments[0] == "-n":
    del arguments[:2]
verb = arguments[0]
if verb == "apply":
    body = yaml.safe_load(sys.stdin)
    name = f"{body['kind'].lower()}.{body['metadata']['name']}"
    (folder / name).write_text(yaml.safe_dump(body))
    print(name.replace(".", "/"), "applied")
elif verb == "wait":
    assert "--for=condition=Ready" in arguments
    assert (folder / arguments[-1].replace("/", ".")).exists()
elif verb == "get":
    assert arguments[1:3] == ["secret", "pr-7-connection"], arguments
    (template,) = [argument for argument in arguments if argument.startswith("go-template=")]
    print(template.removeprefix("go-template=").replace("{{.data.uri}}", "@URI@"))
elif verb == "delete":
    assert "--ignore-not-found" in arguments
    (folder / f"{arguments[1]}.{arguments[2]}").unlink(missing_ok=True)
else:
    sys.exit(f"not known: {arguments}")
"""


@pytest.fixture
def objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts the stand-in into PATH, and returns the folder with the objects that exist."""
    for name in ("bin", "objects"):
        (tmp_path / name).mkdir()
    (tmp_path / "kubectl.py").write_text(KUBECTL.replace("@URI@", base64.b64encode(URI).decode()))
    program = tmp_path / "bin/kubectl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {tmp_path}/kubectl.py {tmp_path}/objects "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path / "objects"


def _check_preview(body: Manifest) -> None:
    """Checks that the API server would accept the preview, and that it is a copy of the golden one."""
    assert body["kind"] == "PreviewDatabase"
    errors = jsonschema.Draft202012Validator(read_schemas()["PreviewDatabase"]).iter_errors(body)
    assert [error.message for error in errors] == []
    golden = yaml.safe_load((RECIPES / "golden.yaml").read_text())
    assert body["spec"]["from"] == {"previewDatabase": golden["metadata"]["name"]}
    assert body["metadata"] | {"annotations": None} == {"name": "pr-7", "namespace": "demo", "annotations": None}


def _read(objects: Path) -> dict[str, Any]:
    return {path.name: yaml.safe_load(path.read_text()) for path in sorted(objects.iterdir())}


@pytest.mark.parametrize(
    ("opened", "closed", "shell"),
    [
        pytest.param(
            read_github_actions("opened", 7), read_github_actions("closed", 7), ("bash", "-e"), id="GitHub Actions"
        ),
        pytest.param(
            read_gitlab_ci("preview-database", 7),
            read_gitlab_ci("delete-preview-database", 7),
            ("sh", "-e"),
            id="GitLab CI",
        ),
    ],
)
def test_a_pipeline_creates_the_database_and_deletes_it_at_the_end(
    opened: tuple[list[str], dict[str, str]],
    closed: tuple[list[str], dict[str, str]],
    shell: tuple[str, ...],
    objects: Path,
) -> None:
    printed = run_steps(*opened, shell)
    applied = _read(objects)
    assert list(applied) == ["previewdatabase.pr-7", "secret.pr-7-database"]
    _check_preview(applied["previewdatabase.pr-7"])
    assert applied["previewdatabase.pr-7"]["spec"]["resetAt"] == applied["previewdatabase.pr-7"]["spec"]["renewedAt"]
    secret = applied["secret.pr-7-database"]
    assert secret["metadata"]["namespace"] == "shop"
    assert base64.b64decode(secret["data"]["DATABASE_URL"]) == URI
    printed += run_steps(*closed, shell)
    assert _read(objects) == {}
    assert run_steps(*closed, shell) == ""  # it may run twice
    for text in (URI, base64.b64encode(URI), b"correct-horse"):
        assert text.decode() not in printed


def test_pipelines_skip_what_gets_no_secrets() -> None:
    """The account's kubeconfig is missing there, so each such pull request would have a failed job."""
    workflow, pipeline = read_yaml(RECIPES / "github-actions.yaml"), read_yaml(RECIPES / "gitlab-ci.yaml")
    (condition,) = (job["if"] for job in workflow["jobs"].values())
    assert "pull_request.head.repo.full_name == github.repository" in condition
    assert "github.actor != 'dependabot[bot]'" in condition
    for job in ("preview-database", "delete-preview-database"):
        (rule,) = pipeline[job]["rules"]
        assert rule["if"].endswith("&& $CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_MERGE_REQUEST_PROJECT_ID")


def test_the_token_of_the_ci_belongs_to_its_account() -> None:
    objects = list(yaml.safe_load_all((RECIPES / "ci-access.yaml").read_text()))
    (account,) = (body["metadata"] for body in objects if body["kind"] == "ServiceAccount")
    (token,) = (body for body in objects if body["kind"] == "Secret")
    assert token["type"] == "kubernetes.io/service-account-token"
    assert token["metadata"]["namespace"] == account["namespace"]
    assert token["metadata"]["annotations"] == {"kubernetes.io/service-account.name": account["name"]}


def test_a_push_resets_the_database() -> None:
    assert read_github_actions("synchronize", 7) == read_github_actions("opened", 7)


def test_a_pipeline_ends_if_the_connection_cannot_be_read(objects: Path) -> None:
    """In a shell without pipefail, the second command must fail."""
    steps, variables = read_github_actions("opened", 7)
    with pytest.raises(subprocess.CalledProcessError):
        run_steps(steps[1:], variables | {"PREVIEW": "pr-8"}, ("bash", "-e"))
    assert _read(objects) == {}


def test_argo_cd_creates_a_preview_and_an_app_that_uses_it(helm: Helm) -> None:
    words = [word for pair in read_parameters(7, "1a2b3c").items() for word in ("--set-string", "=".join(pair))]
    result = helm("template", "shop-pr-7", str(CHART), "--namespace", "demo", *words)
    assert result.returncode == 0, result.stderr
    _check_objects([body for body in yaml.safe_load_all(result.stdout) if body])


def test_flux_creates_a_preview_and_an_app_that_uses_it() -> None:
    _check_objects(list(render_flux(7, "1a2b3c")))


def _check_objects(bodies: list[Manifest]) -> None:
    objects = {body["kind"]: body for body in bodies}
    assert sorted(objects) == ["Deployment", "PreviewDatabase"]
    preview = objects["PreviewDatabase"]
    _check_preview(preview | {"metadata": {"namespace": "demo"} | preview["metadata"]})  # Argo CD adds it
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "example/shop:1a2b3c"
    (variable,) = container["env"]
    assert variable["valueFrom"]["secretKeyRef"] == {"name": "pr-7-connection", "key": "uri"}


def test_argo_cd_and_flux_delete_what_they_create() -> None:
    application = yaml.safe_load(
        (RECIPES / "argo-cd/applicationset.yaml").read_text().replace("{{", "").replace("}}", "")
    )
    template = application["spec"]["template"]
    assert "resources-finalizer.argocd.argoproj.io" in template["metadata"]["finalizers"]
    assert template["spec"]["syncPolicy"]["automated"]["prune"] is True
    assert "fluxcd.controlplane.io/prune" not in json.dumps(list(render_flux(7, "1a2b3c")))
