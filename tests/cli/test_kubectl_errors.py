"""What users read when kubectl fails."""

import pytest

from pgimport.cli.cluster_commands.errors import AlreadyExists, CommandFailed, NotAllowed, ObjectNotFound
from pgimport.cli.cluster_commands.kubectl_errors import NOT_INSTALLED, explain_kubectl_error

DENIED = 'secrets "x" is forbidden: User "u" cannot get resource "secrets" in API group "" in the namespace "shop"'


@pytest.mark.parametrize(
    ("stderr", "kind", "text"),
    [
        (
            'Error from server (NotFound): postgresimports.capydb.dev "x" not found',
            ObjectNotFound,
            "import x in namespace shop was not found",
        ),
        ('Error from server (NotFound): projects.capydb.dev "x" not found', ObjectNotFound, "Project x was not found"),
        (
            'Error from server (NotFound): secrets "x" not found',
            ObjectNotFound,
            "Secret x in namespace shop was not found",
        ),
        (
            'Error from server (AlreadyExists): error when creating "STDIN": previewdatabases.capydb.dev "x" already'
            " exists",
            AlreadyExists,
            "preview x in namespace shop already exists",
        ),
        (f"Error from server (Forbidden): {DENIED}", NotAllowed, DENIED),
        ('error: the server doesn\'t have a resource type "postgresimports"', CommandFailed, NOT_INSTALLED),
        (
            "E0101 12:00:00.0 7 memcache.go:265] Unhandled Error\nThe connection to the server 127.0.0.1:1 was refused"
            " - did you specify the right host or port?\n",
            CommandFailed,
            "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?",
        ),
        ('error: context "x" does not exist', CommandFailed, 'context "x" does not exist'),
        ("", CommandFailed, "kubectl failed without a message"),
    ],
    ids=["import", "Project", "Secret", "exists", "forbidden", "no CRD", "no server", "no context", "no message"],
)
def test_an_error_of_kubectl_names_the_object_and_its_namespace(
    stderr: str, kind: type[CommandFailed], text: str
) -> None:
    error = explain_kubectl_error(stderr, "shop")
    assert (type(error), str(error)) == (kind, text)
