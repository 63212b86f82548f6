# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""What was verified once is remembered: by the process, and the last of it by
the connection. A memory of credentials is a second way in, so each of these
shows a credential to the server first, and then asks for what it must not get,
over new connections and over one; test_revocation.py does it for what ends
one."""

import secrets
import time

import pytest

from harness import conf, jwt, known_secrets
from harness.pace import patient, wait_for

READ, WRITE = "sessions:read", "sessions:write"
AGAIN = 6  # times; one child serves, so the first fills its cache

CONF = ("RenseiClockSkew 0\n" + conf.API + conf.PROXY
        + conf.protected("/r/any/")
        + conf.protected("/r/read/", f"Require rensei-scope {READ}")
        + conf.protected("/r/both/", f"Require rensei-scope {READ} {WRITE}")
        + conf.protected("/r/keys/", "RenseiAccept key")
        + conf.protected("/r/blue/", "RenseiAudience blue")
        + conf.protected("/r/green/", "RenseiAudience green")
        + conf.protected("/r/west/", "Require rensei-claim region:west")
        + conf.protected("/r/east/", "Require rensei-claim region:east")
        + conf.protected("/r/forward/", "RenseiForward On",
                         "RenseiForwardClaim region")
        + conf.protected("/env/", "SetEnv RENSEI_ORG made-up",
                         "SetEnvIf Request_URI . rensei_sub=made-up",
                         'Header always set X-Sub "%{RENSEI_SUB}e"',
                         'Header always set X-Org "%{RENSEI_ORG}e"',
                         'Header always set X-Workspace "%{RENSEI_WORKSPACE}e"',
                         'Header always set X-Scopes "expr=%{env:RENSEI_SCOPES}"',
                         'Header always set X-Credential '
                         '"%{RENSEI_CREDENTIAL}e"'))

TWO_HOSTS = CONF + "".join(f"""
<VirtualHost 127.0.0.1:@PORT@>
  ServerName {name}
  {lines}
</VirtualHost>
""" for name, lines in (
    ("localhost", ""),
    ("audience", "RenseiAudience another"),
    ("issuer", "RenseiIssuer another"),
    ("secret", "RenseiSecret file:@DIR@/another"),
    ("scopes", f"RenseiScopes m2m {WRITE} some:thing"),
    ("expiry", "RenseiRevocation expiry")))


def _asked(server, how):
    """A server to ask in that way, for one test."""
    if how == "new connections":
        yield server
        return
    kept = server.kept()
    yield kept
    kept.close()


@pytest.fixture(params=["new connections", "one connection"])
def how(request):
    return request.param


@pytest.fixture(scope="module")
def server(launch, world):
    server = launch.httpd(CONF, store=world.store,
                          backend=launch.backend(), children=1)
    time.sleep(1)  # the first poll of a store ends all that was known of it
    return server


@pytest.fixture
def gate(server, how):
    yield from _asked(server, how)


@pytest.fixture(scope="module")
def client(world):
    return world.a.client(f"{READ} {WRITE}")


def mint(gate, world, client, scopes=(READ, WRITE), **changes):
    return jwt.mint(gate.secret, world.a.claims(client, scopes, **changes))


def statuses(gate, path, token, times=AGAIN, **more):
    return {gate.get(path, token=token, **more).status for _ in range(times)}


def changed(token, at, one="A", two="B"):
    """One character of the token is another one."""
    other = one if token[at] != one else two
    return known_secrets.add(token[:at] + other + token[at + 1:])


# -- the token itself ---------------------------------------------------------

def test_every_character_counts(gate, world, client):
    """A token is known by a MAC of all of it: a signature that was seen does
    not vouch for other claims."""
    token = mint(gate, world, client)
    assert statuses(gate, "/r/any/", token) == {200}
    for at in range(0, len(token), 7):
        assert gate.get("/r/any/", token=changed(token, at)).status == 401, at
        assert gate.get("/r/any/", token=token).status == 200
    for other in (token + "A", token[:-1], token + "=", "A" + token):
        assert gate.get("/r/any/", token=other).status == 401, other


def test_every_character_of_a_key_counts(gate, world):
    key = world.a.key(READ)
    assert statuses(gate, "/r/any/", key.token) == {200}
    for at in range(9, len(key.token), 5):
        other = changed(key.token, at, "0", "1")
        assert gate.get("/r/any/", token=other).status == 401, at
    upper = "rsk_live_" + key.token[9:].upper()
    assert gate.get("/r/any/", token=upper).status == 401
    assert gate.get("/r/any/", token=key.token).status == 200


def test_a_known_credential_in_a_malformed_header(gate, world, client):
    token = mint(gate, world, client)
    assert statuses(gate, "/r/any/", token) == {200}
    for header in (f"Bearer {token}, Bearer {token}", f"Bearer {token},",
                   f"Bearer {token} x", "Bearer", "Bearer "):
        answer = gate.get("/r/any/", headers={"Authorization": header})
        assert answer.error == (400, "invalid_request"), header


def test_it_ends_while_it_is_known(gate, world, client):
    """exp is asked of each request, by the virtual host's skew of 0."""
    def run(end):
        token = mint(gate, world, client, exp=int(end.at))
        assert statuses(gate, "/r/any/", token) == {200}
        end.not_yet()
        end.wait()
        return token
    token = patient(run, whole=True)
    for _ in range(AGAIN):
        answer = gate.get("/r/any/", token=token)
        assert answer.error == (401, "invalid_token"), answer
        assert "expired" in answer.challenge.error_description


