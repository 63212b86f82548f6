# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""The token endpoint: POST /api/oauth/token, as docs/api.md tells it."""

import json
import time
import urllib.parse

import pytest

from harness import conf, httpd, jwt, known_secrets
from harness.admin import noted
from harness.pace import LIMIT, End, Within, patient, wait_for
from harness.store import Client

PATH = "/api/oauth/token"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def gate(launch, world):
    # Many failures come from here, and each is to be seen for itself.
    return launch.httpd("RenseiThrottle off\n" + conf.API, store=world.store)


@pytest.fixture(scope="module")
def client(world):
    return world.a.client("workers:read sessions:read")


def ask(client, **more):
    """The parameters of a request for a token; a change to None leaves one
    out."""
    out = {"grant_type": "client_credentials", "client_id": client.id,
           "client_secret": client.secret, **more}
    return {name: value for name, value in out.items() if value is not None}


def refused(answer, status, error):
    """Asserts an error with all that every error has."""
    assert answer.error == (status, error), answer
    assert answer.headers["Cache-Control"] == "no-store", answer
    return answer.json["error_description"]


# -- a token ------------------------------------------------------------------


@pytest.mark.parametrize("how", ["json", "form"])
def test_a_token(gate, client, how):
    answer = gate.post(PATH, **{how: ask(client)})
    assert answer.status == 200, answer
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    body = answer.json
    token = body.pop("access_token")
    assert body == {"token_type": "Bearer", "expires_in": 3600,
                    "scope": "workers:read sessions:read"}
    assert token.count(".") == 2


def test_its_header_and_claims(gate, world):
    client = world.a.client("workers:read sessions:read",
                            workspace=world.a.workspace)
    before = int(time.time())
    header, claims = jwt.verified(gate.token(client), gate.secret)
    assert set(header) == {"alg", "typ", "kid"}
    assert (header["alg"], header["typ"]) == ("HS256", "JWT")
    assert header["kid"]
    assert set(claims) == {"sub", "org_id", "workspace_id", "scopes", "iss",
                           "aud", "iat", "exp", "jti"}
    assert claims["sub"] == client.id
    assert claims["org_id"] == world.a.id
    assert claims["workspace_id"] == world.a.workspace
    assert claims["scopes"] == ["workers:read", "sessions:read"]
    assert claims["iss"] == "rensei-platform"
    assert claims["aud"] == "rensei-api"
    assert before <= claims["iat"] <= int(time.time())
    assert claims["exp"] == claims["iat"] + 3600


def test_each_token_has_a_jti_of_its_own(gate, client):
    ids = {jwt.read(gate.token(client))[1]["jti"] for _ in range(5)}
    assert len(ids) == 5


def test_parameters_that_nobody_knows_are_ignored(gate, client):
    # RFC 6749 3.2: "MUST ignore unrecognized request parameters".
    answer = gate.post(PATH, form=ask(client, prompt="none"))
    assert answer.status == 200, answer


def test_an_empty_parameter_counts_as_absent(gate, client):
    # RFC 6749 3.2: "Parameters sent without a value MUST be treated as if
    # they were omitted".
    answer = gate.post(PATH, form=ask(client, scope=""))
    assert answer.json["scope"] == "workers:read sessions:read"
    refused(gate.post(PATH, form=ask(client, grant_type="")), 400,
            "invalid_request")


# -- both ways of authenticating ----------------------------------------------


def basic(gate, user, password, **more):
    return gate.post(PATH, basic=(user, password),
                     form={"grant_type": "client_credentials", **more})


def test_basic_plain_and_percent_encoded(gate, client):
    """openid-client and oauth4webapi form-encode what goes into Basic, as RFC
    6749 2.3.1 wants it, so `_` comes as %5F; curl and authlib do not."""
    def encoded(text):
        return text.replace("_", "%5F")

    assert basic(gate, client.id, client.secret).status == 200
    assert basic(gate, encoded(client.id),
                 encoded(client.secret)).status == 200
    assert basic(gate, encoded(client.id).lower(),
                 client.secret).status == 200
    # encoded twice is another text
    twice = encoded(client.secret).replace("%", "%25")
    refused(basic(gate, client.id, twice), 401, "invalid_client")


