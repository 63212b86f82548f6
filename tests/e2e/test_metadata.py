# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""GET /.well-known/oauth-authorization-server (RFC 8414)."""

import pytest

from harness import conf, where
from harness.oauth import ALGS, METADATA, new_key

pytestmark = pytest.mark.only("sqlite", "documents made of the configuration")

METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
ENDPOINTS = {"token": "/api/oauth/token",
             "introspection": "/api/oauth/introspect",
             "revocation": "/api/oauth/revoke"}


@pytest.fixture(scope="module")
def gate(launch, world):
    def vhost(name, lines):
        return (f"<VirtualHost *:@PORT@>\nServerName {name}\n"
                + world.store.dbd() + lines + conf.ISSUER + "</VirtualHost>\n")

    server = launch.httpd("", store=world.store, start=False)
    server.file("key.pem", new_key().as_pem(is_private=True).decode(), 0o600,
                owner=not where.AS_ROOT)
    server.conf = (
        vhost("localhost", "")
        + vhost("keys.example", "RenseiSigningKey file:@DIR@/key.pem\n")
        + vhost("base.example", "RenseiBaseURL https://auth.example:8443\n")
        + vhost("path.example", "RenseiBaseURL https://x.example/auth/eu\n")
        + vhost("mcp.example", "RenseiAuthorizationEndpoint "
                               "https://login.example/authorize?p=1\n")
        + vhost("words.example", "RenseiScopes m2m jobs:run jobs:read\n")
        + vhost("issuer.example", "RenseiIssuer urn:issuer\n"))
    return server.start()


def fetch(gate, host="localhost", path=METADATA):
    answer = gate.get(path, host=host)
    assert answer.status == 200, answer
    assert answer.headers.get_content_type() == "application/json"
    return answer.json


def test_all_of_it(gate):
    algs = list(ALGS)
    wanted = {
        "issuer": "http://localhost",
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "scopes_supported": ["workers:read", "workers:write", "sessions:read",
                             "sessions:write", "agents:read", "agents:write"],
    }
    for name, path in ENDPOINTS.items():
        # RFC 8414 2: an access token's type is a method for introspection
        more = ["Bearer"] if name == "introspection" else []
        wanted[name + "_endpoint"] = "http://localhost" + path
        wanted[name + "_endpoint_auth_methods_supported"] = METHODS + more
        wanted[name + "_endpoint_auth_signing_alg_values_supported"] = algs
    assert fetch(gate) == wanted


def test_jwks_uri_where_there_is_a_public_key(gate):
    assert "jwks_uri" not in fetch(gate)
    said = fetch(gate, "keys.example")
    assert said["jwks_uri"] == "http://keys.example/.well-known/jwks.json"
    assert gate.get("/.well-known/jwks.json",
                    host="keys.example").json["keys"]


@pytest.mark.parametrize("host, issuer", [
    ("localhost", "http://localhost"),
    ("localhost:8080", "http://localhost:8080"),
    ("LOCALHOST", "http://localhost"),
    ("127.0.0.1:81", "http://127.0.0.1:81"),
    ("[::1]:81", "http://[::1]:81"),
    ("other.example", "http://other.example"),
    ("localhost:80", "http://localhost")])
def test_the_issuer_is_where_it_was_fetched_from(gate, host, issuer):
    """RFC 8414 3.3: "MUST be identical", or the client is to refuse it."""
    said = fetch(gate, host)
    assert said["issuer"] == issuer
    assert said["token_endpoint"] == issuer + "/api/oauth/token"


@pytest.mark.parametrize("host", ['a"b', "a b", "a<b>", "a/b", "a\\b", "a@b",
                                  "a?b", "\u00e4".encode().decode("latin-1")])
def test_a_host_that_is_none(gate, host):
    """It would end up in every URL of the document."""
    answer = gate.raw(f"GET {METADATA} HTTP/1.1\r\nHost: {host}\r\n"
                      "Connection: close\r\n\r\n".encode("latin-1"))
    assert answer.status == 400


