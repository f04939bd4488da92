"""Tries each row of docs/reference/causes.md, and checks that no cause is missing there."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from tests.support.samples import (
    BORN,
    NOW,
    a_container,
    a_copying_pod,
    a_failed_result,
    a_job,
    a_pod,
    a_policy,
    a_running_status,
    a_shadow,
    an_attempt,
    an_import_spec,
    observed_import,
    observed_running_import,
)

from pgimport.decide.attempts import merge_attempts, pod_outcome
from pgimport.decide.conditions import ready_reason
from pgimport.decide.imports import decide_import
from pgimport.model.observations import ObservedPod
from pgimport.model.reasons import MEANINGS, Reason, find_reason_by_exit_code
from pgimport.model.status import ImportPhase, ImportState, ImportStatus, Progress
from pgimport.worker.postgres.errors import (
    ClientObservation,
    ConnectObservation,
    ConnectProblem,
    translate_connect_error,
    translate_dump_end,
    translate_restore_end,
    translate_source_error,
    translate_target_error,
)
from pgimport.worker.postgres.server_errors import ServerError
from pgimport.worker.postgres.sqlstates import CLASSES, CODES, SOURCE_CODES


class Row(NamedTuple):
    """One row of the table."""

    origin: str
    observation: str
    reason: Reason
    classification: str


def read_rows() -> list[Row]:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "causes.md").read_text()
    cells = re.findall(r"^\| (.*?) \| (.*) \| `(\w+)` \| (\w+) \|$", text, re.MULTILINE)
    return [Row(origin, observation.strip("`"), Reason(reason), retry) for origin, observation, reason, retry in cells]


ROWS = read_rows()


def a_failed_pod(code: int, ended_reason: str = "Error", ended_message: str = "", **pod: Any) -> ObservedPod:
    ended = a_container(
        "import", exit_code=code, ended_at=NOW, ended_reason=ended_reason, ended_message=ended_message or None
    )
    return a_copying_pod(phase="Failed", import_=ended, **pod)


FAILED_CONTAINER = a_container("import", exit_code=1, ended_at=NOW, result=a_failed_result(Reason.RESTORE_FAILED))
EMPTY_DIR = 'Usage of EmptyDir volume "scratch" exceeds the limit "10Gi".'
EPHEMERAL = "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi."
NODE_PRESSURE = "The node was low on resource: ephemeral-storage."
TOO_LITTLE_MEMORY = "failed to create containerd task: container init was OOM-killed (memory limit too low?)"
PODS = {
    "the container's own result, for example `RestoreFailed`, whatever its exit code": a_copying_pod(
        phase="Failed", import_=FAILED_CONTAINER
    ),
    "exit code 0 without a result": a_failed_pod(0, "Completed"),
    "OOMKilled, exit code 137": a_failed_pod(137, "OOMKilled"),
    "killed, exit code 137": a_failed_pod(137),
    "StartError, because the memory limit is too low": a_failed_pod(128, "StartError", TOO_LITTLE_MEMORY),
    "ContainerStatusUnknown, exit code 137": a_failed_pod(137, "ContainerStatusUnknown", "could not be located"),
    "terminated, exit code 143": a_failed_pod(143),
    "deleted, exit code 137": a_failed_pod(137, deleting=True),
    "evicted: its emptyDir is over its limit": a_failed_pod(137, reason="Evicted", message=EMPTY_DIR),
    "evicted: its ephemeral storage is over its limit": a_failed_pod(137, reason="Evicted", message=EPHEMERAL),
    "evicted: the node ran out of a resource": a_failed_pod(
        137, reason="Evicted", message=NODE_PRESSURE, disrupted=True
    ),
    "disrupted: drained, preempted, or its node is gone": a_failed_pod(143, disrupted=True),
    "failed without a container status": a_pod(phase="Failed", reason="NodeLost", preflight=None, import_=None),
    "another exit code without a result": a_failed_pod(1),
}
GONE_POD = "deleted before the operator observed its end"
PREEMPTED_POD = "deleted, or about to be deleted, because a queue suspended its Job"


COPYING = a_running_status(shadow=a_shadow(), progress=Progress(phase=ImportPhase.DATA, percent=5, at=BORN))
OBSERVED_IMPORTS = {
    (
        "Job",
        "the Job was deleted, or it is complete and its pod was deleted before the operator read the result",
    ): observed_running_import(job=None, pods=()),
    ("Job", "DeadlineExceeded"): observed_running_import(job=a_job(failed_reason="DeadlineExceeded"), pods=()),
    ("Job", "BackoffLimitExceeded, and no attempt has a reason"): observed_running_import(
        job=a_job(failed_reason="BackoffLimitExceeded"), pods=()
    ),
    ("operator's clock", "spec.pendingTimeout is over"): observed_import(
        an_import_spec(pendingTimeout="10m"),
        ImportStatus(state=ImportState.PENDING, pending_since=BORN),
        preview=None,
    ),
    ("operator's clock", "spec.timeout is over"): observed_running_import(an_import_spec(timeout="10m")),
    (
        "operator's clock",
        "no container runs for spec.startTimeout: a missing image or Secret, or a quota",
    ): observed_running_import(
        pods=(a_pod(preflight=a_container("preflight", waiting_reason="ErrImagePull")),), waiting_since=BORN
    ),
    ("operator's clock", "no progress for spec.stallTimeout"): observed_running_import(
        status=COPYING, pods=(a_copying_pod(),)
    ),
    ("operator's clock", "the swap of a verified copy is not possible for 30 minutes"): observed_running_import(
        status=a_running_status(shadow=a_shadow(verified=True, verified_at=BORN - timedelta(hours=1)))
    ),
    ("operator's clock", "ten disruptions"): observed_running_import(
        status=a_running_status(attempt_history=[an_attempt(f"n{at}", 0, reason="Disrupted") for at in range(10)])
    ),
}


LOGINS = {
    **{
        state: ConnectObservation(refusal=ServerError(message="no", sqlstate=state))
        for state in ("28P01", "28000", "3D000", "42501", "53300", "55000", "57P03")
    },
    "any other SQLSTATE": ConnectObservation(refusal=ServerError(message="no", sqlstate="XX000")),
    "28000 without TLS, but not with TLS": ConnectObservation(
        refusal=ServerError(message="no", sqlstate="28000"), problem=ConnectProblem.TLS_WANTED
    ),
    "a certificate that is not valid": ConnectObservation(problem=ConnectProblem.TLS_FAILED),
    "no TLS, but the URL requires it": ConnectObservation(problem=ConnectProblem.TLS_MISSING),
    "the server wants a password, and the URL has none": ConnectObservation(problem=ConnectProblem.PASSWORD_MISSING),
    "the server wants the password in clear text, without TLS": ConnectObservation(
        problem=ConnectProblem.PASSWORD_IN_CLEAR
    ),
    "the server wants an authentication method that the worker does not have": ConnectObservation(
        problem=ConnectProblem.METHOD_UNKNOWN
    ),
    "no answer, or a closed connection": ConnectObservation(problem=ConnectProblem.NO_ANSWER),
}


def build_error(code: str) -> psycopg.Error:
    error = psycopg.Error("the message")
    error.sqlstate = f"{code.removeprefix('class ')}999" if code.startswith("class ") else code
    return error


DISK_FULL = ServerError(message="could not extend file", sqlstate="53100")
CLIENT_ENDS: dict[str, dict[str, Any]] = {
    "killed by signal 9": {"returncode": -9},
    "scratch has less than 1 MiB left": {"scratch_is_full": True},
    "its connection was lost": {"connection_lost": True},
    "its statement succeeds when it is repeated": {"repeated": True},
    "its statement fails again, with SQLSTATE 42501": {"refusal": ServerError(message="no", sqlstate="42501")},
    "its statement fails again, with SQLSTATE 40001": {"refusal": ServerError(message="no", sqlstate="40001")},
    "the target's disk is full": {"refusal": DISK_FULL},
    "any other error": {},
}


def find_client_reason(program: str, observation: str) -> Reason:
    fields = {"returncode": 1, "error": "the error", **CLIENT_ENDS[observation]}
    translate = translate_dump_end if program == "pg_dump" else translate_restore_end
    return translate(ClientObservation(program=program, **fields)).reason


def find_reason(row: Row) -> Reason | str | None:
    match row.origin:
        case "pod" if row.observation == GONE_POD:
            return merge_attempts([an_attempt()], [], NOW, a_job())[0].reason
        case "pod" if row.observation == PREEMPTED_POD:
            return merge_attempts([an_attempt()], [], NOW, a_job(suspended=True))[0].reason
        case "pod":
            failure = pod_outcome(PODS[row.observation]).failure
            return failure.reason if failure is not None else None
        case "Job" | "operator's clock":
            decision = decide_import(
                OBSERVED_IMPORTS[row.origin, row.observation], NOW + timedelta(minutes=1), a_policy()
            )
            return ready_reason(decision.status.conditions)
        case "exit code":
            return find_reason_by_exit_code(int(row.observation))
        case "SQLSTATE at the source":
            return translate_source_error(build_error(row.observation), "reading x").reason
        case "SQLSTATE at the target":
            return translate_target_error(build_error(row.observation), "creating x").reason
        case "connection to the source":
            return translate_connect_error(psycopg.OperationalError(), "h:5432/d", LOGINS[row.observation]).reason
        case _:
            return find_client_reason(row.origin, row.observation)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.origin}: {row.observation}")
def test_each_cause_leads_to_the_reason_in_its_row(row: Row) -> None:
    assert find_reason(row) == row.reason
    assert MEANINGS[row.reason].classification == row.classification


def observations_of(origin: str) -> set[str]:
    return {row.observation for row in ROWS if row.origin == origin}


def test_no_cause_is_missing() -> None:
    assert observations_of("pod") == {*PODS, GONE_POD, PREEMPTED_POD}
    assert {(row.origin, row.observation) for row in ROWS if row.origin in ("Job", "operator's clock")} == set(
        OBSERVED_IMPORTS
    )
    codes = {str(meaning.exit_code) for meaning in MEANINGS.values() if meaning.exit_code is not None}
    assert observations_of("exit code") == codes
    for end in ("SQLSTATE at the source", "SQLSTATE at the target"):
        assert observations_of(end) == {*CODES, *SOURCE_CODES, *(f"class {state}" for state in CLASSES)}
    assert observations_of("connection to the source") == set(LOGINS)
    assert observations_of("pg_dump") | observations_of("pg_restore") == set(CLIENT_ENDS)