def test_basic_with_a_json_body(gate, client):
    answer = gate.post(PATH, basic=tuple(client),
                       json={"grant_type": "client_credentials",
                             "scope": "workers:read"})
    assert answer.json["scope"] == "workers:read"


@pytest.mark.parametrize("how", ["json", "form"])
def test_two_ways_of_authenticating(gate, client, how):
    # RFC 6749 2.3: "MUST NOT use more than one authentication method".
    answer = gate.post(PATH, basic=tuple(client), **{how: ask(client)})
    refused(answer, 400, "invalid_request")


@pytest.mark.parametrize("value", [
    "Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Basic Og==",
    "Basic OnNlY3JldA==", "Basic JTAwOiUwMA==", "Basic JWZmOnNlY3JldA==",
    "Basic JTpz", "Bearer x", "Digest x", "\tBasic"])
def test_a_bad_authorization_header(gate, value):
    """No base64, no colon, no id, a NUL, bytes that are not UTF-8, a torn
    percent code, a scheme that is not Basic: an answer of 400 or 401, in
    JSON, never a crash."""
    answer = gate.post(PATH, headers={"Authorization": value, **FORM},
                       body="grant_type=client_credentials")
    assert answer.error in ((400, "invalid_request"),
                            (401, "invalid_client")), answer


# -- 401 ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def dead_clients(gate, world):
    """Clients that may not have a token any more, each for its own reason."""
    clients = "/api/admin/m2m-clients"
    admin = world.a.admin.token
    soon = End(20)  # it is brought forward when all of this is done
    answer = gate.post(clients, token=admin, json={
        "name": "expires", "scopes": ["sessions:read"], "expiresAt": soon.ms})
    assert answer.status == 201, answer
    made = answer.json["client"]
    out = {"revoked": world.a.client(), "suspended": world.a.client(),
           "expired": Client(made["clientId"], made["clientSecret"])}
    assert gate.token(out["expired"])
    gone = gate.request("DELETE", f"{clients}/{out['revoked'].id}",
                        token=admin)
    assert gone.status == 200, gone
    paused = gate.request("PATCH", f"{clients}/{out['suspended'].id}",
                          token=admin, json={"status": "inactive"})
    assert paused.status == 200, paused
    known = world.a.client()
    out["wrong secret"] = Client(known.id, "m2ms_" + "0" * 64)
    out["no secret of ours"] = Client(known.id, "hunter2")
    out["another's secret"] = Client(known.id, world.b.client().secret)
    out["unknown"] = Client("m2m_" + "0" * 32, known.secret)
    out["no id of ours"] = Client("' OR 1=1 --", known.secret)
    soon = End(2)
    ends = gate.request("PATCH", f"{clients}/{out['expired'].id}",
                        token=admin, json={"expiresAt": soon.ms})
    assert ends.status == 200, ends
    soon.wait()
    return out


DEAD = ["revoked", "suspended", "expired", "wrong secret",
        "no secret of ours", "another's secret", "unknown", "no id of ours"]


@pytest.mark.parametrize("why", DEAD)
def test_invalid_client(gate, dead_clients, why):
    """One text for all, or the answer tells an attacker which ids exist. No
    challenge where the credentials came in the body: openid-client reports a
    challenge in place of the error."""
    client = dead_clients[why]
    by_form = gate.post(PATH, form=ask(client))
    by_json = gate.post(PATH, json=ask(client))
    refused(by_form, 401, "invalid_client")
    assert by_form.challenge is None and by_json.challenge is None
    reference = gate.post(PATH, form=ask(dead_clients["unknown"]))
    assert by_form.body == by_json.body == reference.body


