"""Defines the `spec` of a PostgresImport.

A rule between fields exists twice: as CEL for the API server (`cel_rules.py`), and as a pydantic validator here if an
older CRD may have accepted an object that breaks it.
"""

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator

from pgimport.model.base_models import StrictModel
from pgimport.model.import_choices import Engine, LocaleProvider, OnObjectError, Provider, Verify
from pgimport.model.object_references import ConfigMapKey, SecretKey
from pgimport.model.scalar_types import Bytes, Duration, duration_rule
from pgimport.model.string_types import (
    Label,
    NamePattern,
    ObjectName,
    ShortText,
)


class ImportSource(StrictModel):
    """Locates the source. Set exactly one of urlSecretRef and uploadKey."""

    url_secret_ref: SecretKey | None = Field(
        default=None,
        description="Names the Secret and key that hold a URL: postgresql:// of a live database or https:// of a dump"
        " file.",
    )
    upload_key: ShortText | None = Field(
        default=None, description="The object key of a dump file that was uploaded with the HTTP API."
    )
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", max_length=64)] | None = Field(
        default=None,
        description="The SHA-256 checksum of the dump file, in hexadecimal. The preflight checks it before anything is"
        " restored.",
    )
    ca_secret_ref: SecretKey | None = Field(
        default=None,
        description="Names the Secret and key of a CA certificate (PEM) for sslmode verify-ca and verify-full.",
    )

    @model_validator(mode="after")
    def _require_exactly_one_source(self) -> "ImportSource":
        if (self.url_secret_ref is None) == (self.upload_key is None):
            raise ValueError("exactly one of urlSecretRef and uploadKey must be set")
        return self


LONGEST_TIMEOUT = "144h"
ICU_LOCALE_NEEDED = "locale.icuLocale is required if locale.provider is icu"
BUILTIN_LOCALE_NEEDED = "locale.builtinLocale is required if locale.provider is builtin"
ICU_ONLY = "locale.icuLocale and locale.icuRules need locale.provider icu"
BUILTIN_ONLY = "locale.builtinLocale needs locale.provider builtin"


class TargetLocale(StrictModel):
    """Sets the locale of the imported database, for a source whose locale is unknown or not wanted."""

    provider: LocaleProvider = Field(
        default=LocaleProvider.LIBC,
        description="The library that sorts text and changes its case: libc, icu or builtin. Default: libc.",
    )
    lc_collate: ShortText | None = Field(
        default=None, description="The LC_COLLATE of the database. If absent, the value is that of template0."
    )
    lc_ctype: ShortText | None = Field(
        default=None, description="The LC_CTYPE of the database. If absent, the value is that of template0."
    )
    icu_locale: ShortText | None = Field(default=None, description="The ICU locale of the database, for example de-DE.")
    icu_rules: ShortText | None = Field(
        default=None, description="Further ICU collation rules of the database. They need PostgreSQL 16 or newer."
    )
    builtin_locale: ShortText | None = Field(
        default=None, description="The builtin locale of the database, for example C.UTF-8. It needs PostgreSQL 17."
    )

    @model_validator(mode="after")
    def _match_provider(self) -> "TargetLocale":
        is_icu, is_builtin = self.provider is LocaleProvider.ICU, self.provider is LocaleProvider.BUILTIN
        for broken, message in (
            (is_icu and self.icu_locale is None, ICU_LOCALE_NEEDED),
            (is_builtin and self.builtin_locale is None, BUILTIN_LOCALE_NEEDED),
            (not is_icu and (self.icu_locale or self.icu_rules), ICU_ONLY),
            (not is_builtin and self.builtin_locale, BUILTIN_ONLY),
        ):
            if broken:
                raise ValueError(message)
        return self


class ImportTarget(StrictModel):
    """Names the preview database that the import replaces or fills."""

    preview_database: ObjectName = Field(description="The name of a PreviewDatabase in the same namespace.")
    locale: TargetLocale | None = Field(
        default=None,
        description="Sets the locale of the imported database. If absent, the database has the source's locale, or the"
        " target server's default locale if the source is a dump file that does not contain one.",
    )


