"""Defines the names on which parts of the system must agree: API group, labels, and names derived from UIDs.

Derived names contain a hash of the owner's UID. So a create can be repeated, and a later object with the same name does
not collide with the remains of an earlier one.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime

GROUP = "capydb.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CATEGORY = "pgimport"
MANAGER = "pgimport-operator"  # field manager, and the value of app.kubernetes.io/managed-by

PROJECTS = "projects"
PREVIEWS = "previewdatabases"
IMPORTS = "postgresimports"
SCHEDULES = "postgresimportschedules"

LABEL_IMPORT_UID = f"{GROUP}/import-uid"
LABEL_IMPORT = f"{GROUP}/import"
LABEL_PROJECT = f"{GROUP}/project"
LABEL_SCHEDULE = f"{GROUP}/schedule"  # name of the schedule that has created an import
LABEL_EPHEMERAL = f"{GROUP}/ephemeral"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_PREFIX_KUEUE = "kueue.x-k8s.io/"
LABEL_QUEUE = f"{LABEL_PREFIX_KUEUE}queue-name"
LABEL_JOB_UID = f"{LABEL_PREFIX_KUEUE}job-uid"  # of the Workload that Kueue creates for a Job
FINALIZER_PREVIEW = f"{GROUP}/database"
FINALIZER_PROJECT = f"{GROUP}/in-use"
JOB_TYPE = "project.import"

CONTAINER_PREFLIGHT = "preflight"
CONTAINER_IMPORT = "import"
SCRATCH_VOLUME = "scratch"  # of an import's pod
REPORT_KEY = "report.jsonl"  # entry of the ConfigMaps with an import's report
SECRET_KEY_SEED = "seed"  # noqa: S105 (a key's name)
SECRET_KEY_URL = "url"  # noqa: S105 (a key's name; it holds the source's URL, or the signed URL of an upload)


# PostgreSQL truncates identifiers at 63 bytes. Job names become pod labels, which have at most 63 characters.
NAME_LIMIT = 63
SECRET_NAME_LIMIT = 253


def short_hash(text: str, length: int = 8) -> str:
    """Returns the first hex digits of the text's SHA-256. They distinguish the objects of one server or namespace."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _fit(readable: str, suffix: str) -> str:
    return readable[: NAME_LIMIT - len(suffix)].rstrip("-_.") + suffix


def job_name(import_name: str, import_uid: str) -> str:
    """Returns `pgi-<name>-<hash of UID>`. Dots become dashes, because the pod's host name must not contain them."""
    return _fit(f"pgi-{import_name.replace('.', '-')}", f"-{short_hash(import_uid)}")


def job_secret_name(import_name: str, import_uid: str) -> str:
    """Returns the name of the Secret with the seed (32 random bytes) of an import's Job."""
    return job_name(import_name, import_uid)


def outbox_name(release: str) -> str:
    """Returns the name of the ConfigMap in the operator's namespace with deliveries of deleted objects."""
    return f"{release}-webhook-outbox"


@dataclass(frozen=True, slots=True)
class NamespaceNames:
    """Names of the objects that an installation creates in the namespace of each Project."""

    operator_binding: str
    api_binding: str
    connection_reader: str  # Role and RoleBinding of the API, for the connection Secrets of previews
    network_policy: str  # of import pods


def namespace_names(release: str) -> NamespaceNames:
    """Returns the names of one installation. `release`: the prefix of the objects of its chart."""
    return NamespaceNames(
        operator_binding=f"{release}-operator",
        api_binding=f"{release}-api",
        connection_reader=f"{release}-api-connections",
        network_policy=f"{release}-imports",
    )


# Of all installations, before the names followed the release's name. An upgrade removes objects with these names.
EARLIER_NAMES = namespace_names("pgimport")


def scratch_claim_name(pod: str) -> str:
    """Returns the name of the PersistentVolumeClaim that Kubernetes creates for the pod's ephemeral scratch volume."""
    return f"{pod}-{SCRATCH_VOLUME}"


def report_name(import_name: str, import_uid: str, number: int) -> str:
    """Returns the name of the number-th ConfigMap, from 1, with a part of an import's report."""
    suffix = "-report" if number == 1 else f"-report-{number}"
    return f"{job_name(import_name, import_uid)}{suffix}"


