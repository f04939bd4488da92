"""Limits how much a dump file may unpack to, and checks that the whole of it was read."""

from pgimport.model.order import Order
from pgimport.model.reasons import Failure, Reason
from pgimport.worker.engines.file.compression import DumpStream
from pgimport.worker.engines.file.download import Download
from pgimport.worker.postgres.errors import ImportStopped

UNPACKED_PER_PLAN = 20  # times the plan's limit: a dump's text is longer than its database, but not by this much


def find_unpack_limit(order: Order) -> int | None:
    """Returns the bytes that a file may unpack to; None without a limit."""
    return None if order.storage_limit_bytes is None else UNPACKED_PER_PLAN * order.storage_limit_bytes


def read_to_the_end(order: Order, stream: DumpStream, download: Download) -> None:
    """Reads what is left of the file and compares its checksum. Raises ImportStopped."""
    while stream.read_some():
        pass
    if order.sha256 is not None and download.sha256 != order.sha256:
        message = f"the dump file's SHA-256 is {download.sha256}, and spec.source.sha256 says {order.sha256}"
        raise ImportStopped(Failure(Reason.DUMP_CORRUPT, message))
