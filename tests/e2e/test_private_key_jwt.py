# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""private_key_jwt (RFC 7523): a client that shows no secret, but signs."""

import threading
import time

import pytest

from harness import conf, jwt, known_secrets
from harness.admin import CLIENTS, Admin
from harness.oauth import (ALGS, ASSERTION, INTROSPECT, REVOKE, TOKEN, WHOAMI,
                           assertion_claims, new_key, public, sign)
from harness.store import Client

READ = "sessions:read"
HERE = "http://localhost"
ENDPOINT = HERE + TOKEN


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd("RenseiThrottle off\n" + conf.ISSUER,
                        store=world.store, children=3)


@pytest.fixture(scope="module")
def key():
    return new_key("ES256", kid="one")


class Signer:
    """A client that signs."""

    def __init__(self, gate, org, *keys, alg="ES256", **more):
        made = Admin(gate, org.admin.token, org.id).client(
            tokenEndpointAuthMethod="private_key_jwt", jwks=public(*keys),
            **more)
        assert "clientSecret" not in made, made
        self.id, self.key, self.alg = made["clientId"], keys[0], alg

    def assertion(self, audience=ENDPOINT, header=None, **changes):
        return sign(self.key, self.alg,
                    assertion_claims(self.id, audience, **changes),
                    **(header or {}))


@pytest.fixture(scope="module")
def client(gate, world, key):
    return Signer(gate, world.a, key)


def form(assertion, **more):
    out = {"grant_type": "client_credentials",
           "client_assertion_type": ASSERTION, "client_assertion": assertion,
           **more}
    return {name: value for name, value in out.items() if value is not None}


def ask(gate, assertion, how="form", host="localhost", **more):
    return gate.post(TOKEN, host=host, **{how: form(assertion, **more)})


def refused(answer, status=401, error="invalid_client"):
    assert answer.error == (status, error), answer
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.challenge is None, answer
    return answer.json["error_description"]


# -- what is good -------------------------------------------------------------


@pytest.mark.parametrize("alg", ALGS)
@pytest.mark.parametrize("how", ["form", "json"])
def test_each_algorithm(gate, world, alg, how):
    own = new_key(alg)
    client = Signer(gate, world.a, own, alg=alg)
    answer = ask(gate, client.assertion(), how)
    assert answer.status == 200, answer
    token = answer.json["access_token"]
    assert jwt.read(token)[1]["sub"] == client.id
    assert gate.get(WHOAMI, token=token).status == 200


def test_with_and_without_a_client_id(gate, client):
    # RFC 7521 4.2: it is optional; it "MUST identify the same client"
    assert ask(gate, client.assertion(), client_id=client.id).status == 200
    assert ask(gate, client.assertion(), client_id="").status == 200
    refused(ask(gate, client.assertion(), client_id="m2m_" + "0" * 32))


def test_narrowing_its_scope(gate, client):
    assert ask(gate, client.assertion(), scope=READ).json["scope"] == READ
    refused(ask(gate, client.assertion(), scope="org:read"), 400,
            "invalid_scope")


@pytest.mark.parametrize("audience", [
    ENDPOINT, HERE, HERE + INTROSPECT, HERE + REVOKE, [ENDPOINT],
    [HERE, ENDPOINT]])
def test_the_names_of_this_service(gate, client, audience):
    assert ask(gate, client.assertion(audience)).status == 200


def test_of_several_keys(gate, world, key):
    """A key is changed without a pause: both are there for a while."""
    next_one = new_key("EdDSA", kid="two")
    client = Signer(gate, world.a, key, next_one)
    assert ask(gate, client.assertion(header={"kid": "one"})).status == 200
    client.key, client.alg = next_one, "EdDSA"
    assert ask(gate, client.assertion(header={"kid": "two"})).status == 200
    assert ask(gate, client.assertion()).status == 200
    admin = Admin(gate, world.a.admin.token, world.a.id)
    admin.ok("PATCH", f"{CLIENTS}/{client.id}", {"jwks": public(key)})
    refused(ask(gate, client.assertion(header={"kid": "two"})))


def test_introspection_and_revocation(gate, world, client):
    token = ask(gate, client.assertion()).json["access_token"]
    by = {"grant_type": None, "token": token}
    answer = gate.post(INTROSPECT, form=form(
        client.assertion(HERE + INTROSPECT), **by))
    assert answer.json["active"] is True and answer.json["sub"] == client.id
    other = gate.token(world.a.client())
    answer = gate.post(REVOKE, form=form(client.assertion(HERE + REVOKE),
                                         **{**by, "token": other}))
    assert answer.error == (400, "invalid_grant")
    answer = gate.post(REVOKE, form=form(client.assertion(HERE + REVOKE),
                                         **by))
    assert (answer.status, answer.json) == (200, {})
    assert gate.get(WHOAMI, token=token).status == 401
    for path in (INTROSPECT, REVOKE):
        refused(gate.post(path, form=form("x.y.z", **by)))


