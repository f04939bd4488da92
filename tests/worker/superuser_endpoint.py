"""Builds the endpoint with which tests of the worker connect to a server of their own."""

from tests.support.postgres import SUPERUSER, PostgresServer

from pgimport.worker.postgres.endpoints import Endpoint


def build_superuser_endpoint(server: PostgresServer, dbname: str) -> Endpoint:
    return Endpoint(
        host=server.host,
        port=server.port,
        user=SUPERUSER,
        password=server.superuser_password,
        dbname=dbname,
        sslmode="disable",
    )
