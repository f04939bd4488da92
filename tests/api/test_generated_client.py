"""A client generated from the committed OpenAPI document can start and follow an import."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from tests.api.conftest import SOURCE, Api

from pgimport.model.names import IMPORTS

DOCUMENT = Path(__file__).parents[2] / "operator" / "openapi.json"
pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Generates the client, and returns the name of its package, which can be imported."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "config.yaml").write_text("post_hooks: []\n")
    program = Path(sys.executable).parent / "openapi-python-client"
    done = subprocess.run(
        [
            program,
            "generate",
            "--path",
            DOCUMENT,
            "--meta",
            "none",
            "--config",
            folder / "config.yaml",
            "--output-path",
            folder / "generated_pgimport",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout, done.stdout
    sys.path.insert(0, str(folder))
    return "generated_pgimport"


def test_a_generated_client_starts_and_follows_an_import(api: Api, generated: str) -> None:
    client_module = importlib.import_module(f"{generated}.client")
    models = importlib.import_module(f"{generated}.models")
    create = importlib.import_module(f"{generated}.api.imports.create_import")
    get_job = importlib.import_module(f"{generated}.api.jobs.get_job")
    connections = importlib.import_module(f"{generated}.api.preview_databases.get_connections")
    with client_module.AuthenticatedClient(base_url=api.url, token=api.keys["all"]) as client:
        job = create.sync("shop", client=client, body=models.ImportRequest(source_url=SOURCE)).job
        assert (job.state, job.project_id) == ("pending", "shop")
        api.set_status(IMPORTS, job.id.removeprefix("shop."), state="completed", attempts=1)
        done = get_job.sync(job.id, client=client).job
        assert (done.state, done.attempts) == ("completed", 1)
        problem = connections.sync(done.preview_database_id, client=client)
        assert isinstance(problem, models.Problem)
        assert "pending" in problem.error
