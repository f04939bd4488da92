"""The recipes for pull requests, with the real kubectl, operator and server."""

import json
import subprocess
from collections.abc import Iterator

import pytest
import yaml
from tests.e2e.tenant import END_SECONDS, PREVIEWS, Tenant, read_secret, state_of
from tests.gitops.pull_request_recipes import (
    CHART,
    Manifest,
    read_github_actions,
    read_gitlab_ci,
    read_parameters,
    render_flux,
    run_steps,
)
from tests.support import kubectl

pytestmark = pytest.mark.cluster
BASH, SH = ("bash", "-e"), ("sh", "-e")


@pytest.fixture(scope="module")
def golden(tenant: Tenant) -> Iterator[str]:
    kubectl.create(tenant.preview_manifest("recipes", golden=True))
    tenant.start("recipes-fill", "small", "recipes")
    tenant.wait_for_end("recipes-fill", "completed")
    tenant.wait(PREVIEWS, ("recipes",), lambda body: state_of(body) == "ready", "is ready", END_SECONDS)
    yield "recipes"
    kubectl.delete(PREVIEWS, "recipes", namespace=tenant.name)


def _run(recipe: tuple[list[str], dict[str, str]], shell: tuple[str, ...], tenant: Tenant, golden: str) -> str:
    steps, variables = recipe
    names = {"PROJECT": tenant.name, "NAMESPACE": tenant.name, "APP_NAMESPACE": tenant.name, "GOLDEN": golden}
    return run_steps(steps, kubectl.environment() | variables | names, shell)


def test_pipelines_create_reset_and_delete_a_database(tenant: Tenant, golden: str) -> None:
    printed = _run(read_github_actions("opened", 7), BASH, tenant, golden)
    connection = tenant.connection("pr-7")
    assert read_secret(tenant.name, "pr-7-database") == {"DATABASE_URL": connection["uri"]}
    tenant.log_in("pr-7", "CREATE TABLE of_the_first_push (id int)")
    printed += _run(read_github_actions("synchronize", 7), BASH, tenant, golden)
    assert tenant.log_in("pr-7", "SELECT to_regclass('of_the_first_push') IS NULL") == [["t"]]
    printed += _run(read_github_actions("closed", 7), BASH, tenant, golden)
    printed += _run(read_gitlab_ci("preview-database", 8), SH, tenant, golden)
    assert read_secret(tenant.name, "pr-8-database") == {"DATABASE_URL": tenant.connection("pr-8")["uri"]}
    printed += _run(read_gitlab_ci("delete-preview-database", 8), SH, tenant, golden)
    for name in ("pr-7", "pr-8"):
        assert kubectl.find(PREVIEWS, name, tenant.name) is None
        assert kubectl.find("secret", f"{name}-database", tenant.name) is None
    assert connection["password"] not in printed
    assert "postgresql://" not in printed


def test_objects_of_argo_cd_and_flux_become_ready(tenant: Tenant, golden: str) -> None:
    parameters = [f"--set-string={name}={value}" for name, value in read_parameters(9, "1a2b3c").items()]
    rendered = subprocess.run(
        ["helm", "template", "shop-pr-9", CHART, *parameters],
        capture_output=True,
        text=True,
        check=True,
        env=kubectl.environment(),
    )
    bodies: list[Manifest] = [body for body in yaml.safe_load_all(rendered.stdout) if body]
    bodies += render_flux(10, "1a2b3c")
    for body in bodies:
        body["metadata"]["namespace"] = tenant.name
        if body["kind"] == "PreviewDatabase":
            body["spec"] |= {"project": tenant.name, "from": {"previewDatabase": golden}}
            kubectl.run("apply", "--filename", "-", stdin=json.dumps(body))
        else:  # without the app's image: the API server checks the object
            kubectl.run("apply", "--dry-run=server", "--filename", "-", stdin=json.dumps(body))
    tenant.wait(PREVIEWS, ("pr-9", "pr-10"), lambda body: state_of(body) == "ready", "are ready", END_SECONDS)
    for name in ("pr-9", "pr-10"):
        assert tenant.connection(name)["uri"]
    kubectl.delete(PREVIEWS, "pr-9", "pr-10", namespace=tenant.name)
