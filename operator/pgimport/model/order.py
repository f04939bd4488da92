"""Defines the order that the operator sends to the worker in the pod's environment. It contains no secret."""

from collections.abc import Mapping
from itertools import count, takewhile

from pydantic import Field

from pgimport.model.base_models import LenientModel
from pgimport.model.import_choices import Engine, OnObjectError, Provider, Verify
from pgimport.model.import_spec import Filter, TargetLocale
from pgimport.model.project_spec import AllowedSources, SSLMode

ORDER_VERSION = 1

# Names of the environment variables that the operator sets in the pod.
ENV_ORDER = "PGIMPORT_ORDER"  # a long order goes on in PGIMPORT_ORDER_2, PGIMPORT_ORDER_3 and so on
ORDER_FROM_STDIN = "-"  # value of PGIMPORT_ORDER: the order comes by standard input
ENV_POD_UID = "PGIMPORT_POD_UID"
ENV_SOURCE_URL_FILE = "PGIMPORT_SOURCE_URL_FILE"
ENV_SOURCE_PATH = "PGIMPORT_SOURCE_PATH"  # path of a dump on this machine; only the command line sets it
ENV_SEED_FILE = "PGIMPORT_SEED_FILE"
ENV_CA_FILE = "PGIMPORT_CA_FILE"  # path of the user's CA certificate, if the import names one
ENV_POST_IMPORT_FILE = "PGIMPORT_POST_IMPORT_FILE"  # path of the SQL of spec.postImport
ENV_SCRATCH = "PGIMPORT_SCRATCH"
ENV_PRIVATE = "PGIMPORT_PRIVATE"  # folder in memory for the password file
ENV_TERMINATION_MESSAGE = "PGIMPORT_TERMINATION_MESSAGE"
ENV_CLIENTS = "PGIMPORT_CLIENTS"  # folder that contains <major>/bin/pg_dump; for use outside of the worker image

# Linux refuses to start a program with a variable of more than 128 KiB, and a character has up to 4 bytes.
_CHARACTERS_IN_A_VARIABLE = 30_000


class OrderTarget(LenientModel):
    """Target server of an import, without the admin's credentials."""

    host: str
    port: int
    sslmode: SSLMode
    server_version: str
    server_version_num: int
    creatable_extensions: list[str] = Field(
        default=[],
        description="Extensions that the Project allows and that, as the server's catalogs say, the admin can create."
        " A hook of the server may still allow others or refuse these.",
    )
    available_extensions: list[str] | None = Field(
        default=None,
        description="All extensions that are installed on the server; None if an older operator sent the order.",
    )
    default_locale: str | None = Field(
        default=None, description="Locale of a new database for a source whose locale is unknown."
    )


class Order(LenientModel):
    """Settings of an import, the same for each attempt."""

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
    on_object_error: OnObjectError = OnObjectError.SKIP
    jobs: int = 4
    dry_run: bool = False
    sha256: str | None = None  # checksum of the dump file
    filter: Filter | None = None
    target_locale: TargetLocale | None = None  # the user's choice, instead of the source's locale
    provider: Provider = Provider.AUTO
    # Origin of the upload store, for example `https://store:443`. The address of the store may be private.
    upload_origin: str | None = None
    scratch_bytes: int | None = None  # size limit of the scratch volume

    @property
    def shows_row_values(self) -> bool:
        """Says whether errors may contain row values.

        True only for `pgimport run`, whose output nobody but the admin sees.
        """
        return not self.namespace


def build_order_variables(order: Order) -> dict[str, str]:
    """Returns the environment variables that carry an order. Their values contain no `$`.

    The kubelet replaces `$(NAME)` and `$$` in the values of variables, so that the worker would read other patterns of
    a filter than the user wrote.
    """
    text = order.model_dump_json(by_alias=True, exclude_none=True).replace("$", "\\u0024")
    parts = [
        text[begin : begin + _CHARACTERS_IN_A_VARIABLE] for begin in range(0, len(text), _CHARACTERS_IN_A_VARIABLE)
    ]
    return dict(zip(map(_name_variable, count(1)), parts, strict=False))


def join_order_variables(environ: Mapping[str, str]) -> str:
    """Returns the text of the order that the variables carry, or an empty text if there is none."""
    names = takewhile(environ.__contains__, map(_name_variable, count(1)))
    return "".join(environ[name] for name in names)


def _name_variable(number: int) -> str:
    return ENV_ORDER if number == 1 else f"{ENV_ORDER}_{number}"
