"""Hints of the command line name options, and nothing of a cluster."""

import pytest

from pgimport.cli.hints import find_hint, name_options
from pgimport.model.reasons import MEANINGS, Failure, Reason

WORKER_REASONS = [reason for reason, meaning in MEANINGS.items() if meaning.exit_code is not None]
OF_A_CLUSTER = ("spec.", "status.", "lastStderr", "Project", "pod", "Secret", "kubectl", "platform", "image")


@pytest.mark.parametrize("reason", WORKER_REASONS)
def test_a_hint_names_nothing_of_a_cluster(reason: Reason) -> None:
    hint = find_hint(Failure(reason, "m"))
    assert hint
    assert [word for word in OF_A_CLUSTER if word in hint] == []


def test_a_failures_own_advice_comes_first() -> None:
    failure = Failure(Reason.WORKER_OUT_OF_MEMORY, "m", "Lower spec.jobs.")
    assert find_hint(failure) == "Lower --jobs."


def test_names_of_fields_become_options() -> None:
    assert name_options("spec.filter.includeSchemas does not name its schema") == (
        "--include-schema does not name its schema"
    )
    assert name_options("spec.filter.excludeTables, filter.excludeTableData: spec.jobs") == (
        "--exclude-table, --exclude-table-data: --jobs"
    )
