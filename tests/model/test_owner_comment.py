"""The comment on what we make: read again as it was written, and nobody else's is taken for ours."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgimport.model.owner_comment import COMMENT_KEY, OwnerComment, format_owner_comment, parse_owner_comment

uids = st.uuids().map(str)


@given(uids, st.none() | uids, st.none() | uids, st.none() | uids)
def test_a_mark_is_read_as_it_was_written(
    project: str, preview: str | None, found: str | None, pod: str | None
) -> None:
    mark = OwnerComment(project_uid=project, preview_uid=preview, import_uid=found, pod_uid=pod)
    assert parse_owner_comment(format_owner_comment(mark)) == mark


@pytest.mark.parametrize(
    "comment",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("our best customers", id="a sentence"),
        pytest.param("{}", id="JSON of somebody else"),
        pytest.param("[]", id="a list"),
        pytest.param("null", id="null"),
        pytest.param('"pgimport"', id="our name alone"),
        pytest.param('{"pgimport": {}}', id="a mark without an owner"),
        pytest.param('{"pgimport": {"projectUID": 7}}', id="an owner that is a number"),
    ],
)
def test_what_is_not_our_mark_is_none(comment: str | None) -> None:
    assert parse_owner_comment(comment) is None


@given(
    st.text(max_size=50)
    | st.recursive(
        st.none() | st.integers(), lambda inner: st.dictionaries(st.just(COMMENT_KEY), inner), max_leaves=3
    ).map(json.dumps)
)
def test_no_comment_is_too_strange(comment: str) -> None:
    assert parse_owner_comment(comment) is None
