"""PostgreSQL servers that run in pods, and SQL that is run there through `kubectl exec`.

`Postgres` runs SQL as the superuser, in the server's own pod. `login` runs it as a person with a connection Secret.
`start_source` creates a server to import from.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from tests.support import kubectl
from tests.support.kubectl import Manifest

SYSTEM_NAMESPACE = "pgimport-system"
EMBEDDED_POD = "pgimport-server-0"
ADMIN_SECRET = "pgimport-server-admin"
SQL_FOLDER = Path(__file__).parent / "sql"
DATABASES = ("shop", "withext", "allowed", "empty", "large", "small", "slow", "broken", "busy")
OWNER = "shop"
EXPORTER = "exporter"
START_SECONDS = 180  # on a busy machine

_QUIET = ("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1")
_ROWS = (*_QUIET, "--csv", "--tuples-only")


def quoted(text: str) -> str:
    """Returns a text as an SQL string constant."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class Postgres:
    """A server whose superuser runs SQL in the server's own pod; row security hides nothing from it."""

    namespace: str
    pod: str

    def execute(self, text: str, dbname: str = "postgres") -> None:
        """Runs statements, each in a transaction of its own."""
        command = (*_QUIET, "--output=/dev/null", "--username=postgres", f"--dbname={dbname}")
        kubectl.execute(self.namespace, self.pod, *command, stdin=text)

    def query(self, text: str, dbname: str = "postgres", **values: str) -> list[list[str]]:
        """Returns all rows as text, NULL as an empty text. psql replaces `:'name'` by the value of that name."""
        settings = [f"--set={name}={value}" for name, value in values.items()]
        command = (*_ROWS, *settings, "--username=postgres", f"--dbname={dbname}")
        return _rows(kubectl.execute(self.namespace, self.pod, *command, stdin=text))

    def value(self, text: str, dbname: str = "postgres", **values: str) -> str:
        return self.query(text, dbname, **values)[0][0]

    def dump_schema(self, dbname: str) -> str:
        """Returns the schema as pg_dump of the server's own version writes it, without owners and grants."""
        command = ("pg_dump", "--username=postgres", "--schema-only", "--no-owner", "--no-privileges", dbname)
        return kubectl.execute(self.namespace, self.pod, *command)

    def has_database(self, name: str) -> bool:
        return self.value("SELECT count(*) FROM pg_database WHERE datname = :'name'", name=name) == "1"

    def has_role(self, name: str) -> bool:
        return self.value("SELECT count(*) FROM pg_roles WHERE rolname = :'name'", name=name) == "1"


EMBEDDED = Postgres(SYSTEM_NAMESPACE, EMBEDDED_POD)


def _rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


# The password is the first line of standard input, and then a file that only this shell and psql read.
_LOGIN = """
set -eu
umask 077
PGPASSFILE=$(mktemp)
export PGPASSFILE
trap 'rm -f "$PGPASSFILE"' EXIT
IFS= read -r line
printf '%s\\n' "$line" > "$PGPASSFILE"
psql "$@"
"""


def login(source: "Source", connection: Mapping[str, str], text: str) -> list[list[str]]:
    """Runs a script as the role of a connection Secret, over the cluster's network. Raises KubectlError."""
    password = connection["password"].replace("\\", "\\\\").replace(":", "\\:")
    target = [
        f"--host={connection['host']}",
        f"--port={connection['port']}",
        f"--username={connection['user']}",
        f"--dbname={connection['dbname']}",
    ]
    command = ("sh", "-c", _LOGIN, "login", *_ROWS[1:], "--no-password", *target)
    return _rows(
        kubectl.execute(source.server.namespace, source.server.pod, *command, stdin=f"*:*:*:*:{password}\n{text}")
    )


# --- the source ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """A server to import from."""

    server: Postgres
    password: str = field(repr=False)

    @property
    def host(self) -> str:
        return f"source.{self.server.namespace}.svc.cluster.local"

    def url(self, dbname: str, *, host: str = "", user: str = EXPORTER, password: str | None = None) -> str:
        secret = quote(self.password if password is None else password, safe="")
        return f"postgresql://{user}:{secret}@{host or self.host}:5432/{dbname}?sslmode=disable"


