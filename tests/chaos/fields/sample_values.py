"""What the schema cannot know: values that mean something, values that mean nothing, and what becomes of either.

Written by hand, in the spelling of the resources. A text without a pattern must have an entry here, and so must every
pattern, every format and every rule in CEL: what has none makes the test fail.
"""

from dataclasses import dataclass, field
from typing import Any

from pgimport.model.scalar_types import DURATION_PATTERN, QUANTITY_PATTERN, SPEC_TIME_PATTERN
from pgimport.model.spec import AMOUNT_PATTERN
from pgimport.model.string_types import (
    DNS_LABEL_PATTERN,
    DNS_SUBDOMAIN_PATTERN,
    EXTENSION_PATTERN,
    HOST_PATTERN_RULE,
    HOST_RULE,
    NETWORK_RULE,
    ONE_LINE_PATTERN,
    WITHOUT_NUL_PATTERN,
)

PROJECT = "chaos-fields"
SOURCE_SECRET, CA_SECRET, SCRIPT = "fields-source", "fields-ca", "fields-sql"
SHA256 = r"^[0-9a-f]{64}$"
ODD = "a \"b\" 'c' \\d $e %f;\t\N{LATIN SMALL LETTER U WITH DIAERESIS}\n--"


class Gone:
    """Takes a field away."""

    def __repr__(self) -> str:
        return "left out"


GONE = Gone()


@dataclass(frozen=True)
class Meant:
    """A valid value; `reasons`: of the condition Ready, where they are others than those of the property."""

    value: Any
    reasons: tuple[str, ...] = ()
    also: dict[str, Any] = field(default_factory=dict)  # other fields that must change with it


# Before which state each kind stands when nothing is wrong with it.
HEALTHY = {"Project": ("Ready",), "PreviewDatabase": ("Ready",), "PostgresImport": ("Running",)}

_TOO_LARGE = ("Running", "InvalidSpec")
PATTERNS: dict[str, tuple[Meant, ...]] = {
    DNS_LABEL_PATTERN: (Meant("a"), Meant("0--9"), Meant("x" * 63)),
    DNS_SUBDOMAIN_PATTERN: (Meant("a"), Meant("a.b-c.0"), Meant("x" * 253)),
    DURATION_PATTERN: (Meant("1h30m"), Meant("90m0s"), Meant("1h" + "0s" * 15)),
    QUANTITY_PATTERN: (Meant("1.5Gi"), Meant("20000M"), Meant(2**40), Meant("1P")),
    AMOUNT_PATTERN: (Meant("1.5Gi"), Meant("2000M"), Meant(2**30), Meant("1073741824000m")),
    EXTENSION_PATTERN: (Meant("x"), Meant("x" * 63)),
    SHA256: (Meant("0" * 64), Meant("0123456789abcdef" * 4)),
}
FORMATS: dict[str, tuple[Meant, ...]] = {
    "date-time": (
        Meant("2026-01-01T00:00:00Z"),
        Meant("2026-01-01T00:00:00.123456+05:30"),
        Meant("2000-01-01T00:00:00+14:00"),
        Meant("2999-12-31T23:59:59-12:00"),
    ),
}
# What a pattern lets through and no rule should.
NONSENSE: dict[str, tuple[Any, ...]] = {
    DURATION_PATTERN: ("0s", "0h0m", "9" * 20 + "h", "9" * 31 + "s", "169h"),
    QUANTITY_PATTERN: (-1,),
    AMOUNT_PATTERN: (-1,),
    SPEC_TIME_PATTERN: ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"),
    ONE_LINE_PATTERN: ("a\x00b", "a\nb"),
    WITHOUT_NUL_PATTERN: ("a\x00b",),
}
# Patterns that let nearly everything through: their texts are free ones.
FREE = (ONE_LINE_PATTERN, WITHOUT_NUL_PATTERN)

