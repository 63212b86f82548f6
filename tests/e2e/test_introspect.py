# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""POST /api/oauth/introspect (RFC 7662): what a token or an API key is worth
at this moment, to a caller of the same organisation."""

import json
import secrets
import time
import urllib.parse

import pytest

from harness import conf, jwt, known_secrets
from harness.admin import CLIENTS, Admin, noted, now_ms
from harness.crowd import Crowd
from harness.oauth import (INACTIVE, INTROSPECT, active, active_in,
                           credentials, introspect)
from harness.pace import patient
from harness.store import Client, Key

READ, WRITE = "sessions:read", "sessions:write"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
WORKER = "wkr_01ARZ3NDEKTSV4RRFFQ69G5FAV"


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd("RenseiThrottle off\n" + conf.ISSUER,
                        store=world.store, children=3)


@pytest.fixture(scope="module")
def admin(gate, world):
    return Admin(gate, world.a.admin.token, world.a.id)


@pytest.fixture(scope="module")
def caller(world):
    """A resource server of organisation a: a client without any scope that
    would count."""
    return world.a.client("agents:read")


@pytest.fixture(scope="module")
def client(world):
    return world.a.client(f"{READ} {WRITE}", workspace=world.a.workspace)


def add_worker(world, org, key, worker=WORKER, revoked=None):
    wire = world.store.connect()
    wire.execute("INSERT INTO rensei_workers (id, org_id, key_id, hostname, "
                 "max_agents, created_at, revoked_at) "
                 "VALUES (?, ?, ?, 'h', 1, 1, ?)",
                 (worker, org.id, key.id, revoked))
    wire.close()


@pytest.fixture(scope="module")
def registration(admin):
    made = admin.key(keyType="worker_registration", scopes=["workers:register"])
    return Key(made["keyId"], made["token"])


def runtime(gate, org, key, worker=WORKER, **changes):
    return jwt.mint(gate.secret, jwt.claims(worker, org.id, [READ], reg=key.id,
                                            **changes),
                    {"alg": "HS256", "typ": "rensei-runtime+jwt"})


# -- what is active -----------------------------------------------------------


@pytest.mark.parametrize("how", ["form", "json"])
def test_a_token(gate, world, caller, client, how):
    token = gate.token(client)
    claims = jwt.read(token)[1]
    assert introspect(gate, caller, token, how) == {
        "active": True, "token_use": "m2m", "token_type": "Bearer",
        "client_id": client.id, "sub": client.id, "scope": f"{READ} {WRITE}",
        "scopes": [READ, WRITE], "iss": "rensei-platform",
        "aud": "rensei-api", "iat": claims["iat"], "exp": claims["exp"],
        "jti": claims["jti"], "org_id": world.a.id,
        "workspace_id": world.a.workspace, "custom_claims": {}}


def test_what_was_not_said_is_not_there(gate, world, caller):
    """A token of the service before this one: no kid, typ, jti, iat."""
    client = world.a.client()
    token = jwt.mint(gate.secret, world.a.claims(client, jti=None, iat=None),
                     {"alg": "HS256"})
    said = introspect(gate, caller, token)
    assert said["active"] is True
    assert not {"jti", "iat", "nbf", "workspace_id"} & set(said)


def test_other_claims_and_nbf(gate, world, caller):
    own = {"team": {"name": "build", "level": 3}, "beta": True, "none": None,
           "list": [1, "x"], "text": "\u00e9\"\\"}
    now = int(time.time())
    client = world.a.client()
    token = jwt.mint(gate.secret, {**world.a.claims(client, nbf=now - 5),
                                   **own})
    said = introspect(gate, caller, token)
    assert said["custom_claims"] == own
    assert said["nbf"] == now - 5
    assert not set(own) & set(said)


def test_claims_of_ours_are_no_custom_claims(gate, world, caller):
    """A token that says what it is used for, or which scope it has, does not
    speak for us."""
    client = world.a.client()
    claims = {**world.a.claims(client), "token_use": "api_key",
              "client_id": "m2m_" + "0" * 32, "scope": "*", "reg": "key_x",
              "active": False, "token_type": "none"}
    said = introspect(gate, caller, jwt.mint(gate.secret, claims))
    assert (said["token_use"], said["client_id"]) == ("m2m", client.id)
    assert (said["scope"], said["scopes"]) == (READ, [READ])
    assert (said["active"], said["token_type"]) == (True, "Bearer")
    assert said["custom_claims"] == {"active": False, "token_type": "none"}


@pytest.mark.parametrize("audience", ["https://other.example/",
                                      ["a", "urn:b"]])
def test_the_audience_does_not_count(gate, world, caller, audience):
    """Whoever issued it knows it, whomever it is for."""
    claims = world.a.claims(world.a.client(), aud=audience)
    said = introspect(gate, caller, jwt.mint(gate.secret, claims))
    assert said["active"] is True and said["aud"] == audience


@pytest.mark.parametrize("more", [
    {"keyType": "org"}, {"keyType": "user", "userId": "u"},
    {"keyType": "worker_registration", "scopes": ["workers:register"]},
    {"expiresAt": now_ms() + 3600_000}])
def test_an_api_key(gate, world, admin, caller, more):
    made = admin.key(**more)
    said = introspect(gate, caller, made["token"])
    wanted = {"active": True, "token_use": "api_key", "token_type": "Bearer",
              "sub": made["keyId"], "scopes": made["scopes"],
              "scope": " ".join(made["scopes"]), "iss": "rensei-platform",
              "org_id": world.a.id, "custom_claims": {}}
    if "expiresAt" in more:
        wanted["exp"] = more["expiresAt"] // 1000
    issued = said.pop("iat")
    assert said == wanted
    assert abs(time.time() - issued) < 60


def test_a_runtime_token(gate, world, caller, registration):
    add_worker(world, world.a, registration)
    token = runtime(gate, world.a, registration)
    said = introspect(gate, caller, token)
    assert (said["active"], said["token_use"]) == (True, "runtime")
    assert (said["sub"], said["org_id"]) == (WORKER, world.a.id)
    assert "client_id" not in said


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "api_key",
                                  "no such thing"])
def test_a_hint_that_is_wrong(gate, caller, client, world, hint):
    # RFC 7662 2.1: "it MUST extend its search across all of its supported
    # token types"
    for token in (gate.token(client), world.a.key().token):
        assert active(gate, caller, token, token_type_hint=hint)


# -- who may ask --------------------------------------------------------------


def test_each_way_of_asking(gate, world, caller, client):
    token = gate.token(client)
    by = {"client_id": caller.id, "client_secret": caller.secret,
          "token": token}
    answers = [
        gate.post(INTROSPECT, basic=tuple(caller), form={"token": token}),
        gate.post(INTROSPECT, basic=tuple(caller), json={"token": token}),
        gate.post(INTROSPECT, form=by), gate.post(INTROSPECT, json=by),
        gate.post(INTROSPECT, token=world.a.admin.token,
                  form={"token": token}),
        gate.post(INTROSPECT, token=world.a.key("org:read").token,
                  json={"token": token})]
    assert [a.status for a in answers] == [200] * 6
    assert len({a.body for a in answers}) == 1
    assert answers[0].json["active"] is True


def test_a_client_asks_about_itself(gate, client):
    assert active(gate, client, gate.token(client))


def test_a_key_asks_about_itself(gate, world):
    key = world.a.key("org:read")
    assert introspect(gate, key, key.token)["sub"] == key.id


def test_two_organisations(gate, world):
    """Each sees what is its own, and of the other's not even that it is."""
    orgs = {"a": world.a, "b": world.b}
    things = {name: [gate.token(org.client()), org.key().token,
                     org.admin.token] for name, org in orgs.items()}
    callers = {name: [org.client(), org.admin, org.key("org:read")]
               for name, org in orgs.items()}
    for mine in orgs:
        for by in callers[mine]:
            for whose in orgs:
                for token in things[whose]:
                    answer = gate.post(INTROSPECT, **credentials(by),
                                       form={"token": token})
                    assert answer.status == 200
                    if mine == whose:
                        assert answer.json["active"] is True
                        assert answer.json["org_id"] == orgs[mine].id
                    else:
                        assert answer.body == INACTIVE


