"""A row that the target refuses is in the report of the import, and nowhere else."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench
from tests.worker.engines.file.conftest import dump

from pgimport.model.import_choices import Engine
from pgimport.model.report_carrier import decode_report
from pgimport.model.termination_message import parse_worker_result

VALUE = "ann@example.com"
# The row was valid when it was inserted: the function of the generated column was replaced afterwards.
SETUP = """
CREATE FUNCTION length_of(v text) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE TABLE people (id int, mail text, length int GENERATED ALWAYS AS (length_of(mail)) STORED);
INSERT INTO people VALUES (1, 'ann@example.com');
CREATE OR REPLACE FUNCTION length_of(v text) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN {body}; END $$;
"""
REFUSALS = {
    "22P02": "RETURN v::int",
    "P0001": "RAISE 'no % here', v",
    "23514": "RAISE 'no % here', v USING ERRCODE = '23514', DETAIL = v, HINT = v",
}
PATHS = [Engine.RELAY, Engine.DUMP, "custom", "plain"]
CASES = [
    pytest.param(
        path,
        sqlstate,
        marks=[] if (path, sqlstate) in ((Engine.RELAY, "22P02"), ("plain", "23514")) else [pytest.mark.thorough],
        id=f"{path}-{sqlstate}",
    )
    for path in PATHS
    for sqlstate in REFUSALS
]


@pytest.mark.parametrize(("path", "sqlstate"), CASES)
def test_a_refused_row_is_in_the_report_alone(
    path: str,
    sqlstate: str,
    file_bench: Bench,
    postgres16: PostgresServer,
    serve_dump: Callable[[bytes], None],
    tmp_path: Path,
) -> None:
    bench, engine = file_bench, path if isinstance(path, Engine) else Engine.AUTO
    setup = SETUP.format(body=REFUSALS[sqlstate])
    with postgres16.database("row_values") as name:
        postgres16.execute(setup, name)
        if isinstance(path, Engine):
            bench.source_url = postgres16.url(name)
            (bench.home / "ca").unlink()
        else:
            serve_dump(dump(postgres16, name, path, tmp_path))
        with bench.shadow():
            bench.run_and_report(engine=engine)
    message = (bench.home / "message").read_text()
    result = parse_worker_result(message)
    assert result is not None
    assert result.failure is not None
    assert result.report is not None
    report = decode_report(result.report, bench.out.getvalue().split("\n"))
    assert VALUE not in message + bench.out.getvalue()
    assert report is not None
    assert VALUE in report
    assert "COPY people, line 1: …" in result.failure.message