def test_the_end_of_its_client(gate, world):
    """The client's own end comes before the token's."""
    client = world.a.client(READ)

    def run(end):
        admin = gate.request("PATCH", f"/api/admin/m2m-clients/{client.id}",
                             token=world.a.admin.token,
                             json={"expiresAt": end.ms})
        assert admin.status == 200, admin
        token = mint(gate, world, client, [READ])
        assert statuses(gate, "/r/any/", token) == {200}
        end.not_yet()
        end.wait()
        assert statuses(gate, "/r/any/", token) == {401}
    patient(run)


# -- what a location asks is asked each time ----------------------------------

def test_scopes_of_each_location(gate, world, client):
    token = mint(gate, world, client, [READ])
    for _ in range(AGAIN):
        assert gate.get("/r/read/", token=token).status == 200
        answer = gate.get("/r/both/", token=token)
        assert answer.error == (403, "insufficient_scope")
        assert answer.challenge.scope == f"{READ} {WRITE}"


def test_kinds_of_each_location(gate, world, client):
    token = mint(gate, world, client)
    for _ in range(AGAIN):
        assert gate.get("/r/any/", token=token).status == 200
        assert gate.get("/r/keys/", token=token).status == 401


def test_a_kind_that_is_not_taken_first(gate, world, client):
    """Refused where it came first, and not remembered as refused."""
    token = mint(gate, world, client)
    assert statuses(gate, "/r/keys/", token) == {401}
    assert statuses(gate, "/r/any/", token) == {200}


@pytest.mark.parametrize("audiences, good, bad", [
    ("rensei-api", ["any"], ["blue", "green"]),
    ("blue", ["blue"], ["any", "green"]),
    (["blue", "rensei-api"], ["blue", "any"], ["green"]),
    (["green", "blu"], ["green"], ["blue", "any"]),
    (["blue", "green", "rensei-api"], ["any", "blue", "green"], []),
    # longer than what is remembered of one token
    ([f"urn:{n}:{'x' * 40}" for n in range(20)] + ["blue"], ["blue"],
     ["green", "any"]),
])
def test_the_audience_of_each_location(gate, world, client, audiences, good,
                                       bad):
    token = mint(gate, world, client, aud=audiences)
    for _ in range(AGAIN):
        for place in good:
            assert gate.get(f"/r/{place}/", token=token).status == 200, place
        for place in bad:
            answer = gate.get(f"/r/{place}/", token=token)
            assert answer.error == (401, "invalid_token"), place


def test_claims_of_a_known_token(gate, world, client):
    """They are not remembered, but read from the token."""
    token = mint(gate, world, client, region="west")
    for _ in range(AGAIN):
        assert gate.get("/r/west/", token=token).status == 200
        assert gate.get("/r/east/", token=token).status == 403
        assert gate.get("/r/forward/", token=token).status == 200
        told = gate.backend.received[-1]
        assert told.all("X-Rensei-Claim-region") == ["west"]
        assert told.all("X-Rensei-Sub") == [client.id]


def test_the_environment_of_a_known_credential(gate, world, client):
    """The same each time, and nobody else's value of the same name."""
    claims = world.a.claims(client, (READ, WRITE))
    token = jwt.mint(gate.secret, claims)
    for _ in range(AGAIN):
        headers = gate.get("/env/", token=token).headers
        assert headers["X-Sub"] == client.id
        assert headers["X-Org"] == world.a.id
        assert headers["X-Workspace"] == "(null)"
        assert headers["X-Scopes"] == f"{READ} {WRITE}"
        assert headers["X-Credential"] == claims["jti"]


def test_many_scopes(gate, world):
    """More than what is remembered of one token: verified each time."""
    names = ["workers:read", "workers:write", READ, WRITE, "agents:read",
             "agents:write"]
    client = world.a.client(" ".join(names))
    more = [f"x:{n}:{'y' * 50}" for n in range(50)]
    token = mint(gate, world, client, names + more)
    assert statuses(gate, "/r/both/", token) == {200}
    token = mint(gate, world, client, more)
    assert statuses(gate, "/r/both/", token) == {403}


