"""Computes the gauges of Projects, imports and previews from their last known state, at the time of a scrape.

Each series names a Project, which an admin has created. Only running imports are named too, and not all of them. So
the number of series does not grow with what tenants create.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from pgimport.decide.conditions import CLEANED_UP, ready_reason
from pgimport.decide.webhooks import WEBHOOKS_DELIVERED
from pgimport.metrics.transition_metrics import OTHER
from pgimport.model.reasons import Reason
from pgimport.model.resources import ImportObject, ImportOwner, ObjectMeta, PreviewObject, ProjectObject
from pgimport.model.status import ConditionStatus, ImportState, PreviewState, find_condition

NAMED_IMPORTS = 100  # running imports with series of their own, the oldest first
LEFTOVER_DELAY = timedelta(minutes=5)  # the clean-up after an import usually takes seconds
_DOWN = (Reason.SERVER_UNREACHABLE, Reason.SERVER_AUTH_FAILED)
_REASONS = frozenset(Reason)
_BY_PROJECT = ("project",)
_BY_IMPORT = ("project", "import")

# Name → help, labels.
GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "pgimport_imports": ("Number of imports by state.", ("project", "state")),
    "pgimport_imports_waiting": (
        "Number of pending imports by what they wait for, without suspended ones.",
        ("project", "reason"),
    ),
    "pgimport_oldest_waiting_import_timestamp_seconds": (
        "Time since which the oldest pending import waits. Suspended imports do not count.",
        _BY_PROJECT,
    ),
    "pgimport_imports_retrying": ("Number of running imports in their second or a later attempt.", _BY_PROJECT),
    "pgimport_import_stall_ratio": (
        "Largest part of its stallTimeout for which a running import has made no progress.",
        _BY_PROJECT,
    ),
    "pgimport_last_failed_import_timestamp_seconds": ("Time at which an import last failed.", _BY_PROJECT),
    "pgimport_running_import_progress_ratio": ("Completed part of a running import, from 0 to 1.", _BY_IMPORT),
    "pgimport_running_import_bytes_per_second": ("Rate of the current phase of a running import.", _BY_IMPORT),
    "pgimport_running_import_source_held_seconds": (
        "Seconds for which a running import has held the locks and the snapshot of its source.",
        _BY_IMPORT,
    ),
    "pgimport_previews": ("Number of previews by state.", ("project", "state")),
    "pgimport_golden_data_timestamp_seconds": (
        "Time of the oldest data in a golden preview: the snapshot of the source that was imported.",
        _BY_PROJECT,
    ),
    "pgimport_target_server_up": ("1 if the Project's server answers the operator, 0 if it does not.", _BY_PROJECT),
    "pgimport_webhooks_failing": ("1 if the last request to a webhook of the Project failed, else 0.", _BY_PROJECT),
    "pgimport_leftovers": (
        "Number of imports that ended more than 5 minutes ago and are not cleaned up, and of Projects with"
        " CleanedUp=False.",
        _BY_PROJECT,
    ),
    "pgimport_oldest_deletion_timestamp_seconds": (
        "Time of the oldest deletion that has not ended.",
        ("project", "resource"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All objects that the operator knows, by namespace."""

    projects: Sequence[ProjectObject]
    previews: Mapping[str, Sequence[PreviewObject]]
    active: Mapping[str, Sequence[ImportObject]]
    ended: Mapping[str, Sequence[ImportOwner]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What only the operator's own process knows."""

    started_at: datetime
    find_start_of_wait: Callable[[ImportObject], datetime]
    find_last_failure: Callable[[str], datetime | None]


class _Gauges:
    def __init__(self) -> None:
        self.families = {name: GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in GAUGES.items()}

    def add(self, name: str, value: float, *labels: str) -> None:
        self.families[name].add_metric(labels, value)

    def add_time(self, name: str, time: datetime | None, *labels: str) -> None:
        if time is not None:
            self.add(name, time.timestamp(), *labels)


def find_owners(projects: Sequence[ProjectObject]) -> dict[str, ProjectObject]:
    """Returns the Project of each namespace: the oldest that names it."""
    ordered = sorted(projects, key=lambda item: (item.meta.created_at, item.meta.uid), reverse=True)
    return {item.spec.namespace: item for item in ordered if item.spec is not None}


def build_gauges(snapshot: Snapshot, memory: Memory, now: datetime) -> Iterator[Metric]:
    """Yields all gauges. A gauge without a value has no series, so that no expression divides by nothing."""
    gauges, running = _Gauges(), []
    for namespace, project in find_owners(snapshot.projects).items():
        name = project.meta.name
        active, ended = snapshot.active.get(namespace, ()), snapshot.ended.get(namespace, ())
        states = Counter([*(_state_of(item) for item in active), *(item.state for item in ended)])
        for state in ImportState:
            gauges.add("pgimport_imports", states[state], name, state.value)
        _add_waiting(gauges, name, active, memory)
        _add_running(gauges, name, active, memory, now)
        _add_ended(gauges, project, ended, memory, now)
        _add_previews(gauges, name, snapshot.previews.get(namespace, ()))
        _add_webhooks(gauges, project)
        for kind, metas in (
            ("postgresimport", active),
            ("previewdatabase", snapshot.previews.get(namespace, ())),
            ("project", (project,)),
        ):
            _add_oldest_deletion(gauges, name, kind, [item.meta for item in metas])
        running += [(name, item) for item in active if item.status.state is ImportState.RUNNING]
    running.sort(key=lambda pair: pair[1].status.started_at or now)
    for name, item in running[:NAMED_IMPORTS]:
        _add_named_import(gauges, name, item)
    yield from gauges.families.values()


def _add_oldest_deletion(gauges: _Gauges, project: str, kind: str, metas: Sequence[ObjectMeta]) -> None:
    times = [meta.deletion_requested_at for meta in metas if meta.deletion_requested_at is not None]
    gauges.add_time("pgimport_oldest_deletion_timestamp_seconds", min(times, default=None), project, kind)


def _state_of(item: ImportObject) -> ImportState:
    return item.status.state or ImportState.PENDING


def _add_waiting(gauges: _Gauges, project: str, active: Sequence[ImportObject], memory: Memory) -> None:
    waiting = [
        item
        for item in active
        if _state_of(item) is ImportState.PENDING and not (item.spec is not None and item.spec.suspend)
    ]
    reasons = Counter(ready_reason(item.status.conditions) or Reason.PENDING.value for item in waiting)
    for reason, count in reasons.items():
        gauges.add("pgimport_imports_waiting", count, project, reason if reason in _REASONS else OTHER)
    oldest = min((memory.find_start_of_wait(item) for item in waiting), default=None)
    gauges.add_time("pgimport_oldest_waiting_import_timestamp_seconds", oldest, project)


def _add_running(gauges: _Gauges, project: str, active: Sequence[ImportObject], memory: Memory, now: datetime) -> None:
    running = [item for item in active if item.status.state is ImportState.RUNNING]
    retrying = sum((item.status.attempts or 0) > 1 for item in running)
    gauges.add("pgimport_imports_retrying", retrying, project)
    ratios = [_measure_stall(item, memory.started_at, now) for item in running]
    gauges.add("pgimport_import_stall_ratio", max(ratios, default=0.0), project)


def _measure_stall(item: ImportObject, started_at: datetime, now: datetime) -> float:
    """Returns the part of stallTimeout without progress. It counts neither a wait for a pod nor operator downtime."""
    progress, spec = item.status.progress, item.spec
    copying = ready_reason(item.status.conditions) == Reason.RUNNING and not (
        item.status.shadow is not None and item.status.shadow.verified
    )
    if spec is None or progress is None or progress.at is None or not copying:
        return 0.0
    return max((now - max(progress.at, started_at)) / spec.stall_timeout, 0.0)


def _add_ended(
    gauges: _Gauges, project: ProjectObject, ended: Sequence[ImportOwner], memory: Memory, now: datetime
) -> None:
    name = project.meta.name
    failures = [item.ended_at for item in ended if item.state is ImportState.FAILED and not item.dry_run]
    newest = max((time for time in (*failures, memory.find_last_failure(name)) if time is not None), default=None)
    gauges.add_time("pgimport_last_failed_import_timestamp_seconds", newest, name)
    uncleaned = sum(
        not item.cleaned_up and item.ended_at is not None and now - item.ended_at > LEFTOVER_DELAY for item in ended
    )
    held = find_condition(project.status.conditions, CLEANED_UP) is not None
    gauges.add("pgimport_leftovers", uncleaned + held, name)
    reason = ready_reason(project.status.conditions)
    if project.status.ready or reason in _DOWN:
        gauges.add("pgimport_target_server_up", float(reason not in _DOWN), name)


def _add_previews(gauges: _Gauges, project: str, previews: Sequence[PreviewObject]) -> None:
    states = Counter(item.state for item in previews)
    for state in PreviewState:
        gauges.add("pgimport_previews", states[state], project, state.value)
    data = [item.status.data_as_of for item in previews if item.golden and item.status.data_as_of is not None]
    gauges.add_time("pgimport_golden_data_timestamp_seconds", min(data, default=None), project)


def _add_webhooks(gauges: _Gauges, project: ProjectObject) -> None:
    condition = find_condition(project.status.conditions, WEBHOOKS_DELIVERED)
    if condition is not None:
        gauges.add("pgimport_webhooks_failing", condition.status is ConditionStatus.FALSE, project.meta.name)


def _add_named_import(gauges: _Gauges, project: str, item: ImportObject) -> None:
    progress, labels = item.status.progress, (project, item.meta.name)
    if progress is None:
        return
    gauges.add("pgimport_running_import_progress_ratio", progress.percent / 100, *labels)
    if progress.bytes_per_second is not None:
        gauges.add("pgimport_running_import_bytes_per_second", progress.bytes_per_second, *labels)
    if progress.source_held_seconds is not None:
        gauges.add("pgimport_running_import_source_held_seconds", progress.source_held_seconds, *labels)
