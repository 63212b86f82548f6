# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Real clients, as users have them: authlib, curl, and the two libraries
that most of JavaScript uses. Each gets a token and uses it."""

import json
import subprocess

import pytest
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from harness import conf, known_secrets
from harness.store import Client

SCOPE = "workers:read sessions:read"


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd(conf.API, store=world.store)


@pytest.fixture(scope="module")
def base(gate):
    return f"http://127.0.0.1:{gate.port}"


@pytest.fixture(scope="module")
def client(world):
    return world.a.client(SCOPE)


@pytest.fixture(scope="module")
def wrong(client):
    return Client(client.id, known_secrets.add("m2ms_" + "ab" * 32))


# -- curl ---------------------------------------------------------------------


def curl(*args):
    """(status, body) of what curl got."""
    done = subprocess.run(["curl", "-sS", "-w", "\n%{http_code}", *args],
                          text=True, capture_output=True, timeout=30,
                          check=True)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), known_secrets.learn(json.loads(body))


def test_curl_in_every_way(base, client):
    url = base + "/api/oauth/token"
    ways = (
        ["-d", "grant_type=client_credentials", "-d", f"client_id={client.id}",
         "-d", f"client_secret={client.secret}"],
        ["-d", "grant_type=client_credentials",
         "-u", f"{client.id}:{client.secret}"],
        ["-H", "Content-Type: application/json", "-d", json.dumps({
            "grant_type": "client_credentials", "client_id": client.id,
            "client_secret": client.secret})],
        ["--json", json.dumps({
            "grant_type": "client_credentials", "client_id": client.id,
            "client_secret": client.secret})])
    for way in ways:
        status, body = curl(url, *way)
        assert status == 200, body
        assert body["scope"] == SCOPE
        status, me = curl(base + "/api/whoami", "--oauth2-bearer",
                          body["access_token"])
        assert (status, me["sub"]) == (200, client.id)


def test_curl_with_a_wrong_secret(base, wrong):
    status, body = curl(base + "/api/oauth/token",
                        "-d", "grant_type=client_credentials",
                        "-u", f"{wrong.id}:{wrong.secret}")
    assert (status, body["error"]) == (401, "invalid_client")


# -- authlib ------------------------------------------------------------------

METHODS = {"basic": "client_secret_basic", "post": "client_secret_post"}


def session(client, method, **more):
    return OAuth2Session(client.id, client.secret,
                         token_endpoint_auth_method=METHODS[method], **more)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scope", [None, "sessions:read", SCOPE])
def test_authlib(base, client, method, scope):
    with session(client, method, scope=scope) as caller:
        token = caller.fetch_token(base + "/api/oauth/token",
                                   grant_type="client_credentials")
        known_secrets.add(token["access_token"])
        assert token["token_type"] == "Bearer"
        assert token["scope"] == (scope or SCOPE)
        assert not token.is_expired()
        me = caller.get(base + "/api/whoami")
    assert me.status_code == 200
    assert me.json()["scopes"] == (scope or SCOPE).split()


@pytest.mark.parametrize("method", METHODS)
def test_authlib_with_a_wrong_secret(base, wrong, method):
    with session(wrong, method) as caller:
        with pytest.raises(OAuthError) as caught:
            caller.fetch_token(base + "/api/oauth/token",
                               grant_type="client_credentials")
    assert caught.value.error == "invalid_client"
    assert caught.value.description


def test_authlib_with_a_scope_too_many(base, client):
    with session(client, "post", scope="org:read") as caller:
        with pytest.raises(OAuthError) as caught:
            caller.fetch_token(base + "/api/oauth/token",
                               grant_type="client_credentials")
    assert caught.value.error == "invalid_scope"


# -- JavaScript ---------------------------------------------------------------


LIBRARIES = ["oauth4webapi", "openid-client"]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("method", METHODS)
def test_node(node, base, client, world, library, method):
    """These encode what goes into Basic, `_` as %5F, and parse strictly."""
    got = node("token.mjs", library=library, method=method, base=base,
               id=client.id, secret=client.secret, scope="sessions:read")
    assert "problem" not in got, got
    assert got["token"]["scope"] == "sessions:read"
    assert got["token"]["expires_in"] == 3600
    assert got["token"]["token_type"].lower() == "bearer"
    assert got["whoami"]["sub"] == client.id
    assert got["whoami"]["orgId"] == world.a.id


@pytest.mark.parametrize("library", LIBRARIES)
def test_node_with_a_wrong_secret(node, base, wrong, library):
    """By post there is no challenge, so that the library reports the error,
    not the challenge in its place."""
    got = node("token.mjs", library=library, method="post", base=base,
               id=wrong.id, secret=wrong.secret)
    assert got["error"] == "invalid_client", got
    assert got["status"] == 401
    assert got["error_description"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_node_with_a_wrong_secret_by_basic(node, base, wrong, library):
    """By Basic RFC 6749 5.2 wants the challenge, and this is what they then
    report; that they can parse it is what counts here."""
    got = node("token.mjs", library=library, method="basic", base=base,
               id=wrong.id, secret=wrong.secret)
    assert got["status"] == 401, got
    assert got["code"] in ("OAUTH_WWW_AUTHENTICATE_CHALLENGE",
                           "OAUTH_RESPONSE_BODY_ERROR")


@pytest.mark.parametrize("library", LIBRARIES)
def test_node_with_a_scope_too_many(node, base, client, library):
    got = node("token.mjs", library=library, method="post", base=base,
               id=client.id, secret=client.secret, scope="org:write")
    assert got["error"] == "invalid_scope", got
    assert got["status"] == 400


def test_jose_verifies_our_token(node, gate, client, world):
    """A backend may check the token itself, with the shared secret."""
    ask = {"token": gate.token(client), "secret": gate.secret,
           "issuer": "rensei-platform", "audience": "rensei-api"}
    got = node("verify.mjs", **ask)
    assert "problem" not in got, got
    assert got["header"]["alg"] == "HS256"
    assert got["claims"]["sub"] == client.id
    assert got["claims"]["org_id"] == world.a.id
    assert got["claims"]["scopes"] == SCOPE.split()
    wrong_secret = node("verify.mjs", **{**ask, "secret": "x" * 48})
    assert wrong_secret == {
        "problem": "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"}
    other = node("verify.mjs", **{**ask, "audience": "other"})
    assert other == {"problem": "ERR_JWT_CLAIM_VALIDATION_FAILED"}
