"""Checks that each reason has one exit code in its range, and a hint."""

import re

import pytest

from pgimport.model.reasons import EXIT_OK, MEANINGS, Failure, Reason, RetryClassification, find_reason_by_exit_code


@pytest.mark.parametrize("reason", [reason for reason, meaning in MEANINGS.items() if meaning.exit_code is not None])
def test_an_exit_code_leads_back_to_its_reason(reason: Reason) -> None:
    assert find_reason_by_exit_code(Failure(reason, "").exit_code) is reason


def test_exit_codes_are_unique_and_in_the_range_of_their_classification() -> None:
    ranges = {
        RetryClassification.PERMANENT: range(64, 114),
        RetryClassification.TRANSIENT: range(10, 40),
        RetryClassification.RESOURCE: range(40, 50),
    }
    meanings_with_code = [meaning for meaning in MEANINGS.values() if meaning.exit_code is not None]
    assert len({meaning.exit_code for meaning in meanings_with_code}) == len(meanings_with_code)
    assert all(meaning.exit_code in ranges[meaning.classification] for meaning in meanings_with_code)
    assert EXIT_OK not in {meaning.exit_code for meaning in meanings_with_code}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        pytest.param(1, Reason.WORKER_FAILED, id="a crash"),
        pytest.param(137, Reason.WORKER_OUT_OF_MEMORY, id="a kill"),
        pytest.param(255, Reason.WORKER_FAILED, id="anything else"),
    ],
)
def test_an_unknown_exit_code_has_a_reason(code: int, reason: Reason) -> None:
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
