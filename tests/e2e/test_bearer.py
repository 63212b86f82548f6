# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""At a protected location: every way to fail, and what
differs from one virtual host to another."""

import json
import time

import pytest

from harness import conf, httpd, jwt, known_secrets
from harness.pace import patient

PATH = "/r/any/x"
OTHER_SECRET = known_secrets.add("another virtual host's secret, long enough")

CONF = conf.API + conf.PROXY + "".join([
    conf.protected("/r/any/"),
    conf.protected("/r/named/", 'AuthName "the \\"big\\" one"'),
    conf.protected("/r/m2m/", "RenseiAccept m2m"),
    conf.protected("/r/key/", "RenseiAccept key"),
    conf.protected("/r/worker/", "RenseiAccept worker"),
    conf.protected("/r/scope/", "Require rensei-scope sessions:write"),
    conf.protected("/r/document/", "Require rensei-scope sessions:write",
                   "ErrorDocument 401 /sorry.txt",
                   "ErrorDocument 403 /sorry.txt",
                   "ErrorDocument 400 /sorry.txt"),
    conf.protected("/r/message/", "Require rensei-scope sessions:write",
                   'ErrorDocument 401 "come back with a token"',
                   'ErrorDocument 403 "come back with a scope"'),
    """
    <VirtualHost *:@PORT@>
      ServerName main.example
      ServerAlias localhost
    </VirtualHost>
    <VirtualHost *:@PORT@>
      ServerName other.example
      RenseiSecret env:OTHER_SECRET
      RenseiIssuer https://other.example
      RenseiAudience urn:other:api
      RenseiScopes m2m jobs:run jobs:read
      """ + conf.TOKEN + conf.PROXY
    + conf.protected("/r/any/")
    + conf.protected("/r/jobs/", "Require rensei-scope jobs:run") + """
    </VirtualHost>
    <VirtualHost *:@PORT@>
      ServerName issuer.example
      RenseiIssuer someone-else
      """ + conf.TOKEN + conf.PROXY + conf.protected("/r/any/") + """
    </VirtualHost>
    <VirtualHost *:@PORT@>
      ServerName audience.example
      RenseiAudience something-else
      """ + conf.TOKEN + conf.PROXY + conf.protected("/r/any/") + """
    </VirtualHost>
    <VirtualHost *:@PORT@>
      ServerName rotated.example
      RenseiSecret env:OTHER_SECRET env:M2M_JWT_SECRET
      """ + conf.TOKEN + conf.PROXY + conf.protected("/r/any/") + """
    </VirtualHost>
