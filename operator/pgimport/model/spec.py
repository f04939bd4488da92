"""What users ask: the `spec` of the three kinds, whole, also where the behaviour comes with a later release.

The rules between fields stand twice: as CEL for the API server (`rules.py`) and, where the operator could meet an
object that an older CRD let through, as a pydantic validator here.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator

from pgimport.model.base_models import StrictModel
from pgimport.model.import_choices import Engine as Engine
from pgimport.model.import_choices import Provider as Provider
from pgimport.model.import_choices import Verify as Verify
from pgimport.model.scalar_types import Bytes, Duration, SpecTime
from pgimport.model.string_types import (
    ExtensionName,
    HostName,
    HostPattern,
    Label,
    NamePattern,
    NetworkAddress,
    ObjectName,
    ShortText,
)

DEFAULT_ALLOWED_EXTENSIONS = (
    "pgcrypto",
    "uuid-ossp",
    "citext",
    "hstore",
    "pg_trgm",
    "vector",
    "unaccent",
    "ltree",
    "fuzzystrmatch",
    "btree_gin",
    "btree_gist",
    "pg_stat_statements",
    "postgis",
)


class SSLMode(StrEnum):
    """libpq's names."""

    DISABLE = "disable"
    ALLOW = "allow"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


class SecretKey(StrictModel):
    """One entry of a Secret."""

    name: ObjectName = Field(description="Name of the Secret.")
    key: ShortText = Field(description="Key within the Secret.")


# --- Project -------------------------------------------------------------------------------------------------


class AdminSecret(StrictModel):
    """The Secret, in the operator's namespace, that holds the admin's name and password."""

    name: ObjectName = Field(description="Name of a Secret in the operator's namespace.")
    user_key: ShortText = Field(default="user", description="Key of the admin's role name; default: user.")
    password_key: ShortText = Field(default="password", description="Key of the admin's password; default: password.")


class TargetServer(StrictModel):
    """The target PostgreSQL server of a Project."""

    cluster_id: ShortText = Field(description="Name of the server in reports: status.clusterID of its imports.")
    host: HostName = Field(description="Host name or address, as seen from the operator and from import pods.")
    port: int = Field(default=5432, ge=1, le=65535, description="Port; default: 5432.")
    admin_secret_ref: AdminSecret = Field(
        description="Credentials of a role with CREATEDB and CREATEROLE (no superuser is needed)."
    )
    sslmode: SSLMode = Field(default=SSLMode.PREFER, description="libpq's sslmode; default: prefer.")


class AllowedSources(StrictModel):
    """Which sources may be reached: public addresses only, unless widened here by name."""

    allowed_cidrs: list[NetworkAddress] = Field(
        default=[], max_length=64, description="Networks that are allowed although they are not public."
    )
    allowed_hosts: list[HostPattern] = Field(
        default=[],
        max_length=64,
        description="Host names whose private addresses are allowed; *.example.internal allows all below it.",
    )


class Limits(StrictModel):
    """Bounds of a Project."""

    max_concurrent_imports: int = Field(
        default=4, ge=1, le=1000, description="Imports of this Project that may run at once; default: 4."
    )
    max_previews: int | None = Field(
        default=None, ge=0, description="PreviewDatabases that this Project may have; unlimited where absent."
    )


class UrlSecret(StrictModel):
    """Where a connection URL lies."""

    url_secret_ref: SecretKey = Field(description="Secret and key that hold a postgresql:// URL.")


class ProjectSpec(StrictModel):
    """One tenant: where its databases live and what its plan allows."""

    organization_id: ShortText = Field(description="Owner of the project.")
    namespace: Label = Field(
        description="The one namespace in which its previews and imports live; no two Projects may share one."
    )
    server: TargetServer = Field(description="The target PostgreSQL server.")
    storage_limit_bytes: Bytes | None = Field(
        default=None,
        description="Plan limit of one database, in bytes or as a quantity; unlimited where absent.",
    )
    allowed_extensions: list[ExtensionName] = Field(
        default=list(DEFAULT_ALLOWED_EXTENSIONS),
        max_length=256,
        description="Extensions that an import may bring. plpgsql is always allowed.",
    )
    sources: AllowedSources = Field(default=AllowedSources(), description="Network rule for sources.")
    limits: Limits = Field(default=Limits(), description="Bounds of this project.")
    primary: UrlSecret | None = Field(
        default=None,
        description="The project's own database, for previews of mode clone; Secret in spec.namespace.",
    )


