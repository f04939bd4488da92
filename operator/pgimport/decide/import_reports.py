"""Decides where the report of an ended attempt goes."""

from datetime import datetime, timedelta

from pgimport.decide.conditions import in_progress
from pgimport.decide.decision import IMMEDIATELY, Decision, StoreReport
from pgimport.decide.import_transitions import running
from pgimport.decide.observed_objects import ObservedImport
from pgimport.model.names import report_name
from pgimport.model.observations import ObservedReport
from pgimport.model.reasons import Reason
from pgimport.model.status import ImportStatus, ReportReference

READ_AGAIN = timedelta(seconds=2)  # after a log could not be read
MESSAGE_LIMIT = 300  # characters of a problem in the status
STORING = in_progress(Reason.RUNNING, "The attempt has ended. The operator stores its report.")


def decide_report(observed: ObservedImport, status: ImportStatus, now: datetime) -> Decision[ImportStatus] | None:
    """Stores the report of an attempt that has ended. Returns None if there is nothing to store.

    The log is gone together with the pod, so this comes before any other step.
    """
    report = observed.report
    if report is None:
        return None
    if not report.final:
        return running(status, STORING, now, READ_AGAIN)
    earlier = len(status.report_ref.config_maps) if status.report_ref is not None else 0
    stored = status.model_copy(update={"report_ref": _refer_to(observed, report)})
    return running(stored, STORING, now, IMMEDIATELY, (StoreReport(report.parts, earlier),))


def decide_unstored_report(
    observed: ObservedImport, status: ImportStatus, problem: str, now: datetime
) -> Decision[ImportStatus]:
    """Continues an import whose report Kubernetes does not accept, for example because of a quota."""
    pod_uid = observed.report.pod_uid if observed.report is not None else ""
    lost = ReportReference(pod_uid=pod_uid, message=f"The report could not be stored: {problem}"[:MESSAGE_LIMIT])
    return running(status.model_copy(update={"report_ref": lost}), STORING, now, IMMEDIATELY)


def _refer_to(observed: ObservedImport, report: ObservedReport) -> ReportReference:
    meta = observed.object.meta
    names = [report_name(meta.name, meta.uid, number) for number in range(1, len(report.parts) + 1)]
    problem = report.problem[:MESSAGE_LIMIT] if report.problem else None
    return ReportReference(pod_uid=report.pod_uid, config_maps=names, message=problem)
