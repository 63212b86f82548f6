# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""POST /api/oauth/revoke (RFC 7009): one access token ends, at once and
everywhere, and nothing else does."""

import time
import urllib.parse

import pytest

from harness import conf, jwt, known_secrets
from harness.admin import CLIENTS, Admin
from harness.crowd import Crowd
from harness.oauth import (REVOKE, WHOAMI, active, active_in, credentials,
                           revoke, revoked)
from harness.pace import Within
from harness.store import Client, Key

READ = "sessions:read"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
WORKER = "wkr_01ARZ3NDEKTSV4RRFFQ69G5FB0"


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd("RenseiThrottle off\n" + conf.ISSUER,
                        store=world.store, children=3)


@pytest.fixture(scope="module")
def admin(gate, world):
    return Admin(gate, world.a.admin.token, world.a.id)


def status(gate, token):
    return gate.get(WHOAMI, token=token).status


def ended(org):
    return [e for e in org.events("--event", "m2m.token_revoked")]


# -- what is revoked ----------------------------------------------------------


@pytest.mark.parametrize("how", ["form", "json"])
def test_a_client_revokes_a_token_of_its_own(gate, world, how):
    client = world.a.client()
    token, other = gate.token(client), gate.token(client)
    assert status(gate, token) == 200
    revoked(gate, client, token, how=how)
    answer = gate.get(WHOAMI, token=token)
    assert answer.error == (401, "invalid_token")
    assert not active(gate, client, token)
    assert status(gate, other) == 200 and active(gate, client, other)
    assert gate.token(client)


def test_each_way_of_asking(gate, world):
    client = world.a.client()
    own = {"client_id": client.id, "client_secret": client.secret}
    for ask in (
            lambda t: gate.post(REVOKE, basic=tuple(client), form={"token": t}),
            lambda t: gate.post(REVOKE, basic=tuple(client), json={"token": t}),
            lambda t: gate.post(REVOKE, form={**own, "token": t}),
            lambda t: gate.post(REVOKE, json={**own, "token": t}),
            lambda t: gate.post(REVOKE, token=world.a.admin.token,
                                form={"token": t}),
            lambda t: gate.post(REVOKE, token=world.a.key("org:write").token,
                                json={"token": t})):
        token = gate.token(client)
        answer = ask(token)
        assert (answer.status, answer.json) == (200, {})
        assert status(gate, token) == 401


def test_a_workspaces_key_ends_no_token_beyond_it(gate, world):
    """Bound to a workspace, a key ends nothing outside of it; by the token
    itself it could."""
    bound = world.a.key("*", workspace=world.a.workspace)
    other = world.store.workspace(world.a.id, "not main")
    before = len(ended(world.a))
    for client in (world.a.client(), world.a.client(workspace=other)):
        token = gate.token(client)
        answer = revoke(gate, bound, token)
        assert answer.error == (400, "invalid_grant"), answer
        assert status(gate, token) == 200
    assert len(ended(world.a)) == before
    revoked(gate, world.a.admin, token)
    assert status(gate, token) == 401
    client = world.a.client(workspace=world.a.workspace)
    for by in (bound, client, world.a.admin):
        token = gate.token(client)
        revoked(gate, by, token)
        assert status(gate, token) == 401


def test_at_once_in_every_child(gate, world):
    """Each child has the token's client in its cache when the token ends."""
    client = world.a.client()
    token, other = gate.token(client), gate.token(client)
    with Crowd(gate) as crowd:
        for one in (token, other):
            assert crowd.statuses(one) == {200}
            assert active_in(crowd, world.a.admin, one) == {True}
        revoked(gate, client, token)
        assert crowd.statuses(token) == {401}
        assert active_in(crowd, world.a.admin, token) == {False}
        assert crowd.statuses(other) == {200}
        assert active_in(crowd, world.a.admin, other) == {True}


