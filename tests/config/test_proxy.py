"""By which proxy the platform is reached: the setting, else the environment's variables as other programs read them."""

import pytest

from config import ConfigurationError, load
from config.proxy import Proxy, proxy_of

SECRET = "hunter2"
PROXY = "http://proxy.corp:3128"


def found(url: str = "https://eu.example.com/send", setting: str | None = None, **environ: str) -> Proxy | None:
    settings = {"CAMPAIGN_API__URL": url, "CAMPAIGN_API__SERVER_KEY": "k"}
    if setting is not None:
        settings["CAMPAIGN_API__PROXY"] = setting
    return proxy_of(load(None, settings), environ)


@pytest.mark.parametrize(
    "url, environ, named_by",
    [
        ("https://eu.example.com/send", {"HTTPS_PROXY": PROXY}, "HTTPS_PROXY"),
        ("https://eu.example.com/send", {"https_proxy": PROXY, "HTTPS_PROXY": "http://other:1"}, "https_proxy"),
        ("https://eu.example.com/send", {"HTTPS_PROXY": "proxy.corp:3128"}, "HTTPS_PROXY"),
        ("https://eu.example.com/send", {"HTTPS_PROXY": PROXY, "NO_PROXY": "example.org,notexample.com"}, "HTTPS_PROXY"),
        ("http://eu.example.com/send", {"http_proxy": PROXY}, "http_proxy"),
        ("http://eu.example.com/send", {"HTTP_PROXY": PROXY, "HTTPS_PROXY": PROXY}, None),
        ("https://eu.example.com/send", {"http_proxy": PROXY}, None),
        ("https://eu.example.com/send", {"https_proxy": "", "HTTPS_PROXY": PROXY}, None),
        ("https://eu.example.com/send", {"HTTPS_PROXY": PROXY, "NO_PROXY": "eu.example.com"}, None),
        ("https://eu.example.com/send", {"HTTPS_PROXY": PROXY, "NO_PROXY": "localhost, .example.com"}, None),
        ("https://eu.example.com/send", {"HTTPS_PROXY": PROXY, "no_proxy": "*", "NO_PROXY": "other"}, None),
        ("https://eu.example.com:8443/send", {"HTTPS_PROXY": PROXY, "NO_PROXY": "eu.example.com:8443"}, None),
        ("https://localhost/send", {"HTTPS_PROXY": PROXY}, None),
        ("http://127.0.0.1:8080/send", {"http_proxy": PROXY}, None),
    ],
)  # fmt: skip
def test_the_environment_names_a_proxy_as_it_does_for_other_programs(
    url: str, environ: dict[str, str], named_by: str | None
) -> None:
    proxy = found(url, **environ)
    assert (None if proxy is None else proxy.named_by) == named_by
    assert proxy is None or str(proxy) == f"proxy proxy.corp:3128 ({named_by})"


@pytest.mark.parametrize("url", ["https://eu.example.com/send", "http://127.0.0.1:8080/send"])
def test_the_setting_wins_over_the_environment(url: str) -> None:
    proxy = found(url, PROXY, HTTPS_PROXY="http://other:1", NO_PROXY="*")
    assert str(proxy) == "proxy proxy.corp:3128 (CAMPAIGN_API__PROXY)"


@pytest.mark.parametrize("given, address", [("http://[fd00::1]:3128/", "[fd00::1]:3128"), ("http://p", "p:80")])
def test_an_address_is_written_as_urls_have_it(given: str, address: str) -> None:
    proxy = found(setting=given)
    assert proxy is not None
    assert proxy.address == address


def test_a_password_is_sent_and_shown_nowhere() -> None:
    proxy = found(setting=f"http://me:{SECRET}%40@proxy.corp:3128")
    assert proxy is not None
    assert proxy.credentials is not None
    assert proxy.credentials.get_secret_value() == "Basic bWU6aHVudGVyMkA="
    assert all(secret not in f"{proxy} {proxy!r}" for secret in (SECRET, "bWU6"))


@pytest.mark.parametrize("name", ["CAMPAIGN_API__PROXY", "HTTPS_PROXY"])
@pytest.mark.parametrize(
    "value, problem",
    [
        (f"https://me:{SECRET}@proxy:3128", "must begin with http://"),
        (f"socks5://me:{SECRET}@proxy:1080", "must begin with http://"),
        (f"http://me:{SECRET}@proxy:port", "must be http://host:port"),
        (f"http://me:{SECRET}@proxy:3128/path", "must be http://host:port"),
        (f"http://me:{SECRET}@", "must be http://host:port"),
        (f"http://me:{SECRET} x@proxy:3128", "must be http://host:port"),
    ],
)
def test_what_cannot_be_used_is_a_mistake_that_shows_no_password(name: str, value: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        found(setting=value) if name.startswith("CAMPAIGN_") else found(HTTPS_PROXY=value)
    (said,) = map(str, raised.value.mistakes)
    assert said.startswith(f"{name} (environment): {problem}")
    assert SECRET not in said
