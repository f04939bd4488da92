"""Shows a preview with the state that the last request leads to, also before the operator has seen the request. Pure.

Otherwise a client that resets a preview, and then waits for the state `ready`, would work in the old database.
"""

from datetime import datetime

from pgimport.model.preview_spec import PreviewSpec
from pgimport.model.reasons import Reason
from pgimport.model.resources import PreviewObject, ProjectObject
from pgimport.model.rest_views import Preview, build_preview_body, find_expiry
from pgimport.model.status import PreviewState

NOT_SEEN = "The operator has not seen the request yet."


def show_preview(project: ProjectObject, preview: PreviewObject, now: datetime) -> Preview:
    """Builds a REST preview. While a reset or a renewal has not begun, it is pending."""
    body = build_preview_body(project, preview)
    state = find_state(preview, now)
    if state is body.state:
        return body
    changes: dict[str, object] = {"state": state}
    if not _is_observed(preview):
        changes |= {"reason": Reason.PENDING, "message": NOT_SEEN}
    return body.model_copy(update=changes)


def find_state(preview: PreviewObject, now: datetime) -> PreviewState:
    """Returns the state of a preview, as its last request leaves it."""
    spec, state = preview.spec, preview.state
    if spec is None or not _leads_to_another_database(preview, spec, state, now):
        return state
    return PreviewState.PENDING


def _leads_to_another_database(preview: PreviewObject, spec: PreviewSpec, state: PreviewState, now: datetime) -> bool:
    """Tells whether a reset is due, or an expired preview was renewed.

    What the operator has seen and not done, it refuses, unless the preview is ready: then the reset waits.
    """
    if state is PreviewState.READY or (state is PreviewState.FAILED and not _is_observed(preview)):
        return spec.reset_due(preview.status.reset_at, now)
    expires_at = find_expiry(preview, spec)
    return state is PreviewState.EXPIRED and not _is_observed(preview) and expires_at is not None and expires_at > now


def _is_observed(preview: PreviewObject) -> bool:
    return preview.status.observed_generation in (None, preview.meta.generation)