def test_a_base_url_that_is_configured(launch_here, world, key):
    """Then the Host does not count at all."""
    gate = launch_here.httpd("RenseiBaseURL https://auth.example/eu\n"
                             "RenseiThrottle off\n" + conf.ISSUER,
                             store=world.store)
    client = Signer(gate, world.a, key)
    for audience in ("https://auth.example/eu",
                     "https://auth.example/eu" + TOKEN):
        assert ask(gate, client.assertion(audience)).status == 200
        assert ask(gate, client.assertion(audience),
                   host="other.example").status == 200
    for audience in (HERE, ENDPOINT, "https://auth.example",
                     "https://auth.example" + TOKEN):
        refused(ask(gate, client.assertion(audience)))


# -- what is not: RFC 7523 3 --------------------------------------------------


FAULTS = {
    "iss is another": {"iss": "m2m_" + "0" * 32},
    "iss is missing": {"iss": None},
    "sub is another": {"sub": "m2m_" + "0" * 32},
    "sub is missing": {"sub": None},
    "aud is missing": {"aud": None},
    "aud is another": {"aud": "https://other.example/api/oauth/token"},
    "aud is part of ours": {"aud": "http://local"},
    "aud goes on": {"aud": ENDPOINT + "/x"},
    "aud is another as well": {"aud": [ENDPOINT, "https://other.example"]},
    "aud is no text": {"aud": 5}, "aud is empty": {"aud": []},
    "exp is missing": {"exp": None}, "exp is text": {"exp": "9999999999"},
    "exp is past": {"exp": 1700000000},
    "jti is missing": {"jti": None}, "jti is empty": {"jti": ""},
    "jti is no text": {"jti": 5},
}


@pytest.mark.parametrize("why", FAULTS)
def test_claims_that_are_wrong(gate, client, why):
    """One text for all, and that of a client which does not exist."""
    nobody = "m2m_" + "0" * 32
    text = refused(ask(gate, client.assertion(**FAULTS[why])))
    assert text == refused(ask(gate, client.assertion(iss=nobody,
                                                      sub=nobody)))


def test_times_that_are_wrong(gate, client):
    now = int(time.time())
    assert ask(gate, client.assertion(exp=now + 3590)).status == 200
    assert ask(gate, client.assertion(iat=None)).status == 200
    for changes in ({"exp": now + 4000}, {"exp": now - 60},
                    {"nbf": now + 100}, {"iat": now + 100},
                    {"exp": now + 10 ** 9}):
        refused(ask(gate, client.assertion(**changes)))


def test_signatures_that_are_wrong(gate, world, client, key):
    good = client.assertion()
    head, payload, signature = good.split(".")
    claims = assertion_claims(client.id, ENDPOINT)
    stranger = new_key()
    theirs = Signer(gate, world.b, stranger)
    pem = key.as_pem(is_private=False).decode()
    none = jwt.b64url(b'{"alg":"none"}')
    for why, bad in {
            "none": f"{none}.{payload}.", "empty": f"{head}.{payload}.",
            "cut": good[:-4], "a stranger's": sign(stranger, "ES256", claims),
            "another client's key": sign(theirs.key, "ES256", claims),
            "its kid": sign(stranger, "ES256", claims, kid="one"),
            "an unknown kid": sign(key, "ES256", claims, kid="other"),
            "HS256 with the public key": jwt.mint(pem, claims),
            "HS256 with the issuer's": jwt.mint(gate.secret, claims),
            "a key of its own": sign(stranger, "ES256", claims,
                                     jwk=stranger.as_dict(is_private=False)),
            "an unknown crit": sign(key, "ES256", claims, crit=["x"], x=1),
            "words": "hello", "dots": "..", "long": "a" * 20000 + ".b.c",
    }.items():
        answer = ask(gate, bad)
        assert answer.error == (401, "invalid_client"), (why, answer)
    assert ask(gate, good).status == 200


def test_two_organisations(gate, world, key):
    """The same key in both: who signs as the one is not the other."""
    a, b = Signer(gate, world.a, key), Signer(gate, world.b, key)
    for one, org in ((a, world.a), (b, world.b)):
        token = ask(gate, one.assertion()).json["access_token"]
        assert jwt.read(token)[1]["org_id"] == org.id
    refused(ask(gate, a.assertion(), client_id=b.id))
    refused(ask(gate, a.assertion(sub=b.id)))