"""])


@pytest.fixture(scope="module")
def gate(launch, world):
    server = launch.httpd(CONF, store=world.store, backend=launch.backend(),
                          start=False, env={"OTHER_SECRET": OTHER_SECRET})
    server.file("htdocs/sorry.txt", "a document of our own\n")
    return server.start()


@pytest.fixture(scope="module")
def client(world):
    return world.a.client("sessions:read")


@pytest.fixture(scope="module")
def token(gate, client):
    return gate.token(client)


@pytest.fixture
def forge(gate, world, client):
    """Makes a token that the default host believes, but for the changes."""
    def make(**changes):
        return jwt.mint(gate.secret, world.a.claims(client, **changes))
    return make


def refused(answer, status, error, *words):
    """Asserts the challenge and the JSON body of a refusal, and that its
    description has one of the words."""
    assert answer.status == status, answer
    challenge = answer.challenge
    assert challenge.scheme == "Bearer"
    assert challenge.realm == "rensei"
    assert challenge.error == error, answer
    assert answer.error == (status, error), answer
    if words:
        said = challenge.error_description
        assert any(word in said.lower() for word in words), said
        assert answer.json["error_description"] == said
    assert answer.headers["Cache-Control"] == "no-store", answer


# -- credentials that pass ----------------------------------------------------


def test_a_token_passes(gate, token):
    answer = gate.get(PATH, token=token)
    assert answer.status == 200, answer
    assert answer.text == "backend: /r/any/x\n"
    assert answer.challenge is None


def test_a_key_passes(gate, world):
    assert gate.get(PATH, token=world.a.key().token).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE",
                                    "PATCH", "OPTIONS", "BREW"])
def test_every_method(gate, token, method):
    assert gate.request(method, PATH, token=token).status == 200
    refused_ = gate.request(method, PATH)
    assert refused_.status == 401
    assert refused_.challenge.text == 'Bearer realm="rensei"'
    assert (refused_.body == b"") == (method == "HEAD")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_in_any_case(gate, token, scheme):
    # RFC 9110 11.1: the scheme is case-insensitive.
    answer = gate.get(PATH, headers={"Authorization": f"{scheme} {token}"})
    assert answer.status == 200, answer


@pytest.mark.parametrize("space", ["  ", "     "])
def test_more_than_one_space(gate, token, space):
    # RFC 9110 11.4: scheme 1*SP token68.
    answer = gate.get(PATH, headers={"Authorization": f"Bearer{space}{token}"})
    assert answer.status == 200, answer


def test_whoami(gate, world, token, client):
    me = gate.get("/api/whoami", token=token)
    assert me.status == 200, me
    body = me.json
    assert body["kind"] == "m2m"
    assert body["sub"] == client.id
    assert body["orgId"] == world.a.id
    assert body["workspaceId"] is None
    assert body["scopes"] == ["sessions:read"]
    assert body["credential"] == jwt.read(token)[1]["jti"]
    assert body["expiresAt"].endswith("Z")
    assert "keyType" not in body
    key = world.a.key("sessions:read org:read")
    body = gate.get("/api/whoami", token=key.token).json
    assert (body["kind"], body["sub"], body["keyType"]) == (
        "key", key.id, "org")
    assert body["credential"] == key.id
    assert body["expiresAt"] is None
    assert body["scopes"] == ["sessions:read", "org:read"]
    assert gate.get("/api/whoami").status == 401


# -- no credential ------------------------------------------------------------


def test_no_credential(gate):
    """RFC 6750 3.1: no error code where no credential came."""
    answer = gate.get(PATH)
    assert answer.status == 401
    assert answer.headers.get_all("WWW-Authenticate") == [
        'Bearer realm="rensei"']
    assert set(answer.json) == {"error", "error_description"}


def test_the_realm_is_quoted(gate):
    answer = gate.get("/r/named/x")
    assert answer.challenge.text == 'Bearer realm="the \\"big\\" one"'


@pytest.mark.parametrize("header", [
    "Basic YWxpY2U6c2VjcmV0", "Digest username=x", "Negotiate abc",
    "Bearerx", "Token abc"])
def test_another_scheme_is_no_credential(gate, header):
    # RFC 6750 3.1: "an unsupported authentication method": no error code.
    answer = gate.get(PATH, headers={"Authorization": header})
    assert answer.status == 401, answer
    assert answer.challenge.text == 'Bearer realm="rensei"'


def test_a_token_elsewhere_than_in_the_header(gate, token):
    """RFC 6750 2.2 and 2.3 (RFC 9700 4.3.2 forbids the latter): a token in a
    URL is in every log, so none is taken from there, nor from a body or a
    cookie. Not the whole token here, as the access log does show a URL."""
    head = token.rsplit(".", 1)[0]
    assert gate.get(f"{PATH}?access_token={head}.x").status == 401
    assert gate.post(PATH, form={"access_token": token}).status == 401
    assert gate.get(PATH, headers={"Cookie": f"Bearer={token}"}).status == 401
    assert gate.get(PATH, headers={
        "Proxy-Authorization": f"Bearer {token}"}).status == 401
    assert gate.get(PATH, headers={"X-Api-Key": token}).status == 401


# -- 400 ----------------------------------------------------------------------


@pytest.mark.parametrize("header", [
    "Bearer", "Bearer ", "Bearer a b", "Bearer a,b", "Bearer a, Bearer b",
    "Bearer \"a\"", "Bearer a=b", "Bearer a\tb", "Bearer\ta", "Bearer a;b",
    "Bearer =", "Bearer \u00e9", "Bearer {}"])
def test_a_malformed_header(gate, header):
    # RFC 6750 2.1: "Bearer" 1*SP b64token.
    answer = gate.get(PATH, headers={"Authorization": header})
    refused(answer, 400, "invalid_request")


@pytest.mark.parametrize("first, second", [
    ("Bearer {0}", "Bearer {0}"), ("Bearer {0}", "Bearer x"),
    ("Bearer x", "Bearer {0}"), ("Basic YTpi", "Bearer {0}"),
    ("Bearer {0}", "Basic YTpi"), ("Bearer {0}", "")])
def test_two_authorization_headers(gate, token, first, second):
    """Two of them: a proxy may read one and the backend the other, so that
    one is checked and the other one used."""
    answer = gate.get(PATH, headers=[
        ("Authorization", first.format(token)),
        ("Authorization", second.format(token))])
    refused(answer, 400, "invalid_request")


# -- 401 ----------------------------------------------------------------------


def test_expired(gate, forge):
    now = int(time.time())
    refused(gate.get(PATH, token=forge(exp=now - 60)), 401, "invalid_token",
            "expired")


def test_the_clock_skew_is_ten_seconds(gate, forge):
    now = int(time.time())
    assert gate.get(PATH, token=forge(exp=now - 5)).status == 200
    refused(gate.get(PATH, token=forge(exp=now - 13)), 401, "invalid_token",
            "expired")
    assert gate.get(PATH, token=forge(nbf=now + 5)).status == 200
    refused(gate.get(PATH, token=forge(nbf=now + 30)), 401, "invalid_token",
            "valid yet", "nbf")


def test_an_expired_token_is_refused_though_it_was_good_before(gate, forge):
    """mod_oauth2 went on accepting a token from its cache for 300 s."""
    def run(end):  # of the ten seconds' skew
        token = forge(exp=int(end.at) - 10)
        with gate.connection() as wire:
            assert wire.get(PATH, token=token).status == 200
            end.not_yet()
            time.sleep(max(0, end.at + 1.05 - time.time()))
            refused(wire.get(PATH, token=token), 401, "invalid_token",
                    "expired")
    patient(run, whole=True)


def test_wrong_issuer(gate, forge):
    refused(gate.get(PATH, token=forge(iss="rensei-platforn")), 401,
            "invalid_token", "issuer")


@pytest.mark.parametrize("aud", ["other", ["other"], [], "rensei-apiary",
                                 "rensei"])
def test_wrong_audience(gate, forge, aud):
    refused(gate.get(PATH, token=forge(aud=aud)), 401, "invalid_token",
            "audience")


def test_an_audience_among_others(gate, forge):
    token = forge(aud=["other", "rensei-api"])
    assert gate.get(PATH, token=token).status == 200


def test_revoked(gate, world):
    client, key = world.a.client(), world.a.key()
    token = gate.token(client)
    assert gate.get(PATH, token=token).status == 200
    assert gate.get(PATH, token=key.token).status == 200
    admin = world.a.admin.token
    for path in (f"/api/admin/m2m-clients/{client.id}",
                 f"/api/org/{world.a.id}/keys/{key.id}"):
        answer = gate.request("DELETE", path, token=admin)
        assert answer.status == 200, answer
    refused(gate.get(PATH, token=token), 401, "invalid_token", "revoked")
    refused(gate.get(PATH, token=key.token), 401, "invalid_token", "revoked")


def test_a_client_that_does_not_exist(gate, world):
    """A good signature over a client that the store does not know: it was
    removed, or the secret leaked."""
    token = jwt.mint(gate.secret, jwt.claims("m2m_" + "a" * 32, world.a.id,
                                             ["sessions:read"]))
    refused(gate.get(PATH, token=token), 401, "invalid_token")


def test_a_client_of_another_organisation(gate, world, client):
    """The token says org b, the client belongs to org a: the store counts."""
    token = jwt.mint(gate.secret, jwt.claims(client.id, world.b.id,
                                             ["sessions:read"]))
    refused(gate.get(PATH, token=token), 401, "invalid_token")


def test_a_scope_that_the_client_never_had(gate, world, client):
    """A token cannot say more than its client has now."""
    token = jwt.mint(gate.secret, world.a.claims(client, ["sessions:write"]))
    assert gate.get("/r/scope/x", token=token).status == 403


@pytest.mark.parametrize("key", [
    "rsk_live_" + "0" * 64, "rsk_live_", "rsk_", "rsk_test_" + "0" * 64,
    "rsk_live_" + "0" * 63, "rsk_live_" + "0" * 65, "rsk_live_" + "G" * 64,
    "rsk_live_" + "0" * 5000])
def test_a_key_that_does_not_exist(gate, key):
    refused(gate.get(PATH, token=key), 401, "invalid_token")


def test_a_key_in_upper_case_is_another(gate, world):
    key = world.a.key().token
    twisted = "rsk_live_" + key[9:].upper()
    assert twisted != key
    refused(gate.get(PATH, token=known_secrets.add(twisted)), 401,
            "invalid_token")


def test_an_expired_key(gate, world):
    def run(end):
        answer = gate.post(f"/api/org/{world.a.id}/keys",
                           token=world.a.admin.token, json={
                               "name": "ends", "keyType": "org",
                               "owner": "ops", "scopes": ["sessions:read"],
                               "expiresAt": end.ms})
        assert answer.status == 201, answer
        key = answer.json["token"]
        assert gate.get(PATH, token=key).status == 200
        end.not_yet()
        end.wait()
        # no skew for a key: its end is by the store's clock
        refused(gate.get(PATH, token=key), 401, "invalid_token", "expired")
    patient(run)


def test_the_wrong_kind(gate, world, token):
    key = world.a.key().token
    assert gate.get("/r/m2m/x", token=token).status == 200
    assert gate.get("/r/key/x", token=key).status == 200
    for path, other in (("/r/m2m/x", key), ("/r/key/x", token),
                        ("/r/worker/x", key), ("/r/worker/x", token)):
        refused(gate.get(path, token=other), 401, "invalid_token", "kind",
                "not accepted here")


@pytest.mark.parametrize("token", [
    "x", "a.b", "a.b.c", "a.b.c.d", "..", "a..", "a.b.c.d.e", "-", "~",
    "a" * 8000, "a." * 4000])
def test_nonsense_is_an_invalid_token(gate, token):
    refused(gate.get(PATH, token=token), 401, "invalid_token")


def test_why_a_signature_failed_is_not_said(gate, token, world, client):
    """Whoever learns why learns what to try next."""
    head, signature = token.rsplit(".", 1)
    flipped = ("B" if signature[0] == "A" else "A") + signature[1:]
    claims = world.a.claims(client)
    header = jwt.read(token)[0]
    answers = [gate.get(PATH, token=bad) for bad in (
        head + "." + flipped,
        head + "." + signature[:40],
        head + "." + jwt.b64url(b"\0" * 32),
        head + ".",
        jwt.mint("x" * 40, claims, header))]
    for answer in answers:
        refused(answer, 401, "invalid_token")
        assert answer.body == answers[0].body
        assert answer.challenge.text == answers[0].challenge.text


# -- 403 ----------------------------------------------------------------------


def test_a_missing_scope(gate, token):
    answer = gate.get("/r/scope/x", token=token)
    refused(answer, 403, "insufficient_scope")
    assert answer.challenge.scope == "sessions:write"


def test_a_challenge_in_full(gate, token):
    """Word for word, in the order of RFC 6750's examples."""
    text = gate.get("/r/scope/x", token=token).challenge.text
    assert text.startswith(
        'Bearer realm="rensei", error="insufficient_scope", '
        'error_description="'), text
    assert text.endswith('", scope="sessions:write"'), text
    text = gate.get(PATH, token="a.b.c").challenge.text
    assert text.startswith('Bearer realm="rensei", error="invalid_token", '
                           'error_description="'), text


