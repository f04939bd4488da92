"""Preflight names columns whose values may name objects that the copy lacks, and foreign keys to rows that are left
out.
"""

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench

from pgimport.model.import_spec import Filter
from pgimport.model.preflight_checks import CheckName
from pgimport.model.result import CheckStatus, PreflightReport

CONTENT = """
CREATE SCHEMA hidden;
CREATE TABLE hidden.t (x int);
CREATE DOMAIN boss AS regrole;
CREATE TYPE chief AS (r regrole, n int);
CREATE TABLE people (id int PRIMARY KEY, b boss[], c chief, a aclitem[], note text);
CREATE TABLE objects (k regclass, p regprocedure, t regtype, ns regnamespace, cf regconfig);
CREATE TABLE parents (id int PRIMARY KEY);
CREATE TABLE children (parent int CONSTRAINT parent_key REFERENCES parents);
"""
ROLES = "public.people.b (regrole), public.people.c (regrole), public.people.a (aclitem)"


def read_detail(report: PreflightReport | None) -> tuple[CheckStatus, str]:
    assert report is not None
    return next((check.status, check.detail) for check in report.checks if check.name == CheckName.UNSUPPORTED_OBJECTS)


@pytest.mark.parametrize(
    ("filter_", "expected", "unexpected"),
    [
        (None, [ROLES], ["public.objects", "NOT VALID"]),
        (
            Filter(exclude_schemas=["hidden"]),
            [ROLES, "public.objects.k (regclass)", "public.objects.t (regtype)"],
            [],
        ),
        (Filter(exclude_table_data=["people", "objects"]), [], ["regrole", "regclass"]),
        (
            Filter(exclude_table_data=["parents"]),
            ["parent_key of public.children references public.parents", "NOT VALID"],
            [],
        ),
        (Filter(exclude_table_data=["parents", "children"]), [ROLES], ["NOT VALID"]),
    ],
    ids=["roles", "a skipped schema", "rows left out", "referenced rows left out", "both left out"],
)
def test_the_report_names_table_and_column(
    bench: Bench, postgres16: PostgresServer, filter_: Filter | None, expected: list[str], unexpected: list[str]
) -> None:
    with postgres16.database("names"):
        postgres16.execute(CONTENT, "names")
        bench.source_url = postgres16.url("names")
        status, detail = read_detail(bench.preflight(filter=filter_).preflight)
    assert [text for text in expected if text not in detail] == []
    assert [text for text in unexpected if text in detail] == []
    assert status is (CheckStatus.WARN if expected else CheckStatus.PASS)
