"""Carries a report through the log of a container, because the termination message has only 4 KiB.

The report is compressed and written as numbered lines, `{"report": {"id": …, "part": …, "data": …}}`. The termination
message states the random id, the number of lines and the digest. So nothing else in the log can be mistaken for the
report, and a report that lacks a line is never taken as complete.
"""

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Iterable

from pgimport.model.report_lines import LINE_KEY, is_report_line
from pgimport.model.result import ReportDigest

# Container runtimes split log lines at 16 KiB, and may put lines of stderr between the pieces.
PART_CHARACTERS = 12_000
# A ConfigMap holds at most 1 MiB. The rest is for its metadata.
CONFIG_MAP_BYTES = 900_000
MAX_CONFIG_MAPS = 12
# One ConfigMap less, because none is filled to the last byte.
REPORT_BYTES = CONFIG_MAP_BYTES * (MAX_CONFIG_MAPS - 1)


def encode_report(text: str, report_id: str) -> tuple[ReportDigest, list[str]]:
    """Returns the digest for the termination message, and the lines for the log."""
    compressed = zlib.compress(text.encode(), 9)
    encoded = base64.b64encode(compressed).decode()
    pieces = [encoded[at : at + PART_CHARACTERS] for at in range(0, len(encoded), PART_CHARACTERS)]
    lines = [
        json.dumps({LINE_KEY: {"id": report_id, "part": number, "data": piece}}) for number, piece in enumerate(pieces)
    ]
    return ReportDigest(id=report_id, parts=len(lines), sha256=hashlib.sha256(compressed).hexdigest()), lines


def decode_report(digest: ReportDigest, lines: Iterable[str]) -> str | None:
    """Returns the report's text, or None if a line is missing or damaged, or the report is larger than any of ours."""
    pieces: dict[int, str] = {}
    for line in lines:
        if is_report_line(line) and (piece := _parse_piece(digest, line)) is not None:
            pieces[piece[0]] = piece[1]
    # The digest is not trusted: its number of parts may be huge.
    if len(pieces) != digest.parts or sorted(pieces) != list(range(len(pieces))):
        return None
    try:
        compressed = base64.b64decode("".join(pieces[number] for number in range(digest.parts)), validate=True)
        if hashlib.sha256(compressed).hexdigest() != digest.sha256:
            return None
        decompressor = zlib.decompressobj()
        text = decompressor.decompress(compressed, 2 * REPORT_BYTES)
        return text.decode() if decompressor.eof else None
    except (binascii.Error, zlib.error, UnicodeDecodeError):
        return None


def _parse_piece(digest: ReportDigest, line: str) -> tuple[int, str] | None:
    try:
        piece = json.loads(line)[LINE_KEY]
        if piece["id"] == digest.id and isinstance(piece["part"], int) and isinstance(piece["data"], str):
            return piece["part"], piece["data"]
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None
