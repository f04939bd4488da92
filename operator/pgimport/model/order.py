"""Operator → worker: what one import's pod is to do. No secret is in it: it stands in the pod's environment."""

from pydantic import Field

from pgimport.model.base_models import LenientModel
from pgimport.model.spec import AllowedSources, Engine, Filter, Provider, SSLMode, Verify

ORDER_VERSION = 1

# The pod's environment: every name that operator and worker share.
ENV_ORDER = "PGIMPORT_ORDER"
ORDER_FROM_STDIN = "-"  # value of PGIMPORT_ORDER: the order comes by standard input
ENV_POD_UID = "PGIMPORT_POD_UID"
ENV_SOURCE_URL_FILE = "PGIMPORT_SOURCE_URL_FILE"
ENV_SEED_FILE = "PGIMPORT_SEED_FILE"
ENV_CA_FILE = "PGIMPORT_CA_FILE"  # a CA of the user's, where the import names one
ENV_POST_IMPORT_FILE = "PGIMPORT_POST_IMPORT_FILE"  # SQL for after the verification, where the import names some
ENV_SCRATCH = "PGIMPORT_SCRATCH"
ENV_PRIVATE = "PGIMPORT_PRIVATE"  # a folder in memory, for the password file
ENV_TERMINATION_MESSAGE = "PGIMPORT_TERMINATION_MESSAGE"
ENV_CLIENTS = "PGIMPORT_CLIENTS"  # folder with <major>/bin/pg_dump; only outside of our image


class OrderTarget(LenientModel):
    """The target server as the worker may know it."""

    host: str
    port: int
    sslmode: SSLMode
    server_version: str
    server_version_num: int
    creatable_extensions: list[str] = Field(
        default=[], description="Allowed and creatable by the admin: what an import may bring."
    )


class Order(LenientModel):
    """One import's work, the same for every attempt."""

    version: int = ORDER_VERSION
    import_uid: str
    import_name: str
    namespace: str
    target: OrderTarget
    sources: AllowedSources = AllowedSources()
    storage_limit_bytes: int | None = None
    allowed_extensions: list[str] = Field(default=[])
    engine: Engine = Engine.AUTO
    verify: Verify = Verify.COUNTS
    jobs: int = 4
    dry_run: bool = False
    sha256: str | None = None  # of a dump file
    filter: Filter | None = None
    provider: Provider = Provider.AUTO
    upload_origin: str | None = None  # of an upload's URL: `https://store:443`; its address is not judged
    scratch_bytes: int | None = None  # what the scratch volume may hold
