"""The way of a report: from the log of a pod into ConfigMaps of the import, with an emulated Kubernetes API."""

import secrets

import pytest
from tests.handlers.emulated_tenant import NAMESPACE, PASSED, WAITING, Tenant, ended, running
from tests.handlers.stepwise_operator import Operator, key, start_import
from tests.support.kubernetes import Json
from tests.support.samples import a_result

from pgimport.kubernetes_client import api_paths
from pgimport.model.errors import NotFound
from pgimport.model.import_choices import SkipGroup
from pgimport.model.import_report import ImportReport, build_report_lines, parse_report
from pgimport.model.names import IMPORTS, attempt_names, report_name
from pgimport.model.owner_comment import parse_shadow_record
from pgimport.model.report_carrier import encode_report
from pgimport.model.result import DatabaseSetting, SkippedObject, WorkerResult
from pgimport.model.termination_message import cut_skipped
from pgimport.reconcile import import_reports


def refused(count: int, name_length: int = 10) -> list[SkippedObject]:
    return [
        SkippedObject(
            object=f"FUNCTION public.{secrets.token_hex(name_length // 2)}_{number}()",
            reason="permission denied for language c (SQLSTATE 42501)",
            group=SkipGroup.REFUSED,
            sqlstate="42501",
            offending_key="(mail)=(ann@example.com)",
        )
        for number in range(count)
    ]


def log_report(tenant: Tenant, pod: str, *results: WorkerResult) -> list[WorkerResult]:
    """Writes the reports of the containers into the pod's log and returns the results that name them."""
    lines: list[str] = []
    reported = []
    for result in results:
        digest, report_lines = encode_report(
            "".join(f"{line}\n" for line in build_report_lines(result)), secrets.token_hex(8)
        )
        lines += ['{"log": {"message": "before"}}', *report_lines, '{"log": {"message": "after"}}']
        cut = [item.model_copy(update={"offending_key": None}) for item in cut_skipped(result.skipped, 8, 200)]
        reported.append(result.model_copy(update={"report": digest, "skipped": cut}))
    tenant.kubernetes.emulator.faults.logs[pod] = "\n".join(lines)
    return reported


def run_attempt(tenant: Tenant, name: str, skipped: list[SkippedObject], *, log: bool = True) -> Operator:
    """Brings an import to the end of its pod, and reconciles."""
    operator, job = start_import(tenant, name)
    pod = tenant.show_pod(job, running(), WAITING, "Pending")
    result = a_result(skipped=skipped, skipped_count=len(skipped), refused_count=len(skipped))
    preflight, main = log_report(tenant, pod, PASSED, result)
    if not log:
        tenant.kubernetes.emulator.faults.logs.pop(pod)
    tenant.change_pod(pod, ended(preflight, 0), running(), "Running")
    operator.reconcile(key(IMPORTS, name))
    tenant.change_pod(pod, ended(preflight, 0), ended(main, 0), "Succeeded")
    tenant.end_job(job, {"type": "Complete", "status": "True"})
    operator.reconcile(key(IMPORTS, name))
    return operator


def read_parts(tenant: Tenant, name: str) -> list[Json]:
    names = tenant.status(name)["reportRef"].get("configMaps", [])
    return [tenant.cluster.get(api_paths.core(NAMESPACE, "configmaps", part)) for part in names]


def read_stored_report(tenant: Tenant, name: str) -> ImportReport:
    return parse_report([part["data"]["report.jsonl"] for part in read_parts(tenant, name)])


@pytest.mark.parametrize(("count", "name_length", "parts"), [(0, 2, 1), (160, 10, 1), (10_000, 60, 3)])
def test_a_report_survives_its_pod(tenant: Tenant, name: str, count: int, name_length: int, parts: int) -> None:
    skipped = refused(count, name_length)
    run_attempt(tenant, name, skipped)
    status = tenant.status(name)
    assert (status["state"], status["skipped"], status["refused"]) == ("completed", count, count)
    report = read_stored_report(tenant, name)
    assert report.skipped == skipped
    assert report.check == (PASSED.preflight.checks if PASSED.preflight else [])
    assert len(read_parts(tenant, name)) == parts
    assert "message" not in status["reportRef"]
    assert "ann@example.com" not in str(status)
    condition = next(item for item in status["conditions"] if item["type"] == "FullyImported")
    assert condition["status"] == ("False" if count else "True")
    for part in read_parts(tenant, name):
        (owner,) = part["metadata"]["ownerReferences"]
        assert owner["uid"] == tenant.get(IMPORTS, name)["metadata"]["uid"]


def test_a_lost_log_is_named_and_the_import_completes(tenant: Tenant, name: str) -> None:
    run_attempt(tenant, name, refused(20), log=False)
    status = tenant.status(name)
    assert (status["state"], status["skipped"], len(status["skippedObjects"])) == ("completed", 20, 8)
    assert "cannot be read" in status["reportRef"]["message"]
    assert read_parts(tenant, name) == []


