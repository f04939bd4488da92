"""How the database of each application is made: by its own schema file, or by its own migrations."""

import gzip
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.real.applications.packages import install_python_packages, unpack_debian_package
from tests.real.sources import run_script
from tests.support.postgres import PostgresServer

FOLDER = Path(__file__).parent
DJANGO = FOLDER / "django_settings.py"
Load = Callable[[PostgresServer, str], None]


def _load_zabbix(server: PostgresServer, database: str) -> None:
    folder = unpack_debian_package("zabbix-server-pgsql") / "usr/share/zabbix-server-pgsql"
    for name in ("schema", "images", "data"):
        run_script(server, database, gzip.decompress((folder / f"{name}.sql.gz").read_bytes()).decode())


def _load_icinga(server: PostgresServer, database: str) -> None:
    package = unpack_debian_package("icinga2-ido-pgsql")
    run_script(server, database, package / "usr/share/dbconfig-common/data/icinga2-ido-pgsql/install/pgsql")


def _load_kea(server: PostgresServer, database: str) -> None:
    run_script(server, database, unpack_debian_package("kea-admin") / "usr/share/kea/scripts/pgsql/dhcpdb_create.pgsql")


def _load_request_tracker(server: PostgresServer, database: str) -> None:
    run_script(server, database, unpack_debian_package("request-tracker5") / "usr/share/request-tracker5/etc/schema.Pg")


def _load_django(server: PostgresServer, database: str) -> None:
    """Django's own applications and Wagtail, whose page tree has search vectors and indexes over expressions."""
    programs = install_python_packages("wagtail", ["django==5.2.*", "wagtail==7.*", "psycopg[binary]==3.*"])
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": DJANGO.stem, "PYTHONPATH": str(FOLDER)}
    environment |= {"DATABASE_URL": server.url(database)}
    subprocess.run(
        [programs / "python", "-m", "django", "migrate", "--verbosity=0", "--skip-checks"],
        check=True,
        env=environment,
        cwd=FOLDER,
    )


def _load_keystone(server: PostgresServer, database: str) -> None:
    """OpenStack's identity service makes its tables by Alembic migrations."""
    programs = install_python_packages("keystone", ["keystone==30.*", "psycopg2-binary==2.9.*", "setuptools<81"])
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "keystone.conf"
        url = server.url(database).replace("postgresql://", "postgresql+psycopg2://")
        configuration.write_text(f"[database]\nconnection = {url}\n")
        command: list[str | Path] = [programs / "keystone-manage", "--config-file", configuration, "db_sync"]
        process = subprocess.run(command, check=False, capture_output=True, text=True)
        assert process.returncode == 0, process.stderr


def _load_rails(server: PostgresServer, database: str) -> None:
    run_script(server, database, FOLDER / "rails_structure.sql")


def _load_odoo(server: PostgresServer, database: str) -> None:
    run_script(server, database, FOLDER / "odoo_like.sql")


# Those without a package need no registry.
APPLICATIONS: dict[str, Load] = {
    "rails": _load_rails,
    "odoo-like": _load_odoo,
    "zabbix": _load_zabbix,
    "icinga": _load_icinga,
    "kea": _load_kea,
    "request-tracker": _load_request_tracker,
    "django": _load_django,
    "keystone": _load_keystone,
}
NEED_NO_PACKAGE = ("rails", "odoo-like")
