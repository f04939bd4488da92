"""Defines the choices of an import's spec. Imports no pydantic, so that the command line starts quickly."""

from enum import StrEnum


class Engine(StrEnum):
    """Method of copying the rows of a live source."""

    AUTO = "auto"
    RELAY = "relay"
    DUMP = "dump"


class Provider(StrEnum):
    """Provider whose own schemas and extensions an import skips."""

    AUTO = "auto"
    NEON = "neon"
    SUPABASE = "supabase"
    RDS = "rds"
    HEROKU = "heroku"
    RENDER = "render"
    RAILWAY = "railway"
    CLOUD_SQL = "cloudsql"
    ALLOYDB = "alloydb"
    AZURE = "azure"
    AIVEN = "aiven"
    CRUNCHY_BRIDGE = "crunchybridge"
    DIGITALOCEAN = "digitalocean"
    TIMESCALE = "timescale"
    NONE = "none"


class LocaleProvider(StrEnum):
    """Library that sorts text and changes its case in a database."""

    LIBC = "libc"
    ICU = "icu"
    BUILTIN = "builtin"


class Verify(StrEnum):
    """Method of comparing the copy with its source."""

    COUNTS = "counts"
    CHECKSUMS = "checksums"
    NONE = "none"


class OnObjectError(StrEnum):
    """What an import does when the target refuses an object."""

    SKIP = "skip"
    FAIL = "fail"


class SkipGroup(StrEnum):
    """Why an import skipped an object."""

    BY_DESIGN = "byDesign"
    REFUSED = "refused"
