"""The report of an ended attempt, and the condition FullyImported."""

from datetime import timedelta

import pytest
from tests.decide.import_decisions import POLICY, decide, reason
from tests.support.samples import (
    IMPORT_UID,
    NOW,
    POD_UID,
    a_container,
    a_failed_pod,
    a_finished_pod,
    a_job,
    a_result,
    a_running_status,
    a_shadow,
    a_swap,
    observed_running_import,
)

from pgimport.decide.decision import StoreReport
from pgimport.decide.failures import FailedAction, decide_failed_import
from pgimport.decide.observed_objects import ObservedImport
from pgimport.model.import_choices import SkipGroup
from pgimport.model.names import report_name
from pgimport.model.observations import ObservedReport
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import SkippedObject
from pgimport.model.status import Condition, ImportState, ImportStatus, ReportReference

TABLE = SkippedObject(object="TABLE public.orders", reason="no", group=SkipGroup.REFUSED, rows=12)
VIEW = SkippedObject(object="VIEW public.sums", reason="it needs a table", group=SkipGroup.REFUSED)
NAMES = [report_name("debian", IMPORT_UID, number) for number in (1, 2)]
RESULT = a_result(skipped=[TABLE, VIEW], skipped_count=160, refused_count=7)
FINISHED = a_finished_pod(import_=a_container("import", exit_code=0, ended_at=NOW, result=RESULT))


def ended(report: ObservedReport | None, status: ImportStatus | None = None) -> ObservedImport:
    return observed_running_import(
        None, status or a_running_status(shadow=a_shadow()), pods=(FINISHED,), job=a_job(complete=True), report=report
    )


def test_a_report_is_stored_before_anything_else() -> None:
    decision = decide(ended(ObservedReport(pod_uid=POD_UID, parts=("a", "b"))))
    assert decision.actions == (StoreReport(("a", "b")),)
    assert decision.status.report_ref == ReportReference(pod_uid=POD_UID, config_maps=NAMES)
    assert (decision.status.state, decision.requeue_after) == (ImportState.RUNNING, timedelta(0))
    assert decision.status.shadow == a_shadow()


def test_the_report_of_a_later_attempt_replaces_the_earlier_one() -> None:
    earlier = ReportReference(pod_uid="earlier", config_maps=["1", "2", "3"])
    status = a_running_status(shadow=a_shadow(), report_ref=earlier)
    decision = decide(ended(ObservedReport(pod_uid=POD_UID, parts=("a",)), status))
    assert decision.actions == (StoreReport(("a",), earlier_parts=3),)


def test_a_log_that_cannot_be_read_is_read_again() -> None:
    decision = decide(ended(ObservedReport(pod_uid=POD_UID, problem="no answer", final=False)))
    assert (decision.actions, decision.status.report_ref) == ((), None)
    assert decision.requeue_after == timedelta(seconds=2)
    assert decision.status.skipped == 160


def test_a_report_that_is_lost_is_named_and_the_import_goes_on() -> None:
    decision = decide(ended(ObservedReport(pod_uid=POD_UID, problem="The log is gone.")))
    assert decision.status.report_ref == ReportReference(pod_uid=POD_UID, message="The log is gone.")
    assert decision.status.state is ImportState.RUNNING
    after = decide(ended(None, decision.status))
    assert after.status.shadow == a_shadow(verified=True, verified_at=NOW)


def test_a_report_that_kubernetes_does_not_accept_does_not_cost_the_import() -> None:
    observed = ended(ObservedReport(pod_uid=POD_UID, parts=("a",)))
    failure = Failure(Reason.RESULT_LOST, "exceeded quota: count/configmaps")
    decision = decide_failed_import(observed, FailedAction(StoreReport(("a",)), failure, refused=True), NOW, POLICY)
    assert decision.status.state is ImportState.RUNNING
    assert decision.status.report_ref == ReportReference(
        pod_uid=POD_UID, message="The report could not be stored: exceeded quota: count/configmaps"
    )


def test_a_failed_attempt_has_a_report_too() -> None:
    observed = observed_running_import(
        None,
        a_running_status(shadow=a_shadow()),
        pods=(a_failed_pod(),),
        report=ObservedReport(pod_uid=POD_UID, parts=("a",)),
    )
    assert decide(observed).actions == (StoreReport(("a",)),)


def complete(skipped: int | None, refused: int | None, *objects: SkippedObject) -> dict[str, Condition]:
    status = a_running_status(
        shadow=a_shadow(verified=True, oid=200), skipped=skipped, refused=refused, skipped_objects=list(objects)
    )
    decision = decide(observed_running_import(None, status, pods=(), swap=a_swap(target_oid=200), target_objects=()))
    assert (decision.status.state, reason(decision)) == (ImportState.COMPLETED, Reason.COMPLETED)
    return {condition.type: condition for condition in decision.status.conditions}


@pytest.mark.parametrize(
    ("skipped", "refused", "objects", "expected"),
    [
        (0, 0, (), ("True", "NothingRefused", "The target refused no object.")),
        (5, 0, (), ("True", "NothingRefused", "The target refused no object. 5 objects are skipped by design.")),
        (
            2,
            1,
            (VIEW,),
            (
                "False",
                "ObjectsRefused",
                "1 object is skipped because of the target: VIEW public.sums. 1 object is skipped by design.",
            ),
        ),
        (
            160,
            160,
            (TABLE, VIEW),
            (
                "False",
                "ObjectsRefused",
                "160 objects are skipped because of the target: TABLE public.orders (12 rows), VIEW public.sums"
                " and 158 more.",
            ),
        ),
    ],
    ids=["nothing skipped", "by design", "one refused", "many refused"],
)
def test_a_completed_import_says_whether_it_is_complete(
    skipped: int, refused: int, objects: tuple[SkippedObject, ...], expected: tuple[str, str, str]
) -> None:
    conditions = complete(skipped, refused, *objects)
    condition = conditions["FullyImported"]
    assert (condition.status, condition.reason, condition.message) == expected
    assert conditions["Ready"].status == "True"


def test_a_worker_that_counted_nothing_leads_to_no_such_condition() -> None:
    assert "FullyImported" not in complete(None, None)


def test_a_running_import_has_no_such_condition() -> None:
    decision = decide(ended(ObservedReport(pod_uid=POD_UID, parts=("a",))))
    assert "FullyImported" not in {condition.type for condition in decision.status.conditions}
