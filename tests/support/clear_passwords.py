"""Lets a test server ask one role for its password in clear text, as a server with LDAP or PAM does."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.postgres import PostgresServer


@dataclass(frozen=True)
class ClearLogin:
    """A role that the server asks for the password in clear text."""

    user: str
    password: str


@contextmanager
def clear_login(server: PostgresServer) -> Iterator[ClearLogin]:
    """Creates the role and its rule in pg_hba.conf for the block."""
    assert server.log is not None
    login = ClearLogin(f"clear_{secrets.token_hex(4)}", secrets.token_hex(16))
    rules = server.log.parent / "data" / "pg_hba.conf"
    text = rules.read_text()
    server.execute(f"CREATE ROLE {login.user} LOGIN PASSWORD '{login.password}'")
    server.execute(f"GRANT CONNECT ON DATABASE postgres TO {login.user}")
    rules.write_text(f"host all {login.user} all password\n{text}")
    _reload(server)
    try:
        yield login
    finally:
        rules.write_text(text)
        _reload(server)
        server.execute(f"DROP OWNED BY {login.user}; DROP ROLE {login.user}")


def _reload(server: PostgresServer) -> None:
    """Makes the postmaster read pg_hba.conf, and waits until it has."""
    ((before,),) = server.query("SELECT pg_conf_load_time()")
    server.execute("SELECT pg_reload_conf()")
    while server.query("SELECT pg_conf_load_time()") == [(before,)]:
        pass
