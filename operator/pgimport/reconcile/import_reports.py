"""Reads the report of an attempt from the log of its pod, and stores it in ConfigMaps."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pgimport.decide.attempts import last_ended_pod
from pgimport.decide.decision import PrepareShadow, StoreReport
from pgimport.decide.observed_objects import ObservedImport
from pgimport.kubernetes_client.pods import read_report
from pgimport.kubernetes_client.secrets_and_config_maps import delete_config_map, write_config_map
from pgimport.manifest.reports import build_report_part
from pgimport.model.errors import Conflict, Forbidden, Invalid, NotFound, PgimportError
from pgimport.model.import_report import complete_source, count_omitted, is_properties_line, pack_lines, parse_report
from pgimport.model.names import report_name
from pgimport.model.observations import ObservedContainer, ObservedPod, ObservedReport
from pgimport.model.reasons import Failure, Reason
from pgimport.model.report_carrier import CONFIG_MAP_BYTES, MAX_CONFIG_MAPS
from pgimport.model.resources import ImportObject, ObjectMeta
from pgimport.model.result import SourceInfo
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.reconcile.tenant_access import grant_missing_rights

# A log that cannot be read is read again for this time after the container's end: the kubelet may be restarting.
PATIENCE = timedelta(seconds=30)


def observe_report(
    context: ReconcileContext, item: ImportObject, pods: Sequence[ObservedPod], now: datetime
) -> ObservedReport | None:
    """Reads the report of the last pod that has ended, unless the status already names it."""
    pod, stored = last_ended_pod(pods), item.status.report_ref
    if pod is None or (stored is not None and stored.pod_uid == pod.uid):
        return None
    # The import's own report comes first. At the limit, the preflight's is cut.
    containers = [container for container in (pod.import_, pod.preflight) if container and _has_report(container)]
    if not containers:
        return None
    lines: list[str] = []
    problems: list[str] = []
    final = True
    for container in containers:
        try:
            lines += _read_lines(context, item.meta.namespace, pod, container)
        except PgimportError as error:
            project = item.spec.project if item.spec is not None else ""
            if isinstance(error, Forbidden) and grant_missing_rights(context, item.meta.namespace, project):
                raise Conflict(f"the operator had no rights in namespace {item.meta.namespace} yet") from error
            problems.append(f"The log of container {container.name} of pod {pod.name} cannot be read: {error}.")
            final = final and _is_final(error, container, now)
    parts = pack_lines(lines, CONFIG_MAP_BYTES, MAX_CONFIG_MAPS) if lines else []
    if omitted := count_omitted(parts):
        problems.append(f"The report is too large: {omitted} entries are missing at its end.")
    return ObservedReport(pod_uid=pod.uid, parts=tuple(parts), problem=" ".join(problems) or None, final=final)


def read_whole_source(
    context: ReconcileContext, observed: ObservedImport, action: PrepareShadow
) -> tuple[SourceInfo, list[str]]:
    """Returns the source with its comment and settings, and a note if the log that has them cannot be read.

    Raises PgimportError as long as the log may be readable later.
    """
    source = action.source
    if not source.has_long_properties:
        return source, []
    pod = next((pod for pod in observed.pods if pod.uid == action.pod_uid), None)
    container = pod.preflight if pod is not None else None
    if pod is not None and container is not None and _has_report(container):
        try:
            lines = _read_lines(context, observed.object.meta.namespace, pod, container)
        except PgimportError as error:
            if not _is_final(error, container, datetime.now(UTC)):
                raise
            cause = f"the log of container {container.name} of pod {pod.name} cannot be read: {error}"
        else:
            whole = complete_source(source, parse_report([line for line in lines if is_properties_line(line)][:1]))
            if not whole.has_long_properties:
                return whole, []
            cause = "the report lacks them"
    else:
        cause = "the pod left no report"
    return source, [f"comment and settings of the source database are not copied: {cause}"]


def _has_report(container: ObservedContainer) -> bool:
    return container.result is not None and container.result.report is not None


def _read_lines(context: ReconcileContext, namespace: str, pod: ObservedPod, container: ObservedContainer) -> list[str]:
    """Returns the lines of a container's report. Raises PgimportError."""
    assert container.result is not None  # noqa: S101 (the caller has checked it)
    assert container.result.report is not None  # noqa: S101 (the caller has checked it)
    text = read_report(context.cluster, namespace, pod.name, container.name, container.result.report)
    if text is None:
        raise NotFound("a part of the report is missing, because the node has rotated the log")
    return text.rstrip("\n").split("\n") if text else []


def _is_final(error: PgimportError, container: ObservedContainer, now: datetime) -> bool:
    if isinstance(error, NotFound | Forbidden):
        return True
    # The end is a time of the node, whose clock may be ahead of ours.
    return container.ended_at is None or abs(now - container.ended_at) > PATIENCE


def store_report(context: ReconcileContext, meta: ObjectMeta, action: StoreReport) -> Failure | None:
    """Writes the ConfigMaps. Returns a failure if Kubernetes does not accept them, for example because of a quota."""
    try:
        for number, text in enumerate(action.parts, start=1):
            write_config_map(context.cluster, build_report_part(meta, number, text))
        for number in range(len(action.parts) + 1, min(action.earlier_parts, MAX_CONFIG_MAPS) + 1):
            delete_config_map(context.cluster, meta.namespace, report_name(meta.name, meta.uid, number))
    except (Forbidden, Invalid, Conflict) as error:
        return Failure(Reason.RESULT_LOST, str(error))
    return None