# -- once ---------------------------------------------------------------------


def test_an_assertion_is_good_once(gate, client):
    """RFC 7523 3, item 7: whoever reads one must not be able to play it
    again, at any endpoint."""
    assertion = client.assertion(HERE)
    assert ask(gate, assertion).status == 200
    for _ in range(6):
        refused(ask(gate, assertion))
    refused(gate.post(INTROSPECT, form=form(assertion, token="x")))
    refused(gate.post(REVOKE, form=form(assertion, token="x")))


def test_of_a_race_one_wins(gate, client):
    assertion, statuses = client.assertion(), []

    def play():
        statuses.append(ask(gate, assertion).status)

    threads = [threading.Thread(target=play) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [401] * 11


def test_after_a_restart_too(launch_here, world, key):
    gate = launch_here.httpd("RenseiThrottle off\n" + conf.ISSUER,
                             store=world.store)
    client = Signer(gate, world.a, key)
    assertion = client.assertion()
    assert ask(gate, assertion).status == 200
    gate.graceful()
    refused(ask(gate, assertion))
    gate.stop()
    gate.start()
    refused(ask(gate, assertion))


def test_a_jti_is_its_clients_own(gate, world, client, key):
    """Or one client could use up another's."""
    other = Signer(gate, world.b, key)
    assert ask(gate, other.assertion(jti="same")).status == 200
    assert ask(gate, client.assertion(jti="same")).status == 200
    refused(ask(gate, client.assertion(jti="same")))


def test_one_that_fails_is_not_used_up(gate, client):
    """Nobody who cannot sign can use up a jti."""
    good = client.assertion(jti="wanted")
    head, payload, signature = good.split(".")
    other = "B" if signature[9] == "A" else "A"
    refused(ask(gate, f"{head}.{payload}.{signature[:9]}{other}"
                      f"{signature[10:]}"))
    assert ask(gate, good).status == 200


# -- for this server alone ----------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example",
                                  "localhost:1", "127.0.0.2", "xlocalhost"])
def test_one_that_was_made_for_another_server(gate, client, host):
    """A server that the client talks to as well passes on what it was given,
    under its own name: the Host says what the attacker likes."""
    refused(ask(gate, client.assertion(f"http://{host}{TOKEN}"), host=host))
    refused(ask(gate, client.assertion(f"http://{host}"), host=host))
    refused(ask(gate, client.assertion(f"http://{host}{TOKEN}")))


def test_the_names_of_a_virtual_host(launch_here, world, key):
    gate = launch_here.httpd(
        "RenseiThrottle off\n<VirtualHost *:@PORT@>\nServerName one.example\n"
        "ServerAlias two.example *.three.example\n"
        + world.store.dbd() + conf.ISSUER + "</VirtualHost>\n",
        store=world.store)
    client = Signer(gate, world.a, key)
    port = gate.port
    for host in ("one.example", "two.example", "x.three.example", "ONE.example",
                 f"one.example:{port}", f"localhost:{port}",
                 f"127.0.0.1:{port}"):
        name = host.lower()
        assert ask(gate, client.assertion(f"http://{name}{TOKEN}"),
                   host=host).status == 200, host
    for host in ("four.example", "three.example.evil", "one.example:1"):
        refused(ask(gate, client.assertion(f"http://{host}{TOKEN}"),
                    host=host))


# -- how else it may not be said ----------------------------------------------


def test_a_client_that_signs_has_no_other_way(gate, client):
    secret = known_secrets.add("m2ms_" + "9" * 64)
    for more in ({"basic": (client.id, secret), "form": {
            "grant_type": "client_credentials"}},
                 {"form": {"grant_type": "client_credentials",
                           "client_id": client.id, "client_secret": secret}}):
        assert gate.post(TOKEN, **more).error == (401, "invalid_client")


def test_a_client_with_a_secret_does_not_sign(gate, world, key):
    client = world.a.client()
    refused(ask(gate, sign(key, "ES256", assertion_claims(client.id,
                                                          ENDPOINT))))
    refused(ask(gate, jwt.mint(client.secret, assertion_claims(client.id,
                                                               ENDPOINT))))


def test_two_ways_at_once(gate, world, client):
    other = world.a.client()
    refused(ask(gate, client.assertion(), client_id=client.id,
                client_secret=other.secret), 400, "invalid_request")
    answer = gate.post(TOKEN, basic=tuple(other),
                       form=form(client.assertion()))
    assert answer.error == (400, "invalid_request")


@pytest.mark.parametrize("missing", ["client_assertion",
                                     "client_assertion_type"])