# -- bodies and ErrorDocument -------------------------------------------------


def test_the_body_is_json(gate, token):
    for answer in (gate.get(PATH), gate.get(PATH, token="x"),
                   gate.get("/r/scope/x", token=token),
                   gate.post("/r/scope/x", token=token, body="x=1"),
                   gate.get(PATH, headers={"Authorization": "Bearer"})):
        assert answer.status in (400, 401, 403)
        assert answer.headers.get_content_type() == "application/json"
        body = json.loads(answer.body)
        assert {"error", "error_description"} <= set(body)
        assert int(answer.headers["Content-Length"]) == len(answer.body)


@pytest.mark.parametrize("status, more", [
    (401, {}), (401, {"token": "x"}), (403, {"token": None}),
    (400, {"headers": {"Authorization": "Bearer"}})])
def test_an_error_document_of_the_administrators(gate, token, status, more):
    """What he configured is what is shown, with our challenge beside it."""
    if more.get("token", "") is None:
        more = {"token": token}
    answer = gate.get("/r/document/x", **more)
    assert answer.status == status
    assert answer.text == "a document of our own\n"
    assert answer.challenge.scheme == "Bearer"


def test_an_error_message_of_the_administrators(gate, token):
    answer = gate.get("/r/message/x")
    assert (answer.status, answer.text) == (401, "come back with a token")
    answer = gate.get("/r/message/x", token=token)
    assert (answer.status, answer.text) == (403, "come back with a scope")
    assert answer.challenge.scope == "sessions:write"