@pytest.mark.parametrize("why", DEAD)
def test_invalid_client_by_basic(gate, dead_clients, why):
    # RFC 6749 5.2: the challenge matches the scheme that the client used.
    client = dead_clients[why]
    user = urllib.parse.quote(client.id)
    answer = basic(gate, user, client.secret)
    refused(answer, 401, "invalid_client")
    assert answer.challenge.scheme == "Basic"
    assert answer.challenge.realm
    reference = gate.post(PATH, form=ask(dead_clients["unknown"]))
    assert answer.body == reference.body


def test_a_suspended_organisation(gate, world):
    org = world.store.org("pause")
    client = world.store.client(org, "c", "sessions:read")
    assert gate.token(client)
    world.store.ctl("org", "suspend", org)
    refused(gate.post(PATH, form=ask(client)), 401, "invalid_client")
    world.store.ctl("org", "resume", org)
    assert gate.token(client)


# -- 400 ----------------------------------------------------------------------


@pytest.mark.parametrize("body", [
    "", " ", "{", "[]", '"x"', "null", "7", "{'a': 1}", '{"grant_type"}',
    '{"grant_type":"client_credentials"} x', "{}{}",
    "[" * 5000, '{"a":' * 5000, '{"grant_type":"client_credentials",}',
    "grant_type=client_credentials"])
def test_json_that_is_none(gate, body):
    answer = gate.post(PATH, headers=JSON, body=body)
    refused(answer, 400, "invalid_request")


@pytest.mark.parametrize("how", ["json", "form"])
@pytest.mark.parametrize("name", ["grant_type", "client_id", "client_secret"])
def test_a_parameter_missing(gate, client, how, name):
    answer = gate.post(PATH, **{how: ask(client, **{name: None})})
    said = refused(answer, 400, "invalid_request")
    assert name in said


@pytest.mark.parametrize("how", ["json", "form"])
@pytest.mark.parametrize("name", ["grant_type", "client_id", "client_secret",
                                  "scope", "other"])
def test_a_parameter_repeated(gate, client, how, name):
    """Two values of one name: whoever checks the first and uses the second
    can be led round the check (RFC 6749 3.2)."""
    pairs = list(ask(client, scope="sessions:read", other="x").items())
    pairs += [pair for pair in pairs if pair[0] == name]
    if how == "form":
        body, kind = urllib.parse.urlencode(pairs), FORM
    else:
        body, kind = "{" + ",".join(
            json.dumps(n) + ":" + json.dumps(v) for n, v in pairs) + "}", JSON
    refused(gate.post(PATH, headers=kind, body=body), 400, "invalid_request")


def test_a_repetition_that_is_spelt_otherwise(gate, client):
    body = urllib.parse.urlencode(ask(client)) + "&client%5Fid=m2m_x"
    refused(gate.post(PATH, headers=FORM, body=body), 400, "invalid_request")


@pytest.mark.parametrize("name", ["grant_type", "client_id", "client_secret",
                                  "scope"])
@pytest.mark.parametrize("value", [5, True, 1.5, ["sessions:read"],
                                   {"a": "b"}])
def test_a_parameter_of_the_wrong_type(gate, client, name, value):
    refused(gate.post(PATH, json=ask(client, **{name: value})), 400,
            "invalid_request")


def test_a_parameter_that_is_null(gate, client):
    body = dict(ask(client), client_secret=None)
    refused(gate.post(PATH, json=body), 400, "invalid_request")


@pytest.mark.parametrize("body", [
    b"grant_type=client_credentials&client_id=%ff&client_secret=x",
    b"grant_type=client_credentials&client_id=\xff&client_secret=x",
    b"grant_type=client_credentials&client_id=%c0%af&client_secret=x",
    b"grant_type=client_credentials&client_id=%ed%a0%80&client_secret=x",
    b"grant_type=client_credentials&client_id=a%00b&client_secret=x",
    b"grant_type=client_credentials&client_id=a\x00b&client_secret=x",
    b"grant_type=client_credentials&client_id=%&client_secret=x",
    b"grant_type=client_credentials&client_id=%4&client_secret=x",
    b"grant_type=client_credentials&client_id=%zz&client_secret=x"])
