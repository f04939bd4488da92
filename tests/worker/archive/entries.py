"""Builds entries of a table of contents for tests."""

from itertools import count
from typing import Any

from pgimport.worker.archive.toc import Section, TocEntry

_IDS = count(1)


def entry(kind: str, tag: str, *dependencies: TocEntry, schema: str = "shop", **changes: Any) -> TocEntry:
    fields: dict[str, Any] = {
        "dump_id": next(_IDS),
        "catalog": 1,
        "oid": next(_IDS),
        "section": Section.PRE_DATA,
        "definition": "",
        "owner": "alice",
        "copy_statement": "",
        "has_rows": False,
        "file": "",
    }
    dump_ids = tuple(dependency.dump_id for dependency in dependencies)
    return TocEntry(kind=kind, schema=schema, tag=tag, dependencies=dump_ids, **fields | changes)


SHOP = entry("SCHEMA", "shop", schema="")
