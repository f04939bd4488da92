"""Contents of large objects are compared by digests, or the report says that they were not."""

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench

from pgimport.model.reasons import Reason
from pgimport.worker.pipeline.live_source import LiveSource
from pgimport.worker.verify import large_objects
from pgimport.worker.verify.findings import Findings

OBJECTS = """
SELECT lo_from_bytea(1000 + n, convert_to(repeat('x' || n, n * 10), 'UTF8')) FROM generate_series(0, 20) AS n;
SELECT lo_from_bytea(2000, ''); SELECT lo_from_bytea(2001, repeat('0', 50)::bytea);
"""
REPLACE = "SELECT lo_unlink(1007), lo_create(9); ALTER LARGE OBJECT 9 OWNER TO {role}"


@pytest.mark.parametrize("engine", ["relay", "dump"])
@pytest.mark.parametrize("verify", ["counts", "checksums"])
@pytest.mark.parametrize(
    "change", ["SELECT", "SELECT lo_put(1007, 60, 'y')", REPLACE], ids=["equal", "changed", "replaced"]
)
def test_a_changed_large_object_is_found_by_its_digest(
    bench: Bench,
    postgres16: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    engine: str,
    verify: str,
    change: str,
) -> None:
    monkeypatch.setattr(large_objects, "CHUNK_BYTES", 50)
    compare_rows = LiveSource.compare_rows

    def change_and_compare(source: LiveSource, findings: Findings) -> None:
        bench.target.execute(change.format(role=bench.names.role), bench.names.database)
        postgres16.execute("SELECT lo_put(1001, 0, 'changed after the snapshot')", "objects")
        compare_rows(source, findings)

    monkeypatch.setattr(LiveSource, "compare_rows", change_and_compare)
    with postgres16.database("objects") as name:
        for statement in OBJECTS.split(";"):
            postgres16.execute(statement, name)
        bench.source_url = postgres16.url(name)
        with bench.shadow():
            result = bench.run(engine=engine, verify=verify)
    assert result.verification is not None
    not_compared = "contents of 23 large objects: only `verify: checksums` compares them"
    assert (not_compared in result.verification.not_compared) is (verify == "counts")
    if verify == "counts" or change == "SELECT":
        assert result.ok, result.failure
        return
    assert result.failure is not None
    assert result.failure.reason is Reason.VERIFICATION_FAILED
    expected = "the content differs at the source and in the copy" if "lo_put" in change else "missing in the copy"
    assert f"{expected}: 1 large object (OID 1007)" in result.failure.message
