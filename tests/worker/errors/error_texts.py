"""Produces the text that a person sees for an input that cannot be imported."""

import io
import re

from tests.support.https import HttpsServer, body
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench
from tests.worker.errors.inputs import BrokenInput

from pgimport.cli.console import Console
from pgimport.model.reasons import Reason
from pgimport.model.result import WorkerResult

READER_PASSWORD = "reader"
# The command line has no Project: it allows every address and size.
LIMITS_OF_A_PROJECT = (Reason.SOURCE_ADDRESS_FORBIDDEN, Reason.SOURCE_TOO_LARGE)


def read_text(
    case: BrokenInput, bench: Bench, source: PostgresServer, https: HttpsServer, dumps: tuple[bytes, bytes]
) -> str:
    """Runs preflight and, if the case needs it, the import. Returns what a person sees, in one line."""
    if case.url is not None:
        bench.source_url = case.url.format(port=source.port, password=source.superuser_password)
        return _format(_run(case, bench))
    if case.content is not None:
        https.answers["/dump"] = body(case.content(*dumps), status=case.status)
        bench.source_url = https.url("/dump")
        (bench.home / "ca").write_bytes(https.ca.read_bytes())
        return _format(_run(case, bench))
    with source.database("broken") as name:
        assert case.sql is not None
        source.execute(case.sql, name)
        password = READER_PASSWORD if case.user == "reader" else None
        bench.source_url = source.url(name, case.user, password)
        return _format(_run(case, bench))


def _run(case: BrokenInput, bench: Bench) -> WorkerResult:
    preflight = bench.preflight(**case.order)
    if preflight.failure is not None or not case.runs:
        return preflight
    with bench.shadow():
        return bench.run(**case.order)


def _format(result: WorkerResult) -> str:
    assert result.failure is not None, "the input was imported"
    failure = result.failure.to_failure()
    err = io.StringIO()
    if failure.reason in LIMITS_OF_A_PROJECT:
        print(f"{failure.reason.value}: {failure.format_with_hint()}", file=err)
    else:
        Console(io.StringIO(), err, as_json=False).fail(failure)
    text = " ".join(err.getvalue().split())
    return re.sub(r"(127\.0\.0\.1|localhost):\d{4,5}", r"\1:5432", text)


PAGE_HEAD = """# Errors

This page lists inputs that cannot be imported, and what `pgimport run` prints for each of them.

`status.error` of an import has the same text, with names of fields instead of options. A test tries every row.
`pgimport run` accepts every address and every size. So the rows about addresses and sizes show the text of
`status.error`.

[Causes](causes.md) lists which reason an error gets, and [Reasons](reasons.md) what each reason means.

New readers judged the texts several times. After each reading, the criticised texts were changed:

| verdict | before the first revision | first reading | second | third | fourth | fifth | sixth |
|---|---|---|---|---|---|---|---|
| says what happened and how to go on | 9 | 56 | 70 | 67 | 70 | 69 | 72 |
| true, but no next step | 32 | 7 | 0 | 2 | 0 | 2 | 1 |
| misleads | 21 | 9 | 2 | 4 | 3 | 2 | 0 |
| says nothing | 3 | 0 | 0 | 0 | 0 | 0 | 0 |
| texts | 65 | 72 | 72 | 73 | 73 | 73 | 73 |

One text of the fifth reading was not changed: for a table that forces row-level security on its owner, the advice
already has other words.

| input | text |
|---|---|
"""


def format_row(name: str, text: str) -> str:
    """Returns the row of one input in the page's table. Pure."""
    return f"| {name} | {_escape(text.removeprefix('pgimport: '))} |"


def format_page(texts: dict[str, str]) -> str:
    """Returns the page of the documentation. Only the columns of the table are generated. Pure."""
    rows = [format_row(name, text) for name, text in texts.items()]
    return PAGE_HEAD + "\n".join(rows) + "\n"


def _escape(text: str) -> str:
    for character in "\\|<>*_`[]{}":
        text = text.replace(character, f"&#{ord(character)};")
    return text
