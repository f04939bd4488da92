"""Tells which lines of a container's log carry its report. Imports no pydantic: the command line reads logs too."""

LINE_KEY = "report"


def is_report_line(line: str) -> bool:
    """Tells whether an output line carries an encoded report part, which is not meant for people."""
    return line.startswith(f'{{"{LINE_KEY}": {{')
