"""Uploads as sources: the platform's own store may have a private address and no TLS, and no other source may."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.cluster.s3_server import S3Server
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench
from tests.worker.engines.file.conftest import dump

from pgimport.model.project_spec import AllowedSources
from pgimport.model.reasons import Reason
from pgimport.model.source_url import parse_origin
from pgimport.model.uploads import build_object_key
from pgimport.store.s3_store import S3UploadStore

pytestmark = pytest.mark.thorough

KEY = build_object_key("shop", b"\x02" * 16)


@pytest.fixture
def uploaded(
    tmp_path: Path,
    s3_server: S3Server,
    postgres16: PostgresServer,
    postgres18: PostgresServer,
    bin_root: Path,
) -> Bench:
    """A bench whose source is an upload."""
    store = S3UploadStore(s3_server.settings(), s3_server.environment)
    with postgres16.database("uploaded") as name:
        postgres16.execute("CREATE TABLE orders AS SELECT i FROM generate_series(1, 1000) AS i", name)
        s3_server.put(KEY, dump(postgres16, name, "custom", tmp_path))
    return Bench(tmp_path, store.sign_get(KEY, timedelta(minutes=5)), postgres18, bin_root)


def test_an_upload_is_imported_from_a_store_with_a_private_address(uploaded: Bench, s3_server: S3Server) -> None:
    with uploaded.shadow():
        result = uploaded.run(sources=AllowedSources(), upload_origin=parse_origin(s3_server.endpoint))
    assert result.ok, result.failure
    assert result.verification is not None
    assert result.verification.rows == 1000
    assert "X-Amz-Signature" not in uploaded.out.getvalue()


@pytest.mark.parametrize("options", [{"verify": "checksums"}, {"engine": "relay"}], ids=["digests", "the relay"])
def test_an_option_for_live_sources_is_refused(uploaded: Bench, s3_server: S3Server, options: dict[str, str]) -> None:
    failure = uploaded.preflight(upload_origin=parse_origin(s3_server.endpoint), **options).failure
    assert failure is not None
    assert (failure.reason, "needs a live source" in failure.message) == (Reason.NOT_SUPPORTED, True)


def test_a_users_own_source_may_not_lead_to_the_store(uploaded: Bench, s3_server: S3Server) -> None:
    """The same URL as a user's own source is refused, for its scheme and for its address."""
    for sources in (AllowedSources(), AllowedSources(allowed_cidrs=["127.0.0.0/8"])):
        failure = uploaded.preflight(sources=sources).failure
        assert failure is not None
        assert failure.reason is Reason.SOURCE_URL_INVALID
    failure = uploaded.preflight(upload_origin="http://127.0.0.1:1").failure
    assert failure is not None
    assert (failure.reason, "does not lead to the upload store" in failure.message) == (Reason.SOURCE_URL_INVALID, True)
