"""Checks that the settings are parsed, and that each error names the environment variable."""

import pytest

from pgimport.settings import SettingsError, read_api_settings, read_settings

VALID = {"PGIMPORT_NAMESPACE": "system", "PGIMPORT_WORKER_IMAGES": '{"17": "worker:17"}'}


def test_two_variables_are_required() -> None:
    settings = read_settings(VALID | {"HOME": "/root"})
    assert (settings.namespace, settings.worker_images) == ("system", {"17": "worker:17"})
    assert (settings.log_level, settings.workers, settings.image_pull_secrets) == ("info", 8, ())
    policy = settings.to_policy()
    assert (policy.operator_namespace, policy.worker_images) == ("system", {"17": "worker:17"})


def test_a_list_is_separated_by_commas() -> None:
    settings = read_settings(VALID | {"PGIMPORT_IMAGE_PULL_SECRETS": "one, two,"})
    assert settings.to_policy().image_pull_secrets == ("one", "two")


def test_a_scope_is_a_list_of_namespaces() -> None:
    assert read_settings(VALID | {"PGIMPORT_WATCH_NAMESPACES": "shop,blog"}).watch_namespaces == ("shop", "blog")


def test_networks_that_import_pods_must_not_reach() -> None:
    variables = {"PGIMPORT_NETWORK_POLICY": "true", "PGIMPORT_DENIED_NETWORKS": "10.20.0.0/16,2001:db8::/32"}
    policy = read_settings(VALID | variables).to_policy()
    assert (policy.network_policy, policy.denied_networks) == (True, ("10.20.0.0/16", "2001:db8::/32"))


@pytest.mark.parametrize(("address", "host"), [("", "0.0.0.0"), ("10.0.0.5", "0.0.0.0"), ("fd00::5", "[::]")])  # noqa: S104
def test_the_health_answers_where_the_kubelet_asks(address: str, host: str) -> None:
    """On IPv4 alone, a pod that has only an IPv6 address would be restarted for ever."""
    assert read_settings(VALID | {"PGIMPORT_POD_IP": address}).health_host == host


@pytest.mark.parametrize(("value", "expected"), [("", True), ("false", False)])
def test_import_pods_set_their_user_unless_the_platform_does(value: str, expected: bool) -> None:
    assert read_settings(VALID | {"PGIMPORT_SET_USER": value}).to_policy().set_user is expected


def test_an_empty_variable_counts_as_absent() -> None:
    assert read_settings(VALID | {"PGIMPORT_WORKERS": ""}).workers == 8


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"PGIMPORT_NAMESPACE": ""}, "PGIMPORT_NAMESPACE: Field required", id="a variable is missing"),
        pytest.param({"PGIMPORT_WORKER_IMAGES": "17=worker"}, "PGIMPORT_WORKER_IMAGES: not JSON", id="no JSON"),
        pytest.param({"PGIMPORT_WORKER_IMAGES": "[1]"}, "PGIMPORT_WORKER_IMAGES: Input should", id="the wrong JSON"),
        pytest.param(
            {"PGIMPORT_WORKER_IMAGES": '{"17": 17}'}, "PGIMPORT_WORKER_IMAGES: Input", id="a number as an image"
        ),
        pytest.param({"PGIMPORT_WORKERS": "many"}, "PGIMPORT_WORKERS: Input should be a valid integer", id="no number"),
        pytest.param({"PGIMPORT_WORKERS": "0"}, "PGIMPORT_WORKERS: Input should be greater", id="no worker"),
        pytest.param({"PGIMPORT_SWEEP_SECONDS": "11"}, "PGIMPORT_SWEEP_SECONDS: ", id="too long an interval"),
        pytest.param({"PGIMPORT_DENIED_NETWORKS": "10.0.0"}, "PGIMPORT_DENIED_NETWORKS: ", id="no network"),
        pytest.param({"PGIMPORT_HEALTH_PORT": "70000"}, "PGIMPORT_HEALTH_PORT: ", id="no port"),
    ],
)
def test_an_error_names_the_variable(changes: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(VALID | changes)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("wrong", ["10.0.0.1,ingress.example.com", "10.0.0", "*"])
def test_a_proxy_is_an_address_or_a_network(wrong: str) -> None:
    """Anything else is no proxy's address: all of its clients would share one limit, without a warning."""
    with pytest.raises(SettingsError, match=r"^PGIMPORT_TRUSTED_PROXIES: .*no network"):
        read_api_settings(VALID | {"PGIMPORT_API_SECRET_FILE": "-", "PGIMPORT_TRUSTED_PROXIES": wrong})