def test_the_iss_claim_is_apart_from_it(gate):
    assert fetch(gate, "issuer.example")["issuer"] == "http://issuer.example"


def test_a_configured_base(gate):
    said = fetch(gate, "base.example")
    assert said["issuer"] == "https://auth.example:8443"
    for name, path in ENDPOINTS.items():
        assert said[name + "_endpoint"] == "https://auth.example:8443" + path


def test_an_issuer_with_a_path(gate):
    """RFC 8414 3: the well-known part stands between the host and the path."""
    said = fetch(gate, "path.example", METADATA + "/auth/eu")
    assert said["issuer"] == "https://x.example/auth/eu"
    assert said["token_endpoint"] == (
        "https://x.example/auth/eu/api/oauth/token")
    assert said == fetch(gate, "path.example")
    for path in ("/auth", "/eu", "/auth/eu/x", "/auth/eu/", "/a/b/c", "/"):
        answer = gate.get(METADATA + path, host="path.example")
        assert answer.error == (404, "not_found"), path
    assert gate.get(METADATA + "/auth/eu").error == (404, "not_found")


def test_an_authorization_endpoint(gate):
    assert "authorization_endpoint" not in fetch(gate)
    assert fetch(gate, "mcp.example")["authorization_endpoint"] == (
        "https://login.example/authorize?p=1")


def test_the_vocabulary_of_its_own(gate):
    assert fetch(gate, "words.example")["scopes_supported"] == [
        "jobs:run", "jobs:read"]


def test_caching(gate):
    answer = gate.get(METADATA)
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    tag = answer.headers["ETag"]
    again = gate.get(METADATA, headers={"If-None-Match": tag})
    assert (again.status, again.body) == (304, b"")
    # another name, another document
    assert gate.get(METADATA, host="base.example",
                    headers={"If-None-Match": tag}).status == 200
    head = gate.request("HEAD", METADATA)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["ETag"] == tag


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_405(gate, method):
    answer = gate.request(method, METADATA)
    assert answer.error == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD"


def test_what_it_promises_is_there(gate):
    """Each endpoint answers, and is no mere word."""
    said = fetch(gate)
    for name in ENDPOINTS:
        url = said[name + "_endpoint"]
        assert url.startswith("http://localhost/")
        answer = gate.post(url[len("http://localhost"):], form={})
        assert answer.status in (400, 401) and answer.json["error"]


# -- configtest ---------------------------------------------------------------


@pytest.mark.parametrize("url", [
    "login.example", "/authorize", "ftp://x.example/", "https://",
    "https://x.example/#a", "https://u:p@x.example/", "https://x example/",
    'https://x.example/"', "https://x.example/<a>", "javascript:alert(1)",
    "https://\u00e4.example/"])
def test_an_authorization_endpoint_that_is_none(launch_here, world, url):
    server = launch_here.httpd("", store=world.store, start=False)
    quoted = url.replace('"', '\\"')
    good, said = server.configtest(
        f'RenseiAuthorizationEndpoint "{quoted}"\n' + conf.ISSUER)
    assert not good
    assert "RenseiAuthorizationEndpoint" in said and "https://" in said


@pytest.mark.parametrize("word", ["rfc9069", "RFC 9068", "on"])
def test_a_profile_that_is_none(launch_here, world, word):
    server = launch_here.httpd("", store=world.store, start=False)
    good, said = server.configtest(f'RenseiTokenProfile "{word}"\n'
                                   + conf.ISSUER)
    assert not good and "'default' or 'rfc9068'" in said


def test_server_directives_in_a_location(launch_here, world):
    server = launch_here.httpd("", store=world.store, start=False)
    for line in ("RenseiTokenProfile rfc9068", "RenseiClaims '{}'",
                 "RenseiAuthorizationEndpoint https://x.example/"):
        good, said = server.configtest(
            f'<Location "/x">\n{line}\n</Location>\n' + conf.ISSUER)
        assert not good and "not allowed in <Location>" in said
