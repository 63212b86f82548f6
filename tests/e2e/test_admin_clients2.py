# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""The admin API on how a client authenticates, what its tokens are for, and
the end of the tokens that it has."""

import json
import re
import time

import pytest

from harness import conf, jwt, known_secrets, where
from harness.admin import CLIENTS, NOBODY, Admin, invalid, lacks, now_ms
from harness.crowd import Crowd
from harness.pace import patient
from harness.store import Client

READ, WRITE = "sessions:read", "sessions:write"
TOKEN = "/api/oauth/token"
SECRET = conf.protected("/secret", "RenseiAccept client-secret",
                        "SetHandler rensei-whoami")
WHOAMI = "/api/whoami"
CHILDREN = 3
CONFLICT = (409, "conflict")

# RFC 8037 A.2, RFC 7517 A.1: public keys of three kinds
ED = {"kty": "OKP", "crv": "Ed25519",
      "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
EC = {"kty": "EC", "crv": "P-256", "kid": "1",
      "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
      "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}
RSA = {"kty": "RSA", "alg": "RS256", "kid": "2011-04-29", "e": "AQAB",
       "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86z"
            "wu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5Js"
            "GY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMic"
            "AtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-"
            "bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csF"
            "Cur-kEgU8awapJzKnqDKgw"}
# RFC 8037 A.1: the private half
ED_PRIVATE = {**ED, "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}
OCT = {"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0"
                          "gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}


def keys(*which):
    return {"keys": list(which)}


BY_KEY = {"tokenEndpointAuthMethod": "private_key_jwt", "jwks": keys(ED)}


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd("RenseiThrottle off\n" + conf.API + SECRET,
                        store=world.store, children=CHILDREN)


@pytest.fixture(scope="module")
def a(gate, world):
    return Admin(gate, world.a.admin.token, world.a.id)


@pytest.fixture(scope="module")
def b(gate, world):
    return Admin(gate, world.b.admin.token, world.b.id)


def url(client):
    return f"{CLIENTS}/{client['clientId']}"


def patch(admin, client, **fields):
    return admin.ok("PATCH", url(client), fields)["client"]


def ask(gate, client, way="body", secret=None):
    """The status of a request for a token."""
    pair = Client(client["clientId"], secret or client["clientSecret"])
    form = {"grant_type": "client_credentials"}
    more = {"basic": pair}
    if way != "basic":
        form.update(client_id=pair.id, client_secret=pair.secret)
        more = {}
    answer = gate.post(TOKEN, form=form, **more)
    assert answer.status == 200 or answer.error == (401, "invalid_client"), (
        answer)
    return answer.status


# -- how it authenticates -----------------------------------------------------


@pytest.mark.parametrize("key", [ED, EC, RSA], ids=["ed", "ec", "rsa"])
def test_a_client_with_a_key_has_no_secret(a, key):
    client = a.client(name="by key", **{**BY_KEY, "jwks": keys(key)})
    assert "clientSecret" not in client
    assert client["secretLast4"] is None
    assert client["tokenEndpointAuthMethod"] == "private_key_jwt"
    assert client["jwks"] == keys(key)
    assert a.ok("GET", url(client))["client"] == client
    row = next(row for row in a.ok("GET", CLIENTS, query={
        "name": "by key"})["clients"] if row["clientId"] == client["clientId"])
    assert row == client
    # nothing that looks like a secret is one of its own
    for secret in ("m2ms_" + "0" * 64, "x"):
        assert ask(a.gate, client, secret=secret) == 401
    for step in ("start", "", "cancel"):
        path = url(client) + "/secrets/rotate" + ("/" + step if step else "")
        assert a("POST", path).error == CONFLICT


@pytest.mark.parametrize("method, good, bad", [
    ("client_secret_basic", "basic", "body"),
    ("client_secret_post", "body", "basic")])
def test_one_way_of_sending_the_secret(a, gate, method, good, bad):
    client = a.client(tokenEndpointAuthMethod=method)
    assert client["tokenEndpointAuthMethod"] == method
    assert client["jwks"] is None
    assert ask(gate, client, good) == 200
    assert ask(gate, client, bad) == 401


def test_either_way_where_nothing_is_said(a, gate):
    client = a.client()
    assert client["tokenEndpointAuthMethod"] is None
    assert ask(gate, client, "basic") == ask(gate, client, "body") == 200
    client = {**client, **patch(a, client,
                                tokenEndpointAuthMethod="client_secret_post")}
    assert (ask(gate, client, "basic"), ask(gate, client)) == (401, 200)
    patch(a, client, tokenEndpointAuthMethod=None)
    assert ask(gate, client, "basic") == ask(gate, client, "body") == 200


def test_from_a_secret_to_a_key(a, gate):
    """A way without return: the secret ends at once, in every child."""
    client = a.client()
    with Crowd(gate) as children:
        assert children.each(lambda wire: ask(wire, client)) == {200}
        changed = patch(a, client, **BY_KEY)
        assert changed["secretLast4"] is None
        assert children.each(lambda wire: ask(wire, client)) == {401}
    for method in ("client_secret_basic", "client_secret_post", None):
        invalid(a("PATCH", url(client), {"tokenEndpointAuthMethod": method,
                                         "jwks": None}),
                "tokenEndpointAuthMethod")
    now = a.ok("GET", url(client))["client"]
    for noted_later in ("lastUsedAt", "lastUsedIp"):
        now[noted_later] = changed[noted_later]
    assert now == changed
    # another key, and two at once while it changes over
    assert patch(a, client, jwks=keys(ED, EC))["jwks"] == keys(ED, EC)
    assert patch(a, client, jwks=keys(EC))["jwks"] == keys(EC)


def test_both_secrets_of_a_rotation_end_with_the_change_to_a_key(a, gate):
    client = a.client()
    new = a.ok("POST", url(client) + "/secrets/rotate/start")
    changed = patch(a, client, **BY_KEY)
    assert changed["secretLast4"] is changed["nextSecretLast4"] is None
    assert ask(gate, client) == 401
    assert ask(gate, client, secret=new["nextClientSecret"]) == 401


@pytest.mark.parametrize("field, body", [
    ("tokenEndpointAuthMethod", {"tokenEndpointAuthMethod": "none"}),
    ("tokenEndpointAuthMethod", {"tokenEndpointAuthMethod": ""}),
    ("tokenEndpointAuthMethod", {"tokenEndpointAuthMethod": 5}),
    ("tokenEndpointAuthMethod", {"tokenEndpointAuthMethod": ["x"]}),
    ("tokenEndpointAuthMethod",
     {"tokenEndpointAuthMethod": "client_secret_jwt"}),
    ("tokenEndpointAuthMethod",
     {"tokenEndpointAuthMethod": "Client_Secret_Basic"}),
    ("jwks", {"tokenEndpointAuthMethod": "private_key_jwt"}),
    ("jwks", {**BY_KEY, "jwks": None}),
    ("jwks", {"jwks": keys(ED)}),
    ("jwks", {"tokenEndpointAuthMethod": "client_secret_post",
              "jwks": keys(ED)}),
    ("jwks", {**BY_KEY, "jwks": ED}),
    ("jwks", {**BY_KEY, "jwks": [ED]}),
    ("jwks", {**BY_KEY, "jwks": "x"}),
    ("jwks", {**BY_KEY, "jwks": {}}),
    ("jwks", {**BY_KEY, "jwks": keys()}),
    ("jwks", {**BY_KEY, "jwks": {"keys": ED}}),
    ("jwks", {**BY_KEY, "jwks": keys("x")}),
    ("jwks", {**BY_KEY, "jwks": keys({})}),
    ("jwks", {**BY_KEY, "jwks": keys(OCT)}),
    ("jwks", {**BY_KEY, "jwks": keys(ED_PRIVATE)}),
    ("jwks", {**BY_KEY, "jwks": keys(ED, ED_PRIVATE)}),
    ("jwks", {**BY_KEY, "jwks": keys({**ED, "x": ED["x"][:-4]})}),
    ("jwks", {**BY_KEY, "jwks": keys({**ED, "x": ED["x"] + "="})}),
    ("jwks", {**BY_KEY, "jwks": keys({**ED, "crv": "X25519"})}),
    ("jwks", {**BY_KEY, "jwks": keys({**EC, "y": EC["x"]})}),
    ("jwks", {**BY_KEY, "jwks": keys({**RSA, "n": RSA["n"][:171]})}),
    ("jwks", {**BY_KEY, "jwks": keys({**RSA, "alg": "HS256"})}),
    ("jwks", {**BY_KEY, "jwks": keys(
        *({**ED, "kid": str(n)} for n in range(11)))}),
    ("audiences", {"audiences": "https://api.example"}),
    ("audiences", {"audiences": 5}), ("audiences", {"audiences": {}}),
    ("audiences", {"audiences": [5]}), ("audiences", {"audiences": [""]}),
    ("audiences", {"audiences": ["a b"]}),
    ("audiences", {"audiences": ["https://x/#frag"]}),
    ("audiences", {"audiences": ['a"b']}),
    ("audiences", {"audiences": ["x" * 256]}),
    ("audiences", {"audiences": ["\u00e9"]}),
    ("audiences", {"audiences": [f"a{n}" for n in range(17)]}),
    *(("secretExpiresAt", {"secretExpiresAt": value}) for value in (
        0, -1, 1, 1.5, True, "", "tomorrow", "1970-01-01T00:00:00Z", [], {},
        2 ** 62)),
    ("secretExpiresAt", {**BY_KEY, "secretExpiresAt": 4_000_000_000_000}),
    # what only a rotation says
    ("nextSecretLast4", {"nextSecretLast4": "abcd"}),
    ("secretLast4", {"secretLast4": "abcd"}),
    ("jwksUri", {"jwksUri": "https://x/"})])
@pytest.mark.parametrize("way", ["create", "change"])
def test_what_is_not_right(a, way, field, body):
    known_secrets.add(ED_PRIVATE["d"])
    known_secrets.add(OCT["k"])
    if way == "create":
        answer = a("POST", CLIENTS, {"name": "x", "scopes": [READ], **body})
    else:
        client = a.client()
        answer = a("PATCH", url(client), body)
        before = {name: client[name] for name in client
                  if name != "clientSecret"}
        assert a.ok("GET", url(client))["client"] == before
    invalid(answer, field)
    assert not known_secrets.found_in(answer.text)


def test_a_key_of_ones_own_on_a_client_with_more(a, gate, world):
    """Whose key a client has, he is the client: a narrow administrator who
    puts his key on one with everything would have everything."""
    narrow = Admin(gate, world.a.key(f"org:write org:read {READ}").token,
                   world.a.id)
    for scopes in (["*"], [READ, WRITE]):
        for client in (a.client(scopes=scopes),
                       a.client(scopes=scopes, **BY_KEY)):
            before = a.ok("GET", url(client))
            for body in (BY_KEY, {"jwks": keys(EC)}, {**BY_KEY, "name": "x"},
                         {**BY_KEY, "scopes": scopes}):
                answer = narrow("PATCH", url(client), body)
                assert answer.status in (400, 403), answer
                if "tokenEndpointAuthMethod" in body:
                    assert answer.error == (403, "access_denied"), answer
            assert a.ok("GET", url(client)) == before
    # of what he holds himself he may
    assert patch(narrow, a.client(), **BY_KEY)["jwks"] == keys(ED)
    wide = a.client(scopes=[READ, WRITE])
    assert patch(narrow, wide, scopes=[READ], **BY_KEY)["scopes"] == [READ]


def test_the_audit_trail_names_the_fields(a):
    client = a.client(**BY_KEY, audiences=["https://api.example/"])
    patch(a, client, jwks=keys(EC), audiences=["other"])
    updated, created = a.events(target=client["clientId"])
    assert created["event"] == "m2m.client_created"
    assert updated["event"] == "m2m.client_updated"
    assert set(updated["details"]["fields"]) == {"jwks", "audiences"}


# -- the end of its secret ----------------------------------------------------


YEAR_2096, ISO_2096 = 4_000_000_000_000, "2096-10-02T07:06:40Z"


def rotate(admin, client, step, body=None):
    return admin("POST", url(client) + "/secrets/rotate" + step, body)


def shown(gate, client):
    """The status of a request that shows the secret itself, in a child that
    may have seen it before."""
    pair = Client(client["clientId"], client["clientSecret"])
    return gate.get("/secret", basic=tuple(pair)).status


def good_for(children, client):
    """What each child says to the secret: (at the token endpoint, where it is
    shown itself)."""
    return children.each(lambda wire: (ask(wire, client),
                                       shown(wire, client)))


@pytest.mark.parametrize("value", [YEAR_2096, ISO_2096])
def test_an_end_of_the_secret(a, gate, value):
    client = a.client(secretExpiresAt=value)
    assert client["secretExpiresAt"] == YEAR_2096
    assert client["expiresAt"] is None  # that is another thing
    assert ask(gate, client) == 200
    assert patch(a, client, name="x")["secretExpiresAt"] == YEAR_2096
    assert patch(a, client, secretExpiresAt=None)["secretExpiresAt"] is None
    assert patch(a, client, secretExpiresAt=value) == a.ok(
        "GET", url(client))["client"]
    row, = (row for row in a.ok("GET", CLIENTS)["clients"]
            if row["clientId"] == client["clientId"])
    assert row["secretExpiresAt"] == YEAR_2096
    assert a.client(secretExpiresAt=None)["secretExpiresAt"] is None


@pytest.mark.parametrize("value", [1_700_000_000_000, "2024-01-31T12:00:00Z"])
def test_a_new_secret_ends_in_the_future(a, gate, value):
    invalid(a("POST", CLIENTS, {"name": "x", "scopes": [READ],
                                "secretExpiresAt": value}), "secretExpiresAt")
    # of one that is there it is a way to end it now, in every child
    client = a.client()
    with Crowd(gate) as children:
        assert good_for(children, client) == {(200, 200)}
        patch(a, client, secretExpiresAt=value)
        assert good_for(children, client) == {(401, 401)}


@pytest.mark.parametrize("way", ["create", "change"])
def test_the_secret_ends_by_itself(a, gate, way):
    def run(end):
        client = a.client(**{"secretExpiresAt": end.ms}
                          if way == "create" else {})
        if way == "change":
            patch(a, client, secretExpiresAt=end.ms)
        have = token(gate, client)
        assert good_for(children, client) == {(200, 200)}
        end.not_yet()
        end.wait()
        assert good_for(children, client) == {(401, 401)}
        return client, have, end.ms
    with Crowd(gate) as children:
        client, have, ends = patient(run)
    event = a.events(target=client["clientId"], event="m2m.auth_failed")[0]
    assert event["details"]["reason"] == "secret_expired"
    # the secret alone: not the client, nor the tokens that it has
    assert a.ok("GET", url(client))["client"]["status"] == "active"
    assert gate.get(WHOAMI, token=have).status == 200
    # and it does not come back, but for a new one
    for later in (None, YEAR_2096):
        assert a("PATCH", url(client),
                 {"secretExpiresAt": later}).error == CONFLICT
    assert patch(a, client, name="x")["secretExpiresAt"] == ends
    assert patch(a, client, secretExpiresAt=ends)["secretExpiresAt"] == ends
    new = rotate(a, client, "/start", {"expiresAt": YEAR_2096}).json
    assert new["secretExpiresAt"] == ends
    assert ask(gate, client) == 401
    assert ask(gate, client, secret=new["nextClientSecret"]) == 200
    assert rotate(a, client, "/cancel").error == CONFLICT
    done = rotate(a, client, "").json["client"]
    assert done["secretExpiresAt"] is None
    assert ask(gate, client) == 401
    assert ask(gate, client, secret=new["nextClientSecret"]) == 200


def test_a_rotation_of_a_secret_with_an_end(a, gate):
    client = a.client(secretExpiresAt=YEAR_2096)
    sooner = now_ms() + 3_600_000
    assert rotate(a, client, "/start").json["secretExpiresAt"] == YEAR_2096
    assert rotate(a, client, "/cancel").json["client"][
        "secretExpiresAt"] is None
    patch(a, client, secretExpiresAt=YEAR_2096)
    new = rotate(a, client, "/start", {"expiresAt": sooner}).json
    assert new["secretExpiresAt"] == sooner
    done = rotate(a, client, "").json["client"]
    assert done["secretExpiresAt"] is None
    assert ask(gate, client, secret=new["nextClientSecret"]) == 200


def test_a_client_with_a_key_has_no_end_of_a_secret(a):
    client = a.client(**BY_KEY, secretExpiresAt=None)
    assert client["secretExpiresAt"] is None
    invalid(a("PATCH", url(client), {"secretExpiresAt": YEAR_2096}),
            "secretExpiresAt")
    # the end goes with the secret that had it
    assert patch(a, a.client(secretExpiresAt=YEAR_2096),
                 **BY_KEY)["secretExpiresAt"] is None


def test_the_audit_trail_has_the_end_of_the_secret(a):
    client = a.client(secretExpiresAt=YEAR_2096)
    patch(a, client, secretExpiresAt=None)
    patch(a, client, secretExpiresAt=YEAR_2096 + 1)
    rotate(a, client, "/start")
    started, later, cleared, created = a.events(target=client["clientId"])
    assert created["details"]["secretExpiresAt"] == YEAR_2096
    assert cleared["details"] == {"fields": ["secretExpiresAt"],
                                  "secretExpiresAt": None}
    assert later["details"] == {"fields": ["secretExpiresAt"],
                                "secretExpiresAt": YEAR_2096 + 1}
    assert started["details"]["secretExpiresAt"] == YEAR_2096 + 1


# -- what its tokens are for --------------------------------------------------


def test_audiences(a):
    client = a.client(audiences=["https://api.example/v1", "billing",
                                 "billing"])
    assert client["audiences"] == ["https://api.example/v1", "billing"]
    assert patch(a, client, audiences=["other"])["audiences"] == ["other"]
    assert patch(a, client, name="x")["audiences"] == ["other"]
    assert patch(a, client, audiences=[])["audiences"] == []
    patch(a, client, audiences=["other"])
    assert patch(a, client, audiences=None)["audiences"] == []
    assert a.client()["audiences"] == []


# -- the end of its tokens ----------------------------------------------------


def revoke(admin, client):
    answer = admin.ok("POST", url(client) + "/tokens/revoke")
    assert set(answer) == {"clientId", "tokensRevokedAt"}
    assert answer["clientId"] == client["clientId"]
    return answer["tokensRevokedAt"]


def token(gate, client):
    return gate.token(Client(client["clientId"], client["clientSecret"]))


def test_all_tokens_of_a_client_end_in_every_child(a, gate):
    client, other = a.client(), a.client()
    old = [token(gate, client) for _ in range(3)]
    theirs = token(gate, other)
    before = now_ms()
    with Crowd(gate) as children:
        for one in old + [theirs]:  # each has them in its cache
            assert children.statuses(one) == {200}
        at = revoke(a, client)
        for one in old:
            assert children.statuses(one) == {401}
        assert children.statuses(theirs) == {200}
        new = token(gate, client)  # the client itself goes on
        assert children.statuses(new) == {200}
    assert before - 5 <= at <= now_ms() + 5
    answer = gate.get(WHOAMI, token=old[0])
    assert answer.error == (401, "invalid_token")
    assert a.ok("GET", url(client))["client"]["status"] == "active"


def test_again_and_again(a, gate):
    """Each time it is the tokens up to then; the next one, even of the same
    millisecond, is good."""
    client = a.client()
    seen, last = [], 0
    for _ in range(6):
        seen.append(token(gate, client))
        assert gate.get(WHOAMI, token=seen[-1]).status == 200
        at = revoke(a, client)
        assert at >= last
        last = at
        assert {gate.get(WHOAMI, token=one).status for one in seen} == {401}
    assert gate.get(WHOAMI, token=token(gate, client)).status == 200


def test_tokens_of_the_original_service_end_too(a, gate, world):
    """They have no jti that tells the millisecond: their second counts."""
    client = a.client()

    def minted(**claims):
        return jwt.mint(gate.secret, jwt.claims(
            client["clientId"], world.a.id, [READ], **claims))

    old = [minted(jti=None), minted(jti="x"), minted(jti=None, iat=None)]
    assert {gate.get(WHOAMI, token=one).status for one in old[:2]} == {200}
    at = revoke(a, client)
    assert {gate.get(WHOAMI, token=one).status for one in old} == {401}
    time.sleep(max(0, at // 1000 + 1.05 - time.time()))
    assert gate.get(WHOAMI, token=minted(jti=None)).status == 200


def test_ended_tokens_stay_so_over_a_restart(a, gate):
    client = a.client()
    old = token(gate, client)
    revoke(a, client)
    gate.graceful()
    assert {gate.get(WHOAMI, token=old).status for _ in range(6)} == {401}


def test_the_end_of_tokens_is_in_the_audit_trail(a, world):
    client = a.client()
    revoke(a, client)
    event = a.events(target=client["clientId"])[0]
    assert event["event"] == "m2m.token_revoked"
    assert event["details"]["all"] is True
    assert event["actor"] == world.a.admin.id


def test_tokens_of_whom(a, b, gate, world):
    client = a.client()
    good = token(gate, client)
    path = url(client) + "/tokens/revoke"
    reader = Admin(gate, world.a.key(f"org:read {READ}").token, world.a.id)
    lacks(reader("POST", path), "org:write")
    answer = b("POST", path)
    nothing = b("POST", f"{CLIENTS}/{NOBODY}/tokens/revoke")
    assert answer.error == nothing.error == (404, "not_found")
    assert answer.body == nothing.body
    for other in ("x", "*", "key_x"):
        assert a("POST", f"{CLIENTS}/{other}/tokens/revoke").error == (
            404, "not_found")
    invalid(a("POST", path, {"jti": "tok_x"}), "jti")
    assert a("GET", path).error == (405, "method_not_allowed")
    assert gate.get(WHOAMI, token=good).status == 200
    # of a revoked client all have ended
    a.ok("DELETE", url(client))
    assert a("POST", path).error == CONFLICT
    assert json.dumps(a.events(target=client["clientId"])).count(
        "m2m.token_revoked") == 0


# -- the documentation --------------------------------------------------------


def test_each_call_is_documented():
    """A call that is not in docs/api.md is one that nobody makes."""
    source = (where.ROOT / "mod_rensei_admin/mod_rensei_admin.c").read_text()
    paths = dict(re.findall(r'#define (CLIENTS|KEYS) "(.+)"', source))
    rows = re.findall(r'{M_([A-Z]+), (?:(CLIENTS|KEYS) ?)?(?:"(.+?)")?, admin_',
                      source)
    assert len(paths) == 2 and len(rows) > 15
    text = (where.ROOT / "docs/api.md").read_text()
    missing = [call for method, base, rest in rows
               if not re.search(re.escape(
                   call := f"{method} {paths.get(base, '')}{rest}")
                   + r"[`?\[]", text)]
    assert not missing