def test_a_token_that_lies_about_its_organisation(gate, world):
    """Signed well, and the client is b's: a's it is not, for either."""
    claims = jwt.claims(world.b.client().id, world.a.id, [READ])
    token = jwt.mint(gate.secret, claims)
    assert not active(gate, world.a.admin, token)
    assert not active(gate, world.b.admin, token)


# -- what is not active -------------------------------------------------------


def dead(gate, world, admin):
    """Credentials of organisation a that are good for nothing, by reason."""
    client = world.a.client()
    now = int(time.time())
    good = world.a.claims(client)
    token = gate.token(client)
    head, payload, signature = token.split(".")
    other = "B" if signature[9] == "A" else "A"

    def made(change):
        return jwt.mint(gate.secret, {**good, **change})

    none = jwt.b64url(b'{"alg":"none","typ":"JWT"}')
    return {
        "nothing": "x", "dots": "..", "a word": "hello", "long": "a" * 9000,
        "bad signature": f"{head}.{payload}."
                         f"{signature[:9]}{other}{signature[10:]}",
        "no signature": f"{head}.{payload}.",
        "alg none": f"{none}.{payload}.",
        "another secret": jwt.mint(secrets.token_hex(32), good),
        "HS512": jwt.mint(gate.secret, good, {"alg": "HS512"}, "HS512"),
        "expired": made({"exp": now - 100, "iat": now - 500}),
        "expired within the skew": made({"exp": now - 2, "iat": now - 50}),
        "not yet valid": made({"nbf": now + 100}),
        "another issuer": made({"iss": "https://evil.example"}),
        "no exp": jwt.mint(gate.secret, {k: v for k, v in good.items()
                                         if k != "exp"}),
        "unknown client": made({"sub": "m2m_" + "0" * 32}),
        "a worker as JWT": made({"sub": WORKER, "reg": "key_x"}),
        "unknown worker": runtime(gate, world.a, world.a.key(),
                                  WORKER[:-1] + "0"),
        "unknown key": known_secrets.add("rsk_live_" + secrets.token_hex(32)),
        "half a key": world.a.admin.token[:40],
        "a client's secret": client.secret,
        "a client's id": client.id,
    }