def test_at_another_server_with_the_same_store(launch_here, gate, world):
    """Another httpd follows within a second; its introspection asks the
    store, and knows at once."""
    client = world.a.client()
    there = launch_here.httpd(
        "RenseiSecret env:SHARED\n" + conf.ISSUER, store=world.store,
        env={"SHARED": gate.secret})
    token = gate.token(client)
    assert status(there, token) == 200
    revoked(gate, client, token)
    assert not active(there, client, token)
    with Within(1) as second:
        second.until(lambda: status(there, token) == 401)


def test_many_tokens_of_one_client(gate, world):
    """More than a child keeps in mind of one client: all of them stay ended,
    and those between them stay good."""
    client = world.a.client()
    gone = [gate.token(client) for _ in range(20)]
    kept = [gate.token(client) for _ in range(5)]
    for token in gone:
        revoked(gate, client, token)
    with Crowd(gate) as crowd:
        for token in gone:
            assert crowd.statuses(token) == {401}
            assert active_in(crowd, client, token) == {False}
        for token in kept:
            assert crowd.statuses(token) == {200}
            assert active_in(crowd, client, token) == {True}


def test_it_survives_a_restart(launch_here, world):
    gate = launch_here.httpd("RenseiSecret env:M2M_JWT_SECRET\n" + conf.ISSUER,
                             store=world.store)
    client = world.a.client()
    token = gate.token(client)
    revoked(gate, client, token)
    gate.graceful()
    assert status(gate, token) == 401
    gate.stop()
    gate.start()
    assert status(gate, token) == 401
    assert not active(gate, client, token)


def test_its_event(gate, world):
    client, key = world.a.client(), world.a.key("org:write")
    for by, kind in ((client, "m2m_client"), (key, "api_key")):
        token = gate.token(client)
        before = len(ended(world.a))
        revoked(gate, by, token)
        event = ended(world.a)[0]
        assert (event["target"], event["actor"], event["actorType"]) == (
            client.id, by.id, kind)
        assert event["details"]["jti"] == jwt.read(token)[1]["jti"]
        assert event["ip"] == "127.0.0.1" and event["requestId"]
        # once more is no news
        revoked(gate, by, token)
        assert len(ended(world.a)) == before + 1


def test_a_token_in_the_last_seconds_of_its_life(gate, world):
    """exp has passed, and a gateway still takes it, for the sake of clocks
    that differ: it has to be revoked as any other."""
    client = world.a.client()
    now = int(time.time())
    token = jwt.mint(gate.secret, world.a.claims(client, iat=now - 60,
                                                 exp=now - 1))
    assert status(gate, token) == 200
    revoked(gate, client, token)
    assert status(gate, token) == 401


def test_an_org_key_revokes_any_token_of_its_organisation(gate, world):
    tokens = [gate.token(world.a.client()) for _ in range(3)]
    for token in tokens:
        revoked(gate, world.a.admin, token)
        assert status(gate, token) == 401


def test_a_token_for_another_audience(gate, world):
    client = world.a.client()
    token = jwt.mint(gate.secret, world.a.claims(client, aud="urn:other"))
    assert active(gate, client, token)
    revoked(gate, client, token)
    assert not active(gate, client, token)


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense"])
def test_a_hint_that_is_wrong(gate, world, hint):
    # RFC 7009 2.1: "MUST extend its search across all supported token types"
    client = world.a.client()
    token = gate.token(client)
    revoked(gate, client, token, token_type_hint=hint)
    assert status(gate, token) == 401


# -- 200 all the same: RFC 7009 2.2 -------------------------------------------


def test_what_is_no_token(gate, world):
    client = world.a.client()
    now = int(time.time())
    before = len(ended(world.a))
    for token in ("x", "..", "a.b.c", "a" * 9000, client.id, client.secret,
                  gate.token(client)[:-4] + "AAAA",
                  jwt.mint("0" * 40, world.a.claims(client)),
                  jwt.mint(gate.secret, world.a.claims(client, iss="other")),
                  jwt.mint(gate.secret, world.a.claims(
                      client, iat=now - 900, exp=now - 300)),
                  jwt.mint(gate.secret, jwt.claims("m2m_" + "0" * 32,
                                                   world.a.id, [READ]))):
        revoked(gate, world.a.admin, token)
    assert len(ended(world.a)) == before


