"""Tests of imports that cannot succeed: each reports its reason and a hint, and leaves the target unchanged."""

from dataclasses import dataclass
from typing import Any

import pytest
from tests.e2e.fixtures import PROJECT
from tests.e2e.postgres_pods import Source
from tests.e2e.tenant import (
    IMPORTS,
    KEPT_ROWS,
    Tenant,
    condition_of,
    reason_of,
)
from tests.support import kubectl
from tests.support.kubectl import Manifest

from pgimport.model.reasons import MEANINGS, Reason, RetryClassification

pytestmark = pytest.mark.cluster

WRONG_PASSWORD = "not-the-password-4f1d"


NAME_HINT = "Check the spelling of the host name."


@dataclass(frozen=True)
class Case:
    """The reason with which an import must fail, and the words that its error must contain.

    `hint`: the beginning of the failure's own advice, if the hint of its reason is too general.
    """

    reason: Reason
    words: tuple[str, ...]
    max_attempts: int = 3
    small: bool = False
    on_object_error: str = "skip"
    hint: str = ""


CASES = {
    "wrong-password": Case(Reason.SOURCE_AUTH_FAILED, ("password authentication failed",)),
    "wrong-user": Case(Reason.SOURCE_AUTH_FAILED, ("nobody",)),
    "unknown-host": Case(Reason.SOURCE_UNREACHABLE, ("nowhere.e2e-source",), max_attempts=2, hint=NAME_HINT),
    "closed-port": Case(Reason.SOURCE_UNREACHABLE, ("5433",), max_attempts=1),
    "wrong-database": Case(Reason.SOURCE_DATABASE_NOT_FOUND, ("absent",)),
    "extension": Case(Reason.EXTENSION_NOT_ALLOWED, ("tablefunc",)),
    "too-large": Case(
        Reason.SOURCE_TOO_LARGE, ("the Project allows",), small=True, hint="Ask the platform's admin to raise"
    ),
    "no-url": Case(Reason.SOURCE_URL_INVALID, ("postgresql://",)),
    "forbidden-host": Case(Reason.SOURCE_ADDRESS_FORBIDDEN, ("kubernetes.default",)),
    "metadata-address": Case(Reason.SOURCE_ADDRESS_FORBIDDEN, ("169.254.169.254",), hint="Write the public host name"),
    "unrestorable": Case(Reason.RESTORE_FAILED, ("homesick", "only_at_home"), on_object_error="fail"),
}
SHOWN = [pytest.param(name, id=name) for name in CASES]


def _urls(source: Source) -> dict[str, str]:
    return {
        "wrong-password": source.url("small", password=WRONG_PASSWORD),
        "wrong-user": source.url("small", user="nobody"),
        "unknown-host": source.url("small", host=f"nowhere.{source.server.namespace}.svc.cluster.local"),
        "closed-port": source.url("small").replace(":5432/", ":5433/"),
        "wrong-database": source.url("absent"),
        "extension": source.url("withext"),
        "too-large": source.url("large"),
        "no-url": "the database of the shop",
        "forbidden-host": source.url("small", host="kubernetes.default.svc.cluster.local"),
        "metadata-address": source.url("small", host="169.254.169.254"),
        "unrestorable": source.url("broken"),
    }


@pytest.fixture(scope="module")
def failed(tenant: Tenant, small_tenant: Tenant, source: Source) -> dict[str, Manifest]:
    """Runs all cases at the same time, each into a preview of its own that has a table."""
    urls = _urls(source)
    cases = {tenant: [name for name in CASES if not CASES[name].small], small_tenant: ["too-large"]}
    for of, own in cases.items():
        of.make_kept_previews(*own)
        of.make_secrets({f"fail-{name}": urls[name] for name in own})
        kubectl.create(
            *(
                of.import_manifest(
                    name,
                    f"fail-{name}",
                    name,
                    recreate=True,
                    maxAttempts=CASES[name].max_attempts,
                    onObjectError=CASES[name].on_object_error,
                )
                for name in own
            )
        )
    bodies: dict[str, Manifest] = {}
    for of, own in cases.items():
        bodies |= of.wait_until_over(*own)
    return bodies


@pytest.fixture
def of(request: pytest.FixtureRequest, tenant: Tenant, small_tenant: Tenant) -> Tenant:
    """The Project of a case."""
    return small_tenant if CASES[request.node.callspec.params["name"]].small else tenant


@pytest.mark.parametrize("name", SHOWN)
def test_fails_with_its_reason(name: str, of: Tenant, failed: dict[str, Manifest]) -> None:
    case, body = CASES[name], failed[name]
    status = body["status"]
    assert (status["state"], reason_of(body)) == ("failed", case.reason), of.describe(IMPORTS, name)
    assert condition_of(body)["status"] == "False"
    assert condition_of(body, "Stalled")["status"] == "True"
    assert status["retryClassification"] == MEANINGS[case.reason].classification


@pytest.mark.parametrize("name", SHOWN)
def test_T32_is_tried_again_only_where_that_may_help(name: str, failed: dict[str, Manifest]) -> None:
    case, status = CASES[name], failed[name]["status"]
    reasons = [attempt["reason"] for attempt in status["attemptHistory"]]
    assert status["attempts"] == len(reasons)
    if MEANINGS[case.reason].classification is RetryClassification.PERMANENT:
        assert reasons.index(case.reason) == len(reasons) - 1, "nothing follows it"
    else:
        assert reasons == [case.reason] * case.max_attempts


