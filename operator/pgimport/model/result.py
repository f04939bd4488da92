"""Defines the result that the worker sends to the operator in the container's termination message.

It holds the preflight report, the verification and the failure.
"""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from pgimport.model.base_models import LenientModel
from pgimport.model.import_choices import SkipGroup
from pgimport.model.reasons import Failure, Reason
from pgimport.model.scalar_types import Time

RESULT_VERSION = 1


class CheckStatus(StrEnum):
    """Status of one preflight check. A report is `ok` if no check has the status fail."""

    PASS = "pass"  # noqa: S105 (a status)
    WARN = "warn"
    FAIL = "fail"


class PreflightCheck(LenientModel):
    """Shows the result of one preflight check."""

    name: str = Field(description="The name of the check, for example source_reachable.")
    status: CheckStatus = Field(description="The result of the check: pass, warn or fail.")
    detail: str = Field(description="A text that says what the check found and what to do about it.")


class SourceExtension(LenientModel):
    """Describes an extension that is installed in the source."""

    name: str = Field(description="The name of the extension.")
    version: str = Field(description="The version that is installed in the source.")
    # A field `schema` would shadow a method of pydantic.
    schema_name: str | None = Field(
        default=None, alias="schema", description="The schema in which the extension is installed."
    )
    required: bool = Field(
        default=True,
        description="The value is false if the import can do without the extension, for example because no object"
        " outside of it needs it.",
    )


class DatabaseSetting(LenientModel):
    """Describes a setting that ALTER DATABASE or ALTER ROLE stored at the source."""

    name: str = Field(description="The name of the setting.")
    value: str = Field(description="The value, as pg_db_role_setting contains it.")
    for_owner: bool = Field(
        default=False, description="The value is true if the setting is the one of the database's owner role."
    )


class DumpFileInfo(LenientModel):
    """Describes a dump file."""

    format: Literal["custom", "tar", "directory", "plain"] = Field(
        description="The format in which pg_dump wrote the dump. A directory is packed in a tar file."
    )
    compression: str = Field(
        default="none", description="The compression of the dump: none, gzip, zstd, bzip2, xz or lz4."
    )
    path: str | None = Field(default=None, description="The path of the dump in the tar or zip that contains it.")
    size_bytes: int | None = Field(
        default=None, description="The size of the file as sent, if its server announces it."
    )
    client_version: str | None = Field(default=None, description="The version of pg_dump that wrote the file.")


class SkippedObject(LenientModel):
    """Names an object that the import skips."""

    object: str = Field(description="The kind and name of the object.")
    reason: str = Field(alias="why", description="The reason why the import skips the object.")
    group: SkipGroup = Field(
        default=SkipGroup.BY_DESIGN,
        description="The value is byDesign if the rules of an import or its filter skip the object, or refused if the"
        " target refused the object or one that it needs.",
    )
    rows: int | None = Field(
        default=None, description="The number of rows in the source that are not in the copy, if it is known."
    )
    sqlstate: str | None = Field(default=None, description="The SQLSTATE of the target's error.")
    offending_key: str | None = Field(
        default=None,
        description="The key of a row in the source that violates the constraint or index. Because it"
        " is data of the source, only the report contains it, never a status.",
    )


class LongProperties(LenientModel):
    """Holds the settings and the comment of a source that are too long for a termination message."""

    comment: str | None = Field(default=None, description="The comment on the source database.")
    settings: list[DatabaseSetting] = Field(default=[], description="The settings that the copy gets.")


class SourceInfo(LenientModel):
    """Describes the source as the preflight read it. The shadow database gets the same encoding and locale."""

    server_version: str = Field(
        description="The version of the source server, as the server prints it, or unknown for a dump file that does"
        " not contain it."
    )
    server_version_num: int = Field(
        description="The version of the source server as a number, for example 170005, or 0 if it is unknown."
    )
    database_size_bytes: int | None = Field(
        default=None, description="The result of pg_database_size for a live source. A dump file does not contain it."
    )
    file: DumpFileInfo | None = Field(
        default=None, description="The properties of the dump file, if the source is one."
    )
    provider: str | None = Field(default=None, description="The provider of the source, if one was detected.")
    extensions: list[SourceExtension] = Field(
        default=[], description="The extensions that are installed in the source, except plpgsql."
    )
    encoding: str = Field(default="UTF8", description="The encoding of the source database.")
    collate: str = Field(default="C", description="The LC_COLLATE of the source database.")
    ctype: str = Field(default="C", description="The LC_CTYPE of the source database.")
    locale_provider: str = Field(default="c", description="The value of pg_database.datlocprovider: b, c or i.")
    locale: str | None = Field(default=None, description="The ICU or builtin locale of the source database.")
    locale_known: bool = Field(
        default=True, description="The value is false if the source is a dump file that does not contain its locale."
    )
    comment: str | None = Field(default=None, description="The comment on the source database.")
    settings: list[DatabaseSetting] = Field(
        default=[], description="The settings of the source database and of its owner that the copy gets."
    )
    has_long_properties: bool = Field(
        default=False,
        description="The value is true if comment and settings are too long for the termination message. The report"
        " has them.",
    )


