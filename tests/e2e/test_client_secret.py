# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""RenseiAccept client-secret: a client shows its own id and secret."""

import pytest

from harness import conf
from harness.crowd import Crowd
from harness.pace import patient
from harness.store import Client

READ, WRITE = "sessions:read", "sessions:write"
CONF = conf.API + conf.PROXY + "".join([
    conf.protected("/r/both/", "RenseiAccept m2m client-secret"),
    conf.protected("/r/only/", "RenseiAccept client-secret"),
    conf.protected("/r/not/"),
    conf.protected("/r/write/", "RenseiAccept client-secret",
                   f"Require rensei-scope {WRITE}"),
    conf.protected("/me/", "RenseiAccept m2m client-secret",
                   "SetHandler rensei-whoami"),
])


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd("RenseiThrottle off\n" + CONF, store=world.store,
                        backend=launch.backend(), children=3)


def basic(client):
    return {"basic": tuple(client)}


def test_it_opens_what_its_token_opens(gate, world):
    client = world.a.client()
    token = gate.token(client)
    mine = gate.get("/me/x", **basic(client)).json
    tokens = gate.get("/me/x", token=token).json
    for name in ("kind", "sub", "orgId", "workspaceId", "scopes"):
        assert mine[name] == tokens[name], name
    assert gate.get("/r/both/x", **basic(client)).status == 200
    assert gate.get("/r/only/x", **basic(client)).status == 200
    assert gate.get("/r/only/x", token=token).status == 401


def test_only_where_the_location_says_so(gate, world):
    client = world.a.client()
    assert gate.get("/r/both/x", **basic(client)).status == 200
    answer = gate.get("/r/not/x", **basic(client))
    assert answer.status == 401
    assert "Basic" not in answer.headers["WWW-Authenticate"]


def test_the_challenge_offers_both(gate):
    wire = gate.raw(b"GET /r/both/x HTTP/1.1\r\nHost: localhost\r\n"
                    b"Connection: close\r\n\r\n")
    offered = [line for line in str(wire).split("\\r\\n") + str(wire).splitlines()
               if "WWW-Authenticate" in line] or [str(wire)]
    text = " ".join(offered)
    assert "Bearer realm=" in text and "Basic realm=" in text


def test_a_scope_is_still_needed(gate, world):
    reader, writer = world.a.client(READ), world.a.client(WRITE)
    answer = gate.get("/r/write/x", **basic(reader))
    assert answer.error == (403, "insufficient_scope")
    assert gate.get("/r/write/x", **basic(writer)).status == 200


@pytest.mark.parametrize("what", ["wrong secret", "another's", "unknown",
                                  "empty", "no colon"])
def test_bad_credentials(gate, world, what):
    client, other = world.a.client(), world.b.client()
    shown = {"wrong secret": (client.id, "m2ms_" + "9" * 64),
             "another's": (client.id, other.secret),
             "unknown": ("m2m_" + "e" * 32, client.secret),
             "empty": (client.id, ""),
             "no colon": None}[what]
    if shown is None:
        answer = gate.get("/r/both/x", headers={"Authorization": "Basic bm9uZQ=="})
        assert answer.status == 400
    else:
        answer = gate.get("/r/both/x", basic=shown)
        assert answer.error == (401, "invalid_token")
    assert gate.get("/r/both/x", **basic(client)).status == 200


def test_revocation_is_at_once_in_all_children(gate, world):
    """The cache knows the secret as good; the revocation must reach it."""
    client = world.a.client()
    admin = world.a.admin
    url = f"/api/admin/m2m-clients/{client.id}"

    def ask(wire):
        return wire.get("/r/both/x", **basic(client)).status

    with Crowd(gate) as crowd:
        assert crowd.each(ask) == {200}
        answer = gate.request("PATCH", url, token=admin.token,
                              json={"status": "inactive"})
        assert answer.status == 200, answer
        assert crowd.each(ask) == {401}
        gate.request("PATCH", url, token=admin.token,
                     json={"status": "active"})
        assert crowd.each(ask) == {200}
        gate.request("DELETE", url, token=admin.token)
        assert crowd.each(ask) == {401}


