"""The lines of pg_restore in the log contain no values of rows."""

from pgimport.worker.postgres.client_values import ClientLines

LINES = """\
pg_restore: while PROCESSING TOC:
pg_restore: from TOC entry 3340; 0 16388 TABLE DATA people postgres
pg_restore: error: COPY failed for table "people": FEHLER:  ungültige Eingabe: »ann«
DETAIL:  Key (mail)=(ann) already exists.
and ann
HINT:  ann
CONTEXT:  PL/pgSQL function f() line 3 at RETURN
COPY people, line 1, column mail: "ann
ann"
pg_restore: error: could not execute query: ERROR:  relation "t" does not exist
Command was: INSERT INTO people VALUES (1, 'ann
ann');
pg_restore: warning: errors ignored on restore: 1
"""


def test_values_of_rows_are_hidden() -> None:
    lines = ClientLines()
    shown = [text for line in LINES.splitlines() if (text := lines.hide(line)) is not None]
    assert shown == [
        "pg_restore: while PROCESSING TOC:",
        "pg_restore: from TOC entry 3340; 0 16388 TABLE DATA people postgres",
        'pg_restore: error: COPY failed for table "people": FEHLER:  …',
        "DETAIL: …",
        "HINT: …",
        "CONTEXT: PL/pgSQL function f() line 3 at RETURN",
        'pg_restore: error: could not execute query: ERROR:  relation "t" does not exist',
        "Command was: INSERT INTO people VALUES …",
        "pg_restore: warning: errors ignored on restore: 1",
    ]
