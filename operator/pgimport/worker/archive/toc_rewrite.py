"""Changes texts in the table of contents of an archive on disk, before pg_restore reads it."""

from collections.abc import Mapping
from pathlib import Path

from pgimport.worker.archive.toc import ENCODING, format_text, parse_table_of_contents
from pgimport.worker.postgres.encodings import UTF8, find_client_encoding_codec


def rewrite_entries(archive: Path, changes: Mapping[int, str]) -> None:
    """Replaces the COPY statements of entries, or the definitions of those without one: dump id → new text.

    Several partitions can have the same COPY statement, so the texts are searched in the order of the entries.
    """
    if not changes:
        return
    with archive.open("rb") as file:
        header, parsed = parse_table_of_contents(file.read)
        entries = list(parsed)
    codec = next((find_client_encoding_codec(entry.definition) for entry in entries if entry.kind == ENCODING), UTF8)
    content, written = archive.read_bytes(), 0
    with archive.open("wb") as file:
        for entry in entries:
            if not entry.copy_statement and entry.dump_id not in changes:
                continue
            old = format_text(entry.copy_statement or entry.definition, header, codec)
            begin = content.find(old, written)
            if begin < 0:
                continue
            file.write(content[written:begin])
            new = changes.get(entry.dump_id)
            file.write(old if new is None else format_text(new, header, codec))
            written = begin + len(old)
        file.write(content[written:])