def test_half_of_it(gate, client, missing):
    text = refused(ask(gate, **{"assertion": client.assertion(),
                                missing: ""}) if missing
                   != "client_assertion" else ask(gate, ""), 400,
                   "invalid_request")
    assert missing in text


@pytest.mark.parametrize("kind", [
    "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", "jwt-bearer",
    ASSERTION.upper()])
def test_another_type_of_assertion(gate, client, kind):
    refused(ask(gate, client.assertion(), client_assertion_type=kind))


# -- the trail, and too many --------------------------------------------------


def test_failures_are_in_the_audit_trail(gate, world, key):
    client = Signer(gate, world.a, key)
    assertion = client.assertion()
    assert ask(gate, assertion).status == 200
    refused(ask(gate, assertion))
    refused(ask(gate, client.assertion(aud="x")))
    events = [e for e in world.a.events("--event", "m2m.auth_failed")
              if e["target"] == client.id]
    assert len(events) == 2
    assert not world.b.events("--event", "m2m.auth_failed", "--target",
                              client.id)


@pytest.mark.parametrize("named", [True, False])
def test_429(launch_here, world, key, named):
    """Counted by the client that the assertion names, said in so many words
    or not."""
    gate = launch_here.httpd("RenseiThrottle 3/60\n" + conf.ISSUER,
                             store=world.store)
    client, other = (Signer(gate, world.a, key) for _ in range(2))
    more = {"client_id": client.id} if named else {}
    bad = [client.assertion(aud="x") for _ in range(4)]
    answers = [ask(gate, one, **more) for one in bad]
    assert [a.status for a in answers] == [401, 401, 401, 429]
    refused(ask(gate, client.assertion(), **more), 429, "slow_down")
    assert ask(gate, other.assertion()).status == 200


def test_assertions_that_cannot_be_read_do_not_fill_the_trail(
        launch_here, world, key):
    """They name nobody: it is their address that has to wait."""
    gate = launch_here.httpd("RenseiThrottle 3/60\n" + conf.ISSUER,
                             store=world.store)

    def events():
        wire = world.store.connect()
        try:
            return wire.execute("SELECT COUNT(*) FROM rensei_audit "
                                "WHERE event = 'm2m.auth_failed'"
                                ).fetchone()[0]
        finally:
            wire.close()

    before = events()
    statuses = [ask(gate, f"x.{n}.z").status for n in range(100)]
    assert statuses[:3] == [401] * 3 and statuses[-1] == 429
    assert events() - before == statuses.count(401) < 100
    good = Signer(gate, world.a, key)
    assert ask(gate, good.assertion()).status == 200


def test_revoked_and_suspended(gate, world, key):
    admin = Admin(gate, world.a.admin.token, world.a.id)
    gone, paused = (Signer(gate, world.a, key) for _ in range(2))
    admin.ok("DELETE", f"{CLIENTS}/{gone.id}")
    admin.ok("PATCH", f"{CLIENTS}/{paused.id}", {"status": "inactive"})
    texts = {refused(ask(gate, one.assertion())) for one in (gone, paused)}
    texts.add(refused(ask(gate, gone.assertion(sub="m2m_" + "0" * 32,
                                               iss="m2m_" + "0" * 32))))
    assert len(texts) == 1
    admin.ok("PATCH", f"{CLIENTS}/{paused.id}", {"status": "active"})
    assert ask(gate, paused.assertion()).status == 200


def test_503_while_the_store_is_out_of_order(launch_here, key):
    """And the assertion is not used up by it."""
    from harness.world import World
    world = World(launch_here.store())
    gate = launch_here.httpd(conf.ISSUER, store=world.store, children=2)
    client = Signer(gate, world.a, key)
    assertion = client.assertion()
    world.store.break_()
    gate.allow_log("RS0")
    refused(ask(gate, assertion), 503, "temporarily_unavailable")
    world.store.mend()
    assert ask(gate, client.assertion()).status == 200


def test_a_client_of_two_methods_by_name(gate, world):
    """tokenEndpointAuthMethod binds: Basic alone, or in the body alone."""
    admin = Admin(gate, world.a.admin.token, world.a.id)
    for method, good in (("client_secret_basic", "basic"),
                         ("client_secret_post", "form")):
        made = admin.client(tokenEndpointAuthMethod=method)
        one = Client(made["clientId"], made["clientSecret"])
        grant = {"grant_type": "client_credentials"}
        answers = {
            "basic": gate.post(TOKEN, basic=tuple(one), form=grant),
            "form": gate.post(TOKEN, form={**grant, "client_id": one.id,
                                           "client_secret": one.secret})}
        for how, answer in answers.items():
            assert answer.status == (200 if how == good else 401), (method,
                                                                    how)
