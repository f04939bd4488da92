"""Checks that each reason has one exit code in its range, and a hint."""

import re

import pytest

from pgimport.model.reasons import EXIT_OK, MEANINGS, Failure, Reason, RetryClassification, find_reason_by_exit_code


@pytest.mark.parametrize("reason", [reason for reason, meaning in MEANINGS.items() if meaning.exit_code is not None])
def test_an_exit_code_means_its_reason(reason: Reason) -> None:
    assert find_reason_by_exit_code(Failure(reason, "").exit_code) is reason


def test_exit_codes_are_told_apart_and_lie_where_their_kind_lies() -> None:
    places = {
        RetryClassification.PERMANENT: range(64, 114),
        RetryClassification.TRANSIENT: range(10, 40),
        RetryClassification.RESOURCE: range(40, 50),
    }
    coded = [meaning for meaning in MEANINGS.values() if meaning.exit_code is not None]
    assert len({meaning.exit_code for meaning in coded}) == len(coded)
    assert all(meaning.exit_code in places[meaning.classification] for meaning in coded)
    assert EXIT_OK not in {meaning.exit_code for meaning in coded}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        pytest.param(1, Reason.WORKER_FAILED, id="a crash"),
        pytest.param(137, Reason.WORKER_OUT_OF_MEMORY, id="a kill"),
        pytest.param(255, Reason.WORKER_FAILED, id="anything else"),
    ],
)
def test_an_exit_code_that_is_not_ours(code: int, reason: Reason) -> None:
    assert find_reason_by_exit_code(code) is reason


@pytest.mark.parametrize("reason", [reason for reason in MEANINGS if reason is not Reason.CANCELLED])
def test_each_hint_says_in_full_sentences_what_to_do(reason: Reason) -> None:
    hint = MEANINGS[reason].hint
    assert hint[0].isupper()
    assert hint.endswith(".")
    assert max(len(sentence.split()) for sentence in hint.split(". ")) <= 25
    assert not re.search(r"\bdrop\b", hint, re.IGNORECASE)  # no advice to drop something in production


def test_a_failure_is_shown_with_its_hint() -> None:
    assert Failure(Reason.STALLED, "it hangs").format_with_hint().startswith("it hangs (hint: ")
