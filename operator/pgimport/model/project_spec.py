"""Defines the `spec` of a Project."""

from datetime import timedelta
from enum import StrEnum

from pydantic import Field, model_validator

from pgimport.model.base_models import StrictModel
from pgimport.model.object_references import SecretKey
from pgimport.model.pod_template import PodTemplate
from pgimport.model.scalar_types import Bytes
from pgimport.model.string_types import (
    DatabaseName,
    ExtensionName,
    HostName,
    HostPattern,
    Label,
    LabelledName,
    NetworkAddress,
    ObjectName,
    ShortText,
)
from pgimport.model.webhooks import MAX_WEBHOOKS, UNIQUE_NAMES, Webhook

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
    """Values of libpq's parameter sslmode."""

    DISABLE = "disable"
    ALLOW = "allow"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


class AdminSecret(StrictModel):
    """Names the Secret in the operator's namespace that holds the admin's name and password."""

    name: ObjectName = Field(description="The name of a Secret in the operator's namespace.")
    user_key: ShortText = Field(default="user", description="The key that holds the admin's role name. Default: user.")
    password_key: ShortText = Field(
        default="password", description="The key that holds the admin's password. Default: password."
    )


class TargetServer(StrictModel):
    """Connects a Project to its target PostgreSQL server."""

    cluster_id: ShortText = Field(
        description="Your name for the server. Imports show it as status.clusterID. Immutable while status.inUse is"
        " true."
    )
    host: HostName = Field(
        description="The host name or IP address at which the operator and import pods reach the server. Immutable"
        " while status.inUse is true."
    )
    port: int = Field(
        default=5432,
        ge=1,
        le=65535,
        description="The port on which the server listens. Default: 5432. Immutable while status.inUse is true.",
    )
    admin_secret_ref: AdminSecret = Field(
        description="Names the Secret of an admin role with CREATEDB and CREATEROLE; it needs no superuser rights."
    )
    sslmode: SSLMode = Field(
        default=SSLMode.PREFER,
        description=(
            "The sslmode that libpq uses to connect to the server. Passwords are never sent in clear text"
            " without TLS, unless this is disable or allow. Default: prefer."
        ),
    )

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    templates: list[DatabaseName] = Field(
        default=[],
        max_length=16,
        description="Databases of the server from which databases of previews are created, for example with extensions"
        " that only a superuser may create. The operator uses the first one with the wanted encoding and locale, else"
        " template0.",
    )


class AllowedSources(StrictModel):
    """Allows sources at addresses that are not public. Sources at public addresses are always allowed."""

    allowed_cidrs: list[NetworkAddress] = Field(
        default=[],
        max_length=64,
        description="Networks in CIDR notation that sources may be in although they are not public. The address"
        " of a cloud's metadata service needs an entry of its own.",
    )
    allowed_hosts: list[HostPattern] = Field(
        default=[],
        max_length=64,
        description="Host names that may have private addresses; *.example.internal allows all names below it.",
    )


class Limits(StrictModel):
    """Limits what a Project may use at the same time."""

    max_concurrent_imports: int = Field(
        default=4,
        ge=1,
        le=1000,
        description="The number of imports of this Project that may run at the same time. Default: 4.",
    )
    max_previews: int | None = Field(
        default=None,
        ge=0,
        description="The number of PreviewDatabases that this Project may have. Golden ones count, and expired ones do"
        " not. If absent, there is no limit.",
    )
    max_connections_per_preview: int = Field(
        default=50,
        ge=1,
        le=10_000,
        description="The number of connections that the user of one PreviewDatabase may have at the same time. The"
        " operator sets it as CONNECTION LIMIT of the owner role. Default: 50.",
    )


# A repeated request to the HTTP API, with the same Idempotency-Key, must find its import for at least this long.
SHORTEST_HISTORY = timedelta(hours=24)


