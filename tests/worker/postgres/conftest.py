"""Provides a server with TLS."""

from collections.abc import Iterator

import pytest
from tests.cluster.debian_postgres import link_clients, server_tree
from tests.support.postgres import PostgresServer, run_postgres, tree_programs


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL 15 of Debian with TLS."""
    tree, clients = server_tree(15), tmp_path_factory.mktemp("clients")
    link_clients(tree, 15, clients)
    with run_postgres(15, tree_programs(15, tree, clients), tls=True) as server:
        yield server
