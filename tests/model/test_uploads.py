"""Checks the keys of uploads and the URLs of the upload store."""

import pytest

from pgimport.model.source_url import FileURL, parse_file_url, parse_origin, parse_upload_url
from pgimport.model.uploads import build_object_key, is_object_key_of

GOOD = build_object_key("shop", bytes(range(16)))


def test_a_key_belongs_to_one_project() -> None:
    assert is_object_key_of(GOOD, "shop")
    assert not is_object_key_of(GOOD, "mall")
    assert not is_object_key_of(GOOD.replace("shop", "shop/../mall"), "mall")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "x",
        GOOD + "/",
        GOOD + "\n",
        GOOD.upper(),
        "/" + GOOD,
        GOOD.replace("uploads/", ""),
        GOOD[:-1],
        GOOD + "0",
        GOOD.replace("/", "//"),
        "uploads/../shop/" + "0" * 32,
        "uploads/shop/../../etc",
        "uploads/shop/%2e%2e",
        "\x00" + GOOD,
    ],
)
def test_another_text_is_not_a_key(key: str) -> None:
    assert not is_object_key_of(key, "shop")


@pytest.mark.parametrize(
    ("endpoint", "origin"),
    [
        ("https://s3.example.com", "https://s3.example.com:443"),
        ("http://minio.storage:9000", "http://minio.storage:9000"),
        ("http://[::1]:7070", "http://[::1]:7070"),
        ("http://store", "http://store:80"),
    ],
)
def test_an_origin_contains_the_port(endpoint: str, origin: str) -> None:
    assert parse_origin(endpoint) == origin
    url = parse_upload_url(f"{endpoint}/bucket/key?a=b", origin)
    assert isinstance(url, FileURL)
    assert (url.origin, url.target) == (origin, "/bucket/key?a=b")


@pytest.mark.parametrize(
    "text",
    [
        "http://store.evil:9000/x",
        "https://store:9000/x",
        "http://store:9001/x",
        "http://u:p@store:9000/x",
        "ftp://store/x",
        "http://store:9000@evil/x",
        "http://store:9000\\@evil/x",
        "http://evil/http://store:9000/x",
        "//store:9000/x",
    ],
)
def test_a_url_outside_of_the_store_is_refused(text: str) -> None:
    assert not isinstance(parse_upload_url(text, "http://store:9000"), FileURL)


def test_a_users_source_must_not_use_http() -> None:
    assert not isinstance(parse_file_url("http://store:9000/x"), FileURL)
