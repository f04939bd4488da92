"""Names refused partitions in the error of a row that finds no partition. Pure.

Rows that go through the partitioned table fail if the target has refused to attach their partition.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import SkippedObject
from pgimport.worker.archive.entry_names import TABLE_ATTACH
from pgimport.worker.postgres.errors import ImportStopped


@contextmanager
def naming_detached_partitions(list_skipped: Callable[[], Iterable[SkippedObject]]) -> Iterator[None]:
    """Adds the first refused partition to the failure of the block, which restores rows. Raises ImportStopped."""
    try:
        yield
    except ImportStopped as stopped:
        raise ImportStopped(name_detached_partition(stopped.failure, list_skipped())) from stopped


def name_detached_partition(failure: Failure, skipped: Iterable[SkippedObject]) -> Failure:
    """Returns the failure with the first refused partition, if there is one."""
    detached = next((item for item in skipped if item.object.startswith(f"{TABLE_ATTACH} ")), None)
    if detached is None or failure.reason is not Reason.RESTORE_FAILED:
        return failure
    return replace(failure, message=f"{failure.message}; before, {detached.object} was skipped: {detached.reason}")
