"""Public and local addresses."""

from __future__ import annotations

import pytest

from agent_runtime.dev_servers.urls import Template, check_template, local_url
from agent_runtime.errors import RequestError


@pytest.mark.parametrize(
    ("template", "scheme", "path", "url"),
    [
        (None, "http", "", "http://localhost:5173"),
        (None, "https", "/app/", "https://localhost:5173/app/"),
        (
            "https://{port}-{sandboxId}.sandboxes.example.com",
            "http",
            "",
            "https://5173-sbx1.sandboxes.example.com",
        ),
        ("https://{port}.example.com/", "http", "/app/", "https://5173.example.com/app/"),
        ("https://example.com/p/{port}", "https", "/app", "https://example.com/p/5173/app"),
    ],
)
def test_the_template_makes_the_public_url(template: str | None, scheme: str, path: str, url: str) -> None:
    if template:
        check_template(template)
    assert Template(template, "sbx1").url(5173, scheme=scheme, path=path) == url


def test_a_template_that_lacks_its_id_gives_the_local_url() -> None:
    assert Template("https://{port}-{sandboxId}.example.com", None).url(80) == "http://localhost:80"


@pytest.mark.parametrize(
    "template",
    [
        "",
        "https://example.com",
        "https://{port",
        "https://{port}-{sandbox}.com",
        "https://{}.com",
        "{port}.com",
        "ftp://{port}.com",
        "https://{port:05d}.com",
        "https://{port!r}.com",
        "https://{{port}}.com",
        "https://{port} .com",
    ],
)
def test_an_invalid_template_is_refused_by_name(template: str) -> None:
    with pytest.raises(RequestError) as caught:
        check_template(template)
    assert (caught.value.field, repr(template) in str(caught.value)) == ("devUrl", True)


def test_local_urls_are_written_for_ipv4_and_ipv6() -> None:
    hosts = ["127.0.0.1", "::1", "127.0.0.2", "10.0.0.5"]
    assert [local_url(host, 1, path="/a") for host in hosts] == [
        "http://localhost:1/a",
        "http://[::1]:1/a",
        "http://127.0.0.2:1/a",
        "http://10.0.0.5:1/a",
    ]
