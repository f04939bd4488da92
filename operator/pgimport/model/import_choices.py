"""Defines the choices of an import's spec. Imports no pydantic, so that the command line starts quickly."""

from enum import StrEnum


class Engine(StrEnum):
    """How the rows travel."""

    AUTO = "auto"
    RELAY = "relay"
    DUMP = "dump"


class Provider(StrEnum):
    """Whose own schemas and extensions stay behind."""

    AUTO = "auto"
    NEON = "neon"
    SUPABASE = "supabase"
    RDS = "rds"
    HEROKU = "heroku"
    RENDER = "render"
    RAILWAY = "railway"
    NONE = "none"


class Verify(StrEnum):
    """How the copy is compared with its source."""

    COUNTS = "counts"
    CHECKSUMS = "checksums"
    NONE = "none"
