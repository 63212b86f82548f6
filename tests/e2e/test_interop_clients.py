# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Whole visits of unmodified clients: each finds the issuer by its metadata
where it can, gets a token, uses it, asks what it is worth, revokes it, and
sees that it is refused. Signed with a key, as an issuer with verifiers of
its own is set up."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from oauthlib.oauth2 import (BackendApplicationClient, InvalidClientError,
                             InvalidScopeError)
from requests.auth import HTTPBasicAuth

from harness import conf, jwt, known_secrets, where
from harness.admin import Admin
from harness.oauth import (ASSERTION, INTROSPECT, JWKS, REVOKE, TOKEN, WHOAMI,
                           active, assertion_claims, new_key, public, sign)
from harness.store import Client

pytestmark = pytest.mark.only(
    "sqlite", "what an answer looks like, wherever it was recorded")

SCOPE = "workers:read sessions:read"
READ = "sessions:read"
GO = Path(__file__).parent / "go" / "client.go"
GOPATH = Path("/usr/share/gocode")


def keyfile(server, name, key):
    # root reads it before privileges go; a normal user's is his own
    return server.file(name, key.as_pem(is_private=True).decode(), 0o600,
                       owner=not where.AS_ROOT)


@pytest.fixture(scope="module")
def gate(launch, world):
    server = launch.httpd(
        "RenseiSigningKey file:@DIR@/key.pem\nRenseiThrottle off\n"
        + conf.ISSUER, store=world.store, start=False)
    keyfile(server, "key.pem", new_key())
    return server.start()


@pytest.fixture(scope="module")
def base(gate):
    return f"http://localhost:{gate.port}"


@pytest.fixture(scope="module")
def client(world):
    return world.a.client(SCOPE)


@pytest.fixture(scope="module")
def wrong(client):
    return Client(client.id, known_secrets.add("m2ms_" + "cd" * 32))


@pytest.fixture(scope="module")
def foreign(gate, world):
    """A token of another client, in the same organisation."""
    return gate.token(world.a.client(READ))


class Signer:
    """A client with a key of its own, of one algorithm."""

    def __init__(self, gate, org, alg):
        self.alg, self.key = alg, new_key(alg, kid="client-" + alg)
        self.id = Admin(gate, org.admin.token, org.id).client(
            name=alg, scopes=SCOPE.split(), jwks=public(self.key),
            tokenEndpointAuthMethod="private_key_jwt")["clientId"]


@pytest.fixture(scope="module")
def signers(gate, world):
    return {alg: Signer(gate, world.a, alg)
            for alg in ("ES256", "RS256", "PS256", "EdDSA")}


# -- oauth4webapi and openid-client -------------------------------------------

LIBRARIES = ["oauth4webapi", "openid-client"]


def visit(node, base, library, foreign=None, **more):
    got = node("interop.mjs", library=library, base=base, scope=READ,
               foreign=foreign, **more)
    assert "problem" not in got, got
    return got


def check_visit(got, base, client_id, world, gate):
    """What the library found at each station."""
    assert got["server"]["issuer"] == base
    assert got["server"]["token_endpoint"] == base + TOKEN
    assert got["server"]["jwks_uri"] == base + JWKS
    assert got["token"]["scope"] == READ
    assert got["token"]["expires_in"] == 3600
    assert jwt.read(got["token"]["access_token"])[0]["alg"] == "ES256"
    assert got["whoami"]["sub"] == client_id
    assert got["whoami"]["orgId"] == world.a.id
    said = got["active"]
    assert (said["active"], said["client_id"]) == (True, client_id)
    assert (said["scope"], said["aud"]) == (READ, "rensei-api")
    assert got["revoked"] == "done"
    assert got["inactive"] == {"active": False}
    assert got["refused"]["status"] == 401
    assert got["refused"]["challenge"] == "invalid_token"


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("method", ["basic", "post"])
def test_node_with_a_secret(node, gate, base, client, world, foreign, library,
                            method):
    got = visit(node, base, library, foreign, method=method, id=client.id,
                secret=client.secret)
    check_visit(got, base, client.id, world, gate)
    # RFC 7009 2.1: a token that was issued to somebody else stays
    assert got["foreign"]["error"] == "invalid_grant", got["foreign"]
    assert got["foreign"]["status"] == 400
    assert active(gate, world.a.admin, foreign)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("alg", ["ES256", "RS256", "PS256", "EdDSA"])
