"""Observes a PostgresImportSchedule: reads it, its Project and its imports."""

from datetime import datetime

from pgimport.decide.observed_objects import ObservedSchedule
from pgimport.kubernetes_client.custom_resources import read_preview, read_project, read_schedule
from pgimport.kubernetes_client.resource_lists import list_scheduled_imports
from pgimport.model.resources import PreviewObject, ResourceKey, ScheduleObject
from pgimport.reconcile.reconcile_context import ReconcileContext


def observe_schedule(context: ReconcileContext, key: ResourceKey, _now: datetime) -> ObservedSchedule | None:
    """Reads everything that the decision needs. Returns None if the schedule does not exist."""
    schedule = read_schedule(context.cluster, key.namespace, key.name)
    if schedule is None:
        return None
    return ObservedSchedule(
        object=schedule,
        project=read_project(context.cluster, schedule.spec.import_template.project) if schedule.spec else None,
        imports=tuple(list_scheduled_imports(context.cluster, schedule.meta)),
        target=_read_target(context, schedule),
    )


def _read_target(context: ReconcileContext, schedule: ScheduleObject) -> PreviewObject | None:
    target = schedule.spec.import_template.target if schedule.spec else None
    return read_preview(context.cluster, schedule.meta.namespace, target.preview_database) if target else None
