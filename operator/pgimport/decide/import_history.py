"""Decides which finished imports of a Project are deleted, if its spec.history limits how many are kept."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pgimport.model.project_spec import SHORTEST_HISTORY, History
from pgimport.model.resources import ImportOwner

DELETED_AT_ONCE = 100  # each one costs two requests


def find_old_imports(
    imports: Sequence[ImportOwner], clone_imports: frozenset[str], history: History | None, now: datetime
) -> tuple[ImportOwner, ...]:
    """Returns the imports to delete now, the oldest first.

    `imports`: those of the Project. `clone_imports`: the names of imports that a preview names in status.cloneImport.
    Without such an import, the preview would start it again.
    """
    if history is None:
        return ()
    ended = sorted(((item.ended_at, item) for item in imports if item.ended_at is not None), key=_end_of, reverse=True)
    kept = len(ended) if history.max_finished_imports is None else history.max_finished_imports
    ttl = None if history.ttl_seconds is None else timedelta(seconds=history.ttl_seconds)
    old = [
        item
        for number, (ended_at, item) in enumerate(ended)
        if (number >= kept or (ttl is not None and now - ended_at >= ttl))
        and now - ended_at >= SHORTEST_HISTORY
        and item.removable
        and item.name not in clone_imports
    ]
    return tuple(reversed(old))[:DELETED_AT_ONCE]


def _end_of(ended: tuple[datetime, ImportOwner]) -> datetime:
    return ended[0]