def test_guessing_is_throttled(launch_here):
    """Otherwise the gateway is the way round the token endpoint's throttle."""
    store = launch_here.store()
    org = store.org("acme")
    client, other = store.client(org, "c", READ), store.client(org, "d", READ)
    server = launch_here.httpd("RenseiThrottle 5/60\n" + CONF, store=store,
                               children=2)
    wrong = Client(client.id, "m2ms_" + "7" * 64)
    for _ in range(5):
        assert server.get("/me/x", **basic(wrong)).status == 401
    answer = server.get("/me/x", **basic(wrong))
    assert answer.error == (429, "slow_down")
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    # the right one has to wait as well, or it would be told apart
    assert server.get("/me/x", **basic(client)).status == 429
    # nobody else has
    assert server.get("/me/x", **basic(other)).status == 200


def test_without_a_store(launch_here):
    server = launch_here.httpd("", start=False, modules=("rensei_auth",))
    good, said = server.configtest(
        "RenseiRevocation expiry\n"
        + conf.protected("/x", "RenseiAccept m2m client-secret"))
    assert not good and "client-secret" in said and "DBDriver" in said


# -- as its token would be ----------------------------------------------------


@pytest.fixture(scope="module")
def issuer(launch, world):
    """A server whose tokens have claims of the client's metadata."""
    return launch.httpd(
        "RenseiThrottle off\n"
        "RenseiClaims '{\"team\": {{ client.trusted_metadata.team }}}'\n"
        + CONF + conf.protected(
            "/team/", "RenseiAccept m2m client-secret",
            "SetHandler rensei-whoami", "<RequireAll>", "Require valid-user",
            "<RequireNone>", "Require rensei-claim team:banned",
            "</RequireNone>", "</RequireAll>")
        + conf.protected("/other/", "RenseiAccept m2m client-secret",
                         "RenseiAudience https://other.example",
                         "SetHandler rensei-whoami"),
        store=world.store, backend=launch.backend(), children=2)


def made(server, world, **body):
    answer = server.post("/api/admin/m2m-clients", token=world.a.admin.token,
                         json={"name": "c", "scopes": [READ], **body})
    assert answer.status == 201, answer
    client = answer.json["client"]
    return Client(client["clientId"], client["clientSecret"])


def test_its_claims_are_those_of_its_token(issuer, world):
    """A line that shuts some out by a claim must shut them out whichever way
    they come."""
    banned = made(issuer, world, trustedMetadata={"team": "banned"})
    fine = made(issuer, world, trustedMetadata={"team": "build"})
    for _ in range(4):
        assert issuer.get("/team/x", token=issuer.token(banned)).status == 403
        assert issuer.get("/team/x", **basic(banned)).status == 403
        assert issuer.get("/team/x", **basic(fine)).status == 200


def test_a_locations_audience(issuer, world):
    """A client that is not allowed for an audience gets no token for it."""
    not_for_it = made(issuer, world)
    for_it = made(issuer, world, audiences=["https://other.example"])
    for _ in range(4):
        assert issuer.get("/other/x", **basic(not_for_it)).status == 401
        assert issuer.get("/other/x", **basic(for_it)).status == 200


def test_the_new_secret_outlives_the_old_one(issuer, world):
    """expiresAt of a rotation is the old secret's end, not the new one's."""
    def run(end):
        client = made(issuer, world)
        answer = issuer.post(
            f"/api/admin/m2m-clients/{client.id}/secrets/rotate/start",
            token=world.a.admin.token, json={"expiresAt": end.ms})
        assert answer.status == 200, answer
        new = Client(client.id, answer.json["nextClientSecret"])
        assert issuer.get("/me/x", **basic(client)).status == 200
        assert issuer.get("/me/x", **basic(new)).status == 200
        end.not_yet()
        end.wait()
        return client, new
    client, new = patient(run)
    for _ in range(4):
        assert issuer.get("/me/x", **basic(client)).status == 401
        assert issuer.get("/me/x", **basic(new)).status == 200


def test_the_method_is_the_clients(issuer, world):
    post = made(issuer, world, tokenEndpointAuthMethod="client_secret_post")
    assert issuer.get("/me/x", **basic(post)).status == 401
    assert issuer.token(post)