def test_node_with_an_assertion(node, gate, base, signers, world, library,
                                alg):
    """Each request of theirs has an assertion of its own, whose audience is
    the issuer."""
    signer = signers[alg]
    got = visit(node, base, library, method="private_key_jwt", id=signer.id,
                alg=alg, key=signer.key.as_dict(is_private=True,
                                                **signer.key.options))
    check_visit(got, base, signer.id, world, gate)


@pytest.mark.parametrize("library", LIBRARIES)
def test_node_with_an_assertion_of_another_key(node, base, signers, library):
    other = new_key("ES256", kid="client-ES256")
    got = node("interop.mjs", library=library, base=base, scope=READ,
               method="private_key_jwt", id=signers["ES256"].id, alg="ES256",
               key=other.as_dict(is_private=True, **other.options))
    assert (got["status"], got["error"]) == (401, "invalid_client"), got


@pytest.mark.parametrize("library", LIBRARIES)
def test_node_insists_on_the_issuer(node, gate, base, client, library):
    """The metadata names the URL that it was asked for, by either name: these
    libraries refuse any other (RFC 8414 3.3)."""
    other = base.replace("localhost", "127.0.0.1")
    got = visit(node, other, library, method="post", id=client.id,
                secret=client.secret)
    assert got["server"]["issuer"] == other
    got = node("interop.mjs", library=library, base=other + "/elsewhere",
               method="post", id=client.id, secret=client.secret, scope=READ)
    assert "problem" in got, got


# -- simple-oauth2 ------------------------------------------------------------


@pytest.mark.parametrize("options", [
    {}, {"credentialsEncodingMode": "loose"},
    {"authorizationMethod": "body"},
    {"authorizationMethod": "body", "bodyFormat": "json"}],
    ids=["header", "header-loose", "form", "json"])
def test_simple_oauth2(node, gate, base, client, world, options):
    got = node("simple.mjs", base=base, id=client.id, secret=client.secret,
               scope=SCOPE, options=options)
    assert got["expired"] is False, got
    assert (got["token"]["token_type"], got["token"]["scope"]) == (
        "Bearer", SCOPE)
    token = got["token"]["access_token"]
    assert gate.get(WHOAMI, token=token).json["sub"] == client.id
    got = node("simple.mjs", base=base, id=client.id, secret=client.secret,
               scope=READ, options=options, revoke=True)
    assert got["token"]["scope"] == READ, got
    assert not active(gate, world.a.admin, got["token"]["access_token"])
    assert active(gate, world.a.admin, token)


@pytest.mark.parametrize("how", ["header", "body"])
def test_simple_oauth2_with_a_wrong_secret(node, base, wrong, how):
    got = node("simple.mjs", base=base, id=wrong.id, secret=wrong.secret,
               scope=READ, options={"authorizationMethod": how})
    assert got["status"] == 401, got
    assert got["payload"]["error"] == "invalid_client"


# -- jose, while the issuer rotates -------------------------------------------


def test_jose_while_keys_rotate(node, launch_here, world):
    """As docs/directives.md has it: published, then signing, then gone."""
    gate = launch_here.httpd("", store=world.store, start=False)
    client = world.a.client(READ)
    keys = {"a": new_key("ES256"), "b": new_key("EdDSA"),
            "x": new_key("ES256")}
    for name, key in keys.items():
        keyfile(gate, name + ".pem", key)

    def ring(*names):
        return "".join(f"RenseiSigningKey file:@DIR@/{name}.pem kid={name}\n"
                       for name in names) + conf.ISSUER

    gate.conf = ring("a")
    gate.start()
    with node.start("jwks.mjs") as verify:
        verify(jwks=f"http://localhost:{gate.port}{JWKS}",
               issuer="rensei-platform", audience="rensei-api")
        first = gate.token(client)
        got = verify(token=first)
        assert got["header"] == {"alg": "ES256", "kid": "a", "typ": "JWT"}
        assert got["claims"]["sub"] == client.id
        claims = jwt.read(first)[1]
        bad = {
            "ERR_JWS_SIGNATURE_VERIFICATION_FAILED":
                sign(keys["x"], "ES256", claims, kid="a"),
            "ERR_JWKS_NO_MATCHING_KEY":
                sign(keys["x"], "ES256", claims, kid="x"),
            "ERR_JWT_EXPIRED":
                sign(keys["a"], "ES256", {**claims, "exp": claims["iat"]},
                     kid="a")}
        for code, token in bad.items():
            assert verify(token=token)["problem"] == code
        for changes in ({"aud": "other"}, {"iss": "other"}):
            token = sign(keys["a"], "ES256", {**claims, **changes}, kid="a")
            assert verify(token=token)["problem"] == (
                "ERR_JWT_CLAIM_VALIDATION_FAILED")
        good = sign(keys["a"], "ES256", claims, kid="a")
        assert verify(token=good)["claims"] == claims

        gate.write(ring("a", "b"))
        gate.graceful()
        assert verify(token=gate.token(client))["header"]["kid"] == "a"
        gate.write(ring("b", "a"))
        gate.graceful()
        second = gate.token(client)
        got = verify(token=second)
        assert got["header"] == {"alg": "EdDSA", "kid": "b", "typ": "JWT"}
        assert verify(token=first)["claims"] == claims
        gate.stop()  # no child of before is left
        gate.write(ring("b"))
        gate.start()
        verify(reload=True)
        assert verify(token=first)["problem"] == "ERR_JWKS_NO_MATCHING_KEY"
        assert verify(token=second)["claims"]["sub"] == client.id