def test_two_organisations(gate, world):
    """Another organisation's token: the answer is that for nonsense, the
    token goes on, and no trail is written in either."""
    theirs = world.b.client()
    token = gate.token(theirs)
    before = [len(ended(org)) for org in (world.a, world.b)]
    for by in (world.a.client(), world.a.admin, world.a.key("*")):
        revoked(gate, by, token)
    assert status(gate, token) == 200 and active(gate, theirs, token)
    assert [len(ended(org)) for org in (world.a, world.b)] == before
    revoked(gate, world.b.admin, token)
    assert status(gate, token) == 401
    assert len(ended(world.b)) == before[1] + 1


def test_a_token_that_lies_about_its_organisation(gate, world):
    theirs = world.b.client()
    good = gate.token(theirs)
    jti = jwt.read(good)[1]["jti"]
    lie = jwt.mint(gate.secret, jwt.claims(theirs.id, world.a.id, [READ],
                                           jti=jti))
    revoked(gate, world.a.admin, lie)
    assert status(gate, good) == 200


def test_a_token_of_a_client_that_is_revoked(gate, world, admin):
    client = world.a.client()
    token = gate.token(client)
    admin.ok("DELETE", f"{CLIENTS}/{client.id}")
    revoked(gate, world.a.admin, token)
    assert status(gate, token) == 401


def test_a_token_of_a_client_that_is_suspended(gate, world, admin):
    """It ends for good: it does not come back with the client."""
    client = world.a.client()
    token = gate.token(client)
    admin.ok("PATCH", f"{CLIENTS}/{client.id}", {"status": "inactive"})
    revoked(gate, world.a.admin, token)
    admin.ok("PATCH", f"{CLIENTS}/{client.id}", {"status": "active"})
    assert status(gate, token) == 401
    assert gate.token(client)


# -- what is refused ----------------------------------------------------------


def refused(answer, code, error, scheme=None):
    assert answer.error == (code, error), answer
    assert answer.headers["Cache-Control"] == "no-store"
    assert (answer.challenge.scheme if answer.challenge else None) == scheme


def test_a_token_of_another_client(gate, world):
    """RFC 7009 2.1: "If this validation fails, the request is refused and the
    client is informed of the error"; RFC 6749 5.2 has an error for what "was
    issued to another client"."""
    client, other = world.a.client(), world.a.client()
    token = gate.token(client)
    refused(revoke(gate, other, token), 400, "invalid_grant")
    assert status(gate, token) == 200 and active(gate, client, token)


def test_api_keys_are_not_revoked_here(gate, world, admin):
    user = admin.key(keyType="user", userId="u", scopes=[READ])
    for by in (world.a.client(), world.a.admin):
        for key in (world.a.key().token, user["token"], by.token
                    if isinstance(by, Key) else world.b.key().token):
            refused(revoke(gate, by, key), 400, "unsupported_token_type")
    assert status(gate, user["token"]) == 200
    assert status(gate, world.a.admin.token) == 200


def test_runtime_tokens_are_not_revoked_here(gate, world, admin):
    made = admin.key(keyType="worker_registration", scopes=["workers:register"])
    wire = world.store.connect()
    wire.execute("INSERT INTO rensei_workers (id, org_id, key_id, hostname, "
                 "max_agents, created_at) VALUES (?, ?, ?, 'h', 1, 1)",
                 (WORKER, world.a.id, made["keyId"]))
    wire.close()
    token = jwt.mint(gate.secret, jwt.claims(WORKER, world.a.id, [READ],
                                             reg=made["keyId"]),
                     {"alg": "HS256", "typ": "rensei-runtime+jwt"})
    refused(revoke(gate, world.a.admin, token), 400, "unsupported_token_type")
    assert status(gate, token) == 200


def test_a_token_that_nothing_names(gate, world):
    """Without a jti there is nothing to remember it by. To answer 200 would
    be a lie: it goes on."""
    client = world.a.client()
    token = jwt.mint(gate.secret, world.a.claims(client, jti=None))
    refused(revoke(gate, client, token), 400, "unsupported_token_type")
    assert status(gate, token) == 200


