"""Reads the progress of pg_dump and pg_restore from their `--verbose` output."""

import re

from pgimport.worker.report.progress_meter import ProgressMeter

_TABLE_DUMPED = re.compile(r"^pg_dump: finished item \d+ TABLE DATA (.*)$")
_ENTRY_RESTORED = re.compile(r"^pg_restore: finished item (\d+) ")
# With one stream, the clients report only the start of a table. The table before it is then complete.
_TABLE_STARTED = re.compile(r'^pg_(?:dump: dumping contents of|restore: processing data for) table "(.*)"$')
_ENTRY_CREATED = re.compile(r"^pg_restore: creating ")

TableNames = dict[int, tuple[str, str]]  # oid → schema and name


class PgDumpProgress:
    """Reports the tables that pg_dump has dumped.

    With several streams, pg_dump prints a table's name without its schema. If several
    tables have that name, any one of them is counted.
    """

    def __init__(self, meter: ProgressMeter, table_names: TableNames, serial: bool) -> None:
        self._meter = meter
        self._serial_progress = _SerialProgress(meter, table_names) if serial else None
        self._pending_oids: dict[str, list[int]] = {}  # by name
        for oid, (_, name) in table_names.items():
            self._pending_oids.setdefault(name, []).append(oid)

    def read_line(self, line: str) -> None:
        """Takes one line of stderr."""
        if self._serial_progress:
            self._serial_progress.read_line(line)
        elif (match := _TABLE_DUMPED.match(line)) and (oids := self._pending_oids.get(match[1])):
            self._meter.finish(oids.pop(0))


class PgRestoreProgress:
    """Reports the entries that pg_restore has restored.

    `table_oids`: dump id of an entry with rows → oid of its table. Each other entry advances the stage by
    one step.
    """

    def __init__(self, meter: ProgressMeter, table_oids: dict[int, int], table_names: TableNames, serial: bool) -> None:
        self._meter = meter
        self._serial_progress = _SerialProgress(meter, table_names) if serial else None
        self._table_oids = table_oids

    def read_line(self, line: str) -> None:
        """Takes one line of stderr."""
        if self._serial_progress:
            self._serial_progress.read_line(line)
        elif match := _ENTRY_RESTORED.match(line):
            oid = self._table_oids.get(int(match[1]))
            if oid is None:
                self._meter.step()
            else:
                self._meter.finish(oid)


class _SerialProgress:
    """Reads the output of a client with one stream."""

    def __init__(self, meter: ProgressMeter, table_names: TableNames) -> None:
        self._meter = meter
        self._oids = {f"{schema}.{name}": oid for oid, (schema, name) in table_names.items()}
        self._current_oid: int | None = None

    def read_line(self, line: str) -> None:
        if match := _TABLE_STARTED.match(line):
            if self._current_oid is not None:
                self._meter.finish(self._current_oid)
            self._current_oid = self._oids.get(match[1])
        elif _ENTRY_CREATED.match(line):
            self._meter.step()
