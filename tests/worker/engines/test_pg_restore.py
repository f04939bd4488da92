"""Which sections of an archive pg_restore is started for."""

from itertools import count

import pytest

from pgimport.worker.archive.toc import Section, TocEntry
from pgimport.worker.engines.pg_restore import SectionName, has_objects

_IDS = count(1)


def build_entry(kind: str, section: Section) -> TocEntry:
    return TocEntry(
        dump_id=next(_IDS),
        catalog=0,
        oid=0,
        kind=kind,
        schema="",
        tag="",
        owner="",
        section=section,
        definition="",
        copy_statement="",
        has_rows=False,
        dependencies=(),
        file="",
    )


SETTINGS = [build_entry(kind, Section.PRE_DATA) for kind in ("ENCODING", "STDSTRINGS", "SEARCHPATH")]
TABLE = build_entry("TABLE", Section.PRE_DATA)
INDEX = build_entry("INDEX", Section.POST_DATA)
COMMENT = build_entry("COMMENT", Section.NONE)


@pytest.mark.parametrize(
    ("entries", "section", "expected"),
    [
        pytest.param([], "pre-data", False, id="no entry"),
        pytest.param(SETTINGS, "pre-data", False, id="settings of the session alone"),
        pytest.param([*SETTINGS, TABLE], "pre-data", True, id="a table"),
        pytest.param([*SETTINGS, TABLE], "data", False, id="a table without rows"),
        pytest.param([*SETTINGS, TABLE, INDEX], "post-data", True, id="an index"),
        pytest.param([COMMENT], "post-data", True, id="a comment on an index that exists"),
    ],
)
def test_pg_restore_starts_only_for_objects(entries: list[TocEntry], section: SectionName, expected: bool) -> None:
    assert has_objects(entries, section) is expected