def test_what_is_not_active(gate, world, admin, caller):
    """`{"active":false}` and nothing else, byte by byte, whatever is wrong
    (RFC 7662 2.2: "SHOULD NOT include any additional information")."""
    for why, token in dead(gate, world, admin).items():
        for how in ("form", "json"):
            answer = gate.post(INTROSPECT, basic=tuple(caller),
                               **{how: {"token": token}})
            assert (answer.status, answer.body) == (200, INACTIVE), why


def test_dead_at_once_in_every_child(gate, world, admin, caller):
    """What the admin API, or renseictl, ends is not active on the next
    request, whichever child is asked."""
    ctl = world.store.ctl
    revoked, paused = world.a.client(), world.a.client()
    key, org = world.a.key(), world.store.org("short-lived")
    theirs = world.store.client(org, "c", READ)
    its_key = world.store.key(org, "k", "*")
    kept = gate.token(world.a.client())
    cases = [
        (gate.token(revoked), caller,
         lambda: admin.ok("DELETE", f"{CLIENTS}/{revoked.id}")),
        (gate.token(paused), caller,
         lambda: admin.ok("PATCH", f"{CLIENTS}/{paused.id}",
                          {"status": "inactive"})),
        (key.token, caller,
         lambda: admin.ok("DELETE", f"{admin.keys}/{key.id}")),
        (gate.token(theirs), its_key,
         lambda: ctl("m2m-clients", "revoke", theirs.id, "--org", org)),
    ]
    with Crowd(gate) as crowd:
        for token, by, end in cases:
            assert active_in(crowd, by, token) == {True}
            end()
            assert active_in(crowd, by, token) == {False}
        admin.ok("PATCH", f"{CLIENTS}/{paused.id}", {"status": "active"})
        assert active_in(crowd, caller, cases[1][0]) == {True}
        assert active_in(crowd, caller, kept) == {True}


