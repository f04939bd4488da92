"""Every name that two parts of the system must agree on: group, labels, and all that is derived from a uid.

Derived names hash the owner's uid, so that a create may be repeated and a later object of the same name never
meets what an earlier one left.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass

GROUP = "capydb.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CATEGORY = "pgimport"
MANAGER = "pgimport-operator"  # field manager, and the value of app.kubernetes.io/managed-by

PROJECTS = "projects"
PREVIEWS = "previewdatabases"
IMPORTS = "postgresimports"

LABEL_IMPORT_UID = f"{GROUP}/import-uid"
LABEL_IMPORT = f"{GROUP}/import"
LABEL_PROJECT = f"{GROUP}/project"
LABEL_EPHEMERAL = f"{GROUP}/ephemeral"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_QUEUE = "kueue.x-k8s.io/queue-name"
FINALIZER_PREVIEW = f"{GROUP}/database"
FINALIZER_PROJECT = f"{GROUP}/in-use"
JOB_TYPE = "project.import"

CONTAINER_PREFLIGHT = "preflight"
CONTAINER_IMPORT = "import"
SECRET_KEY_SEED = "seed"  # noqa: S105 (a key's name)
SECRET_KEY_URL = "url"  # noqa: S105 (a key's name; of a source's URL, an upload's signed one too)
TENANT_ROLE_BINDING = "pgimport-operator"
API_ROLE_BINDING = "pgimport-api"
CONNECTION_READER = "pgimport-api-connections"  # Role and RoleBinding: the previews' connection Secrets, by name

# PostgreSQL cuts identifiers at 63 bytes; Job names become pod labels, 63 too.
NAME_LIMIT = 63


def short_hash(text: str, length: int = 8) -> str:
    """Hex of SHA-256: enough to keep apart what one server or namespace holds."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _fit(readable: str, suffix: str) -> str:
    return readable[: NAME_LIMIT - len(suffix)].rstrip("-_.") + suffix


def job_name(import_name: str, import_uid: str) -> str:
    """`pgi-<name>-<hash of uid>`; dots of the name become dashes, for the pod's host name."""
    return _fit(f"pgi-{import_name.replace('.', '-')}", f"-{short_hash(import_uid)}")


def job_secret_name(import_name: str, import_uid: str) -> str:
    """The Secret of this import's Job: 32 random bytes under the key `seed`."""
    return job_name(import_name, import_uid)


def connection_secret_name(preview_name: str) -> str:
    """The Secret a preview's user reads: `<preview>-connection`."""
    return f"{preview_name[: 253 - len('-connection')].rstrip('-.')}-connection"


def clone_name(preview_name: str, preview_uid: str, number: int) -> str:
    """The import that brings a preview's n-th copy of the primary database: `<preview>-clone-<hash>`."""
    return _fit(f"{preview_name}-clone", f"-{short_hash(f'{preview_uid} {number}')}")


def _identifier(text: str) -> str:
    return re.sub(r"[^a-z0-9_]", "_", text.lower())


def preview_database_name(project: str, preview_name: str, preview_uid: str) -> str:
    """`<project>_<preview>_<hash>`: needs no quoting in SQL."""
    return _fit(_identifier(f"{project}_{preview_name}"), f"_{short_hash(preview_uid)}")


def owner_role_name(database: str) -> str:
    """The role that owns a preview's database: `<database>_owner`."""
    suffix = "_owner"
    if len(database) + len(suffix) <= NAME_LIMIT:
        return database + suffix
    return _fit(database, f"_{short_hash(database)}{suffix}")


@dataclass(frozen=True, slots=True)
class AttemptNames:
    """What one attempt makes on the target server, and the password of its role."""

    role: str
    database: str


def attempt_names(pod_uid: str) -> AttemptNames:
    """Role and shadow database of one attempt, from its pod's uid alone: operator and worker agree on them."""
    mark = short_hash(pod_uid, 20)
    return AttemptNames(role=f"pgimport_{mark}", database=f"pgimport_{mark}")


def replaced_names(shadow: str) -> AttemptNames:
    """What the swap calls the old owner and the old database until both are dropped."""
    mark = short_hash(shadow, 20)
    return AttemptNames(role=f"pgimport_old_{mark}", database=f"pgimport_old_{mark}")


def attempt_password(seed: bytes, pod_uid: str) -> str:
    """HMAC-SHA256(the import's 32 random bytes, pod uid): never sent but as a SCRAM verifier."""
    return hmac.new(seed, pod_uid.encode(), hashlib.sha256).hexdigest()
