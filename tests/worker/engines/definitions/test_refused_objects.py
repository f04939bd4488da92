"""What the target refuses is skipped with everything that needs it, and the rest is imported."""

from pathlib import Path

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench
from tests.worker.engines.definitions.conftest import ImportBy, find_skipped

from pgimport.model.import_choices import SkipGroup
from pgimport.model.reasons import Reason
from pgimport.worker.engines.definitions import executor

FOLDER = Path(__file__).parent
REFUSED = {
    "FUNCTION public.safe(integer)": "42501",
    "FUNCTION public.Native Sum(integer, integer)": "42501",
    "FUNCTION public.overloaded(integer)": "42501",
    "CAST CAST (timestamp with time zone AS interval)": "42501",
    "TEXT SEARCH PARSER public.own_parser": "42501",
}
DEPENDENT = {
    "FUNCTION public.calls_native(integer)",
    "OPERATOR public.<+>",
    "TEXT SEARCH CONFIGURATION public.own_config",
    "DEFAULT public.guarded",
    "CHECK CONSTRAINT public.guarded guarded_check",
    "DEFAULT public.parts n",
    "DEFAULT public.parts o",
    "DEFAULT public.parts c",
    "CHECK CONSTRAINT public.parts safe_id",
    "CHECK CONSTRAINT public.parts own_operator",
    "INDEX public.by_native",
    "INDEX public.by_caller",
    "VIEW public.sums",
    "MATERIALIZED VIEW public.sums_of_sums",
    "TABLE public.generated",
    "SEQUENCE public.generated_s_seq",
    "TABLE public.identity_too",
    "SEQUENCE public.identity_too_id_seq",
    "POLICY public.ordinary by_safe",
}


def test_a_refused_object_is_skipped_with_everything_that_needs_it(
    import_by: ImportBy, file_bench: Bench, postgres16: PostgresServer
) -> None:
    with postgres16.database("refused") as name, file_bench.shadow() as shadow:
        postgres16.execute((FOLDER / "refused.sql").read_text(), name)
        result = import_by(name)
        assert result.ok, result.failure
        query = file_bench.target.query
        assert query("SELECT id, n, d FROM parts ORDER BY id", shadow) == [(1, 3, 1), (2, 3, 2)]
        assert query(
            "SELECT conname FROM pg_constraint WHERE conrelid = 'parts'::regclass AND contype = 'c'", shadow
        ) == [("kept",)]
        assert query("SELECT calls_overloaded()", shadow) == [(1,)]
        assert query("SELECT relrowsecurity FROM pg_class WHERE relname = 'ordinary'", shadow) == [(True,)]
        assert query("SELECT polname FROM pg_policy", shadow) == [("by_id",)]
    assert {item.object: item.sqlstate for item in result.skipped if item.sqlstate} == REFUSED
    assert {item.object for item in result.skipped if not item.sqlstate} == DEPENDENT
    assert {item.group for item in result.skipped} == {SkipGroup.REFUSED}
    assert find_skipped(result, "TABLE public.generated").rows == 7
    assert find_skipped(result, "VIEW public.sums").reason == (
        "it needs FUNCTION public.Native Sum(integer, integer), which the target refused: permission denied for"
        " language internal (SQLSTATE 42501)"
    )


def test_constraints_that_rows_violate_are_not_valid_or_skipped_with_the_key(
    import_by: ImportBy, file_bench: Bench, postgres16: PostgresServer
) -> None:
    with postgres16.database("violated") as name, file_bench.shadow() as shadow:
        postgres16.execute((FOLDER / "violations.sql").read_text(), name)
        result = import_by(name)
        assert result.ok, result.failure
        query = file_bench.target.query
        states = dict(query("SELECT conname, convalidated FROM pg_constraint WHERE contype IN ('c', 'f')", shadow))
        invalid = query("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid", shadow)
        comment = query("SELECT description FROM pg_description WHERE description = 'kept'", shadow)
    keys = {item.object: item.offending_key for item in result.skipped}
    assert keys == {
        "FK CONSTRAINT public.child child_p_fkey": "(p)=(99)",
        "CHECK CONSTRAINT public.checked v_ok": "(id)=(7)",
        "CHECK CONSTRAINT public.checked hacked": "(id)=(7)",
        "CHECK CONSTRAINT public.small small_ok": "(id)=(1)",
        "CONSTRAINT public.doubled doubled_pkey": "(id)=(1)",
        "FK CONSTRAINT public.refers refers_id_fkey": None,
        "INDEX public.parted_2_id_idx": "(id)=(11)",
        "INDEX public.parted_u": None,
    }
    not_valid = {"child_p_fkey", "v_ok", "hacked", "small_ok"}
    assert {name for name, valid in states.items() if not valid} == not_valid
    assert {"positive", "plain", "parted_ok"} <= states.keys() - not_valid
    assert (invalid, comment) == ([], [("kept",)])
    assert "(99)" not in file_bench.out.getvalue()


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        pytest.param(
            "CREATE FUNCTION native(int) RETURNS int LANGUAGE internal AS 'int4abs'",
            "the target refuses FUNCTION public.native(integer): permission denied for language internal"
            " (SQLSTATE 42501)",
            id="a function",
        ),
        pytest.param(
            "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (p int REFERENCES parent);"
            "SET session_replication_role = replica; INSERT INTO child VALUES (99)",
            'the target refuses FK CONSTRAINT public.child child_p_fkey: insert or update on table "child" violates'
            ' foreign key constraint "child_p_fkey" (SQLSTATE 23503)',
            id="a foreign key",
        ),
    ],
)
def test_the_first_refusal_ends_the_import_if_the_user_wants(
    bench: Bench, postgres16: PostgresServer, statements: str, message: str
) -> None:
    with postgres16.database("failing") as name, bench.shadow():
        postgres16.execute(statements, name)
        bench.source_url = postgres16.url(name)
        result = bench.run(on_object_error="fail")
    assert result.failure is not None
    assert (result.failure.reason, result.failure.message) == (Reason.RESTORE_FAILED, message)


def test_what_needs_an_object_that_an_earlier_batch_lost_is_skipped(
    bench: Bench, postgres16: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The target would create the caller, because it does not check the body."""
    monkeypatch.setattr(executor, "OBJECTS_PER_BATCH", 1)
    with postgres16.database("batches") as name, bench.shadow() as shadow:
        postgres16.execute(
            "CREATE FUNCTION native(int) RETURNS int LANGUAGE internal IMMUTABLE AS 'int4abs';"
            "CREATE FUNCTION caller(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT public.native($1)';"
            "CREATE TABLE t (id int DEFAULT 0, CONSTRAINT c CHECK (caller(id) >= 0))",
            name,
        )
        bench.source_url = postgres16.url(name)
        result = bench.run(engine="relay")
        assert result.ok, result.failure
        assert bench.target.query("SELECT proname FROM pg_proc WHERE proname = 'caller'", shadow) == []
    assert [item.object for item in result.skipped] == [
        "FUNCTION public.native(integer)",
        "FUNCTION public.caller(integer)",
        "CHECK CONSTRAINT public.t c",
    ]