# --- PreviewDatabase -----------------------------------------------------------------------------------------

MAX_TTL = timedelta(hours=168)


class PreviewMode(StrEnum):
    """What a new preview holds."""

    EMPTY = "empty"
    CLONE = "clone"


class PreviewSpec(StrictModel):
    """A disposable database with its own owner role."""

    project: Label = Field(description="The Project whose spec.namespace this namespace is.")
    mode: PreviewMode = Field(
        default=PreviewMode.EMPTY,
        description="empty, or clone, a copy of the project's primary database; default: empty",
    )
    ttl: Duration = Field(
        default=timedelta(hours=24),
        description="Life of the database, counted from renewedAt, else from creation; default: 24h, at most 168h.",
    )
    renewed_at: SpecTime | None = Field(default=None, description="The ttl counts from here.")
    reset_at: SpecTime | None = Field(
        default=None, description="A time newer than status.resetAt makes the database anew: empty, or a new copy."
    )

    @model_validator(mode="after")
    def _ttl_has_bounds(self) -> "PreviewSpec":
        if not timedelta(0) < self.ttl <= MAX_TTL:
            raise ValueError("ttl must be more than 0s and at most 168h")
        return self


# --- PostgresImport ------------------------------------------------------------------------------------------


class ImportSource(StrictModel):
    """Where the database comes from: exactly one of urlSecretRef and uploadKey."""

    url_secret_ref: SecretKey | None = Field(
        default=None, description="Secret and key that hold the postgresql:// URL of a live source."
    )
    upload_key: ShortText | None = Field(default=None, description="Key of an uploaded dump file.")
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", max_length=64)] | None = Field(
        default=None, description="SHA-256 of the upload, in hex, checked before anything is restored."
    )
    ca_secret_ref: SecretKey | None = Field(
        default=None, description="Secret and key of a CA certificate (PEM) for verify-ca and verify-full."
    )

    @model_validator(mode="after")
    def _exactly_one_way(self) -> "ImportSource":
        if (self.url_secret_ref is None) == (self.upload_key is None):
            raise ValueError("exactly one of urlSecretRef and uploadKey must be set")
        return self


class ImportTarget(StrictModel):
    """Where the database goes."""

    preview_database: ObjectName = Field(description="Name of a PreviewDatabase in this namespace.")


RELAY_NEEDS_LIVE_SOURCE = "spec.engine: relay needs a live source; a dump file comes as it is"
CHECKSUMS_NEED_LIVE_SOURCE = "spec.verify: checksums needs a live source; of a dump file give spec.source.sha256"


class Filter(StrictModel):
    """What part of the source is wanted; patterns as pg_dump reads them."""

    include_schemas: list[NamePattern] = Field(default=[], max_length=64, description="Only these schemas.")
    exclude_schemas: list[NamePattern] = Field(default=[], max_length=64, description="Not these schemas.")
    exclude_tables: list[NamePattern] = Field(default=[], max_length=256, description="Not these tables.")
    exclude_table_data: list[NamePattern] = Field(
        default=[], max_length=256, description="These tables without their rows."
    )


class ConfigMapKey(StrictModel):
    """One entry of a ConfigMap."""

    name: ObjectName = Field(description="Name of the ConfigMap.")
    key: ShortText = Field(description="Key within the ConfigMap.")


class PostImport(StrictModel):
    """What runs in the imported database before it becomes the target."""

    sql_config_map_ref: ConfigMapKey = Field(
        description="SQL run as the owner after verification and before the swap (masking, fix-ups)."
    )