@pytest.mark.parametrize("name", SHOWN)
def test_T28_the_error_helps(name: str, failed: dict[str, Manifest]) -> None:
    error = failed[name]["status"]["error"]
    for word in CASES[name].words:
        assert word in error
    assert f"(hint: {CASES[name].hint or MEANINGS[CASES[name].reason].hint + ')'}" in error
    assert "exit code" not in error
    assert WRONG_PASSWORD not in error


@pytest.mark.parametrize("name", SHOWN)
def test_T31_the_old_target_is_intact(name: str, of: Tenant, failed: dict[str, Manifest]) -> None:
    assert of.kept_rows(name) == KEPT_ROWS
    assert of.tables(name) == ["kept"]
    assert "activeImport" not in of.preview(name)["status"]


@pytest.mark.parametrize("name", SHOWN)
def test_nothing_is_left(name: str, of: Tenant, failed: dict[str, Manifest]) -> None:
    of.assert_nothing_left(failed[name])


def test_the_failed_restore_names_object_and_code(tenant: Tenant, failed: dict[str, Manifest]) -> None:
    status = failed["unrestorable"]["status"]
    assert "is violated by some row (SQLSTATE 23514)" in status["error"]
    assert "offending key" not in status["error"]
    assert status["lastExitCode"] == MEANINGS[Reason.RESTORE_FAILED].exit_code


def test_the_report_shows_the_check_that_failed(failed: dict[str, Manifest]) -> None:
    expected = {
        "wrong-password": "source_reachable",
        "unknown-host": "source_reachable",
        "extension": "extensions_available_on_target",
        "too-large": "source_size_within_plan",
    }
    for name, check in expected.items():
        report = failed[name]["status"]["preflight"]
        assert report["ok"] is False
        assert [entry["name"] for entry in report["checks"] if entry["status"] == "fail"] == [check]


@pytest.mark.parametrize("name", SHOWN)
def test_the_logs_stay(name: str, of: Tenant, failed: dict[str, Manifest]) -> None:
    """The pods of every attempt stay as long as the Job."""
    pods = of.pods(failed[name]["metadata"]["uid"])
    assert len(pods) == failed[name]["status"]["attempts"]
    for pod in pods:
        assert " ended: " in kubectl.logs(of.name, pod["metadata"]["name"])


def test_attempts_are_told_one_by_one(failed: dict[str, Manifest]) -> None:
    history = failed["unknown-host"]["status"]["attemptHistory"]
    assert [(attempt["number"], attempt["reason"]) for attempt in history] == [
        (1, "SourceUnreachable"),
        (2, "SourceUnreachable"),
    ]
    assert all(attempt["cleanedUp"] for attempt in history)
    for attempt in history:
        assert attempt["hint"].startswith(NAME_HINT)
        assert attempt["exitCode"] == 10
        assert "nowhere.e2e-source" in attempt["error"]
        assert "preflight ended" in attempt["lastStdout"]


# --- refused before an attempt starts ---------------------------------------------------------------------------

NOBODYS_UPLOAD = f"uploads/{PROJECT}/" + "0" * 32
UNSUPPORTED: dict[str, tuple[str, dict[str, Any]]] = {
    "file-relay": ("spec.engine", {"engine": "relay", "source": {"uploadKey": NOBODYS_UPLOAD}}),
    "file-checksums": ("spec.verify", {"verify": "checksums", "source": {"uploadKey": NOBODYS_UPLOAD}}),
}


@pytest.fixture(scope="module")
def unsupported(tenant: Tenant) -> dict[str, Manifest]:
    tenant.make_kept_previews("unsupported")
    kubectl.create(
        *(
            tenant.import_manifest(f"unsupported-{name}", "small", "unsupported", recreate=True, **spec)
            for name, (_, spec) in UNSUPPORTED.items()
        )
    )
    return tenant.wait_until_over(*(f"unsupported-{name}" for name in UNSUPPORTED))


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_a_field_without_behaviour_is_refused_by_name(
    name: str, tenant: Tenant, unsupported: dict[str, Manifest]
) -> None:
    body = unsupported[f"unsupported-{name}"]
    assert (body["status"]["state"], reason_of(body)) == ("failed", "NotSupported")
    assert body["status"]["error"].startswith(f"{UNSUPPORTED[name][0]}: ")
    assert tenant.jobs(body["metadata"]["uid"]) == []


def test_what_is_refused_touches_nothing(tenant: Tenant, unsupported: dict[str, Manifest]) -> None:
    assert tenant.kept_rows("unsupported") == KEPT_ROWS


def test_another_projects_name_is_refused(tenant: Tenant, small_tenant: Tenant) -> None:
    manifest = tenant.import_manifest("stranger", "small", "unsupported")
    manifest["spec"]["project"] = small_tenant.name
    kubectl.create(manifest)
    body = tenant.wait_for_end("stranger", "failed")
    assert reason_of(body) == "ProjectMismatch"
    assert small_tenant.name in body["status"]["error"]


def test_one_preview_too_many_is_refused(small_tenant: Tenant) -> None:
    """The Project allows three previews and has one."""
    names = ["limit-1", "limit-2", "limit-3"]
    small_tenant.make_previews(*names[:2])
    kubectl.create(small_tenant.preview_manifest(names[2]))
    body = small_tenant.wait(
        "previewdatabases", names[2:], lambda preview: preview.get("status", {}).get("state") == "failed", "failed", 20
    )[names[2]]
    assert reason_of(body) == "LimitReached"
    kubectl.delete("previewdatabases", *names, namespace=small_tenant.name)
