"""CHECK constraints are added after the rows: those of one table with one scan of its rows."""

from collections.abc import Iterator

import pytest
from tests.worker.archive.entries import entry
from tests.worker.conftest import Bench

from pgimport.worker.archive.restore_plan import RestorePlan
from pgimport.worker.archive.selection import Exclusions, plan_restore
from pgimport.worker.engines.definitions.constraints import add_checks
from pgimport.worker.engines.definitions.context import DefinitionContext
from pgimport.worker.engines.definitions.session import DefinitionSession
from pgimport.worker.engines.definitions.statements import ArchiveSettings
from pgimport.worker.postgres.endpoints import build_shadow_endpoint
from pgimport.worker.report.reporter import Reporter

TABLE = entry(
    "TABLE",
    "Orders",
    schema="public",
    definition='CREATE TABLE public."Orders" (\n    id integer,\n    CONSTRAINT a CHECK ((id > 0)),\n'
    "    CONSTRAINT b CHECK ((id < 100)) NO INHERIT,\n    CONSTRAINT c CHECK ((id <> 50))\n);\n",
)


@pytest.fixture
def session(bench: Bench) -> Iterator[DefinitionSession]:
    """A session in a shadow with the table and two rows, but without its CHECK constraints."""
    with bench.shadow():
        endpoint = build_shadow_endpoint(bench.order().target, bench.pod_uid, bench.seed)
        with DefinitionSession(endpoint, ArchiveSettings(), 1) as session:
            session.connection.execute('CREATE TABLE public."Orders" (id int)')
            session.connection.execute('INSERT INTO public."Orders" VALUES (1), (7)')
            yield session


def add_all_checks(bench: Bench, session: DefinitionSession) -> RestorePlan:
    plan = plan_restore([TABLE], Exclusions())
    assert plan.admit(TABLE)
    assert len(plan.later_checks[TABLE.dump_id]) == 3
    add_checks(session, DefinitionContext(plan, ArchiveSettings(), Reporter(bench.out)), TABLE)
    return plan


def read_states(session: DefinitionSession) -> dict[str, bool]:
    query = "SELECT conname, convalidated FROM pg_constraint WHERE contype = 'c' AND conname IN ('a', 'b', 'c')"
    return dict(session.connection.execute(query).fetchall())


def test_one_scan_of_a_table_adds_all_of_its_checks(bench: Bench, session: DefinitionSession) -> None:
    def read_scans() -> int:
        session.connection.execute("SELECT pg_stat_force_next_flush()")
        row = session.connection.execute("SELECT pg_stat_get_numscans('public.\"Orders\"'::regclass)").fetchone()
        assert row is not None
        return int(row[0])

    scans = read_scans()
    plan = add_all_checks(bench, session)
    assert read_scans() == scans + 1
    assert read_states(session) == {"a": True, "b": True, "c": True}
    assert plan.skipped == []


def test_only_the_violated_check_of_a_table_is_not_valid(bench: Bench, session: DefinitionSession) -> None:
    session.connection.execute('INSERT INTO public."Orders" VALUES (50)')
    plan = add_all_checks(bench, session)
    assert read_states(session) == {"a": True, "b": True, "c": False}
    assert [item.object for item in plan.skipped] == ["CHECK CONSTRAINT public.Orders c"]
    assert plan.not_valid == {("public", "Orders", "c")}
