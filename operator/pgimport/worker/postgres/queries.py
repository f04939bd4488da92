"""The name of a file in sql/ comes in, its statement goes out."""

from functools import cache
from importlib.resources import files


@cache
def read_query(name: str) -> bytes:
    """The text of `sql/<name>.sql`."""
    return files("pgimport.worker").joinpath("sql", f"{name}.sql").read_bytes()
