"""What a container leaves behind: it always fits, and what the shadow needs is always whole."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.samples import a_failed_result, a_preflight, a_result, a_source

from pgimport.model.reasons import Reason
from pgimport.model.result import (
    TAIL_LIMIT,
    TERMINATION_MESSAGE_LIMIT,
    CheckStatus,
    PreflightCheck,
    SkippedObject,
    SourceExtension,
    TableDifference,
    Verification,
    WorkerResult,
    build_termination_message,
    parse_worker_result,
)

words = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), max_size=3000)
reports = st.builds(
    a_preflight,
    checks=st.lists(
        st.builds(
            PreflightCheck, name=st.just("unsupported_objects"), status=st.sampled_from(list(CheckStatus)), detail=words
        ),
        max_size=10,
    ),
    left=st.lists(
        st.builds(SkippedObject, object=words.map(lambda text: text[:200]), reason=st.just("why")), max_size=300
    ),
    source=st.builds(
        a_source,
        extensions=st.lists(
            st.just(SourceExtension(name="postgis", version="3.5.2", schema_name="public")), max_size=13
        ),
    ),
)
verifications = st.builds(
    Verification,
    differences=st.lists(st.builds(TableDifference, table=words.map(lambda text: text[:126])), max_size=300),
    notes=st.lists(words, max_size=10),
)
results = st.builds(
    WorkerResult,
    step=st.sampled_from(["preflight", "import"]),
    ok=st.booleans(),
    failure=st.none() | st.builds(lambda text: a_failed_result(Reason.RESTORE_FAILED, text).failure, words),
    preflight=st.none() | reports,
    verification=st.none() | verifications,
    stdout_tail=st.none() | words,
    stderr_tail=st.none() | words,
)


@settings(max_examples=60, deadline=None)
@given(results)
def test_a_message_fits_and_is_read_again_with_all_that_the_shadow_needs(result: WorkerResult) -> None:
    message = build_termination_message(result)
    assert len(message.encode()) <= TERMINATION_MESSAGE_LIMIT
    again = parse_worker_result(message)
    assert again is not None
    assert (again.step, again.ok, again.version) == (result.step, result.ok, result.version)
    assert (again.failure and again.failure.reason) == (result.failure and result.failure.reason)
    assert (again.preflight and again.preflight.source) == (result.preflight and result.preflight.source)
    assert (again.preflight and again.preflight.ok) == (result.preflight and result.preflight.ok)


def test_a_short_result_is_sent_as_it_is() -> None:
    result = a_result(stdout_tail="done", stderr_tail="a warning")
    assert parse_worker_result(build_termination_message(result)) == result


def test_what_was_left_out_is_counted() -> None:
    differences = [TableDifference(table=f"public.table_{at}", source_rows=at, target_rows=0) for at in range(500)]
    found = parse_worker_result(
        build_termination_message(a_result(verification=Verification(differences=differences, notes=["a note"] * 4)))
    )
    assert found is not None
    assert found.verification is not None
    kept = len(found.verification.differences) + len(found.verification.notes)
    assert kept > 0
    assert found.verification.more == 504 - kept


@pytest.mark.parametrize("count", [1, 20, 300, 4000])
def test_hundreds_of_left_objects_are_halved_until_they_fit_and_counted(count: int) -> None:
    left = [
        SkippedObject(object=f"FOREIGN TABLE shop.table_{at}", reason="it leads to another server")
        for at in range(count)
    ]
    found = parse_worker_result(
        build_termination_message(a_result("preflight", preflight=a_preflight(left=left, more=7)))
    )
    assert found is not None
    assert found.preflight is not None
    assert 0 < len(found.preflight.skipped) <= count
    assert len(found.preflight.skipped) + (found.preflight.more or 0) == count + 7
    assert found.preflight.checks == a_preflight().checks


def test_what_a_check_advises_is_kept_before_the_names_of_left_objects() -> None:
    advice = PreflightCheck(
        name="source_privileges", status=CheckStatus.FAIL, detail="GRANT SELECT ON TABLE t TO u; " * 20
    )
    left = [
        SkippedObject(object=f"FOREIGN TABLE shop.table_{at}", reason="it leads to another server") for at in range(999)
    ]
    found = parse_worker_result(
        build_termination_message(a_result("preflight", preflight=a_preflight(checks=[advice], left=left)))
    )
    assert found is not None
    assert found.preflight is not None
    assert found.preflight.checks == [advice]
    assert found.preflight.skipped


def test_a_tail_keeps_its_end() -> None:
    text = "x" * 10_000 + "the last words"
    found = parse_worker_result(build_termination_message(a_result(stderr_tail=text)))
    assert found is not None
    assert found.stderr_tail is not None
    assert found.stderr_tail.endswith("the last words")
    assert len(found.stderr_tail) <= TAIL_LIMIT


def test_facts_that_do_not_fit_are_an_error_and_never_cut() -> None:
    many = [SourceExtension(name=f"extension_number_{at}", version="1.0", schema_name="public") for at in range(300)]
    with pytest.raises(ValueError, match="bytes, 4000 fit"):
        build_termination_message(a_result("preflight", preflight=a_preflight(source=a_source(extensions=many))))


@pytest.mark.parametrize(
    "message", ["", "null", "{}", "[]", '{"step": "import"}', "Killed", '{"step":"import","ok":tr']
)
def test_what_is_not_ours_is_no_result(message: str) -> None:
    assert parse_worker_result(message) is None


def test_a_field_of_another_version_is_passed_over() -> None:
    found = parse_worker_result('{"version": 9, "step": "import", "ok": true, "mood": "good"}')
    assert found is not None
    assert (found.version, found.ok) == (9, True)