def test_a_caller_who_is_revoked_asks_no_more(gate, world, client):
    """At the token endpoint a client may be known from memory, because its
    token is recorded only if the store agrees; here nothing comes after. Who
    is revoked where this server does not see it, and asks before it has
    followed, learns nothing."""
    token = gate.token(client)

    def ask(wire, by):
        return wire.post(INTROSPECT, basic=tuple(by),
                         form={"token": token}).status

    with Crowd(gate) as crowd:
        # several: now and then the server follows before the first one asks
        for by in [world.a.client() for _ in range(4)]:
            for _ in range(2):  # each child remembers him
                assert crowd.each(lambda wire: ask(wire, by)) == {200}
            world.store.ctl("m2m-clients", "revoke", by.id, "--org",
                            world.a.id)
            assert crowd.each(lambda wire: ask(wire, by)) == {401}
    assert active(gate, world.a.admin, token)


def test_a_client_that_expires(gate, admin, caller):
    def run(end):
        made = admin.client(expiresAt=end.ms)
        token = gate.token(Client(made["clientId"], made["clientSecret"]))
        assert active(gate, caller, token)
        end.not_yet()
        end.wait()
        assert not active(gate, caller, token)
    patient(run)


def test_a_key_that_expires(gate, admin, caller):
    def run(end):
        made = admin.key(expiresAt=end.ms)
        assert active(gate, caller, made["token"])
        end.not_yet()
        end.wait()
        assert not active(gate, caller, made["token"])
    patient(run)


def test_a_suspended_organisation(gate, world):
    """Its own callers are refused; a token of it is nobody else's to see."""
    org = world.store.org("pause")
    client = world.store.client(org, "c", READ)
    key = world.store.key(org, "k", "*")
    token = gate.token(client)
    assert active(gate, key, token)
    world.store.ctl("org", "suspend", org)
    asked = {"form": {"token": token}}
    answer = gate.post(INTROSPECT, **credentials(key), **asked)
    assert answer.error == (401, "invalid_token")
    answer = gate.post(INTROSPECT, **credentials(client), **asked)
    assert answer.error == (401, "invalid_client")
    world.store.ctl("org", "resume", org)
    assert active(gate, key, token)


@pytest.mark.parametrize("worker, how", [
    ("wkr_01ARZ3NDEKTSV4RRFFQ69G5FA1", "worker"),
    ("wkr_01ARZ3NDEKTSV4RRFFQ69G5FA2", "key")])
def test_a_worker_that_is_revoked(gate, world, admin, caller, worker, how):
    made = admin.key(keyType="worker_registration", scopes=["workers:register"])
    key = Key(made["keyId"], made["token"])
    add_worker(world, world.a, key, worker)
    token = runtime(gate, world.a, key, worker)
    assert active(gate, caller, token)
    if how == "key":
        admin.ok("DELETE", f"{admin.keys}/{key.id}")
    else:
        wire = world.store.connect()
        wire.execute("UPDATE rensei_workers SET revoked_at = 2 WHERE id = ?",
                     (worker,))
        wire.close()
    assert not active(gate, caller, token)


# -- conditions of the caller's -----------------------------------------------


@pytest.mark.parametrize("needed, good", [
    (READ, True), (WRITE, True), (f"{READ} {WRITE}", True),
    (f"{WRITE}  {READ}", True), ("", True), ("agents:read", False),
    (f"{READ} agents:read", False), ("org:read", False), ("*", False),
    ("sessions", False)])
@pytest.mark.parametrize("how", ["form", "json"])
def test_required_scopes(gate, caller, client, needed, good, how):
    assert active(gate, caller, gate.token(client), how=how,
                  required_scopes=needed) is good


@pytest.mark.parametrize("needed, good", [
    ([READ], True), ([READ, WRITE], True), ([], True),
    ([READ, "agents:read"], False)])
def test_required_scopes_as_an_array(gate, caller, client, needed, good):
    assert active(gate, caller, gate.token(client), how="json",
                  required_scopes=needed) is good