def test_bytes_that_are_no_text_in_a_form(gate, body):
    """A NUL ends a C string: what is checked before it is not what was sent.
    Bytes that are not UTF-8 would reach the log and the audit trail."""
    refused(gate.post(PATH, headers=FORM, body=body), 400, "invalid_request")


@pytest.mark.parametrize("value", [
    b'"\xff"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'"a\x00b"', b'"a\\u0000b"',
    b'"\\ud800"', b'"a\nb"'])
def test_bytes_that_are_no_text_in_json(gate, value):
    body = (b'{"grant_type":"client_credentials","client_secret":"x",'
            b'"client_id":' + value + b"}")
    refused(gate.post(PATH, headers=JSON, body=body), 400, "invalid_request")


@pytest.mark.parametrize("grant", [
    "password", "authorization_code", "refresh_token", "implicit",
    "urn:ietf:params:oauth:grant-type:jwt-bearer", "CLIENT_CREDENTIALS",
    "client_credentials ", "client_credentials\n"])
def test_another_grant(gate, client, grant):
    for how in ("json", "form"):
        answer = gate.post(PATH, **{how: ask(client, grant_type=grant)})
        refused(answer, 400, "unsupported_grant_type")


def test_credentials_in_the_url_do_not_count(gate, client):
    """A URL is written to logs (RFC 6749 2.3.1: "MUST NOT be included in the
    request URI"). A made-up secret, as the access log does show it."""
    query = urllib.parse.urlencode(
        {"client_id": client.id, "client_secret": "m2ms_" + "1" * 64,
         "grant_type": "client_credentials"})
    answer = gate.post(PATH + "?" + query, headers=FORM,
                       body="grant_type=client_credentials")
    refused(answer, 400, "invalid_request")


# -- scopes -------------------------------------------------------------------


@pytest.mark.parametrize("asked, given", [
    (None, "workers:read sessions:read"),
    ("sessions:read", "sessions:read"),
    ("workers:read", "workers:read"),
    ("workers:read sessions:read", "workers:read sessions:read"),
    ("sessions:read workers:read", "sessions:read workers:read"),
    ("sessions:read sessions:read", "sessions:read")])
@pytest.mark.parametrize("how", ["json", "form"])
def test_narrowing(gate, client, how, asked, given):
    answer = gate.post(PATH, **{how: ask(client, scope=asked)})
    # The set is what counts; and oauthlib objects to a text that differs from
    # the one that was asked for.
    assert answer.json["scope"].split() == given.split() or (
        asked and set(answer.json["scope"].split()) == set(given.split()))
    claims = jwt.read(answer.json["access_token"])[1]
    assert claims["scopes"] == answer.json["scope"].split()


def test_the_scope_comes_back_as_it_was_asked_for(gate, client):
    for asked in ("workers:read sessions:read", "sessions:read workers:read"):
        answer = gate.post(PATH, form=ask(client, scope=asked))
        assert answer.json["scope"] == asked


@pytest.mark.parametrize("scope", [
    "sessions:write", "sessions:read sessions:write", "org:read", "*",
    "nonsense", "sessions", "sessions:*", "SESSIONS:READ", 'a"b', "a\\b",
    "sessions:read\u00e9", "sessions:read,workers:read",
    "sessions:read\tworkers:read", "x" * 65,
    " ".join(f"s:{n}" for n in range(65))])
def test_a_scope_outside_the_clients(gate, client, scope):
    for how in ("json", "form"):
        answer = gate.post(PATH, **{how: ask(client, scope=scope)})
        refused(answer, 400, "invalid_scope")


