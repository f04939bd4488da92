"""Changes texts in the table of contents of an archive on disk, before pg_restore reads it."""

from pathlib import Path

from pgimport.worker.archive.toc import ENCODING, format_text, parse_table_of_contents
from pgimport.worker.postgres.encodings import UTF8, find_client_encoding_codec


def rewrite_copy_statements(archive: Path, changes: dict[str, str]) -> None:
    """Replaces COPY statements: old → new. Each occurs once, as it contains its table's name."""
    if not changes:
        return
    with archive.open("rb") as file:
        header, entries = parse_table_of_contents(file.read)
        codec = next(
            (find_client_encoding_codec(entry.definition) for entry in entries if entry.kind == ENCODING), UTF8
        )
    content = archive.read_bytes()
    for old, new in changes.items():
        content = content.replace(format_text(old, header, codec), format_text(new, header, codec), 1)
    archive.write_bytes(content)
