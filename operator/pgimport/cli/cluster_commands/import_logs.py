"""`pgimport import logs`: the log of an attempt from its pod, or its last lines from the status if the pod is gone."""

import argparse
import subprocess
from collections.abc import Sequence
from typing import Any

from pgimport.cli.cluster_commands.command_context import IMPORTS, CommandContext
from pgimport.cli.cluster_commands.errors import CommandFailed
from pgimport.cli.cluster_commands.import_pages import describe_condition
from pgimport.cli.cluster_commands.kubectl_errors import explain_kubectl_error
from pgimport.cli.cluster_commands.objects import Json, find_condition, has_ended, name_of, read
from pgimport.cli.cluster_commands.outcomes import Outcome
from pgimport.cli.cluster_commands.waiting import follow
from pgimport.model.names import CONTAINER_IMPORT, CONTAINER_PREFLIGHT, LABEL_IMPORT_UID
from pgimport.model.report_lines import is_report_line

ENDED_PHASES = ("Succeeded", "Failed")


def print_logs(context: CommandContext, arguments: argparse.Namespace) -> int:
    """Prints the logs of both containers of an attempt. Raises CommandFailed if there is nothing to print."""
    body = context.kubectl.get(IMPORTS, arguments.name)
    pods = list_pods(context, body)
    if arguments.follow and not pods and not has_ended(body) and arguments.attempt is None:
        body = _wait_for_pod(context, arguments.name)
        pods = list_pods(context, body)
    pod, attempt = choose_attempt(body, pods, arguments.attempt)
    if pod is None:
        return _print_kept_output(context, name_of(body), attempt)
    for container in containers_of(pod):
        _print_container(context, name_of(pod), container, follows=arguments.follow)
    return 0


def list_pods(context: CommandContext, body: Json) -> list[Json]:
    """Returns the pods of an import, oldest first."""
    pods = context.kubectl.list("pods", f"--selector={LABEL_IMPORT_UID}={body['metadata']['uid']}")
    return sorted(pods, key=lambda pod: (read(pod, "metadata", "creationTimestamp") or "", name_of(pod)))


def choose_attempt(body: Json, pods: Sequence[Json], number: int | None) -> tuple[Json | None, Json]:
    """Returns the pod of an attempt, or None if it is gone, and what the status says about the attempt.

    Without a number, this is the newest pod, which the status may not mention yet, or else the last attempt. Raises
    CommandFailed if there is no such attempt.
    """
    history: list[Json] = read(body, "status", "attemptHistory") or []
    if number is None:
        if pods:
            return pods[-1], {}
        if history:
            return None, history[-1]
        waits = describe_condition(find_condition(body)) or "the operator has not seen it yet"
        raise CommandFailed(f"import {name_of(body)} has had no pod: {waits}")
    attempt = next((attempt for attempt in history if attempt.get("number") == number), None)
    if attempt is None:
        known = ", ".join(str(attempt.get("number")) for attempt in history) or "none"
        raise CommandFailed(f"import {name_of(body)} has no attempt {number}; its attempts: {known}")
    return next((pod for pod in pods if name_of(pod) == attempt.get("pod")), None), attempt


def containers_of(pod: Json) -> list[str]:
    """Returns the containers of a pod in the order in which they run. A dry run has only the first."""
    spec = pod.get("spec") or {}
    names = [container["name"] for container in (*spec.get("initContainers", ()), *spec.get("containers", ()))]
    return [name for name in (CONTAINER_PREFLIGHT, CONTAINER_IMPORT) if name in names]


def has_log(pod: Json, container: str) -> bool:
    """Tells whether a container has started, so that kubectl can read its log."""
    state = _container_state(pod, container)
    return "running" in state or "terminated" in state


def may_start(pod: Json, container: str) -> bool:
    """Tells whether a container that waits can still start."""
    preflight = _container_state(pod, CONTAINER_PREFLIGHT).get("terminated")
    refused = container == CONTAINER_IMPORT and preflight is not None and preflight.get("exitCode") != 0
    return read(pod, "status", "phase") not in ENDED_PHASES and not refused


def _container_state(pod: Json, container: str) -> dict[str, Any]:
    status = pod.get("status") or {}
    known = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
    return next((entry.get("state") or {} for entry in known if entry["name"] == container), {})


def _wait_for_pod(context: CommandContext, name: str) -> Json:
    """Waits until the status of an import mentions a pod, or the import has ended."""
    context.screen.print_note(f"import {name} has no pod yet; waiting …")

    def decide(body: Json) -> Outcome | None:
        return Outcome(0) if has_ended(body) or read(body, "status", "attemptHistory") else None

    body, _ = follow(context, IMPORTS, name, decide, None)
    return body


def _print_container(context: CommandContext, pod: str, container: str, *, follows: bool) -> None:
    def decide(body: Json) -> Outcome | None:
        if has_log(body, container) or not may_start(body, container) or not follows:
            return Outcome(0)
        return None

    body, _ = follow(context, "pods", pod, decide, None)
    if not has_log(body, container):
        if may_start(body, container):
            context.screen.print_note(f"container {container} has not started yet")
        return
    options = ["--follow"] if follows else []
    command = ["logs", pod, "--container", container, *options]
    with context.kubectl.start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            for line in process.stdout or ():
                if not is_report_line(line):  # a part of the report, which is not for people
                    context.screen.print_text(line.rstrip("\n"))
            stderr = process.stderr.read() if process.stderr else ""
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise explain_kubectl_error(stderr, context.kubectl.namespace)


def _print_kept_output(context: CommandContext, name: str, attempt: Json) -> int:
    """Prints the last output of an attempt that the status keeps."""
    texts = [text for text in (attempt.get("lastStdout"), attempt.get("lastStderr")) if text]
    context.screen.print_note(f"pod {attempt.get('pod')} is gone; the status keeps its last output")
    for text in texts:
        context.screen.print_text(str(text).rstrip("\n"))
    if not texts:
        error = attempt.get("error") or attempt.get("reason") or "it printed nothing"
        context.screen.print_note(f"import {name} keeps no output of this attempt: {error}")
    return 0
