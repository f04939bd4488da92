"""The route that shows the whole report of a job."""

import json

import pytest
from tests.api.conftest import Api, start_import
from tests.api.stored_reports import store_report
from tests.support.samples import a_preflight, a_result

from pgimport.model.import_choices import SkipGroup
from pgimport.model.import_report import build_report_lines, pack_lines
from pgimport.model.result import SkippedObject, TableDifference, Verification

KEY = "(mail)=(ann@example.com)"


def refused(number: int) -> SkippedObject:
    return SkippedObject(
        object=f"INDEX public.u{number}",
        reason=f'could not create unique index "u{number}" (SQLSTATE 23505); DETAIL: Key {KEY} is duplicated.',
        group=SkipGroup.REFUSED,
        sqlstate="23505",
        offending_key=KEY,
    )


def test_a_report_in_parts_is_shown_completely_and_without_keys(api: Api) -> None:
    verification = Verification(
        differences=[TableDifference(table="public.t", source_rows=1, target_rows=2)],
        notes=["a note"],
        not_compared=["values"],
    )
    skipped = [refused(number) for number in range(10_000)]
    lines = build_report_lines(a_result(skipped=skipped, verification=verification))
    lines += build_report_lines(a_result("preflight", preflight=a_preflight(skipped=skipped[:1])))
    parts = pack_lines(lines, 900_000, 12)
    assert len(parts) > 1
    job = start_import(api)
    store_report(api, job, parts)
    response = api.call("GET", f"/jobs/{job}/report")
    report = response.json()["report"]
    assert (response.status_code, set(response.json())) == (200, {"report"})
    assert (report["complete"], report["skipped_count"], report["refused_count"]) == (True, 160, 7)
    assert [item["object"] for item in report["skipped"]] == [item.object for item in skipped]
    assert report["skipped"][0] == {
        "object": "INDEX public.u0",
        "reason": 'could not create unique index "u0" (SQLSTATE 23505)',
        "group": "refused",
        "sqlstate": "23505",
    }
    assert "ann@example.com" not in response.text
    assert report["differences"] == [{"table": "public.t", "source_rows": 1, "target_rows": 2}]
    assert (report["notes"], report["not_compared"]) == (["a note"], ["values"])
    assert report["checks"]
    assert len(report["forecast"]) == 1
    shown = api.call("GET", f"/jobs/{job}").json()["job"]
    assert (shown["skipped"], shown["refused"], shown["fully_imported"]) == (160, 7, False)


def test_a_job_without_a_report_is_a_conflict(api: Api) -> None:
    response = api.call("GET", f"/jobs/{start_import(api)}/report")
    assert response.status_code == 409
    assert "no report yet" in response.json()["error"]


@pytest.mark.parametrize("key", ["foreign", "of-other-project"])
def test_a_report_of_somebody_else_does_not_exist(api: Api, key: str) -> None:
    job = start_import(api)
    store_report(api, job, ['{"note":"a secret of acme"}\n'])
    assert api.call("GET", f"/jobs/{job}/report", key).status_code == 404


def test_a_key_without_the_scope_reads_no_report(api: Api) -> None:
    assert api.call("GET", f"/jobs/{start_import(api)}/report", "none").status_code == 403


def test_a_report_that_was_lost_says_why(api: Api) -> None:
    job = start_import(api)
    store_report(api, job, [], message="The log of pod x cannot be read.")
    report = api.call("GET", f"/jobs/{job}/report").json()["report"]
    assert (report["complete"], report["message"]) == (False, "The log of pod x cannot be read.")
    assert report["skipped"] == []


def test_a_config_map_of_another_owner_is_not_shown(api: Api) -> None:
    job = start_import(api)
    store_report(api, job, ['{"note":"not of this import"}\n'], owner="another")
    report = api.call("GET", f"/jobs/{job}/report").json()["report"]
    assert (report["complete"], report["notes"]) == (False, [])


def test_damaged_lines_are_left_out(api: Api) -> None:
    job = start_import(api)
    store_report(api, job, ['{"note":"a"}\nnot JSON\n' + json.dumps({"skipped": {"object": 1}}) + '\n{"note":"b"}\n'])
    assert api.call("GET", f"/jobs/{job}/report").json()["report"]["notes"] == ["a", "b"]
