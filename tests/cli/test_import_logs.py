"""Which pod and which containers `import logs` reads."""

from typing import Any

import pytest
from tests.cli.kubernetes_objects import Json, a_failed_import, a_time, an_import

from pgimport.cli.cluster_commands.errors import CommandFailed
from pgimport.cli.cluster_commands.import_logs import choose_attempt, containers_of, has_log, may_start

RUNNING: Json = {"running": {}}
WAITING: Json = {"waiting": {"reason": "PodInitializing"}}
FAILED: Json = {"terminated": {"exitCode": 66}}
SUCCEEDED: Json = {"terminated": {"exitCode": 0}}


def a_pod(preflight: Json, main: Json | None = None, *, name: str = "pgi-debian-1", phase: str = "Running") -> Json:
    """Builds a pod; without `main`, that of a dry run."""

    def statuses(container: str, state: Json) -> list[dict[str, Any]]:
        return [{"name": container, "state": state}]

    if main is None:
        spec: Json = {"containers": [{"name": "preflight"}]}
        status: Json = {"containerStatuses": statuses("preflight", preflight)}
    else:
        spec = {"initContainers": [{"name": "preflight"}], "containers": [{"name": "import"}]}
        status = {
            "initContainerStatuses": statuses("preflight", preflight),
            "containerStatuses": statuses("import", main),
        }
    metadata = {"name": name, "creationTimestamp": a_time(60)}
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase, **status}}


def test_the_newest_pod_counts_also_before_the_status_mentions_it() -> None:
    pod = a_pod(RUNNING, WAITING)
    assert choose_attempt(an_import("running", "Starting"), [pod], None)[0] is pod


def test_after_the_pod_is_gone_the_status_has_its_last_words() -> None:
    pod, attempt = choose_attempt(a_failed_import("DumpFailed", "error"), [], None)
    assert pod is None
    assert attempt["lastStderr"] == "pg_dump: error: ...\n"


def test_an_attempt_is_found_by_its_number() -> None:
    old, new = a_pod(FAILED, WAITING), a_pod(RUNNING, WAITING, name="pgi-debian-2")
    assert choose_attempt(a_failed_import("DumpFailed", "error"), [old, new], 1)[0] is old
    with pytest.raises(CommandFailed, match="has no attempt 7; its attempts: 1"):
        choose_attempt(a_failed_import("DumpFailed", "error"), [old, new], 7)


def test_an_import_without_a_pod_says_what_it_waits_for() -> None:
    with pytest.raises(CommandFailed, match="import debian has had no pod: WaitingForSlot"):
        choose_attempt(an_import("pending", "WaitingForSlot"), [], None)


@pytest.mark.parametrize(
    ("pod", "containers", "logs", "starts"),
    [
        (a_pod(RUNNING, WAITING), ["preflight", "import"], [True, False], True),
        (a_pod(SUCCEEDED, RUNNING), ["preflight", "import"], [True, True], True),
        (a_pod(SUCCEEDED, WAITING), ["preflight", "import"], [True, False], True),
        (a_pod(FAILED, WAITING), ["preflight", "import"], [True, False], False),
        (a_pod(FAILED, WAITING, phase="Failed"), ["preflight", "import"], [True, False], False),
        (a_pod(RUNNING), ["preflight"], [True], True),
    ],
    ids=["preflight runs", "import runs", "between both", "preflight failed", "pod failed", "dry run"],
)
def test_a_container_that_cannot_start_is_not_waited_for(
    pod: Json, containers: list[str], logs: list[bool], starts: bool
) -> None:
    assert containers_of(pod) == containers
    assert [has_log(pod, container) for container in containers] == logs
    assert may_start(pod, containers[-1]) is starts