def connection_secret_name(preview_name: str) -> str:
    """Returns `<preview>-connection`, the name of the Secret from which users read how to connect."""
    return _secret_name(preview_name, "-connection")


def source_secret_name(import_name: str) -> str:
    """Returns `<import>-source`, the name of the Secret that the HTTP API and the command line create for an import."""
    return _secret_name(import_name, "-source")


def _secret_name(owner_name: str, suffix: str) -> str:
    """Objects whose long names begin alike would have one Secret, so a name that is shortened gets a hash."""
    if len(owner_name) + len(suffix) <= SECRET_NAME_LIMIT:
        return owner_name + suffix
    suffix = f"-{short_hash(owner_name)}{suffix}"
    return owner_name[: SECRET_NAME_LIMIT - len(suffix)].rstrip("-.") + suffix


def clone_name(preview_name: str, preview_uid: str, number: int) -> str:
    """Returns `<preview>-clone-<hash>`, the name of the import that copies the primary database for the n-th time."""
    return _fit(f"{preview_name}-clone", f"-{short_hash(f'{preview_uid} {number}')}")


def scheduled_import_name(schedule_name: str, scheduled_at: datetime) -> str:
    """Returns `<schedule>-<minutes since 1970>`. So a schedule never creates two imports for one minute."""
    return f"{schedule_name}-{int(scheduled_at.timestamp()) // 60}"


def find_scheduled_time(schedule_name: str, import_name: str) -> datetime | None:
    """Returns the time for which a schedule created an import, or None if the name has another form."""
    minutes = re.fullmatch(rf"{re.escape(schedule_name)}-([0-9]{{1,9}})", import_name)
    return datetime.fromtimestamp(int(minutes[1]) * 60, UTC) if minutes else None


def _identifier(text: str) -> str:
    return re.sub(r"[^a-z0-9_]", "_", text.lower())


def preview_database_name(project: str, preview_name: str, preview_uid: str) -> str:
    """Returns `<project>_<preview>_<hash>`, which needs no quotes in SQL unless it begins with a digit.

    PostgreSQL reserves the names of roles that begin with `pg_`, and the owner role has the name of its database. So
    the name of a Project such as `pg-shop` gets the prefix `db_`.
    """
    readable = _identifier(f"{project}_{preview_name}")
    return _fit(f"db_{readable}" if readable.startswith("pg_") else readable, f"_{short_hash(preview_uid)}")


def owner_role_name(database: str) -> str:
    """Returns `<database>_owner`, the name of the role that owns a preview's database."""
    suffix = "_owner"
    if len(database) + len(suffix) <= NAME_LIMIT:
        return database + suffix
    return _fit(database, f"_{short_hash(database)}{suffix}")


@dataclass(frozen=True, slots=True)
class AttemptNames:
    """Names of the role and database of an attempt on the target server."""

    role: str
    database: str


def attempt_names(pod_uid: str) -> AttemptNames:
    """Derives the names of an attempt's role and shadow database from the UID of its pod."""
    digest = short_hash(pod_uid, 20)
    return AttemptNames(role=f"pgimport_{digest}", database=f"pgimport_{digest}")


def replaced_names(shadow: str) -> AttemptNames:
    """Derives the names that the swap gives to the replaced owner and database until both are dropped."""
    digest = short_hash(shadow, 20)
    return AttemptNames(role=f"pgimport_old_{digest}", database=f"pgimport_old_{digest}")


def dropped_role_name(name: str, oid: int) -> str:
    """Returns the new name of a role that cannot be dropped yet. A role that already has such a name keeps it."""
    prefix = "pgimport_dropped_"
    return name if name.startswith(prefix) else prefix + short_hash(f"{name} {oid}", 20)


def attempt_password(seed: bytes, pod_uid: str) -> str:
    """Derives the password of an attempt's role: HMAC-SHA256 of the seed and the pod UID.

    Operator and worker derive it separately. PostgreSQL receives only its SCRAM verifier.
    """
    return hmac.new(seed, pod_uid.encode(), hashlib.sha256).hexdigest()