# -- authlib ------------------------------------------------------------------


def prove(caller, url, alg):
    """As authlib's manual has it."""
    caller.register_client_auth_method(PrivateKeyJWT(url, alg=alg))


def authlib(client_id, secret, method):
    return OAuth2Session(client_id, secret, scope=READ,
                         token_endpoint_auth_method=method,
                         revocation_endpoint_auth_method=method)


def visit_by_authlib(caller, base, client_id, ready):
    ready()
    token = caller.fetch_token(base + TOKEN, grant_type="client_credentials")
    what = known_secrets.add(token["access_token"])
    assert token["scope"] == READ and not token.is_expired()
    assert caller.get(base + WHOAMI).json()["sub"] == client_id

    def introspect():
        ready()
        answer = caller.introspect_token(base + INTROSPECT, token=what)
        assert answer.status_code == 200, answer.text
        return answer.json()

    said = introspect()
    assert (said["active"], said["client_id"], said["scope"]) == (
        True, client_id, READ)
    ready()
    done = caller.revoke_token(base + REVOKE, token=what,
                               token_type_hint="access_token")
    assert (done.status_code, done.json()) == (200, {})
    assert introspect() == {"active": False}
    assert caller.get(base + WHOAMI).status_code == 401


@pytest.mark.parametrize("method", ["client_secret_basic",
                                    "client_secret_post"])
def test_authlib_with_a_secret(base, client, method):
    with authlib(client.id, client.secret, method) as caller:
        visit_by_authlib(caller, base, client.id, lambda: None)


@pytest.mark.parametrize("alg", ["ES256", "RS256", "PS256", "EdDSA"])
def test_authlib_with_an_assertion(base, signers, alg):
    signer = signers[alg]
    with authlib(signer.id, signer.key.as_pem(is_private=True),
                 "private_key_jwt") as caller:
        visit_by_authlib(caller, base, signer.id,
                         lambda: prove(caller, base + TOKEN, alg))


def test_authlib_with_another_key(base, signers):
    with authlib(signers["ES256"].id, new_key().as_pem(is_private=True),
                 "private_key_jwt") as caller:
        prove(caller, base + TOKEN, "ES256")
        with pytest.raises(OAuthError) as caught:
            caller.fetch_token(base + TOKEN, grant_type="client_credentials")
    assert caught.value.error == "invalid_client"


# -- requests-oauthlib --------------------------------------------------------


