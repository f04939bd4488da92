"""Decides which labels of Kueue the Job of an import gets."""

from collections.abc import Mapping

from pgimport.model.names import LABEL_PREFIX_KUEUE, LABEL_QUEUE


def find_queue_labels(labels: Mapping[str, str], queue_name: str | None) -> dict[str, str]:
    """Returns Kueue's labels of an import, with the Project's queue as the default.

    An empty name counts as none: Kueue ignores such a Job, so nothing would ever start it.
    """
    own = {
        key: value
        for key, value in labels.items()
        if key.startswith(LABEL_PREFIX_KUEUE) and (value or key != LABEL_QUEUE)
    }
    return own if queue_name is None else {LABEL_QUEUE: queue_name, **own}


def find_queue(labels: Mapping[str, str], queue_name: str | None) -> str | None:
    """Returns the LocalQueue that admits the import's Job, or None if the Job starts at once."""
    return find_queue_labels(labels, queue_name).get(LABEL_QUEUE)
