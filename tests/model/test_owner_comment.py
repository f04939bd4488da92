"""Checks that our comments on databases and roles are parsed, and that other comments are not taken for ours."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgimport.model.owner_comment import COMMENT_KEY, OwnerComment, format_owner_comment, parse_owner_comment

uids = st.uuids().map(str)


@given(uids, st.none() | uids, st.none() | uids, st.none() | uids)
def test_parsing_a_formatted_comment_returns_it(
    project: str, preview: str | None, import_uid: str | None, pod: str | None
) -> None:
    mark = OwnerComment(project_uid=project, preview_uid=preview, import_uid=import_uid, pod_uid=pod)
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
def test_another_comment_is_not_ours(comment: str | None) -> None:
    assert parse_owner_comment(comment) is None


@given(
    st.text(max_size=50)
    | st.recursive(
        st.none() | st.integers(), lambda inner: st.dictionaries(st.just(COMMENT_KEY), inner), max_leaves=3
    ).map(json.dumps)
)
def test_any_comment_can_be_parsed(comment: str) -> None:
    assert parse_owner_comment(comment) is None
