"""Limits the unpacked size of a dump file, reads the file to its end, and compares its checksum."""

from pgimport.model.order import Order
from pgimport.model.reasons import Failure, Reason
from pgimport.worker.engines.file.download import Download
from pgimport.worker.engines.file.dump_stream import DumpStream
from pgimport.worker.postgres.errors import ImportStopped

UNPACKED_PER_PLAN = 20  # multiple of the storage limit: a dump can be larger than its database, but not by this factor
_COMPARE = (
    "Run sha256sum on the file where pg_dump wrote it. If it prints the first value, correct spec.source.sha256; else"
    " transfer the file again."
)


def find_unpack_limit(order: Order) -> int | None:
    """Returns the maximum unpacked size of a file in bytes, or None without a limit."""
    return None if order.storage_limit_bytes is None else UNPACKED_PER_PLAN * order.storage_limit_bytes


def read_to_the_end(order: Order, stream: DumpStream, download: Download) -> None:
    """Reads what is left of the file and compares its checksum. Raises ImportStopped."""
    stream.read_to_the_end()
    if order.sha256 is not None and download.sha256 != order.sha256:
        message = f"the dump file's SHA-256 is {download.sha256}, and spec.source.sha256 says {order.sha256}"
        raise ImportStopped(Failure(Reason.DUMP_CORRUPT, message, _COMPARE))
