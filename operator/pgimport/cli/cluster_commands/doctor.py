"""`pgimport doctor`: reads what it may, and prints a line for each check."""

import argparse
import http.client
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from contextlib import suppress

from pgimport import __version__
from pgimport.cli.cluster_commands.blocks import Checks, Sign
from pgimport.cli.cluster_commands.command_context import IMPORTS, PREVIEWS, PROJECTS, SCHEDULES, CommandContext
from pgimport.cli.cluster_commands.doctor_checks import (
    Row,
    check_crds,
    check_deployments,
    check_objects,
    check_projects,
    check_resources,
    check_rights,
    check_scopes,
)
from pgimport.cli.cluster_commands.doctor_clients import check_client_refusals, check_psql, check_worker_images
from pgimport.cli.cluster_commands.errors import CommandFailed, NotAllowed
from pgimport.cli.cluster_commands.objects import Json
from pgimport.model.names import API_VERSION

API_SECONDS = 10
DEPLOYMENTS = "--selector=app.kubernetes.io/component in (operator,api),app.kubernetes.io/name=pgimport"
CHART = "--selector=app.kubernetes.io/name=pgimport"
ONLY_ADMINS = "only admins may, and you can work without"


def run_doctor(context: CommandContext, _arguments: argparse.Namespace) -> int:
    """Returns 1 if a check failed."""
    rows = [_check_cluster(context)]
    if rows[0][0] is not Sign.FAIL:
        rows.append(_check_resources(context))
    if rows[-1][0] is not Sign.FAIL:
        rows += _check_rights(context)
        for name, check in (("installation", _check_installation), ("namespace", _check_objects)):
            try:
                rows += check(context)
            except CommandFailed as error:
                rows.append((Sign.FAIL, name, f"it cannot be checked: {error}"))
    rows += [_check_psql(), *_check_api(context)]
    context.screen.print_page(Checks(rows))
    return 1 if any(sign is Sign.FAIL for sign, _, _ in rows) else 0


def _check_cluster(context: CommandContext) -> Row:
    answers, text = context.kubectl.try_run("get", "--raw", "/version")
    if answers:
        return Sign.PASS, "cluster", f"kubectl reaches it; namespace {context.kubectl.namespace}"
    return Sign.FAIL, "cluster", f"kubectl cannot use it: {_last_line(text)}"


def _last_line(text: str) -> str:
    return text.splitlines()[-1] if text else "no message"


def _check_resources(context: CommandContext) -> Row:
    """Reads one API group: `kubectl api-resources` fails if another one, such as that of metrics, does not answer."""
    answers, text = context.kubectl.try_run("get", "--raw", f"/apis/{API_VERSION}")
    if not answers and "(NotFound)" not in text:
        return Sign.FAIL, "resources", f"the cluster does not list them: {_last_line(text)}"
    return check_resources([item["name"] for item in json.loads(text)["resources"]] if answers else [])


def _check_rights(context: CommandContext) -> list[Row]:
    namespace = context.kubectl.namespace
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    try:
        # To validate a review, kubectl lists CustomResourceDefinitions, which a tenant may not.
        status = context.kubectl.create(review, "--validate=false").get("status") or {}
    except CommandFailed as error:
        return [(Sign.WARN, "rights", f"the cluster does not tell what you may do: {error}")]
    return check_rights(status.get("resourceRules") or [], namespace, complete=not status.get("incomplete"))


def _check_installation(context: CommandContext) -> list[Row]:
    """Checks what only admins may see: the Deployments and the Projects."""
    rows: list[Row] = []
    deployments: list[Json] = []
    try:
        deployments = context.kubectl.list("deployments", "--all-namespaces", DEPLOYMENTS)
        rows += check_deployments(deployments, __version__) + check_scopes(deployments)
    except NotAllowed:
        rows.append((Sign.WARN, "operator", f"you may not list Deployments: {ONLY_ADMINS}"))
    with suppress(NotAllowed):
        rows += check_crds(context.kubectl.list("customresourcedefinitions", CHART), deployments)
    try:
        projects = context.kubectl.list(PROJECTS)
    except NotAllowed:
        return [*rows, (Sign.WARN, "projects", f"you may not list Projects: {ONLY_ADMINS}")]
    return [*rows, *check_worker_images(deployments, projects), *check_projects(projects)]


def _check_objects(context: CommandContext) -> list[Row]:
    rows: list[Row] = []
    for resource, noun in ((IMPORTS, "imports"), (PREVIEWS, "previews"), (SCHEDULES, "schedules")):
        try:
            items = context.kubectl.list(resource)
            rows += check_objects(items, noun, context.now())
            if resource == IMPORTS:
                rows += check_client_refusals(items)
        except NotAllowed as error:
            rows.append((Sign.FAIL, noun, f"you may not list them: {error}. Ask your admin for Kubernetes' role view."))
    return rows


def _check_psql() -> Row:
    if shutil.which("psql") is None:
        return Sign.WARN, "psql", "it is not on PATH. Install PostgreSQL's client programs for `preview psql`."
    return check_psql(subprocess.run(["psql", "--version"], capture_output=True, text=True, check=False).stdout.strip())


def _check_api(context: CommandContext) -> list[Row]:
    """Checks the HTTP API if the user has configured it; only `import create --dump` needs it."""
    url = context.environment.get("PGIMPORT_API_URL", "").rstrip("/")
    if not url.startswith(("http://", "https://")):
        return []
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=API_SECONDS):  # noqa: S310 (checked above)
            rows = [(Sign.PASS, "HTTP API", f"{url} is ready")]
        key = context.environment.get("PGIMPORT_API_KEY", "").strip()
        return [*rows, check_key(url, key)] if key else rows
    except (OSError, ValueError, http.client.HTTPException) as error:  # of the network, of the URL, or no HTTP
        return [(Sign.FAIL, "HTTP API", f"{url} is not ready: {error}. Check PGIMPORT_API_URL.")]


def check_key(url: str, key: str) -> Row:
    """Asks for an upload in a Project that cannot exist: only a key that may upload is told so."""
    if not (key.isascii() and key.isprintable()):  # the error of a header would quote it
        return Sign.FAIL, "API key", "PGIMPORT_API_KEY holds a character that no key has"
    headers = {"Authorization": f"Bearer {key}"}
    request = urllib.request.Request(  # noqa: S310 (checked by the caller)
        f"{url}/v1/projects/-/imports/uploads", data=b"", method="POST", headers=headers
    )
    try:
        with urllib.request.urlopen(request, timeout=API_SECONDS):  # noqa: S310 (checked by the caller)
            code = 200
    except urllib.error.HTTPError as error:
        code = error.code
    match code:
        case 401:
            return Sign.FAIL, "API key", "it is unknown or has expired. Set PGIMPORT_API_KEY to another one."
        case 403:
            return Sign.WARN, "API key", "it may not upload dumps: it lacks the scope projects:write"
        case 404:
            return Sign.PASS, "API key", "it may upload dumps"
        case _:
            return Sign.WARN, "API key", f"the HTTP API does not tell whether it is valid: status {code}"