# -- virtual hosts ------------------------------------------------------------

@pytest.fixture(scope="module")
def hosts_server(launch, world):
    server = launch.httpd(TWO_HOSTS, store=world.store,
                          backend=launch.backend(), children=1, start=False)
    server.file("another", known_secrets.add(secrets.token_hex(24)) + "\n",
                0o600, owner=False)
    return server.start()


@pytest.fixture
def hosts(hosts_server, how):
    yield from _asked(hosts_server, how)


@pytest.mark.parametrize("host", ["audience", "issuer", "secret"])
def test_known_to_one_virtual_host(hosts, world, client, host):
    """Keys, issuer and audience are each virtual host's own, and all of them
    share a process and its cache."""
    token = mint(hosts, world, client)
    for _ in range(AGAIN):
        assert hosts.get("/r/any/", token=token).status == 200
        answer = hosts.get("/r/any/", token=token, host=host)
        assert answer.error == (401, "invalid_token"), answer


def test_another_vocabulary(hosts, world, client):
    token = mint(hosts, world, client, ["*"])
    for _ in range(AGAIN):
        assert hosts.get("/r/read/", token=token).status == 200
        answer = hosts.get("/r/read/", token=token, host="scopes")
        assert answer.error == (403, "insufficient_scope"), answer


def test_known_where_revocation_is_not_asked(hosts, world):
    """One virtual host believes a token to its end; that it is known there
    says nothing to the one that asks the store."""
    client = world.a.client(READ)
    token = mint(hosts, world, client, [READ])
    assert statuses(hosts, "/r/any/", token, host="expiry") == {200}
    assert statuses(hosts, "/r/any/", token) == {200}
    gone = hosts.request("DELETE", f"/api/admin/m2m-clients/{client.id}",
                         token=world.a.admin.token)
    assert gone.status == 200
    assert statuses(hosts, "/r/any/", token) == {401}
    assert statuses(hosts, "/r/any/", token, host="expiry") == {200}


def test_without_a_store(launch_here):
    server = launch_here.httpd(
        "RenseiRevocation expiry\nRenseiClockSkew 0\n"
        + conf.protected("/x", "SetHandler rensei-whoami", "RenseiAccept m2m"),
        modules=("rensei_auth",), children=1)

    def run(end):
        token = jwt.mint(server.secret, jwt.claims(
            "m2m_" + "a" * 32, "org_x", [READ], exp=int(end.at)))
        with server.connection() as wire:
            for _ in range(AGAIN):
                answer = wire.get("/x", token=token)
                assert answer.status == 200, answer
                assert answer.json["scopes"] == [READ]
            end.not_yet()
            end.wait()
            assert wire.get("/x", token=token).status == 401
    patient(run, whole=True)


# -- the last one of a connection ---------------------------------------------

def test_it_is_remembered(launch_here):
    """Else the tests over one connection would be those of the cache again:
    what the cache has lost, and the store does not have, is known to that
    connection alone."""
    store = launch_here.store()
    org = store.org("acme")
    keys = [store.key(org, f"k{n}", READ) for n in range(200)]
    own, others = keys[0].token, [key.token for key in keys[1:]]
    server = launch_here.httpd("RenseiCacheSize 65536\n" + conf.API,
                               store=store, children=1)
    one, other = server.connection(), server.connection()

    def ask(wire, token):
        return wire.get("/api/whoami", token=token).status

    def seen():
        assert {ask(one, own) for _ in range(AGAIN)} == {200}
        assert {ask(other, token) for token in others} == {200}
        back = hidden(store, keys[0])
        out = [ask(one, own), ask(other, own),
               ask(one, changed(own, 30, "0", "1")), ask(one, own)]
        back()
        time.sleep(1.1)  # so long it is remembered that there is none
        return out
    # it remembers nothing before it follows the changes in the store
    wait_for(lambda: seen() == [200, 401, 401, 200])


def test_two_take_turns(server, world, client):
    """A proxy's connection: each request is its own caller's."""
    key = world.a.key(READ)
    bearers = {mint(server, world, client): client.id, key.token: key.id}
    guess = "rsk_live_" + secrets.token_hex(32)
    with server.connection() as wire:
        for _ in range(AGAIN):
            for token, who in bearers.items():
                told = wire.get("/env/", token=token).headers
                assert told["X-Sub"] == who
            assert wire.get("/env/").status == 401
            assert wire.get("/env/", token=guess).status == 401
        for _ in range(AGAIN):
            for token, who in bearers.items():
                for _ in range(AGAIN):
                    told = wire.get("/env/", token=token).headers
                    assert told["X-Sub"] == who