def test_a_star_gives_what_the_vocabulary_has_and_no_more(gate, world):
    """`*` is every scope of the m2m vocabulary; org:read is of the keys'."""
    client = world.a.client("*")
    answer = gate.post(PATH, form=ask(client))
    assert answer.json["scope"] == "*"
    answer = gate.post(PATH, form=ask(client, scope="agents:write"))
    assert answer.json["scope"] == "agents:write"
    for scope in ("org:read", "workflows:read", "workers:register", "x:y"):
        refused(gate.post(PATH, form=ask(client, scope=scope)), 400,
                "invalid_scope")


# -- lifetimes ----------------------------------------------------------------


def lifetime(gate, client):
    body = gate.post(PATH, form=ask(client)).json
    claims = jwt.read(body["access_token"])[1]
    assert claims["exp"] - claims["iat"] == body["expires_in"]
    return body["expires_in"]


def with_lifetime(gate, world, seconds):
    answer = gate.post("/api/admin/m2m-clients", token=world.a.admin.token,
                       json={"name": "short", "scopes": ["sessions:read"],
                             "tokenLifetime": seconds})
    assert answer.status == 201, answer
    made = answer.json["client"]
    return Client(made["clientId"], made["clientSecret"])


def test_a_lifetime_of_the_clients_own(gate, world):
    assert lifetime(gate, with_lifetime(gate, world, 120)) == 120


def test_lifetimes_by_directive_and_environment(launch_here, world):
    """RenseiTokenLifetime, else M2M_TOKEN_LIFETIME, else 3600; the client's
    own before all of them."""
    server = launch_here.httpd(conf.API + conf.WORKERS + """
        <VirtualHost *:@PORT@>
          ServerName default.example
        </VirtualHost>
        <VirtualHost *:@PORT@>
          ServerName own.example
          RenseiTokenLifetime 300
        </VirtualHost>""", store=world.store, children=1,
        env={"M2M_TOKEN_LIFETIME": "1800"})

    def expires_in(client, host):
        return server.post(PATH, form=ask(client),
                           host=host).json["expires_in"]

    client, own = world.a.client(), with_lifetime(server, world, 120)
    assert expires_in(client, "default.example") == 1800
    assert expires_in(client, "own.example") == 300
    assert expires_in(own, "default.example") == 120
    assert expires_in(own, "own.example") == 120


def test_a_token_never_outlives_its_client(gate, world):
    """A client that ends in two minutes with a token that lasts an hour: the
    gateway that knows the store refuses it anyway, one that goes by the
    signature alone would not. So expires_in is at most what is left."""
    ends = int(time.time() * 1000) + 120_000
    answer = gate.post("/api/admin/m2m-clients", token=world.a.admin.token,
                       json={"name": "ends", "scopes": ["sessions:read"],
                             "expiresAt": ends})
    made = answer.json["client"]
    client = Client(made["clientId"], made["clientSecret"])
    claims = jwt.read(gate.token(client))[1]
    assert claims["exp"] <= ends / 1000 + 1


# -- the audit trail ----------------------------------------------------------


def test_one_event_for_each_token(gate, world):
    client = world.a.client()

    def issued():
        return [event for event in world.a.events()
                if event["event"] == "m2m.token_issued"
                and event["target"] == client.id]

    assert issued() == []
    first = jwt.read(gate.token(client))[1]
    assert len(issued()) == 1
    gate.token(client)
    gate.token(client)
    events = issued()
    assert len(events) == 3
    event = events[-1]
    assert event["actor"] == client.id
    assert event["actorType"] == "m2m_client"
    assert event["orgId"] == world.a.id
    assert event["ip"] == "127.0.0.1"
    assert event["requestId"]
    assert first["jti"] in json.dumps(event["details"])


def test_a_failed_attempt_is_audited_too(gate, world):
    client = world.a.client()
    wrong = Client(client.id, "m2ms_" + "e" * 64)
    refused(gate.post(PATH, form=ask(wrong)), 401, "invalid_client")
    failed = [event for event in world.a.events()
              if event["event"] == "m2m.auth_failed"
              and event["target"] == client.id]
    assert len(failed) == 1
    assert failed[0]["actorType"] == "anonymous"
    assert failed[0]["ip"] == "127.0.0.1"
    assert "e" * 64 not in json.dumps(failed)


