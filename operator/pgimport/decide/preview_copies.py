"""Decides about a preview of mode clone whose source is another preview: the operator copies its database.

A copy needs neither import nor pod. It runs in the background, and a reconcile only looks at it. Copies are numbered:
each reset and each expiry needs a new one.
"""

from datetime import datetime, timedelta

from pgimport.decide.conditions import ConditionSet, in_progress, ready, ready_reason, stalled
from pgimport.decide.decision import IMMEDIATELY, Action, BeginCopy, ClaimServer, Decision, build_decision
from pgimport.decide.observed_objects import ObservedPreview
from pgimport.decide.preview_transitions import describe_state, in_state, in_waiting_state
from pgimport.model.policy import Policy
from pgimport.model.preview_spec import CopySource, PreviewMode, PreviewSpec
from pgimport.model.project_spec import ProjectSpec
from pgimport.model.reasons import Reason
from pgimport.model.resources import PreviewObject
from pgimport.model.status import PreviewState, PreviewStatus

# A clone of files takes a second or two, and nothing else tells that it has ended. Many copies may wait for their turn.
LOOK_INTERVAL, WAITING_LOOK_INTERVAL = timedelta(seconds=1), timedelta(seconds=5)


def find_copy_source(spec: PreviewSpec | None, project: ProjectSpec | None) -> CopySource | None:
    """Returns the preview that a preview copies. None: it is empty, or an import fills it."""
    if spec is None or spec.mode is not PreviewMode.CLONE or project is None:
        return None
    if spec.copy_from is not None:
        return spec.copy_from
    golden = project.primary.preview_database if project.primary is not None else None
    return CopySource(preview_database=golden) if golden is not None else None


def is_being_copied(item: PreviewObject, source: str, project: ProjectSpec | None) -> bool:
    """Tells whether a copy of the preview `source` has begun and has not ended."""
    copied = find_copy_source(item.spec, project)
    begun = item.status.state is PreviewState.PENDING and ready_reason(item.status.conditions) == Reason.CLONING
    return copied is not None and copied.preview_database == source and begun and not item.meta.deleting


def decide_copy(
    observed: ObservedPreview,
    source: CopySource,
    created: PreviewStatus,
    now: datetime,
    policy: Policy,
    *,
    anew: bool,
) -> Decision[PreviewStatus]:
    """Decides about a copy that is not complete. `created`: its status as soon as the copy has begun.

    `anew`: the preview needs another copy than the one that it has or had.
    """
    content, copying = observed.content, observed.copying
    number = max(created.clones or 0, (content.copy_number or 0) if content is not None else 0)
    number += anew or number == 0
    begun = created.model_copy(update={"clones": number, "clone_import": None})
    unchanged = observed.object.status.model_copy(update={"observed_generation": observed.object.meta.generation})
    if content is not None and content.exists and content.copy_number == number:
        copied = begun.model_copy(update={"data_as_of": content.data_as_of, "database_lost_at": None})
        message = f"The database is a copy of PreviewDatabase {source.preview_database}."
        return build_decision(in_state(copied, PreviewState.READY), ready(Reason.READY, message), now, IMMEDIATELY)
    if copying is not None and copying.failure is None:
        message = f"The operator copies PreviewDatabase {source.preview_database}."
        if not copying.started:
            message = f"The copy of PreviewDatabase {source.preview_database} waits until other copies have ended."
        shown = begun if copying.number == number else unchanged
        interval = LOOK_INTERVAL if copying.started else WAITING_LOOK_INTERVAL
        conditions = in_progress(Reason.CLONING, message)
        actions = _change_source(observed, source, now)
        return build_decision(in_state(shown, PreviewState.PENDING), conditions, now, interval, actions)
    if (obstacle := _find_obstacle(observed, source, now)) is not None:
        return build_decision(in_waiting_state(unchanged), obstacle, now, policy.waiting_interval)
    if copying is not None and copying.failure is not None and copying.number == number:
        message = copying.failure.format_with_hint()
        build, state = (stalled, PreviewState.FAILED) if copying.refused else (in_progress, PreviewState.PENDING)
        conditions = build(copying.failure.reason, message)
        return build_decision(in_state(begun, state), conditions, now, policy.retry_interval)
    conditions = in_progress(Reason.CLONING, f"The operator copies PreviewDatabase {source.preview_database}.")
    actions = (ClaimServer(), BeginCopy(number, source.disconnect))
    return build_decision(in_state(begun, PreviewState.PENDING), conditions, now, LOOK_INTERVAL, actions)