class History(StrictModel):
    """Limits how long the operator keeps PostgresImports that have ended. Each is kept for at least 24 hours."""

    max_finished_imports: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000,
        description="The number of ended imports that the operator keeps: the last ones. If absent, it keeps all.",
    )
    ttl_seconds: int | None = Field(
        default=None,
        ge=int(SHORTEST_HISTORY.total_seconds()),
        le=315_360_000,
        description="The time in seconds after which the operator deletes an ended import, at least 86400. If absent,"
        " it keeps imports of any age.",
    )


ONE_PRIMARY = "exactly one of urlSecretRef and previewDatabase must be set"


class PrimaryDatabase(StrictModel):
    """Names the database that previews of mode clone copy: by a URL, or a golden preview."""

    url_secret_ref: SecretKey | None = Field(
        default=None,
        description="Names the Secret and key that hold a postgresql:// URL. An import copies this database.",
    )
    preview_database: ObjectName | None = Field(
        default=None,
        description="The name of a golden PreviewDatabase. The server copies it, which takes seconds for a small"
        " database and needs no import.",
    )

    @model_validator(mode="after")
    def _exactly_one_primary(self) -> "PrimaryDatabase":
        if (self.url_secret_ref is None) == (self.preview_database is None):
            raise ValueError(ONE_PRIMARY)
        return self


# In the namespace of a Project, the operator reads Secrets and tenants write objects.
KUBERNETES_PREFIX = "kube-"
NAMESPACE_RULE = "namespace must not begin with kube-, as those of Kubernetes do: give the Project one of its own"


class ProjectSpec(StrictModel):
    """Configures one tenant: the server of its databases, its namespace and its limits."""

    organization_id: ShortText = Field(description="The ID of the organization that owns the Project.")
    namespace: Label = Field(
        description="The namespace of its PreviewDatabases and PostgresImports. Two Projects cannot share a namespace."
        " It cannot be the operator's own namespace, and its name cannot begin with kube-."
    )
    server: TargetServer = Field(description="Connects the Project to its target PostgreSQL server.")
    storage_limit_bytes: Bytes | None = Field(
        default=None,
        description="The largest size of one database, in bytes or as a quantity such as 10Gi. If absent, there is no"
        " limit.",
    )
    allowed_extensions: list[ExtensionName] = Field(
        default=list(DEFAULT_ALLOWED_EXTENSIONS),
        max_length=256,
        description="Extensions that an import may create in the target. The extension plpgsql is always allowed.",
    )
    sources: AllowedSources = Field(
        default=AllowedSources(), description="Allows sources at addresses that are not public."
    )
    limits: Limits = Field(default=Limits(), description="Limits what the Project may use at the same time.")
    history: History | None = Field(
        default=None,
        description="Limits how many PostgresImports that have ended are kept. If absent, the operator deletes none. Do"
        " not set it if a GitOps tool applies imports: it would create a deleted import again, and this would run.",
    )
    pod_template: PodTemplate = Field(
        default=PodTemplate(), description="Settings of the Project's import pods: placement, labels and defaults."
    )
    queue_name: LabelledName | None = Field(
        default=None,
        description="The Kueue LocalQueue of the Project's imports, in spec.namespace. An import's label"
        " kueue.x-k8s.io/queue-name takes precedence. A change concerns imports whose Job does not exist yet.",
    )
    primary: PrimaryDatabase | None = Field(
        default=None,
        description="Names the primary database that previews of mode clone copy: its Secret, or a golden preview, in"
        " spec.namespace.",
    )

    webhooks: list[Webhook] = Field(
        default=[],
        max_length=MAX_WEBHOOKS,
        description="Receivers of events about the Project's imports and previews: signed POST requests.",
    )

    @model_validator(mode="after")
    def _refuse_namespaces_of_kubernetes(self) -> "ProjectSpec":
        if self.namespace.startswith(KUBERNETES_PREFIX):
            raise ValueError(NAMESPACE_RULE)
        return self

    @model_validator(mode="after")
    def _refuse_equal_names(self) -> "ProjectSpec":
        if len({webhook.name for webhook in self.webhooks}) < len(self.webhooks):
            raise ValueError(UNIQUE_NAMES)
        return self