def test_required_scopes_repeated_in_a_form(gate, caller, client):
    token = gate.token(client)
    for last, good in ((WRITE, True), ("agents:read", False)):
        answer = gate.post(INTROSPECT, basic=tuple(caller), form=[
            ("token", token), ("required_scopes", READ),
            ("required_scopes", last)])
        assert answer.json["active"] is good


def test_a_star_is_of_its_own_vocabulary(gate, world, caller):
    """`*` of a client reaches what clients can have, and never org:read."""
    token = gate.token(world.a.client("*"))
    for needed, good in ((READ, True), ("workers:write", True),
                         ("org:read", False), ("workflows:read", False)):
        assert active(gate, caller, token, required_scopes=needed) is good
    key = world.a.admin.token
    for needed in (READ, "org:read", "workflows:read", "workers:write"):
        assert active(gate, caller, key, required_scopes=needed)


def test_scopes_are_what_the_client_has_now(gate, admin, caller):
    made = admin.client(scopes=[READ, WRITE])
    token = gate.token(Client(made["clientId"], made["clientSecret"]))
    assert active(gate, caller, token, required_scopes=WRITE)
    admin.ok("PATCH", f"{CLIENTS}/{made['clientId']}", {"scopes": [READ]})
    assert introspect(gate, caller, token)["scopes"] == [READ]
    assert not active(gate, caller, token, required_scopes=WRITE)


@pytest.mark.parametrize("how, limit, age, good", [
    ("form", "60", 30, True), ("form", "60", 90, False),
    ("json", 60, 30, True), ("json", 60, 90, False), ("json", "60", 90, False),
    ("form", "0", 5, False), ("form", "", 90, True)])
def test_max_token_age(gate, world, caller, how, limit, age, good):
    now = int(time.time())
    token = jwt.mint(gate.secret, world.a.claims(world.a.client(),
                                                 iat=now - age))
    assert active(gate, caller, token, how=how, max_token_age=limit) is good


def test_the_age_of_a_token_that_does_not_say(gate, world, caller):
    token = jwt.mint(gate.secret, world.a.claims(world.a.client(), iat=None))
    assert active(gate, caller, token)
    assert not active(gate, caller, token, max_token_age="86400")


def test_the_age_of_a_key(gate, world, caller):
    key = world.a.key()
    assert active(gate, caller, key.token, max_token_age="60")
    wire = world.store.connect()
    wire.execute("UPDATE rensei_keys SET created_at = created_at - 61000 "
                 "WHERE id = ?", (key.id,))
    wire.close()
    assert not active(gate, caller, key.token, max_token_age="60")


@pytest.mark.parametrize("params, field", [
    ({"max_token_age": "x"}, "max_token_age"),
    ({"max_token_age": "-1"}, "max_token_age"),
    ({"max_token_age": "1.5"}, "max_token_age"),
    ({"max_token_age": "1e3"}, "max_token_age"),
    ({"max_token_age": "99999999999999999999"}, "max_token_age"),
    ({"max_token_age": 1.5}, "max_token_age"),
    ({"max_token_age": True}, "max_token_age"),
    ({"max_token_age": [60]}, "max_token_age"),
    ({"required_scopes": 'a"b'}, "required_scopes"),
    ({"required_scopes": "a\tb"}, "required_scopes"),
    ({"required_scopes": ["a", 5]}, "required_scopes"),
    ({"required_scopes": {"a": "b"}}, "required_scopes"),
    ({"required_scopes": None}, "required_scopes"),
    ({"required_scopes": " ".join(f"s{n}" for n in range(65))},
     "required_scopes")])
def test_conditions_that_are_none(gate, caller, client, params, field):
    """A condition that cannot be read is an error: to leave it out would
    answer active where it does not hold."""
    answer = gate.post(INTROSPECT, basic=tuple(caller),
                       json={"token": gate.token(client), **params})
    assert answer.error == (400, "invalid_request"), answer
    assert answer.json["field"] == field


# -- who may not ask: RFC 7662 2.3 --------------------------------------------