@pytest.fixture
def oauthlib(monkeypatch):
    """Its sessions. It insists on https unless the environment says so."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    from requests_oauthlib import OAuth2Session as Session

    def session(client, scope=READ):
        return Session(client=BackendApplicationClient(client.id,
                                                       scope=scope))
    return session


def shown(client, how):
    """What fetch_token is told of the secret."""
    if how == "basic":
        return {"auth": HTTPBasicAuth(*client)}
    if how == "default":  # Basic as well, by its own choice
        return {"client_secret": client.secret}
    return {"include_client_id": True, "client_secret": client.secret}


@pytest.mark.parametrize("how", ["basic", "default", "body"])
@pytest.mark.parametrize("scope", [READ, SCOPE])
def test_requests_oauthlib(oauthlib, base, client, how, scope):
    """It raises a warning, as an exception, over another scope than the one
    asked for."""
    with oauthlib(client, scope.split()) as caller:
        token = caller.fetch_token(base + TOKEN, **shown(client, how))
        known_secrets.add(token["access_token"])
        assert token["scope"] == scope.split()
        me = caller.get(base + WHOAMI)
    assert (me.status_code, me.json()["sub"]) == (200, client.id)
    assert me.json()["scopes"] == scope.split()


@pytest.mark.parametrize("how", ["basic", "body"])
def test_requests_oauthlib_refused(oauthlib, base, client, wrong, how):
    with oauthlib(wrong) as caller, pytest.raises(InvalidClientError):
        caller.fetch_token(base + TOKEN, **shown(wrong, how))
    with oauthlib(client, "org:read") as caller:
        with pytest.raises(InvalidScopeError):
            caller.fetch_token(base + TOKEN, **shown(client, how))


# -- golang.org/x/oauth2 ------------------------------------------------------


@pytest.fixture(scope="module")
def go(tmp_path_factory):
    """Runs go/client.go. Half a gigabyte of packages: not what make test
    installs, but it is used where it is."""
    if (shutil.which("go") is None
            or not (GOPATH / "src/golang.org/x/oauth2").is_dir()):
        pytest.skip("no Go here: apt-get install golang-go "
                    "golang-golang-x-oauth2-dev")
    folder = tmp_path_factory.mktemp("go")
    env = {"PATH": os.environ["PATH"], "HOME": str(folder),
           "GO111MODULE": "off", "GOPATH": str(GOPATH),
           "GOCACHE": str(folder / "cache"), "GOFLAGS": "", "GOENV": "off"}
    done = subprocess.run(["go", "build", "-o", str(folder / "client"),
                           str(GO)], env=env, cwd=folder, text=True,
                          capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr

    def run(**ask):
        got = subprocess.run([folder / "client"], input=json.dumps(ask),
                             text=True, capture_output=True, timeout=30)
        assert got.returncode == 0, got.stderr
        return known_secrets.learn(json.loads(got.stdout))
    return run


@pytest.mark.parametrize("style", ["auto", "basic", "post"])
def test_go(go, base, client, style):
    got = go(base=base, id=client.id, secret=client.secret, style=style,
             scopes=SCOPE.split())
    assert got.get("status") == 200, got
    assert (got["type"], got["valid"], got["scope"]) == ("Bearer", True, SCOPE)
    assert 3590 < got["expires_in"] <= 3600
    assert got["whoami"]["sub"] == client.id


def test_go_with_a_resource(go, base, world):
    name = "https://jobs.example/"
    client = world.a.client(SCOPE, audience=name)
    ask = {"base": base, "id": client.id, "secret": client.secret,
           "style": "basic"}
    got = go(**ask, params={"resource": [name]})
    # it is for somebody else: not for us
    assert got["status"] == 401, got
    assert jwt.read(got["access_token"])[1]["aud"] == name
    got = go(**ask, params={"resource": ["https://other.example/"]})
    assert (got["status"], got["body"]["error"]) == (400, "invalid_target")


@pytest.mark.parametrize("style", ["auto", "basic", "post"])
def test_go_with_a_wrong_secret(go, base, wrong, style):
    got = go(base=base, id=wrong.id, secret=wrong.secret, style=style)
    assert (got["status"], got["body"]["error"]) == (401, "invalid_client")


# -- curl ---------------------------------------------------------------------


def curl(url, *args, **form):
    """(status, body) of what curl got."""
    for name, value in form.items():
        args += ("--data-urlencode", f"{name}={value}")
    done = subprocess.run(["curl", "-sS", "-w", "\n%{http_code}", *args, url],
                          text=True, capture_output=True, timeout=30,
                          check=True)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), known_secrets.learn(json.loads(body))


@pytest.mark.parametrize("how", ["basic", "post", "private_key_jwt"])
def test_curl(base, client, signers, how):
    """A shell script's visit."""
    who = signers["ES256"] if how == "private_key_jwt" else client

    def ask(path, **form):
        if how == "basic":
            return curl(base + path, "-u", ":".join(client), **form)
        if how == "post":
            return curl(base + path, client_id=client.id,
                        client_secret=client.secret, **form)
        return curl(base + path, client_assertion_type=ASSERTION,
                    client_assertion=sign(
                        who.key, who.alg,
                        assertion_claims(who.id, base + path)), **form)

    status, got = ask(TOKEN, grant_type="client_credentials", scope=READ)
    assert (status, got["scope"]) == (200, READ)
    token = got["access_token"]
    status, me = curl(base + WHOAMI, "--oauth2-bearer", token)
    assert (status, me["sub"]) == (200, who.id)
    status, said = ask(INTROSPECT, token=token)
    assert (status, said["active"], said["sub"]) == (200, True, who.id)
    assert ask(REVOKE, token=token) == (200, {})
    assert ask(INTROSPECT, token=token) == (200, {"active": False})
    status, said = curl(base + WHOAMI, "--oauth2-bearer", token)
    assert (status, said["error"]) == (401, "invalid_token")