def test_errors_that_are_not_ours_stay_as_they_are(gate, token):
    """A 404 of httpd behind our authentication, and a 403 of its own."""
    answer = gate.get("/nowhere")
    assert answer.status == 404
    assert answer.headers.get_content_type() == "text/html"


def test_head_has_the_same_headers(gate, token):
    for more in ({}, {"token": "x"}):
        got, head = gate.get(PATH, **more), gate.request("HEAD", PATH, **more)
        assert head.status == got.status == 401
        assert head.challenge.text == got.challenge.text
        assert head.body == b""
        assert head.headers.get_content_type() == "application/json"


def test_trace(gate, token):
    assert gate.request("TRACE", PATH).status == 405
    assert gate.request("TRACE", PATH, token=token).status == 405


def test_a_connection_goes_on_after_a_refusal(gate, token):
    with gate.connection() as wire:
        for _ in range(3):
            assert wire.post(PATH, body="x" * 5000).status == 401
            assert wire.post("/r/scope/x", body="x" * 5000,
                             token=token).status == 403
            assert wire.post(PATH, body="x" * 5000, token=token).status == 200


# -- 503 ----------------------------------------------------------------------


def test_503_without_a_store(launch_here):
    """The store is needed and is not there: 503, never 401 for what may be a
    good credential, and never 200."""
    server = launch_here.httpd(
        conf.WHOAMI + conf.protected("/x"), children=1,
        dbd='DBDriver pgsql\nDBDParams "host=127.0.0.1 port=1"\n',
        allowed=httpd.DENIALS + ("AH00632", "AH00633", "AH00629", "AH00636",
                                 "AH02654", "RS0"))
    token = jwt.mint(server.secret, jwt.claims("m2m_" + "a" * 32, "org_x",
                                               ["sessions:read"]))
    for good in (token, "rsk_live_" + "a" * 64):
        answer = server.get("/api/whoami", token=good)
        assert answer.error == (503, "temporarily_unavailable"), answer
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.challenge is None
    # what the signature alone decides needs no store
    refused(server.get("/api/whoami", token=token[:-2] + "AA"), 401,
            "invalid_token")
    assert server.get("/api/whoami").status == 401