def test_the_last_use_of_a_client_is_noted(gate, world):
    client = world.a.client()
    url = f"/api/admin/m2m-clients/{client.id}"
    admin = world.a.admin.token
    assert gate.get(url, token=admin).json["client"]["lastUsedAt"] is None
    before = int(time.time() * 1000)
    gate.token(client)
    issued = time.time() * 1000
    used = noted(lambda: gate.get(url, token=admin)
                 .json["client"]["lastUsedAt"])
    assert used and before - 5 <= used <= issued + 5


# -- methods, sizes, types ----------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH",
                                    "PROPFIND", "BREW"])
def test_405(gate, client, method):
    answer = gate.request(method, PATH, form=ask(client))
    refused(answer, 405, "method_not_allowed")
    assert "POST" in answer.headers["Allow"].replace(" ", "").split(",")
    assert "GET" not in answer.headers["Allow"]


def test_405_for_head(gate):
    answer = gate.request("HEAD", PATH)
    assert answer.status == 405
    assert answer.body == b""
    assert "POST" in answer.headers["Allow"]


def test_a_path_below_it_is_404(gate, client):
    answer = gate.post(PATH + "/more", form=ask(client))
    refused(answer, 404, "not_found")


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("kind", [FORM, JSON])
def test_413_for_ten_megabytes(gate, client, kind, chunked):
    """The whole of a body is never kept: 10 MB are refused at the first
    64 KB, with their length said or not."""
    filler = b'{"x":"' if kind is JSON else b"x="
    answer = gate.post(PATH, headers=kind, body=filler + b"a" * 10_000_000,
                       chunked=chunked)
    refused(answer, 413, "invalid_request")
    assert gate.token(client)


@pytest.mark.parametrize("chunked", [False, True])
def test_the_limit_is_64_kb(gate, client, chunked):
    start = urllib.parse.urlencode(ask(client)).encode() + b"&x="
    fits = start + b"a" * (65536 - len(start))
    assert gate.post(PATH, headers=FORM, body=fits,
                     chunked=chunked).status == 200
    refused(gate.post(PATH, headers=FORM, body=fits + b"a", chunked=chunked),
            413, "invalid_request")


def test_a_chunked_body_is_a_body(gate, client):
    answer = gate.post(PATH, headers=FORM, chunked=True,
                       body=urllib.parse.urlencode(ask(client)))
    assert answer.status == 200, answer


@pytest.mark.parametrize("length", ["-1", "abc", "1x",
                                    "99999999999999999999999"])
def test_a_bad_content_length(gate, length):
    answer = gate.raw(f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\n"
                      "Content-Type: application/json\r\n"
                      f"Content-Length: {length}\r\n"
                      "Connection: close\r\n\r\n{}".encode(), "POST")
    assert answer.status in (400, 413), answer


def test_a_bad_chunk(gate):
    answer = gate.raw(f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\n"
                      "Content-Type: application/json\r\n"
                      "Transfer-Encoding: chunked\r\n"
                      "Connection: close\r\n\r\nzz\r\n{}\r\n0\r\n\r\n".encode(),
                      "POST")
    assert answer.status == 400, answer


def test_expect_100_continue(gate, client):
    body = urllib.parse.urlencode(ask(client))
    answer = gate.post(PATH, headers={"Expect": "100-continue", **FORM},
                       body=body)
    assert answer.status == 200, answer


@pytest.mark.parametrize("kind", [
    None, "", "text/plain", "application/xml", "multipart/form-data",
    "application/jsonx", "application/json; charset=iso-8859-1", "json",
    "text/json", "application/x-www-form-urlencodedx"])