@pytest.mark.parametrize("n", [700, 1000, 1020, 1024, 1028, 1100])
def test_tokens_of_about_the_length_that_is_remembered(server, world, client,
                                                       n):
    token = mint(server, world, client)
    token = mint(server, world, client,
                 pad="x" * ((n - len(token)) * 3 // 4 - len(',"pad":""')))
    assert abs(len(token) - n) < 4
    with server.connection() as wire:
        for _ in range(AGAIN):
            assert wire.get("/r/any/", token=token).status == 200
        for at in (0, len(token) // 2, len(token) - 9, len(token) - 2):
            bad = changed(token, at)
            assert wire.get("/r/any/", token=bad).status == 401, at
            assert wire.get("/r/any/", token=token).status == 200


# -- its bounds ---------------------------------------------------------------

def test_more_tokens_than_it_keeps(launch_here, world):
    """The smallest cache keeps some hundred; the others are verified again."""
    server = launch_here.httpd("RenseiCacheSize 65536\n" + CONF,
                               store=world.store,
                               backend=launch_here.backend(), children=1)
    good = world.a.client(f"{READ} {WRITE}")
    gone = world.a.client(READ)
    tokens = [mint(server, world, good) for _ in range(400)]
    others = [mint(server, world, gone, [READ]) for _ in range(100)]
    with server.connection() as wire:
        for token in tokens + others:
            assert wire.get("/r/read/", token=token).status == 200
        assert wire.request("DELETE", f"/api/admin/m2m-clients/{gone.id}",
                            token=world.a.admin.token).status == 200
        for token in tokens:
            assert wire.get("/r/both/", token=token).status == 200
        for token in others:
            assert wire.get("/r/read/", token=token).status == 401
        for token in tokens[::20]:
            bad = changed(token, len(token) - 30)
            assert wire.get("/r/read/", token=bad).status == 401


# -- keys that nobody has -----------------------------------------------------

def hidden(store, key):
    """Makes a key unknown, behind the server's back; call the result to bring
    it back in the same way."""
    wire = store.connect()
    digest, = wire.execute("SELECT digest FROM rensei_keys WHERE id=?",
                           (key.id,)).fetchone()

    def put(value):
        wire.execute("UPDATE rensei_keys SET digest=? WHERE id=?",
                     (value, key.id))
    put("hidden" + digest)
    return lambda: put(digest)


def test_an_unknown_key_that_comes_to_be(gate, world):
    """As long as nothing changes it stays unknown, for a second; a change of
    whatever, such as that a key is made, ends that at once."""
    key = world.a.key(READ)
    back = hidden(world.store, key)
    begun = time.monotonic()
    assert gate.get("/r/any/", token=key.token).status == 401
    back()
    status = gate.get("/r/any/", token=key.token).status
    assert status == 401 or time.monotonic() - begun > 0.9
    made = gate.post(f"/api/org/{world.a.id}/keys",
                     token=world.a.admin.token,
                     json={"name": "x", "keyType": "org", "owner": "ops",
                           "scopes": [READ]})
    assert made.status == 201, made
    assert gate.get("/r/any/", token=key.token).status == 200
    assert gate.get("/r/any/", token=made.json["token"]).status == 200


def test_an_unknown_key_is_asked_about_again(gate, world):
    key = world.a.key(READ)
    back = hidden(world.store, key)
    assert statuses(gate, "/r/any/", key.token) == {401}
    back()
    time.sleep(1.1)
    assert gate.get("/r/any/", token=key.token).status == 200


def test_unknown_keys_push_nobody_out(gate, world):
    """They have a small cache of their own."""
    key = world.a.key(READ)
    assert gate.get("/r/any/", token=key.token).status == 200
    with gate.connection() as wire:
        for _ in range(2000):
            guess = "rsk_live_" + secrets.token_hex(32)
            assert wire.get("/r/any/", token=guess).status == 401
    back = hidden(world.store, key)
    assert gate.get("/r/any/", token=key.token).status == 200
    back()


# -- no AuthType --------------------------------------------------------------

def test_require_without_auth_type(launch_here, world):
    """403 and a line in the log, with a credential that is good elsewhere,
    too."""
    server = launch_here.httpd(
        CONF + f"""
        <Location "/bare/">
          Require rensei-scope {READ}
        </Location>
        <Location "/bare-any/">
          <RequireAny>
            Require rensei-scope {READ}
            Require method GET
          </RequireAny>
        </Location>
        """, store=world.store, backend=launch_here.backend(), children=1)
    token = mint(server, world, world.a.client(READ), [READ])
    assert server.get("/r/any/", token=token).status == 200
    server.expect_log("RS0042")
    assert server.get("/bare/x", token=token).status == 403
    assert server.get("/bare/x").status == 403
    assert server.get("/bare-any/x").status == 404
    assert server.post("/bare-any/x").status == 403