# -- virtual hosts ------------------------------------------------------------


def test_a_virtual_host_issues_what_it_believes(gate, world):
    client = world.a.client("*")
    token = gate.token(client, host="other.example")
    claims = jwt.verified(token, OTHER_SECRET)[1]
    assert claims["iss"] == "https://other.example"
    assert claims["aud"] == "urn:other:api"
    assert gate.get(PATH, token=token, host="other.example").status == 200


def test_a_secret_of_its_own(gate, world, client, token):
    """The other host shares the store, not the secret."""
    refused(gate.get(PATH, token=token, host="other.example"), 401,
            "invalid_token")
    theirs = gate.token(world.a.client("*"), host="other.example")
    refused(gate.get(PATH, token=theirs), 401, "invalid_token")
    # its issuer and audience, our secret
    mixed = jwt.mint(gate.secret, world.a.claims(
        client, iss="https://other.example", aud="urn:other:api"))
    refused(gate.get(PATH, token=mixed, host="other.example"), 401,
            "invalid_token")


def test_an_issuer_and_an_audience_of_its_own(gate, client, token):
    refused(gate.get(PATH, token=token, host="issuer.example"), 401,
            "invalid_token", "issuer")
    refused(gate.get(PATH, token=token, host="audience.example"), 401,
            "invalid_token", "audience")
    for host in ("issuer.example", "audience.example"):
        own = gate.token(client, host=host)
        assert gate.get(PATH, token=own, host=host).status == 200
        refused(gate.get(PATH, token=own), 401, "invalid_token")


def test_a_vocabulary_of_its_own(gate, world):
    client = world.a.client("*")
    token = gate.token(client, host="other.example")
    assert gate.get("/r/jobs/x", token=token,
                    host="other.example").status == 200
    narrow = gate.token(client, "jobs:read", host="other.example")
    answer = gate.get("/r/jobs/x", token=narrow, host="other.example")
    refused(answer, 403, "insufficient_scope")
    assert answer.challenge.scope == "jobs:run"
    # a scope of the main vocabulary is none here, not even for a `*`
    answer = gate.post("/api/oauth/token", host="other.example", form={
        "grant_type": "client_credentials", "client_id": client.id,
        "client_secret": client.secret, "scope": "sessions:read"})
    assert answer.error == (400, "invalid_scope")


def test_a_previous_secret_still_verifies(gate, client, token):
    """The first source signs; the others only verify."""
    assert gate.get(PATH, token=token, host="rotated.example").status == 200
    fresh = gate.token(client, host="rotated.example")
    jwt.verified(fresh, OTHER_SECRET)
    assert gate.get(PATH, token=fresh, host="rotated.example").status == 200
    refused(gate.get(PATH, token=fresh), 401, "invalid_token")


def test_the_host_decides_not_the_cache(gate, token):
    """A token just accepted by one host, on the same connection, at a host
    that does not believe it."""
    with gate.connection() as wire:
        for _ in range(3):
            assert wire.get(PATH, token=token).status == 200
            refused(wire.get(PATH, token=token, host="other.example"), 401,
                    "invalid_token")