RELAY_NEEDS_LIVE_SOURCE = "spec.engine: relay needs a live source, and the source is a dump file"
RELAY_ADVICE = "Leave spec.engine out, or set it to auto or dump."
CHECKSUMS_NEED_LIVE_SOURCE = "spec.verify: checksums needs a live source, and the source is a dump file"
CHECKSUMS_ADVICE = "Leave spec.verify out. To check the file itself, set spec.source.sha256 to its checksum."


class Filter(StrictModel):
    """Selects the part of the source that is imported. Patterns have the syntax of pg_dump."""

    include_schemas: list[NamePattern] = Field(
        default=[], max_length=64, description="If set, the import copies the matching schemas and skips all others."
    )
    exclude_schemas: list[NamePattern] = Field(
        default=[], max_length=64, description="The import skips the matching schemas and all objects in them."
    )
    exclude_tables: list[NamePattern] = Field(
        default=[], max_length=256, description="The import skips the matching tables with their rows."
    )
    exclude_table_data: list[NamePattern] = Field(
        default=[], max_length=256, description="The import creates the matching tables and skips their rows."
    )
    exclude_extensions: list[NamePattern] = Field(
        default=[],
        max_length=64,
        description="The import skips the extensions with these names and all objects that need them.",
    )


class PostImport(StrictModel):
    """Runs SQL in the imported database before it becomes the target."""

    sql_config_map_ref: ConfigMapKey = Field(
        description="Names the ConfigMap and key of SQL, for example for masking. The worker runs it as the owner"
        " role, after the verification and before the swap."
    )


AMOUNT_PATTERN = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"
Quantity = Annotated[
    str,
    StringConstraints(pattern=AMOUNT_PATTERN, max_length=32),
    BeforeValidator(lambda value: str(value) if isinstance(value, int) else value),
    WithJsonSchema({"x-kubernetes-int-or-string": True, "pattern": AMOUNT_PATTERN, "maxLength": 32, "minimum": 0}),
]


class ResourceAmounts(StrictModel):
    """Amounts of CPU and memory, as Kubernetes quantities."""

    cpu: Quantity | None = Field(default=None, description="The amount of CPU as a quantity, for example 500m or 2.")
    memory: Quantity | None = Field(default=None, description="The amount of memory as a quantity, for example 512Mi.")


class Resources(StrictModel):
    """Requests and limits of the containers of an import's pod."""

    requests: ResourceAmounts | None = Field(
        default=None, description="The resources that the scheduler reserves for each container of the pod."
    )
    limits: ResourceAmounts | None = Field(
        default=None, description="The resources that each container of the pod may use at most."
    )


class Scratch(StrictModel):
    """Configures the temporary volume of an import's pod."""

    size: Bytes = Field(
        default=10 * 1024**3, description="The size limit of the volume, in bytes or as a quantity. Default: 10Gi."
    )
    storage_class_name: ObjectName | None = Field(
        default=None,
        description="The StorageClass of an ephemeral volume. If absent, the pod uses an emptyDir on the node's disk.",
    )


