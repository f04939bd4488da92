"""Every row of docs/reference/causes.md is tried, and no cause is missing there."""

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
    observed_running_import,
)

from pgimport.decide.attempts import merge_attempts, pod_outcome
from pgimport.decide.conditions import ready_reason
from pgimport.decide.imports import decide_import
from pgimport.model.observations import ObservedPod
from pgimport.model.reasons import MEANINGS, Reason, find_reason_by_exit_code
from pgimport.model.status import ImportPhase, Progress
from pgimport.worker.postgres.errors import (
    CONNECT_RULES,
    SOURCE_SQLSTATES,
    ClientErrorParser,
    translate_connect_error,
    translate_dump_exit,
    translate_restore_exit,
    translate_source_error,
    translate_target_error,
)


class Row(NamedTuple):
    """One of the table."""

    who: str
    says: str
    reason: Reason
    classification: str


def read_rows() -> list[Row]:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "causes.md").read_text()
    cells = re.findall(r"^\| (.*?) \| (.*) \| `(\w+)` \| (\w+) \|$", text, re.MULTILINE)
    return [Row(who, says.strip("`"), Reason(reason), kind) for who, says, reason, kind in cells]


ROWS = read_rows()


def ended(code: int, why: str = "Error", **pod: Any) -> ObservedPod:
    return a_copying_pod(
        phase="Failed", import_=a_container("import", exit_code=code, ended_at=NOW, ended_reason=why), **pod
    )


TOLD = a_container("import", exit_code=1, ended_at=NOW, result=a_failed_result(Reason.RESTORE_FAILED))
EMPTY_DIR = 'Usage of EmptyDir volume "scratch" exceeds the limit "10Gi".'
EPHEMERAL = "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi."
SHORT = "The node was low on resource: ephemeral-storage."
PODS = {
    "the container's own result, whatever its exit code": a_copying_pod(phase="Failed", import_=TOLD),
    "exit code 0 without a result": ended(0, "Completed"),
    "OOMKilled, exit code 137": ended(137, "OOMKilled"),
    "killed, exit code 137": ended(137),
    "terminated, exit code 143": ended(143),
    "deleted, exit code 137": ended(137, deleting=True),
    "evicted: its emptyDir is over its limit": ended(137, reason="Evicted", message=EMPTY_DIR),
    "evicted: its ephemeral storage is over its limit": ended(137, reason="Evicted", message=EPHEMERAL),
    "evicted: the node is short of something": ended(137, reason="Evicted", message=SHORT, disrupted=True),
    "disrupted: drained, preempted, its node is gone": ended(143, disrupted=True),
    "failed without a container status": a_pod(phase="Failed", reason="NodeLost", preflight=None, import_=None),
    "any other exit code without a result": ended(1),
}
GONE = "gone before anybody saw its end"


COPYING = a_running_status(shadow=a_shadow(), progress=Progress(phase=ImportPhase.DATA, percent=5, at=BORN))
ENDS = {
    ("Job", "deleted, or complete and its pod gone before the result was read"): observed_running_import(
        job=None, pods=()
    ),
    ("Job", "DeadlineExceeded"): observed_running_import(job=a_job(failed_reason="DeadlineExceeded"), pods=()),
    ("Job", "BackoffLimitExceeded, and no attempt told why"): observed_running_import(
        job=a_job(failed_reason="BackoffLimitExceeded"), pods=()
    ),
    ("our clock", "spec.timeout is over"): observed_running_import(an_import_spec(timeout="10m")),
    (
        "our clock",
        "no container for spec.startTimeout: an image that cannot be pulled, a Secret, a quota",
    ): observed_running_import(
        pods=(a_pod(preflight=a_container("preflight", waiting_reason="ErrImagePull")),), waiting_since=BORN
    ),
    ("our clock", "no progress for spec.stallTimeout"): observed_running_import(
        status=COPYING, pods=(a_copying_pod(),)
    ),
    ("our clock", "ten disruptions"): observed_running_import(
        status=a_running_status(attempt_history=[an_attempt(f"n{at}", 0, reason="Disrupted") for at in range(10)])
    ),
}


def sqlstate(code: str) -> psycopg.Error:
    error = psycopg.Error("it says so")
    error.sqlstate = "XX000" if code == "any other" else code
    return error


def judge_client(who: str, says: str) -> Reason:
    words = ClientErrorParser()
    if not says.startswith("killed"):
        words.read_line(f"{who}: error: {says}")
    code = -9 if says.startswith("killed") else 1
    return (translate_dump_exit if who == "pg_dump" else translate_restore_exit)(code, words).reason


def judge(row: Row) -> Reason | str | None:
    match row.who:
        case "pod" if row.says == GONE:
            return merge_attempts([an_attempt()], [], NOW)[0].reason
        case "pod":
            failure = pod_outcome(PODS[row.says]).failure
            return failure.reason if failure is not None else None
        case "Job" | "our clock":
            decision = decide_import(ENDS[row.who, row.says], NOW + timedelta(minutes=1), a_policy())
            return ready_reason(decision.status.conditions)
        case "exit code":
            return find_reason_by_exit_code(int(row.says))
        case "SQLSTATE at the source":
            return translate_source_error(sqlstate(row.says), "x was read").reason
        case "SQLSTATE at the target":
            return translate_target_error(sqlstate(row.says), "x was made").reason
        case "libpq to the source":
            said = f'connection to server at "1.2.3.4", port 5432 failed: FATAL:  {row.says}'
            return translate_connect_error(psycopg.OperationalError(said), "h:5432/d").reason
        case _:
            return judge_client(row.who, row.says)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.who}: {row.says}")
def test_each_row_is_true(row: Row) -> None:
    assert judge(row) == row.reason
    assert MEANINGS[row.reason].classification == row.classification


def said_by(who: str) -> set[str]:
    return {row.says for row in ROWS if row.who == who}


def test_no_row_is_missing() -> None:
    assert said_by("pod") == {*PODS, GONE}
    assert {(row.who, row.says) for row in ROWS if row.who in ("Job", "our clock")} == set(ENDS)
    codes = {str(meaning.exit_code) for meaning in MEANINGS.values() if meaning.exit_code is not None}
    assert said_by("exit code") == codes
    assert said_by("SQLSTATE at the source") >= set(SOURCE_SQLSTATES)
    unsaid = [
        rule.pattern
        for rule in CONNECT_RULES
        if not any(re.search(rule.pattern, one) for one in said_by("libpq to the source"))
    ]
    assert unsaid == []
