"""Reads the progress of pg_dump and pg_restore from their `--verbose` output."""

import re

from pgimport.worker.report.progress_meter import ProgressMeter

_DUMPED = re.compile(r"^pg_dump: finished item \d+ TABLE DATA (.*)$")
_RESTORED = re.compile(r"^pg_restore: finished item (\d+) ")
# One stream alone tells only what it begins: the table before it has passed then.
_BEGUN = re.compile(r'^pg_(?:dump: dumping contents of|restore: processing data for) table "(.*)"$')
_CREATED = re.compile(r"^pg_restore: creating ")


class PgDumpProgress:
    """Follows pg_dump: with several streams it names a table without its schema, so any of that name may be meant."""

    def __init__(self, meter: ProgressMeter, names: dict[int, tuple[str, str]], serial: bool) -> None:
        self._meter = meter
        self._serial = _SerialProgress(meter, names) if serial else None
        self._waiting: dict[str, list[int]] = {}
        for oid, (_, name) in names.items():
            self._waiting.setdefault(name, []).append(oid)

    def read_line(self, line: str) -> None:
        if self._serial:
            self._serial.read_line(line)
        elif (match := _DUMPED.match(line)) and (oids := self._waiting.get(match[1])):
            self._meter.finish(oids.pop(0))


class PgRestoreProgress:
    """Follows pg_restore: with several streams it names every finished entry by its number."""

    def __init__(
        self, meter: ProgressMeter, table_oids: dict[int, int], names: dict[int, tuple[str, str]], serial: bool
    ) -> None:
        self._meter = meter
        self._serial = _SerialProgress(meter, names) if serial else None
        self._table_oids = table_oids

    def read_line(self, line: str) -> None:
        if self._serial:
            self._serial.read_line(line)
        elif match := _RESTORED.match(line):
            oid = self._table_oids.get(int(match[1]))
            if oid is None:
                self._meter.step()
            else:
                self._meter.finish(oid)


class _SerialProgress:
    def __init__(self, meter: ProgressMeter, names: dict[int, tuple[str, str]]) -> None:
        self._meter = meter
        self._oids = {f"{schema}.{name}": oid for oid, (schema, name) in names.items()}
        self._current: int | None = None

    def read_line(self, line: str) -> None:
        if match := _BEGUN.match(line):
            if self._current is not None:
                self._meter.finish(self._current)
            self._current = self._oids.get(match[1])
        elif _CREATED.match(line):
            self._meter.step()