def test_a_log_that_does_not_answer_is_read_again(tenant: Tenant, name: str) -> None:
    tenant.kubernetes.refuse("GET", "/log", 503, times=2)
    operator = run_attempt(tenant, name, refused(20))
    for _ in range(3):
        operator.reconcile(key(IMPORTS, name))
    assert len(read_stored_report(tenant, name).skipped) == 20


def test_a_quota_for_config_maps_does_not_cost_the_import(tenant: Tenant, name: str) -> None:
    tenant.kubernetes.refuse("POST", "/configmaps", 403, message="exceeded quota")
    run_attempt(tenant, name, refused(20))
    status = tenant.status(name)
    assert status["state"] == "completed"
    assert "exceeded quota" in status["reportRef"]["message"]


@pytest.mark.parametrize("is_ours", [True, False], ids=["of an interrupted reconcile", "of somebody else"])
def test_a_config_map_of_the_name_is_replaced_only_if_it_is_ours(tenant: Tenant, name: str, is_ours: bool) -> None:
    start_import(tenant, name)
    uid = tenant.get(IMPORTS, name)["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "PostgresImport", "name": name, "uid": uid if is_ours else "another"}
    config_map = report_name(name, uid, 1)
    meta = {"name": config_map, "namespace": NAMESPACE, "ownerReferences": [owner]}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"report.jsonl": "old"}}
    tenant.create(api_paths.core(NAMESPACE, "configmaps"), body)
    operator, job = Operator(tenant.kubernetes), tenant.job(name)
    pod = tenant.show_pod(job, running(), WAITING, "Pending")
    preflight, main = log_report(tenant, pod, PASSED, a_result(skipped_count=0, refused_count=0))
    tenant.change_pod(pod, ended(preflight, 0), running(), "Running")
    operator.reconcile(key(IMPORTS, name))
    tenant.change_pod(pod, ended(preflight, 0), ended(main, 0), "Succeeded")
    operator.reconcile(key(IMPORTS, name))
    text = tenant.cluster.get(api_paths.core(NAMESPACE, "configmaps", config_map))["data"]["report.jsonl"]
    assert (text == "old") is not is_ours
    assert ("message" in tenant.status(name)["reportRef"]) is not is_ours
    assert tenant.status(name)["state"] == "completed"


def test_the_surplus_parts_of_an_earlier_attempt_are_deleted(
    tenant: Tenant, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_reports, "CONFIG_MAP_BYTES", 2000)
    operator, job = start_import(tenant, name)
    uid = tenant.get(IMPORTS, name)["metadata"]["uid"]
    counts = []
    for number, skipped in ((1, refused(50)), (2, refused(5))):
        pod = tenant.show_pod(job, running(), WAITING, "Pending", name=f"{name}-{number}")
        result = a_result(skipped=skipped, skipped_count=len(skipped), refused_count=len(skipped), ok=False)
        (main,) = log_report(tenant, pod, result)
        tenant.change_pod(pod, ended(PASSED, 0), ended(main, 13), "Failed")
        operator.reconcile(key(IMPORTS, name))
        counts.append(len(read_parts(tenant, name)))
    assert 12 >= counts[0] > counts[1] >= 1
    with pytest.raises(NotFound):
        tenant.cluster.get(api_paths.core(NAMESPACE, "configmaps", report_name(name, uid, counts[0])))


LONG_PATH = ", ".join(f"schema_{number:04}" for number in range(2000))


@pytest.mark.parametrize("log", [True, False], ids=["log", "lost log"])
def test_long_settings_and_comments_come_from_the_log(tenant: Tenant, name: str, log: bool) -> None:
    """Seen before: they were listed but not copied, because a termination message holds 4 KiB."""
    operator, job = start_import(tenant, name)
    pod = tenant.show_pod(job, running(), WAITING, "Pending")
    assert PASSED.preflight is not None
    assert PASSED.preflight.source is not None
    properties = {"comment": "ä" * 60_000, "settings": [DatabaseSetting(name="search_path", value=LONG_PATH)]}
    source = PASSED.preflight.source.model_copy(update=properties)
    result = PASSED.model_copy(update={"preflight": PASSED.preflight.model_copy(update={"source": source})})
    (reported,) = log_report(tenant, pod, result)
    if not log:
        tenant.kubernetes.emulator.faults.logs.pop(pod)
    tenant.change_pod(pod, ended(reported, 0), running(), "Running")
    operator.reconcile(key(IMPORTS, name))
    names = attempt_names(pod)
    with tenant.server.connect() as connection:
        (comment, mark) = connection.execute(
            "SELECT shobj_description(d.oid, 'pg_database'), shobj_description(r.oid, 'pg_authid')"
            " FROM pg_database AS d, pg_roles AS r WHERE d.datname = %s AND r.rolname = %s",
            [names.database, names.role],
        ).fetchone() or (None, None)
    record = parse_shadow_record(mark)
    if log:
        assert (comment, record.settings, record.notes) == (properties["comment"], properties["settings"], [])
    else:
        assert (comment, record.settings) == (None, [])
        assert "comment and settings of the source database are not copied: the log of container" in record.notes[0]
