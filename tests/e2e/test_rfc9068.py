# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""RenseiTokenProfile rfc9068: tokens as RFC 9068 has them, to be read by
whoever knows it; and both profiles at every gateway."""

import time

import pytest
from authlib.jose import JsonWebKey, JsonWebToken

from harness import conf, jwt, where
from harness.admin import Admin
from harness.oauth import JWKS, TOKEN, WHOAMI, active, introspect, new_key
from harness.store import Client

READ, WRITE = "sessions:read", "sessions:write"
API = "https://api.example/"


def vhost(name, store, lines):
    return (f"<VirtualHost *:@PORT@>\nServerName {name}\n" + store.dbd()
            + lines + conf.ISSUER + "</VirtualHost>\n")


@pytest.fixture(scope="module")
def gate(launch, world):
    server = launch.httpd("", store=world.store, start=False)
    server.file("key.pem", new_key("RS256").as_pem(is_private=True).decode(),
                0o600, owner=not where.AS_ROOT)
    rfc9068 = "RenseiTokenProfile rfc9068\n"
    server.conf = (
        vhost("localhost", world.store, rfc9068)
        + vhost("default.example", world.store, "RenseiTokenProfile default\n")
        + vhost("rsa.example", world.store, rfc9068 +
                "RenseiIssuer https://rsa.example\n"
                "RenseiSigningKey file:@DIR@/key.pem\n")
        + vhost("claims.example", world.store, rfc9068 +
                "RenseiClaims '{\"team\": {{ client.name }}}'\n"))
    return server.start()


@pytest.fixture(scope="module")
def client(gate, world):
    made = Admin(gate, world.a.admin.token, world.a.id).client(
        name="ci", scopes=[READ, WRITE], audiences=[API],
        workspaceId=world.a.workspace)
    return Client(made["clientId"], made["clientSecret"])


def test_header_and_claims(gate, world, client):
    # RFC 9068 2.1, 2.2, 2.2.3
    before = int(time.time())
    header, claims = jwt.verified(gate.token(client), gate.secret)
    assert header["typ"] == "at+jwt"
    assert set(header) == {"alg", "typ", "kid"}
    assert {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} <= set(
        claims)
    assert claims["client_id"] == claims["sub"] == client.id
    assert claims["scope"] == f"{READ} {WRITE}"
    assert before <= claims["iat"] <= int(time.time())
    # and what every token of ours has
    assert claims["scopes"] == [READ, WRITE]
    assert claims["org_id"] == world.a.id
    assert claims["workspace_id"] == world.a.workspace
    assert set(claims) == {"iss", "exp", "aud", "sub", "client_id", "iat",
                           "jti", "scope", "scopes", "org_id", "workspace_id"}


def test_the_default_is_as_it_was(gate, client):
    header, claims = jwt.verified(gate.token(client, host="default.example"),
                                  gate.secret)
    assert header["typ"] == "JWT"
    assert not {"client_id", "scope"} & set(claims)


def test_a_narrower_scope(gate, client):
    token = gate.token(client, scope=READ)
    assert jwt.read(token)[1]["scope"] == READ
    assert jwt.read(token)[1]["scopes"] == [READ]


def test_both_are_good_everywhere(gate, client):
    for issued in ("localhost", "default.example"):
        token = gate.token(client, host=issued)
        for asked in ("localhost", "default.example"):
            answer = gate.get(WHOAMI, token=token, host=asked)
            assert answer.status == 200, answer
            assert answer.json["scopes"] == [READ, WRITE]
            assert active(gate, client, token)


def test_introspection_is_the_same_for_both(gate, client):
    said = [introspect(gate, client, gate.token(client, host=host))
            for host in ("localhost", "default.example")]
    for one in said:
        for name in ("iat", "exp", "jti"):
            assert one.pop(name)
    assert said[0] == said[1]
    assert said[0]["custom_claims"] == {}


def test_resource_indicators(gate, client):
    # RFC 9068 3: aud is the resource that was asked for
    answer = gate.post(TOKEN, form={
        "grant_type": "client_credentials", "client_id": client.id,
        "client_secret": client.secret, "resource": API})
    assert jwt.read(answer.json["access_token"])[1]["aud"] == API


def test_custom_claims_beside_it(gate, client):
    token = gate.token(client, host="claims.example")
    header, claims = jwt.read(token)
    assert (header["typ"], claims["team"]) == ("at+jwt", "ci")
    assert introspect(gate, client, token)["custom_claims"] == {"team": "ci"}


def test_as_a_resource_server_reads_it(gate, client):
    """RFC 9068 4, by another implementation, from the published keys."""
    host = "rsa.example"
    token = gate.token(client, host=host)
    keys = JsonWebKey.import_key_set(gate.get(JWKS, host=host).json)
    claims = JsonWebToken(["RS256"]).decode(token, keys, claims_options={
        "iss": {"essential": True, "value": "https://rsa.example"},
        "aud": {"essential": True, "value": "rensei-api"},
        "exp": {"essential": True}, "client_id": {"essential": True}})
    claims.validate()
    assert claims.header["typ"] == "at+jwt"
    assert claims["scope"].split() == claims["scopes"]


def test_two_organisations(gate, world):
    for org, other in ((world.a, world.b), (world.b, world.a)):
        client = org.client()
        token = gate.token(client)
        assert jwt.read(token)[1]["org_id"] == org.id
        assert active(gate, client, token)
        assert not active(gate, other.admin, token)


@pytest.mark.parametrize("typ, good", [
    ("at+jwt", True), ("AT+JWT", True), ("application/at+jwt", True),
    ("JWT", True), ("rensei-runtime+jwt", False), ("logout+jwt", False),
    ("at+jwtx", False), ("", False)])
def test_what_typ_may_say(gate, world, typ, good):
    """RFC 9068 4: every other kind of JWT is refused (RFC 8725 3.11), by the
    gateway and by introspection alike."""
    claims = world.a.claims(world.a.client())
    token = jwt.mint(gate.secret, claims, {"alg": "HS256", "typ": typ})
    assert gate.get(WHOAMI, token=token).status == (200 if good else 401)
    assert active(gate, world.a.admin, token) is good


def test_scope_alone_will_do(gate, world):
    """A token of another issuer of ours, with `scope` in place of
    `scopes`."""
    client = world.a.client()
    claims = world.a.claims(client, scope=READ, client_id=client.id)
    del claims["scopes"]
    token = jwt.mint(gate.secret, claims, {"alg": "HS256", "typ": "at+jwt"})
    assert introspect(gate, client, token)["scopes"] == [READ]
