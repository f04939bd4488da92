"""Reads the SQL files of the worker."""

from functools import cache
from importlib.resources import files


@cache
def read_query(name: str) -> bytes:
    """Returns the text of `sql/<name>.sql`; `name` contains the folder, as in `scope/tables`."""
    return files("pgimport.worker").joinpath("sql", f"{name}.sql").read_bytes()
