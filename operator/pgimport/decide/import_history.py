"""Decides which finished imports of a Project are deleted, if its spec.history limits how many are kept."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pgimport.model.project_spec import SHORTEST_HISTORY, History
from pgimport.model.resources import ImportObject, ObjectMeta

DELETED_AT_ONCE = 100  # each one costs two requests


def find_old_imports(
    finished: Sequence[ImportObject], clone_imports: frozenset[str], history: History | None, now: datetime
) -> tuple[ObjectMeta, ...]:
    """Returns the imports to delete now, the oldest first.

    `finished`: the imports of the Project that have ended. `clone_imports`: the names of imports that a preview names
    in status.cloneImport. Without such an import, the preview would start it again.
    """
    if history is None:
        return ()
    ended = sorted((item for item in finished if item.status.completed_at is not None), key=_end_of, reverse=True)
    kept = len(ended) if history.max_finished_imports is None else history.max_finished_imports
    ttl = None if history.ttl_seconds is None else timedelta(seconds=history.ttl_seconds)
    old = [
        item.meta
        for number, item in enumerate(ended)
        if (number >= kept or (ttl is not None and now - _end_of(item) >= ttl))
        and now - _end_of(item) >= SHORTEST_HISTORY
        and _may_be_deleted(item, clone_imports)
    ]
    return tuple(reversed(old))[:DELETED_AT_ONCE]


def _end_of(item: ImportObject) -> datetime:
    return item.status.completed_at or item.meta.created_at


def _may_be_deleted(item: ImportObject, clone_imports: frozenset[str]) -> bool:
    """Tells whether nothing depends on the import any more, neither on the server nor in the upload store."""
    upload = item.spec.source.upload_key if item.spec else None
    return (
        item.status.terminal
        and item.status.cleaned_up is True
        and not item.meta.deleting
        and (upload is None or item.status.upload_deleted is True)
        and item.meta.name not in clone_imports
    )