def test_nobody(gate, world):
    token = gate.token(world.a.client())
    for body in ({"form": {"token": token}}, {"json": {"token": token}},
                 {"form": {}}):
        refused(gate.post(REVOKE, **body), 401, "invalid_client", "Basic")
    assert status(gate, token) == 200


def test_a_client_that_does_not_authenticate(gate, world):
    client = world.a.client()
    token = gate.token(client)
    for bad in (Client(client.id, "m2ms_" + "6" * 64),
                Client("m2m_" + "0" * 32, client.secret)):
        refused(revoke(gate, bad, token), 401, "invalid_client", "Basic")
        refused(gate.post(REVOKE, form={
            "token": token, "client_id": bad.id,
            "client_secret": bad.secret}), 401, "invalid_client")
    assert status(gate, token) == 200


def test_keys_that_may_not(gate, world, admin):
    """A narrower org key must not end what others work with."""
    token = gate.token(world.a.client())
    user = admin.key(keyType="user", userId="u",
                     scopes=["org:read", "org:write"])["token"]
    for key in (world.a.key(f"{READ} org:read").token, user,
                known_secrets.add("rsk_live_" + "4" * 64), token, "x"):
        answer = gate.post(REVOKE, token=key, form={"token": token})
        refused(answer, 401, "invalid_token", "Bearer")
    assert status(gate, token) == 200


@pytest.mark.parametrize("how", ["form", "json"])
def test_no_token(gate, world, how):
    refused(gate.post(REVOKE, basic=tuple(world.a.client()), **{how: {}}), 400,
            "invalid_request")


def test_a_token_repeated(gate, world):
    client = world.a.client()
    pair = [("token", gate.token(client))] * 2
    refused(gate.post(REVOKE, basic=tuple(client), headers=FORM,
                      body=urllib.parse.urlencode(pair)), 400,
            "invalid_request")
    assert status(gate, pair[0][1]) == 200


def test_two_ways_at_once(gate, world):
    client = world.a.client()
    both = {"token": gate.token(client), "client_id": client.id,
            "client_secret": client.secret}
    refused(gate.post(REVOKE, token=world.a.admin.token, form=both), 400,
            "invalid_request")
    assert status(gate, both["token"]) == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_405(gate, method):
    answer = gate.request(method, REVOKE)
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


def test_a_token_in_the_url_does_not_count(gate, world):
    client = world.a.client()
    refused(gate.post(REVOKE + "?token=x", basic=tuple(client), form={}), 400,
            "invalid_request")


def test_503_while_the_store_is_out_of_order(launch_here):
    """RFC 7009 2.2.1: "the client must assume the token still exists"."""
    store = launch_here.store()
    org = store.org("acme")
    client, key = store.client(org, "c", READ), store.key(org, "k", "*")
    gate = launch_here.httpd(conf.ISSUER, store=store, children=2)
    token = gate.token(client)
    store.break_()
    gate.allow_log("RS0")
    for by in (client, key):
        answer = gate.post(REVOKE, **credentials(by), form={"token": token})
        refused(answer, 503, "temporarily_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    store.mend()
    for _ in range(4):
        assert active(gate, key, token)
    revoked(gate, client, token)
    assert status(gate, token) == 401


def test_two_clients_with_one_jti(gate, world):
    """A jti is unique by its issuer's word alone; tokens that were not made
    here (the secret is shared with the service of before) may repeat it. The
    second revocation must not be taken for done by the first."""
    from harness import jwt
    tokens = []
    for _ in range(2):
        client = world.a.client()
        token = jwt.mint(gate.secret, world.a.claims(client, jti="tok-1"))
        assert gate.get("/api/whoami", token=token).status == 200
        tokens.append((client, token))
    for n, (client, token) in enumerate(tokens):
        answer = gate.post("/api/oauth/revoke", form={"token": token},
                           basic=tuple(client))
        assert answer.status == 200, answer
        for _ in range(4):
            assert gate.get("/api/whoami", token=token).status == 401
        for _, later in tokens[n + 1:]:
            assert gate.get("/api/whoami", token=later).status == 200