RESTRICTED: Manifest = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
POD_USER: Manifest = {"runAsNonRoot": True, "runAsUser": 999, "runAsGroup": 999, "fsGroup": 999}

_START = """
set -eu
if ! [ -e /data/db/PG_VERSION ]; then
    initdb --pgdata=/data/db --username=postgres --auth-local=peer --auth-host=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 --no-sync --no-instructions > /dev/null
    echo 'host all all all scram-sha-256' >> /data/db/pg_hba.conf
fi
exec postgres -D /data/db -c listen_addresses='*' -c fsync=off -c max_connections=300
"""


def postgres_image() -> str:
    """Returns the image of the chart's own server."""
    body = kubectl.get("statefulset", "pgimport-server", SYSTEM_NAMESPACE)
    return str(body["spec"]["template"]["spec"]["containers"][0]["image"])


def namespace_manifest(name: str) -> Manifest:
    """Builds a namespace that enforces the Pod Security Standard `restricted`."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def secret_manifest(namespace: str, name: str, values: Mapping[str, str]) -> Manifest:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": dict(values)}


def _server_manifests(namespace: str, name: str, image: str, script: str, memory: str | None = None) -> list[Manifest]:
    metadata = {"name": name, "namespace": namespace, "labels": {"server": name}}
    container: Manifest = {
        "name": "postgresql",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script],
        # Ends with its first success. A readiness probe would start a process in each server each second.
        "startupProbe": {
            "exec": {"command": ["pg_isready", "--quiet", "--host=127.0.0.1"]},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
            "failureThreshold": START_SECONDS,
        },
        "securityContext": RESTRICTED,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "shm", "mountPath": "/dev/shm"}],
    }
    data = {"medium": "Memory", "sizeLimit": memory} if memory else {}
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": POD_USER,
        # Tests log in from this pod. After two lost answers (the default), glibc reports an unknown name.
        "dnsConfig": {"options": [{"name": "attempts", "value": "5"}]},
        "containers": [container],
        "volumes": [{"name": "data", "emptyDir": data}, {"name": "shm", "emptyDir": {"medium": "Memory"}}],
    }
    service = {"selector": {"server": name}, "ports": [{"port": 5432}]}
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
    ]


def start_source(namespace: str, password: str, databases: tuple[str, ...] = DATABASES) -> Source:
    """Creates a namespace with a source server and its databases. Deleting the namespace removes all of it."""
    manifests = _server_manifests(namespace, "source", postgres_image(), _START)
    kubectl.apply(namespace_manifest(namespace), *manifests)
    source = Source(Postgres(namespace, "source"), password)
    kubectl.wait_for_pod(namespace, "source", START_SECONDS)
    fill_source(source, databases)
    return source


def start_server(namespace: str, name: str, image: str, memory: str | None = None) -> None:
    """Starts another server beside the source, in place of an earlier one of this name.

    `memory` is a quantity: the server's disk is a tmpfs of this size.
    """
    kubectl.delete("pod", name, namespace=namespace)
    kubectl.apply(*_server_manifests(namespace, name, image, _START, memory))
    kubectl.wait_for_pod(namespace, name, START_SECONDS)


def fill_source(source: Source, databases: tuple[str, ...]) -> None:
    """Creates the roles and databases of the source, in one session of psql."""
    # The exporter is a member of the owner role, and reads also what row security hides from the owner.
    statements = [
        f"CREATE ROLE {OWNER};",
        f"CREATE ROLE {EXPORTER} LOGIN BYPASSRLS IN ROLE {OWNER} PASSWORD {quoted(source.password)};",
    ]
    for name in databases:
        statements += [f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE template0;", f"\\connect {name}"]
        statements.append(f"ALTER SCHEMA public OWNER TO {OWNER};")
        script = SQL_FOLDER / f"{name}.sql"
        if script.exists():
            text = script.read_text(encoding="utf-8")
            # The superuser creates extensions, the owner creates everything else.
            extensions = [line for line in text.splitlines() if line.startswith("CREATE EXTENSION")]
            rest = [line for line in text.splitlines() if line not in extensions]
            if extensions:
                statements += [f"CREATE SCHEMA ext AUTHORIZATION {OWNER};", *extensions]
            statements += [f"SET ROLE {OWNER};", *rest, "RESET ROLE;"]
    source.server.execute("\n".join(statements))