def _change_source(observed: ObservedPreview, source: CopySource, now: datetime) -> tuple[Action, ...]:
    """Gives a copy that waits another source, if the Project has named another one since."""
    copying, preview = observed.copying, observed.source
    if copying is None or copying.started or copying.source is None or preview is None:
        return ()
    if copying.source == preview.database or _find_obstacle(observed, source, now) is not None:
        return ()
    return ClaimServer(), BeginCopy(copying.number, source.disconnect)


def _find_obstacle(observed: ObservedPreview, source: CopySource, now: datetime) -> ConditionSet | None:
    """Returns why the copy cannot begin yet."""
    name, preview, spec = source.preview_database, observed.source, observed.object.spec
    in_from = spec is not None and spec.copy_from is not None
    field = "spec.from.previewDatabase" if in_from else "the Project's spec.primary.previewDatabase"
    if name == observed.object.meta.name:
        return stalled(Reason.INVALID_SPEC, f"{field}: {name} is this preview itself. Name another.")
    if preview is None:
        message = f"The preview waits for PreviewDatabase {name}, which does not exist."
        return in_progress(Reason.SOURCE_PREVIEW_NOT_FOUND, message)
    if preview.spec is None or spec is None or preview.spec.project != spec.project:
        message = f"The preview waits for PreviewDatabase {name}, which belongs to another Project."
        return in_progress(Reason.SOURCE_PREVIEW_NOT_READY, message)
    if not preview.golden and not source.disconnect:
        message = (
            f"{field}: {name} is not golden. Name a golden preview, or create this preview again with from and"
            " disconnect: true. Then the sessions in the source end, and new ones wait until the copy exists."
        )
        return stalled(Reason.INVALID_SPEC, message)
    if preview.meta.deleting or preview.status.state is not PreviewState.READY:
        reason = Reason.NO_DATA if preview.golden else Reason.SOURCE_PREVIEW_NOT_READY
        relation = _describe_relation(preview, observed.object.meta.name)
        return in_progress(reason, f"The preview waits for PreviewDatabase {name}, which {relation}.")
    if preview.spec.reset_due(preview.status.reset_at, now):
        reason = Reason.NO_DATA if preview.golden else Reason.SOURCE_PREVIEW_NOT_READY
        message = f"The preview waits for PreviewDatabase {name}, which is about to be reset."
        return in_progress(reason, message)
    if observed.source_is_swapped:
        message = f"An import is about to replace PreviewDatabase {name}. The copy begins afterwards."
        return in_progress(Reason.WAITING_FOR_REFRESH, message)
    return None


def _describe_relation(source: PreviewObject, copy: str) -> str:
    """Describes a source that is not ready, for the condition of the preview that copies it.

    Does not repeat the message of a source that itself waits for another preview: in a ring of previews, each message
    would contain the others, and change again and again.
    """
    if source.meta.deleting:
        return "is deleting"
    waits = ready_reason(source.status.conditions) == Reason.SOURCE_PREVIEW_NOT_READY
    awaited = source.spec.copy_from if waits and source.spec is not None else None
    if awaited is not None and awaited.preview_database == copy:
        return "itself waits for this preview. Delete one of them"
    if awaited is not None:
        return f"is {source.status.state} and waits for PreviewDatabase {awaited.preview_database}"
    state = describe_state(source.status)
    if source.golden and source.status.state in (None, PreviewState.PENDING):
        state = f"pending and has no data yet{state.removeprefix('pending')}"
    return f"is {state}"
