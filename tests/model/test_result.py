"""Checks that a result fits into the termination message, with all properties that the shadow needs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.samples import a_failed_result, a_preflight, a_result, a_source

from pgimport.model.reasons import Reason
from pgimport.model.result import (
    CheckStatus,
    PreflightCheck,
    SkippedObject,
    SourceExtension,
    TableDifference,
    Verification,
    WorkerResult,
)
from pgimport.model.termination_message import (
    TAIL_LIMIT,
    TERMINATION_MESSAGE_LIMIT,
    build_termination_message,
    parse_worker_result,
)

texts = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), max_size=3000)
reports = st.builds(
    a_preflight,
    checks=st.lists(
        st.builds(
            PreflightCheck, name=st.just("unsupported_objects"), status=st.sampled_from(list(CheckStatus)), detail=texts
        ),
        max_size=10,
    ),
    skipped=st.lists(
        st.builds(SkippedObject, object=texts.map(lambda text: text[:200]), reason=st.just("why")), max_size=300
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
    differences=st.lists(st.builds(TableDifference, table=texts.map(lambda text: text[:126])), max_size=300),
    notes=st.lists(texts, max_size=10),
)
results = st.builds(
    WorkerResult,
    step=st.sampled_from(["preflight", "import"]),
    ok=st.booleans(),
    failure=st.none() | st.builds(lambda text: a_failed_result(Reason.RESTORE_FAILED, text).failure, texts),
    preflight=st.none() | reports,
    verification=st.none() | verifications,
    stdout_tail=st.none() | texts,
    stderr_tail=st.none() | texts,
)


@settings(max_examples=60, deadline=None)
@given(results)
def test_a_message_fits_and_contains_all_that_the_shadow_needs(result: WorkerResult) -> None:
    message = build_termination_message(result)
    assert len(message.encode()) <= TERMINATION_MESSAGE_LIMIT
    parsed = parse_worker_result(message)
    assert parsed is not None
    assert (parsed.step, parsed.ok, parsed.version) == (result.step, result.ok, result.version)
    assert (parsed.failure and parsed.failure.reason) == (result.failure and result.failure.reason)
    assert (parsed.preflight and parsed.preflight.source) == (result.preflight and result.preflight.source)
    assert (parsed.preflight and parsed.preflight.ok) == (result.preflight and result.preflight.ok)


def test_a_short_result_is_sent_unchanged() -> None:
    result = a_result(stdout_tail="done", stderr_tail="a warning")
    assert parse_worker_result(build_termination_message(result)) == result


def test_omitted_entries_are_counted() -> None:
    differences = [TableDifference(table=f"public.table_{at}", source_rows=at, target_rows=0) for at in range(500)]
    parsed = parse_worker_result(
        build_termination_message(a_result(verification=Verification(differences=differences, notes=["a note"] * 4)))
    )
    assert parsed is not None
    assert parsed.verification is not None
    kept = len(parsed.verification.differences) + len(parsed.verification.notes)
    assert kept > 0
    assert parsed.verification.more == 504 - kept


@pytest.mark.parametrize("count", [1, 20, 300, 4000])
def test_hundreds_of_skipped_objects_are_halved_until_they_fit_and_counted(count: int) -> None:
    skipped = [
        SkippedObject(object=f"FOREIGN TABLE shop.table_{at}", reason="it leads to another server")
        for at in range(count)
    ]
    parsed = parse_worker_result(
        build_termination_message(a_result("preflight", preflight=a_preflight(skipped=skipped, more=7)))
    )
    assert parsed is not None
    assert parsed.preflight is not None
    assert 0 < len(parsed.preflight.skipped) <= count
    assert len(parsed.preflight.skipped) + (parsed.preflight.more or 0) == count + 7
    assert parsed.preflight.checks == a_preflight().checks


def test_skipped_objects_are_omitted_before_the_advice_of_a_check() -> None:
    advice = PreflightCheck(
        name="source_privileges", status=CheckStatus.FAIL, detail="GRANT SELECT ON TABLE t TO u; " * 20
    )
    skipped = [
        SkippedObject(object=f"FOREIGN TABLE shop.table_{at}", reason="it leads to another server") for at in range(999)
    ]
    parsed = parse_worker_result(
        build_termination_message(a_result("preflight", preflight=a_preflight(checks=[advice], skipped=skipped)))
    )
    assert parsed is not None
    assert parsed.preflight is not None
    assert parsed.preflight.checks == [advice]
    assert parsed.preflight.skipped


def test_a_tail_keeps_its_end() -> None:
    text = "x" * 10_000 + "the last texts"
    parsed = parse_worker_result(build_termination_message(a_result(stderr_tail=text)))
    assert parsed is not None
    assert parsed.stderr_tail is not None
    assert parsed.stderr_tail.endswith("the last texts")
    assert len(parsed.stderr_tail) <= TAIL_LIMIT


def test_source_properties_that_do_not_fit_are_an_error() -> None:
    extensions = [
        SourceExtension(name=f"extension_number_{at}", version="1.0", schema_name="public") for at in range(300)
    ]
    with pytest.raises(ValueError, match="bytes, 4000 fit"):
        build_termination_message(a_result("preflight", preflight=a_preflight(source=a_source(extensions=extensions))))


@pytest.mark.parametrize(
    "message", ["", "null", "{}", "[]", '{"step": "import"}', "Killed", '{"step":"import","ok":tr']
)
def test_another_message_is_not_a_result(message: str) -> None:
    assert parse_worker_result(message) is None


def test_an_unknown_field_of_another_version_is_ignored() -> None:
    parsed = parse_worker_result('{"version": 9, "step": "import", "ok": true, "mood": "good"}')
    assert parsed is not None
    assert (parsed.version, parsed.ok) == (9, True)