def refused(answer, status, error, scheme=None):
    assert answer.error == (status, error), answer
    assert answer.headers["Cache-Control"] == "no-store"
    assert "active" not in answer.json
    assert (answer.challenge.scheme if answer.challenge else None) == scheme
    return answer


def test_nobody(gate, client):
    """Else anybody could try tokens here (RFC 7662 4)."""
    token = gate.token(client)
    for body in ({"form": {"token": token}}, {"json": {"token": token}},
                 {"form": {}}, {"json": {}},
                 {"form": {"token": token, "client_id": client.id}}):
        refused(gate.post(INTROSPECT, **body), 401, "invalid_client", "Basic")


def test_a_client_that_does_not_authenticate(gate, world, admin):
    token = gate.token(world.a.client())
    gone, paused, known = (world.a.client() for _ in range(3))
    admin.ok("DELETE", f"{CLIENTS}/{gone.id}")
    admin.ok("PATCH", f"{CLIENTS}/{paused.id}", {"status": "inactive"})
    bodies = set()
    for bad in (gone, paused, Client(known.id, "m2ms_" + "0" * 64),
                Client("m2m_" + "0" * 32, known.secret),
                Client(known.id, world.b.client().secret)):
        answer = refused(gate.post(INTROSPECT, basic=tuple(bad),
                                   form={"token": token}),
                         401, "invalid_client", "Basic")
        bodies.add(answer.body)
        answer = refused(gate.post(INTROSPECT, form={
            "token": token, "client_id": bad.id,
            "client_secret": bad.secret}), 401, "invalid_client")
        bodies.add(answer.body)
    assert len(bodies) == 1


def test_its_failures_are_in_the_audit_trail(gate, world):
    client = world.a.client()
    gate.post(INTROSPECT, basic=(client.id, "m2ms_" + "7" * 64),
              form={"token": "x"})
    event = world.a.events("--event", "m2m.auth_failed")[0]
    assert event["target"] == client.id
    assert event["details"]["reason"] == "wrong_secret"


def test_keys_that_may_not_ask(gate, world, admin):
    """RFC 7662 2.3: "does not contain sufficient privileges or is otherwise
    invalid": 401, as in RFC 6750 3."""
    token = gate.token(world.a.client())
    user = admin.key(keyType="user", userId="u",
                     scopes=["org:read", "org:write"])["token"]
    worker = admin.key(keyType="worker_registration",
                       scopes=["workers:register"])["token"]
    gone = world.a.key("*")
    admin.ok("DELETE", f"{admin.keys}/{gone.id}")
    keys = {"user": user, "registration": worker, "revoked": gone.token,
            "no org:read": world.a.key(f"{READ} org:write").token,
            "unknown": known_secrets.add("rsk_live_" + "0" * 64),
            "an access token": token, "nothing": "", "a word": "x"}
    for why, key in keys.items():
        answer = gate.post(INTROSPECT, token=key, form={"token": token})
        refused(answer, 401, "invalid_token", "Bearer")
        assert answer.challenge.error == "invalid_token", why


@pytest.mark.parametrize("scheme", ["Digest x", "Negotiate", "bearer", "Token"])
def test_another_scheme(gate, scheme):
    answer = gate.post(INTROSPECT, headers={"Authorization": scheme, **FORM},
                       body="token=x")
    assert answer.error in ((401, "invalid_client"), (401, "invalid_token"))


def test_two_ways_at_once(gate, world, caller):
    both = {"token": "x", "client_id": caller.id,
            "client_secret": caller.secret}
    refused(gate.post(INTROSPECT, token=world.a.admin.token, form=both), 400,
            "invalid_request")
    refused(gate.post(INTROSPECT, basic=tuple(caller), form=both), 400,
            "invalid_request")
    refused(gate.post(INTROSPECT, form={**both, "client_assertion": "x"}),
            400, "invalid_request")


# -- 400, 405, 413, 415, 429, 503 ---------------------------------------------


@pytest.mark.parametrize("how", ["form", "json"])
@pytest.mark.parametrize("params", [{}, {"token": ""}])
def test_no_token(gate, caller, how, params):
    answer = gate.post(INTROSPECT, basic=tuple(caller), **{how: params})
    refused(answer, 400, "invalid_request")
    assert "token" in answer.json["error_description"]