_MISSING = ("SourceSecretMissing",)
_UPLOAD = {"source.urlSecretRef": GONE}
# Kind and field → values of which at least the first leaves the object healthy, or says what it becomes.
VALUES: dict[tuple[str, str], tuple[Meant, ...]] = {
    ("Project", "organizationID"): (Meant("acme"),),
    ("Project", "server.clusterID"): (Meant("eu-1"),),
    ("Project", "server.host"): (
        Meant("pgimport-server.pgimport-system.svc.cluster.local"),
        Meant("127.0.0.1", ("ServerUnreachable",)),
        Meant("x" * 63 + ".example.invalid", ("ServerUnreachable",)),
        Meant("::1", ("ServerUnreachable",)),
        Meant("nowhere.invalid", ("ServerUnreachable",)),
    ),
    ("Project", "server.adminSecretRef.name"): (Meant("pgimport-server-admin"),),
    ("Project", "server.adminSecretRef.userKey"): (Meant("user"), Meant("password")),
    ("Project", "server.adminSecretRef.passwordKey"): (Meant("password"), Meant("user")),
    ("Project", "allowedExtensions[]"): (Meant("vector"), Meant("no_such_extension")),
    ("Project", "sources.allowedCIDRs[]"): (Meant("10.0.0.0/8"), Meant("fd00::/8"), Meant("192.0.2.1")),
    ("Project", "sources.allowedHosts[]"): (Meant("db.example.internal"), Meant("*.example.internal")),
    ("Project", "storageLimitBytes"): (Meant("0"), Meant("9" * 31 + "P")),
    ("Project", "primary.urlSecretRef.key"): (Meant("url"),),
    ("PreviewDatabase", "ttl"): (Meant("168h"), Meant("1s", ("Expired",))),
    ("PostgresImport", "source.urlSecretRef.name"): (Meant(SOURCE_SECRET, ("Running",)),),
    ("PostgresImport", "source.urlSecretRef.key"): (Meant("url", ("Running",)),),
    ("PostgresImport", "source.uploadKey"): (Meant(f"{PROJECT}/{'0' * 32}"), Meant("other/key")),
    ("PostgresImport", "source.caSecretRef.name"): (Meant(CA_SECRET, ("Running",)),),
    ("PostgresImport", "source.caSecretRef.key"): (Meant("ca.crt", ("Running",)),),
    ("PostgresImport", "postImport.sqlConfigMapRef.name"): (Meant(SCRIPT, ("Running",)),),
    ("PostgresImport", "postImport.sqlConfigMapRef.key"): (Meant("mask.sql", ("Running",)),),
    ("PostgresImport", "filter.includeSchemas[]"): (Meant("public"), Meant("app_*")),
    ("PostgresImport", "filter.excludeSchemas[]"): (Meant("audit"),),
    ("PostgresImport", "filter.excludeTables[]"): (Meant("public.sessions"),),
    ("PostgresImport", "filter.excludeTableData[]"): (Meant("public.log_*"),),
    ("PostgresImport", "timeout"): (Meant("144h"), Meant("1s", ("DeadlineExceeded",))),
    ("PostgresImport", "startTimeout"): (Meant("144h"), Meant("1s")),
    ("PostgresImport", "stallTimeout"): (Meant("144h"), Meant("1s")),
    ("PostgresImport", "scratch.storageClassName"): (Meant("fast"),),
    # More than any node has, and more than Kubernetes can write down.
    ("PostgresImport", "scratch.size"): (Meant("9" * 31 + "P", _TOO_LARGE),),
    ("PostgresImport", "resources.limits.cpu"): (Meant("2"), Meant("9" * 31 + "P", _TOO_LARGE)),
    ("PostgresImport", "resources.limits.memory"): (Meant("1Gi"), Meant("9" * 31 + "P", _TOO_LARGE)),
    ("PostgresImport", "resources.requests.cpu"): (Meant("250m"), Meant("9" * 31 + "P", _TOO_LARGE)),
    ("PostgresImport", "resources.requests.memory"): (Meant("64Mi"), Meant("9" * 31 + "P", _TOO_LARGE)),
}
# Kind and field → what becomes of every value of it that has no reasons of its own.
BECOMES: dict[tuple[str, str], tuple[str, ...]] = {
    ("Project", "server.host"): ("ServerUnreachable",),
    ("Project", "server.port"): ("ServerUnreachable",),
    ("Project", "server.sslmode"): ("Ready", "ServerUnreachable"),  # by value, as the server has no TLS
    ("Project", "server.adminSecretRef.name"): ("ServerAuthFailed",),
    ("Project", "server.adminSecretRef.userKey"): ("ServerAuthFailed",),
    ("Project", "server.adminSecretRef.passwordKey"): ("ServerAuthFailed",),
    ("PreviewDatabase", "project"): ("ProjectNotFound",),
    ("PreviewDatabase", "mode"): ("Ready", "PrimaryMissing"),
    ("PreviewDatabase", "renewedAt"): ("Ready", "Expired"),
    ("PostgresImport", "project"): ("ProjectNotFound",),
    ("PostgresImport", "source.urlSecretRef.name"): _MISSING,
    ("PostgresImport", "source.urlSecretRef.key"): _MISSING,
    ("PostgresImport", "source.uploadKey"): ("DumpNotFound", "NotSupported"),
    ("PostgresImport", "source.sha256"): ("DumpNotFound", "NotSupported"),
    ("PostgresImport", "source.caSecretRef.name"): _MISSING,
    ("PostgresImport", "source.caSecretRef.key"): _MISSING,
    ("PostgresImport", "target.previewDatabase"): ("TargetNotFound",),
    ("PostgresImport", "postImport.sqlConfigMapRef.name"): ("ConfigMapMissing",),
    ("PostgresImport", "postImport.sqlConfigMapRef.key"): ("ConfigMapMissing",),
}
EXACTLY: dict[tuple[str, str, Any], tuple[str, ...]] = {
    ("Project", "server.host", "pgimport-server.pgimport-system.svc.cluster.local"): ("Ready",),
    ("Project", "server.adminSecretRef.name", "pgimport-server-admin"): ("Ready",),
    ("Project", "server.adminSecretRef.userKey", "user"): ("Ready",),
    ("Project", "server.adminSecretRef.passwordKey", "password"): ("Ready",),
    ("PostgresImport", "cancel", True): ("Cancelled",),
    ("PostgresImport", "suspend", True): ("Suspended",),
}
# Fields that must change with every value of a field.
ALSO: dict[tuple[str, str], dict[str, Any]] = {
    ("PostgresImport", "source.uploadKey"): _UPLOAD,
    ("PostgresImport", "source.sha256"): {**_UPLOAD, "source.uploadKey": f"{PROJECT}/{'0' * 32}"},
}
# What a spec that has everything cannot have too.
APART = frozenset(
    {("PostgresImport", "source.uploadKey"), ("PostgresImport", "source.sha256"), ("PostgresImport", "cancel")}
)
# Values that only the meaning of a field forbids, beside those of its pattern.
FORBIDDEN: dict[tuple[str, str], tuple[Any, ...]] = {
    ("Project", "sources.allowedCIDRs[]"): ("not-a-network", "10.0.0.0/33"),
    ("Project", "sources.allowedHosts[]"): ("https://db.example.com", "*", "a b"),
    ("Project", "server.host"): ("/var/run/postgresql", "one,two", "user@host", "x" * 64, "a\x00b"),
    ("Project", "allowedExtensions[]"): ("a\x00b",),
}
# Message of a rule in CEL → a spec that breaks it: fields to change in one that is whole.
BROKEN: dict[str, dict[str, Any]] = {
    "ttl must be more than 0s and at most 168h": {"ttl": "168h1s"},
    "target.previewDatabase is required unless dryRun is true": {"target": GONE},
    "exactly one of urlSecretRef and uploadKey must be set": {"source.uploadKey": "two/ways"},
    "cancel never goes back to false: create a new import": {"cancel": False},
    "timeout must be more than 0s and at most 144h": {"timeout": "145h"},
    "startTimeout must be more than 0s and at most 144h": {"startTimeout": "144h1s"},
    "stallTimeout must be more than 0s and at most 144h": {"stallTimeout": "0m"},
    HOST_RULE: {"server.host": "one,two"},
    HOST_PATTERN_RULE: {"sources.allowedHosts": ["*.example.com", "*"]},
    NETWORK_RULE: {"sources.allowedCIDRs": ["10.0.0.0/8", "10.0.0.0/33"]},
}
# Fields of an import that its Job does not show: what they do, another test proves.
WORKS_ELSEWHERE = frozenset(
    f"PostgresImport spec.{name}"
    for name in (
        "startTimeout",  # the operator's clock
        "stallTimeout",
        "recreate",  # what the operator looks for in the target
        "ttlSecondsAfterFinished",  # patched in at the end
    )
)