class PreflightReport(LenientModel):
    """Shows the results of all preflight checks and what an import skips."""

    checks: list[PreflightCheck] = Field(default=[], description="The results of all checks that ran.")
    ok: bool = Field(default=False, description="The value is true if no check failed.")
    source: SourceInfo | None = Field(default=None, description="The properties of the source, if it could be reached.")
    storage_limit_bytes: int | None = Field(
        default=None, description="The value of spec.storageLimitBytes of the Project."
    )
    target_version: str | None = Field(default=None, description="The PostgreSQL version of the target server.")
    skipped: list[SkippedObject] = Field(
        default=[], alias="left", description="The objects that the import skips, with the reasons."
    )
    more: int | None = Field(
        default=None,
        description="The number of entries that this report omits. The ConfigMap in status.reportRef has all of them.",
    )


class TableDifference(LenientModel):
    """Compares the content of one table in the copy with the source."""

    table: str = Field(description="The schema and name of the table.")
    source_rows: int | None = Field(
        default=None, description="The number of rows in the source. It is absent if they could not be counted."
    )
    target_rows: int | None = Field(
        default=None, description="The number of rows in the copy. It is absent if they could not be counted."
    )
    source_digest: str | None = Field(
        default=None, description="The checksum of all rows in the source, which does not depend on their order."
    )
    target_digest: str | None = Field(
        default=None, description="The checksum of all rows in the copy, which does not depend on their order."
    )

    @property
    def is_equal(self) -> bool:
        """True if row counts and checksums are equal. False if the source's rows were not counted."""
        return self.source_rows is not None and (self.source_rows, self.source_digest) == (
            self.target_rows,
            self.target_digest,
        )


class ComparedObjects(LenientModel):
    """Counts objects of one kind that were compared by name, state and, for a live source, definition."""

    kind: str = Field(
        description="The kind of the objects, for example index, constraint, trigger, view, function, type or policy."
    )
    count: int = Field(description="The number of objects that were compared.")


class Verification(LenientModel):
    """Shows what was compared, what differs, and what could not be compared."""

    mode: str = Field(default="counts", description="The method of comparing rows: counts, checksums or none.")
    tables: int = Field(default=0, description="The number of tables that were compared.")
    rows: int = Field(default=0, description="The number of rows that were counted in the copy.")
    large_objects: int = Field(default=0, description="The number of large objects that were counted in the copy.")
    sequences: int = Field(default=0, description="The number of sequences that were compared.")
    compared: list[ComparedObjects] = Field(
        default=[], description="The numbers of other objects that were compared, by kind."
    )
    differences: list[TableDifference] = Field(
        default=[], description="The tables whose content differs from the source."
    )
    not_compared: list[str] = Field(default=[], description="The objects that could not be compared, with the reasons.")
    notes: list[str] = Field(
        default=[],
        description="Notes about the copy, for example skipped objects and materialized views that were not refreshed.",
    )
    more: int | None = Field(
        default=None,
        description="The number of entries that this result omits. The ConfigMap in status.reportRef has all of them.",
    )
    verified: bool = Field(default=False, description="The value is true if everything that was compared is equal.")


class FailureReport(LenientModel):
    """Carries a `Failure` in the result."""

    reason: Reason
    message: str
    advice: str = ""

    @classmethod
    def from_failure(cls, failure: Failure) -> "FailureReport":
        return cls(reason=failure.reason, message=failure.message, advice=failure.advice)

    def to_failure(self) -> Failure:
        return Failure(self.reason, self.message, self.advice)


class ReportDigest(LenientModel):
    """Identifies the whole report in the log of a container, which has more room than the termination message."""

    id: str  # random, so that nothing in the log can pass for a part of this report
    parts: int  # lines of the log
    sha256: str  # of the compressed report


class WorkerResult(LenientModel):
    """Result of a container of the import's pod, written as its termination message.

    `skipped` may be cut. The two counts are those of the whole list.
    """

    version: int = RESULT_VERSION
    step: Literal["preflight", "plan", "import"]
    ok: bool
    failure: FailureReport | None = None
    preflight: PreflightReport | None = None
    verification: Verification | None = None
    skipped: list[SkippedObject] = Field(default=[])
    skipped_count: int | None = None
    refused_count: int | None = None
    # The time of the source's snapshot, by the source's clock. Only of a verified copy of a live source.
    data_as_of: Time | None = None
    report: ReportDigest | None = None
    stdout_tail: str | None = None
    stderr_tail: str | None = None
    ended_at: Time | None = None
