# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""RFC 9728: protected-resource metadata and the challenge that names it."""

import re

import pytest

from harness import conf

pytestmark = pytest.mark.only("sqlite", "documents made of the configuration")

WELL_KNOWN = "/.well-known/oauth-protected-resource"
CONF = conf.API + f"""
<Location "{WELL_KNOWN}">
  SetHandler rensei-resource-metadata
  Require all granted
</Location>
""" + "".join([
    conf.protected("/mcp", "RenseiResourceMetadata On",
                   "SetHandler rensei-whoami"),
    conf.protected("/quiet", "SetHandler rensei-whoami"),
])


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd(CONF + """
        <VirtualHost *:@PORT@>
          ServerName plain.example
        </VirtualHost>
        <VirtualHost *:@PORT@>
          ServerName behind.example
          RenseiBaseURL https://auth.example/base
        </VirtualHost>""", store=world.store)


def test_the_challenge_leads_to_the_metadata(gate):
    """As a client follows it: 401, the URL in it, the document."""
    answer = gate.get("/mcp/tools")
    assert answer.status == 401
    url = re.search(r'resource_metadata="([^"]+)"',
                    answer.headers["WWW-Authenticate"]).group(1)
    base = "http://localhost"
    assert url.startswith(base) and url.endswith(WELL_KNOWN + "/mcp/tools")
    path = WELL_KNOWN + url.split(WELL_KNOWN)[1]
    found = gate.get(path)
    assert found.status == 200
    document = found.json
    assert document["resource"].endswith("/mcp/tools")
    assert document["authorization_servers"] == [url.split("/.well-known")[0]]
    assert "sessions:read" in document["scopes_supported"]
    assert "org:read" not in document["scopes_supported"]
    assert document["bearer_methods_supported"] == ["header"]
    # RFC 9728 3.3: what is fetched must be for what was asked
    assert document["resource"] == url.replace(WELL_KNOWN, "")


def test_an_unknown_path_is_404(gate):
    for path in ("/quiet", "/none", "", "/", "/api/whoami"):
        answer = gate.get(WELL_KNOWN + path)
        assert answer.error == (404, "not_found"), path
    assert gate.get(WELL_KNOWN + "/mcp").status == 200


def test_no_attribute_elsewhere(gate):
    assert "resource_metadata" not in gate.get(
        "/quiet").headers["WWW-Authenticate"]


def test_a_configured_base_url(gate):
    answer = gate.get("/mcp", host="behind.example")
    assert ('resource_metadata="https://auth.example/base' + WELL_KNOWN
            + '/mcp"') in answer.headers["WWW-Authenticate"]
    document = gate.get(WELL_KNOWN + "/mcp", host="behind.example").json
    assert document["resource"] == "https://auth.example/base/mcp"
    assert document["authorization_servers"] == ["https://auth.example/base"]


def test_with_a_bad_token_too(gate):
    challenge = gate.get("/mcp", token="a.b.c").headers["WWW-Authenticate"]
    assert 'error="invalid_token"' in challenge
    assert "resource_metadata=" in challenge


def test_methods(gate):
    assert gate.request("HEAD", WELL_KNOWN + "/mcp").status == 200
    answer = gate.post(WELL_KNOWN + "/mcp", json={})
    assert answer.status == 405
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize("url", ["auth.example", "ftp://x", "https://",
                                 "https://x/", "https://x?a", "https://x#a",
                                 "/x", "https://u@x"])
def test_a_base_url_that_is_none(launch_here, world, url):
    server = launch_here.httpd("", store=world.store, start=False)
    good, said = server.configtest(f'RenseiBaseURL "{url}"\n' + conf.API)
    assert not good and "RenseiBaseURL" in said