class ImportSpec(StrictModel):
    """Configures one import of a database. Later changes are refused, except those of suspend and cancel."""

    project: Label = Field(description="The name of the Project whose spec.namespace is this namespace.")
    source: ImportSource = Field(description="Locates the database or dump file to import.")
    target: ImportTarget | None = Field(
        default=None, description="Names the preview database to import into. It is required unless dryRun is true."
    )
    engine: Engine = Field(
        default=Engine.AUTO,
        description="The method of copying a live source's rows. The engine relay copies from server to server; dump"
        " writes the rows to the scratch volume; auto uses relay unless the source needs a dump. Default: auto.",
    )
    suspend: bool = Field(
        default=False, description="If true, the import stops and waits until suspend is false again."
    )
    cancel: bool = Field(
        default=False, description="If true, the operator stops the import. It cannot be set back to false."
    )
    recreate: bool = Field(
        default=False,
        description="If true, the import replaces all content of the target. If false, it fails if the target has"
        " objects.",
    )
    dry_run: bool = Field(default=False, description="If true, only the preflight runs and nothing is changed.")
    max_attempts: int = Field(
        default=3, ge=1, le=10, description="The number of attempts after which a failing import ends. Default: 3."
    )
    pending_timeout: Duration | None = Field(
        default=None,
        description="The import fails if it waits for this long, for example for its Secret, its target or a slot. The"
        " time in which it is suspended does not count. If absent, it waits without a limit. At most 144h.",
    )
    timeout: Duration = Field(
        default=timedelta(hours=6),
        description="The import fails if it is not completed this long after status.startedAt, counting all attempts."
        " Default: 6h; at most 144h.",
    )
    start_timeout: Duration = Field(
        default=timedelta(minutes=5),
        description="The import fails if its pod has no running container for this long. Default: 5m; at most 144h.",
    )
    stall_timeout: Duration = Field(
        default=timedelta(minutes=10),
        description="The import fails if it makes no progress for this long. Default: 10m; at most 144h.",
    )
    jobs: int = Field(
        default=4,
        ge=1,
        le=32,
        description="The number of parallel connections that copy rows and build indexes. Default: 4.",
    )
    filter: Filter | None = Field(default=None, description="Selects the part of the source that is imported.")
    provider: Provider = Field(
        default=Provider.AUTO,
        description="The provider whose own schemas and extensions the import skips. The value auto detects the"
        " provider. The value none skips nothing. Default: auto.",
    )
    verify: Verify = Field(
        default=Verify.COUNTS,
        description="The method of comparing the copy with the source: counts of rows, checksums of rows, or none."
        " Default: counts.",
    )
    on_object_error: OnObjectError = Field(
        default=OnObjectError.SKIP,
        description="What the import does when the target refuses an object. The value skip lists the object in the"
        " report and continues without it and without the objects that need it. The value fail ends the import."
        " Default: skip.",
    )
    post_import: PostImport | None = Field(
        default=None, description="Runs SQL in the imported database before it becomes the target."
    )
    resources: Resources | None = Field(
        default=None, description="Sets requests and limits of each container of the import's pod."
    )
    scratch: Scratch = Field(default=Scratch(), description="Configures the temporary volume of the import's pod.")
    ttl_seconds_after_finished: int | None = Field(
        default=None,
        ge=0,
        le=2**31 - 1,  # the limit of the Job's own field
        description="The operator deletes the Job this many seconds after the import has ended. It keeps the"
        " PostgresImport. Default: 86400.",
    )

    @property
    def mounts(self) -> tuple[SecretKey | ConfigMapKey, ...]:
        """The keys of Secrets and ConfigMaps that the import's pod mounts."""
        script = self.post_import.sql_config_map_ref if self.post_import else None
        references = (self.source.url_secret_ref, self.source.ca_secret_ref, script)
        return tuple(reference for reference in references if reference is not None)

    @model_validator(mode="after")
    def _require_target_unless_dry_run(self) -> "ImportSpec":
        if self.target is None and not self.dry_run:
            raise ValueError("target.previewDatabase is required unless dryRun is true")
        return self

    @model_validator(mode="after")
    def _check_timeouts(self) -> "ImportSpec":
        for name, value in (
            ("pendingTimeout", self.pending_timeout),
            ("timeout", self.timeout),
            ("startTimeout", self.start_timeout),
            ("stallTimeout", self.stall_timeout),
        ):
            if value is not None and not timedelta(0) < value <= timedelta(days=6):
                raise ValueError(duration_rule(name, LONGEST_TIMEOUT))
        return self


MUTABLE_IMPORT_FIELDS = ("suspend", "cancel")
