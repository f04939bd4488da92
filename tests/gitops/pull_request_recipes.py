"""Reads the recipes for pull requests, and does what their controllers and CI servers do with them."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from tests.docs.blocks import ROOT
from tests.support.yaml_files import read_yaml

RECIPES = ROOT / "charts/pgimport/examples/pull-requests"
CHART = RECIPES / "argo-cd/chart"
Manifest = dict[str, Any]
Variables = dict[str, str]


def read_github_actions(action: str, number: int) -> tuple[list[str], Variables]:
    """Returns the shell steps that GitHub runs for an event of a pull request, and the workflow's variables.

    The step that logs in to the cluster is left out.
    """
    workflow = read_yaml(RECIPES / "github-actions.yaml")
    (job,) = workflow["jobs"].values()
    conditions = {None: True, "failure()": False}
    for name in ("opened", "synchronize", "closed"):
        conditions[f"github.event.action == '{name}'"] = action == name
        conditions[f"github.event.action != '{name}'"] = action != name
    steps = [step["run"] for step in job["steps"] if conditions[step.get("if")] and "secrets." not in str(step)]
    return steps, {
        name: value.replace("${{ github.event.number }}", str(number)) for name, value in workflow["env"].items()
    }


def read_gitlab_ci(job: str, number: int) -> tuple[list[str], Variables]:
    """Returns the shell steps of a job, and its variables."""
    pipeline = read_yaml(RECIPES / "gitlab-ci.yaml")
    body = pipeline[pipeline[job]["extends"]] | pipeline[job]
    variables = {name: value.replace("$CI_MERGE_REQUEST_IID", str(number)) for name, value in body["variables"].items()}
    return body["script"], variables


def run_steps(steps: Sequence[str], variables: Mapping[str, str], shell: Sequence[str]) -> str:
    """Runs each step in a shell of its own, and returns what they print. Raises CalledProcessError at a failure."""
    return "".join(
        subprocess.run(
            [*shell, "-c", step],
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        ).stdout
        for step in steps
    )


def read_parameters(number: int, commit: str) -> dict[str, str]:
    """Returns the chart's parameters that Argo CD sets for a pull request."""
    text = (RECIPES / "argo-cd/applicationset.yaml").read_text(encoding="utf-8")
    filled = yaml.safe_load(text.replace("{{.number}}", str(number)).replace("{{.head_sha}}", commit))
    parameters = filled["spec"]["template"]["spec"]["source"]["helm"]["parameters"]
    return {parameter["name"]: parameter["value"] for parameter in parameters}


def render_flux(number: int, commit: str) -> Iterator[Manifest]:
    """Yields the objects that the Flux Operator creates for a pull request."""
    text = (RECIPES / "flux.yaml").read_text(encoding="utf-8")
    for body in yaml.safe_load_all(text.replace("<< inputs.id >>", str(number)).replace("<< inputs.sha >>", commit)):
        if body["kind"] == "ResourceSet":
            yield from body["spec"]["resources"]