def test_415(gate, client, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    answer = gate.post(PATH, headers=headers, body=json.dumps(ask(client)))
    refused(answer, 415, "invalid_request")


@pytest.mark.parametrize("kind", [
    "application/json", "Application/JSON", "application/json;charset=utf-8",
    'application/json; charset="UTF-8"', "application/json ; charset=UTF-8"])
def test_json_by_other_spellings(gate, client, kind):
    answer = gate.post(PATH, headers={"Content-Type": kind},
                       body=json.dumps(ask(client)))
    assert answer.status == 200, answer


@pytest.mark.parametrize("kind", [
    "APPLICATION/X-WWW-FORM-URLENCODED",
    "application/x-www-form-urlencoded; charset=UTF-8",
    "application/x-www-form-urlencoded;charset=utf-8"])
def test_a_form_by_other_spellings(gate, client, kind):
    answer = gate.post(PATH, headers={"Content-Type": kind},
                       body=urllib.parse.urlencode(ask(client)))
    assert answer.status == 200, answer


def test_a_connection_goes_on_after_an_error(gate, client):
    """An error must leave nothing of its body in the way of what follows."""
    with gate.connection() as wire:
        for _ in range(3):
            bad = wire.post(PATH, headers=JSON, body="{" + " " * 5000)
            refused(bad, 400, "invalid_request")
            kind = {"Content-Type": "text/plain"}
            refused(wire.post(PATH, headers=kind, body="x" * 5000), 415,
                    "invalid_request")
            assert wire.post(PATH, form=ask(client)).status == 200


# -- too many failures, and none to ask ---------------------------------------


def failures_until_429(gate, client, most):
    """How many wrong secrets are looked at before the server has enough."""
    wrong = Client(client.id, "m2ms_" + "f" * 64)
    for count in range(most + 1):
        # a connection each, so that all children get their share
        answer = gate.post(PATH, form=ask(wrong))
        if answer.status == 429:
            break
        refused(answer, 401, "invalid_client")
    refused(answer, 429, "slow_down")
    assert int(answer.headers["Retry-After"]) > 0
    return count


def test_429_after_too_many_failures(launch_here, world):
    """Nobody may try secrets as fast as the server answers. By default 10
    in a minute, counted over all children."""
    server = launch_here.httpd(conf.API, store=world.store, children=2)
    victim, other = world.a.client(), world.a.client()
    assert failures_until_429(server, victim, 20) == 10
    # not even the right secret is looked at, nor by the other way
    refused(server.post(PATH, form=ask(victim)), 429, "slow_down")
    answer = basic(server, *victim)
    refused(answer, 429, "slow_down")
    assert answer.challenge is None
    # others are not held up
    assert server.token(other)


def test_429_ends(launch_here, world):
    def run(window):
        server = launch_here.httpd(
            # a second more: it counts in whole ones
            f"RenseiThrottle 3/{window.seconds + 1}\n" + conf.API,
            store=world.store, children=2)
        client = world.a.client()
        # an id that nobody has is throttled as well, or that tells which
        # exist
        nobody = Client("m2m_" + "7" * 32, "m2ms_" + "7" * 64)
        assert failures_until_429(server, client, 10) == 3
        assert failures_until_429(server, nobody, 10) == 3
        window.not_yet()
        wait_for(lambda: server.post(PATH, form=ask(client)).status != 429,
                 seconds=window.seconds + LIMIT)
        assert server.token(client)
    patient(run, 3)


def test_good_attempts_are_not_counted(launch_here, world):
    server = launch_here.httpd("RenseiThrottle 3/60\n" + conf.API,
                               store=world.store, children=1)
    client = world.a.client()
    for _ in range(10):
        assert server.token(client)


def test_made_up_clients_fill_no_trail(launch_here):
    """Each failure of a client that is not there is an event of the system's
    trail, written durably: without an end to it, anybody could fill the disk
    with random ids."""
    store = launch_here.store()
    org = store.org("acme")
    client = store.client(org, "c", "sessions:read")
    server = launch_here.httpd("RenseiThrottle 3/60\n" + conf.API,
                               store=store, children=2)
    statuses = []
    with server.connection() as wire:
        for n in range(60):
            made_up = Client("m2m_%032x" % n, "m2ms_" + "e" * 64)
            statuses.append(wire.post(PATH, form=ask(made_up)).status)
    assert statuses[:30] == [401] * 30 and statuses[-25:] == [429] * 25
    events = store.ctl("audit", "--limit", "100")["events"]
    assert len([e for e in events if e["event"] == "m2m.auth_failed"]) <= 35
    # whoever has a good secret is not held up by the others of his address
    assert server.token(client)


def unavailable(answer):
    refused(answer, 503, "temporarily_unavailable")
    assert int(answer.headers["Retry-After"]) > 0


def test_503_without_a_store(launch_here, client):
    """A store that cannot be opened: never 401 for a good credential."""
    server = launch_here.httpd(
        conf.API, children=1,
        dbd='DBDriver pgsql\nDBDParams "host=127.0.0.1 port=1"\n',
        # mod_dbd's own lines, and ours
        allowed=httpd.DENIALS + ("AH00632", "AH00633", "AH00629", "AH00636",
                                 "AH02654", "RS0"))
    unavailable(server.post(PATH, form=ask(client)))
    unavailable(server.post(PATH, json=ask(client)))
    unavailable(server.post(PATH, basic=tuple(client),
                            form={"grant_type": "client_credentials"}))
    # what needs no store is answered as ever
    refused(server.post(PATH, headers=JSON, body="{"), 400, "invalid_request")
    refused(server.get(PATH), 405, "method_not_allowed")


def test_503_while_the_store_is_out_of_order(launch_here):
    """And tokens again when it is mended, with no restart."""
    store = launch_here.store()
    org = store.org("acme")
    client = store.client(org, "c", "sessions:read")
    server = launch_here.httpd(conf.API, store=store, children=2)
    assert server.token(client)
    store.break_()
    server.allow_log("RS0")
    for _ in range(4):
        unavailable(server.post(PATH, form=ask(client)))
    store.mend()
    for _ in range(8):
        assert server.token(client)


def test_a_store_that_is_locked(launch_here):
    """Another writer holds the lock: an answer within seconds, 503, and
    nothing issued without its event."""
    store = launch_here.store()
    org = store.org("acme")
    client = store.client(org, "c", "sessions:read")
    server = launch_here.httpd(conf.API, store=store, children=1)
    assert server.token(client)
    server.allow_log("RS0")
    with store.hold():
        with Within(10) as limit:
            unavailable(server.post(PATH, form=ask(client)))
            assert limit.passed() < limit.limit()
    assert server.token(client)


def test_no_answer_repeats_a_secret(gate, client):
    """An error text with the secret in it would end in the caller's log."""
    known_secrets.add(client.secret)
    for body in (ask(client, grant_type="x"), ask(client, scope="x"),
                 ask(client, client_id="x"), ask(client, client_id=None)):
        for how in ("json", "form"):
            answer = gate.post(PATH, **{how: body})
            assert answer.status in (400, 401)
            assert client.secret[5:] not in answer.text


def test_sections_of_folders_count(launch_here, world, client):
    """The endpoint's path is no file, and httpd is spared the search for one:
    what <Directory> and .htaccess say of its folders counts all the same."""
    server = launch_here.httpd(conf.API + conf.WORKERS + """
        <Directory "@DIR@/htdocs/api">
          LimitRequestBody 60
        </Directory>
        <Directory "@DIR@/htdocs/v1">
          AllowOverride All
        </Directory>""", store=world.store, start=False)
    for folder in ("htdocs/api", "htdocs/v1/daemon"):
        (server.dir / folder).mkdir(parents=True)
    server.file("htdocs/v1/daemon/.htaccess", "LimitRequestBody 60\n")
    server.start()
    for path in (PATH, "/v1/daemon/register"):
        assert server.post(path, json=ask(client)).status == 413, path