@pytest.mark.parametrize("name", ["token", "token_type_hint", "max_token_age",
                                  "client_id"])
def test_a_parameter_repeated(gate, caller, name):
    pairs = [("token", "x"), (name, "60"), (name, "60")]
    answer = gate.post(INTROSPECT, basic=tuple(caller), headers=FORM,
                       body=urllib.parse.urlencode(pairs))
    refused(answer, 400, "invalid_request")


@pytest.mark.parametrize("value", [5, ["x"], None, {}])
def test_a_token_that_is_no_string(gate, caller, value):
    refused(gate.post(INTROSPECT, basic=tuple(caller), json={"token": value}),
            400, "invalid_request")


def test_in_the_url_it_does_not_count(gate, caller):
    # RFC 7662 4: tokens must not be in a URL
    answer = gate.post(INTROSPECT + "?token=x", basic=tuple(caller), form={})
    refused(answer, 400, "invalid_request")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
def test_405(gate, method):
    answer = gate.request(method, INTROSPECT)
    assert answer.status == 405
    assert answer.headers["Allow"] == "POST"


def test_413_and_415(gate, caller):
    refused(gate.post(INTROSPECT, basic=tuple(caller), headers=FORM,
                      body=b"token=" + b"x" * 70000), 413, "invalid_request")
    refused(gate.post(INTROSPECT, basic=tuple(caller), body="token=x",
                      headers={"Content-Type": "text/plain"}), 415,
            "invalid_request")


def test_429_after_too_many_failures(launch_here, world):
    """One count for all endpoints, or who waits at one goes on at another."""
    gate = launch_here.httpd("RenseiThrottle 3/60\n" + conf.ISSUER,
                             store=world.store, children=2)
    client, other = world.a.client(), world.a.client()
    wrong = Client(client.id, "m2ms_" + "8" * 64)
    answers = [gate.post(INTROSPECT, basic=tuple(wrong), form={"token": "x"})
               for _ in range(4)]
    assert [a.status for a in answers] == [401, 401, 401, 429]
    refused(answers[3], 429, "slow_down")
    assert int(answers[3].headers["Retry-After"]) > 0
    answer = gate.post("/api/oauth/token", form={
        "grant_type": "client_credentials", "client_id": client.id,
        "client_secret": client.secret})
    refused(answer, 429, "slow_down")
    assert not active(gate, other, "x")


def test_503_while_the_store_is_out_of_order(launch_here):
    """Never `active: false` for want of an answer: a resource server would
    refuse who is good; and never `true`."""
    store = launch_here.store()
    org = store.org("acme")
    client, key = store.client(org, "c", READ), store.key(org, "k", "*")
    gate = launch_here.httpd(conf.ISSUER, store=store, children=2)
    token = gate.token(client)
    assert active(gate, key, token)
    store.break_()
    gate.allow_log("RS0")
    for by in (client, key) * 2:
        answer = gate.post(INTROSPECT, **credentials(by),
                           form={"token": token})
        refused(answer, 503, "temporarily_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    store.mend()
    for _ in range(6):
        assert active(gate, key, token) and active(gate, client, token)


def test_that_an_org_key_is_in_use_is_noted(gate, world, admin):
    key = world.a.key("org:read")
    assert active(gate, key, key.token)
    assert noted(lambda: admin.ok("GET", f"{admin.keys}/{key.id}")
                 ["lastUsedAt"])


def test_asking_is_no_use_of_a_key(gate, world, admin, caller):
    key = world.a.key()
    assert active(gate, caller, key.token)
    assert admin.ok("GET", f"{admin.keys}/{key.id}")["lastUsedAt"] is None


def test_no_answer_repeats_the_token(gate, world, caller):
    for token in (gate.token(world.a.client()), world.a.admin.token, "x.y.z"):
        for body in ({"token": token}, {"token": token, "max_token_age": "x"},
                     {"token": token, "required_scopes": '"'}):
            answer = gate.post(INTROSPECT, basic=tuple(caller), form=body)
            assert token not in json.dumps(answer.text)