AMOUNT_PATTERN = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"
Quantity = Annotated[
    str,
    StringConstraints(pattern=AMOUNT_PATTERN, max_length=32),
    BeforeValidator(lambda value: str(value) if isinstance(value, int) else value),
    WithJsonSchema({"x-kubernetes-int-or-string": True, "pattern": AMOUNT_PATTERN, "maxLength": 32, "minimum": 0}),
]


class ResourceAmounts(StrictModel):
    """CPU and memory, as Kubernetes quantities."""

    cpu: Quantity | None = Field(default=None, description="CPU, for example 500m or 2.")
    memory: Quantity | None = Field(default=None, description="Memory, for example 512Mi.")


class Resources(StrictModel):
    """Of the import's containers."""

    requests: ResourceAmounts | None = Field(default=None, description="What the pod is scheduled with.")
    limits: ResourceAmounts | None = Field(default=None, description="What the pod may use at most.")


class Scratch(StrictModel):
    """The temporary volume of an import's pod."""

    size: Bytes = Field(default=10 * 1024**3, description="Size limit; default: 10Gi.")
    storage_class_name: ObjectName | None = Field(
        default=None, description="StorageClass of an ephemeral volume; where absent, the node's own disk."
    )


class ImportSpec(StrictModel):
    """One import. Immutable but for suspend and cancel: a new import is a new object."""

    project: Label = Field(description="The Project whose spec.namespace this namespace is.")
    source: ImportSource = Field(description="Where the database comes from.")
    target: ImportTarget | None = Field(default=None, description="Where it goes; required unless dryRun.")
    engine: Engine = Field(
        default=Engine.AUTO,
        description="How the rows of a live source travel: relay, straight from server to server; dump, through"
        " the scratch volume; auto (default), relay unless the source needs a dump.",
    )
    suspend: bool = Field(default=False, description="true holds the import; it may be set back to false.")
    cancel: bool = Field(default=False, description="true ends the import for good.")
    recreate: bool = Field(
        default=False,
        description="true: the target is replaced as a whole. false: only into a target without objects of its own.",
    )
    dry_run: bool = Field(default=False, description="Only the preflight; nothing is changed.")
    max_attempts: int = Field(default=3, ge=1, le=10, description="Attempts in all; default: 3.")
    timeout: Duration = Field(
        default=timedelta(hours=6),
        description="Over all attempts, from startedAt; default: 6h, at most 144h.",
    )
    start_timeout: Duration = Field(
        default=timedelta(minutes=5), description="Without a running container; default: 5m."
    )
    stall_timeout: Duration = Field(default=timedelta(minutes=10), description="Without progress; default: 10m.")
    jobs: int = Field(default=4, ge=1, le=32, description="Parallel streams; default: 4.")
    filter: Filter | None = Field(default=None, description="What part of the source is wanted.")
    provider: Provider = Field(default=Provider.AUTO, description="Whose own objects stay behind; default: auto.")
    verify: Verify = Field(default=Verify.COUNTS, description="counts, checksums or none; default: counts.")
    post_import: PostImport | None = Field(default=None, description="SQL after verification.")
    resources: Resources | None = Field(default=None, description="Of the Job's pod.")
    scratch: Scratch = Field(default=Scratch(), description="Temporary volume of the Job's pod.")
    ttl_seconds_after_finished: int | None = Field(
        default=None,
        ge=0,
        le=2**31 - 1,  # as many as a Job's own field holds
        description="Of the Job; this object is never deleted by the operator. Default: 86400.",
    )

    @model_validator(mode="after")
    def _a_target_unless_dry_run(self) -> "ImportSpec":
        if self.target is None and not self.dry_run:
            raise ValueError("target.previewDatabase is required unless dryRun is true")
        return self

    @model_validator(mode="after")
    def _timeouts_have_bounds(self) -> "ImportSpec":
        for name, value in (
            ("timeout", self.timeout),
            ("startTimeout", self.start_timeout),
            ("stallTimeout", self.stall_timeout),
        ):
            if not timedelta(0) < value <= timedelta(days=6):
                raise ValueError(f"{name} must be more than 0s and at most 144h")
        return self


MUTABLE_IMPORT_FIELDS = ("suspend", "cancel")
