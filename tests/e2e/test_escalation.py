# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""No credential makes, changes or takes over one that can do more than it
can itself. Each test: the hole, the attack refused, positive controls."""

import time

import pytest

from harness import conf, jwt
from harness.admin import CLIENTS, Admin, invalid

READ, WRITE = "sessions:read", "sessions:write"
AGENTS = "agents:read"
DENIED = (403, "access_denied")
ULID = "01ARZ3NDEKTSV4RRFFQ69G5FA"

# What a careless administrator could write: every kind is let in, and the
# handler alone is left to insist.
CARELESS = """
<LocationMatch "^/api/(admin|org)/">
  SetHandler rensei-admin
  AuthType Bearer
  RenseiAccept m2m key worker registration
  Require valid-user
</LocationMatch>
"""

# What an administrator can write who wants one client to administer others.
BY_M2M = """
<LocationMatch "^/api/(admin|org)/">
  SetHandler rensei-admin
  AuthType Bearer
  RenseiAccept m2m key
  RenseiAdminTokens On
  Require rensei-key-type org
  Require rensei-scope %s
</LocationMatch>
""" % AGENTS

# A virtual host over the same store that has a scope that others lack.
WIDE = """
RenseiScopes m2m sessions:read payments:write
RenseiScopes key org:read org:write payments:write
"""


def vhost(name, text):
    return (f"<VirtualHost *:@PORT@>\nServerName {name}\n{conf.TOKEN}"
            f"{conf.WHOAMI}{text}</VirtualHost>\n")


@pytest.fixture(scope="module")
def gate(launch, world):
    # off: its events come when they come, and here each is counted
    return launch.httpd("RenseiExpiryNotice off\n"
                        + vhost("localhost", conf.ADMIN)
                        + vhost("careless.test", CARELESS)
                        + vhost("m2m.test", BY_M2M)
                        + vhost("wide.test", WIDE + conf.ADMIN),
                        store=world.store, children=2)


class At(Admin):
    """The admin API as one virtual host has it."""

    def __init__(self, gate, token, org, host="localhost"):
        super().__init__(gate, token, org)
        self.host = host

    def __call__(self, method, path, body=None, query=None, **more):
        return super().__call__(method, path, body, query,
                                host=self.host, **more)


@pytest.fixture(scope="module")
def a(gate, world):
    return At(gate, world.a.admin.token, world.a.id)


@pytest.fixture(scope="module")
def b(gate, world):
    return At(gate, world.b.admin.token, world.b.id)


@pytest.fixture(scope="module")
def by(gate, world):
    """The admin API, called with a new org key of those scopes."""
    def make(scopes, **more):
        return At(gate, world.a.key(scopes, **more).token, world.a.id)
    return make


def one(client):
    return f"{CLIENTS}/{client}"


def refused(admin, watch, *calls):
    """Each call is denied, and no event tells of a change."""
    before = watch.newest()
    for call in calls:
        answer = admin(*call)
        assert answer.error == DENIED, (call, answer)
    assert watch.newest() == before


# -- an org key that has less than all ----------------------------------------


def test_a_narrow_key_gives_nothing_it_lacks(a, by):
    """With org:write alone a key makes one with everything, and is it."""
    narrow = by(f"org:write org:read {READ}")
    key, client = narrow.key(scopes=[READ]), narrow.client(scopes=[READ])
    for scopes in ([WRITE], ["*"], [READ, WRITE], [READ, "*"]):
        refused(
            narrow, a,
            ("POST", CLIENTS, {"name": "x", "scopes": scopes}),
            ("POST", narrow.keys, {"name": "x", "keyType": "org",
                                   "owner": "o", "scopes": scopes}),
            ("POST", narrow.keys, {"name": "x", "keyType": "user",
                                   "userId": "u", "scopes": scopes}),
            ("POST", "/api/org/api-keys", {"name": "x", "keyType": "org",
                                           "owner": "o", "scopes": scopes}),
            ("PATCH", f"{narrow.keys}/{key['keyId']}", {"scopes": scopes}),
            ("PATCH", one(client["clientId"]), {"scopes": scopes}))
    # what it makes it can also widen, as far as it reaches itself
    narrow.ok("PATCH", f"{narrow.keys}/{key['keyId']}",
              {"scopes": ["org:read", READ]})
    a.ok("PATCH", f"{a.keys}/{key['keyId']}", {"scopes": ["*"]})


def test_in_two_steps(a, by):
    """First a credential with nothing, then all the rest; or a registration
    key, which has a vocabulary of its own."""
    narrow = by("org:write org:read")
    key = narrow.key(scopes=[])["keyId"]
    client = narrow.client(scopes=[])["clientId"]
    refused(narrow, a,
            ("PATCH", f"{narrow.keys}/{key}", {"scopes": [READ]}),
            ("PATCH", one(client), {"scopes": [READ]}),
            ("POST", narrow.keys, {"name": "x", "keyType":
                                   "worker_registration",
                                   "scopes": ["workers:register"]}))
    a.ok("PATCH", one(client), {"scopes": [READ]})


def test_taking_over_by_a_new_secret(a, by):
    """A token, a secret or a signing key in the place of the old one gives
    all that the credential has: org:write alone would be everything."""
    narrow = by("org:write org:read")
    strong = a.key(scopes=["*"])
    client = a.client(scopes=["*"])["clientId"]
    registration = a.key(keyType="worker_registration",
                         scopes=["workers:register"])["keyId"]
    refused(narrow, a,
            ("POST", f"{a.keys}/{strong['keyId']}/rotate",
             {"graceSeconds": 0}),
            ("POST", f"{a.keys}/{strong['keyId']}/rotate",
             {"graceSeconds": 60}),
            ("POST", f"{a.keys}/{registration}/rotate", {"graceSeconds": 0}),
            ("POST", f"{one(client)}/secrets/rotate/start", None),
            ("PATCH", one(client), {
                "tokenEndpointAuthMethod": "private_key_jwt",
                "jwks": {"keys": [{
                    "kty": "OKP", "crv": "Ed25519",
                    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}}))
    assert a.gate.get("/api/whoami", token=strong["token"]).status == 200
    weak = a.key(scopes=["org:read"])["keyId"]
    narrow.ok("POST", f"{a.keys}/{weak}/rotate", {"graceSeconds": 0})
    a.ok("POST", f"{a.keys}/{strong['keyId']}/rotate", {"graceSeconds": 0})


def test_taking_over_by_way_of_another_vocabulary(a, by, gate, world):
    """Where a virtual host's vocabulary lacks one of a credential's scopes,
    nobody is asked for it; and the secret is good in the virtual host that
    has it as well."""
    wide = At(gate, world.a.admin.token, world.a.id, "wide.test")
    key = wide.key(scopes=["org:read", "payments:write"])
    client = wide.client(scopes=["payments:write"])["clientId"]
    rotate = ("POST", f"{a.keys}/{key['keyId']}/rotate", {"graceSeconds": 0})
    start = ("POST", f"{one(client)}/secrets/rotate/start", None)
    narrow = by("org:write org:read")
    refused(narrow, a, rotate, start)
    refused(At(gate, narrow.token, world.a.id, "wide.test"), a, rotate, start)
    # whoever has all, or has it by name, may; or who takes it away first
    holder = wide.key(scopes=["org:write", "org:read", "payments:write"])
    At(gate, holder["token"], world.a.id).ok(*rotate)
    a.ok(*rotate)
    a.ok(*start)
    narrow.ok("PATCH", f"{a.keys}/{key['keyId']}", {"scopes": ["org:read"]})
    narrow.ok(*rotate)


# -- a key and itself ---------------------------------------------------------


def test_a_key_does_not_widen_itself(a, by, world):
    key = world.a.key(f"org:write org:read {READ}")
    me = At(a.gate, key.token, world.a.id)
    path = f"{me.keys}/{key.id}"
    refused(me, a, ("PATCH", path, {"scopes": ["*"]}),
            ("PATCH", path, {"scopes": ["org:write", "org:read", WRITE]}))
    # what it gave away is gone, even for itself
    me.ok("PATCH", path, {"scopes": ["org:write", "org:read"]})
    refused(me, a, ("PATCH", path, {"scopes": [
        "org:write", "org:read", READ]}))
    a.ok("PATCH", path, {"scopes": ["org:write", "org:read", READ]})


def test_a_key_does_not_outlive_itself(a, world):
    """Neither by a change nor by a rotation, which keeps its end."""
    end = int(time.time()) + 600
    key = world.a.key("*", expires=time.strftime("%Y-%m-%dT%H:%M:%SZ",
                                                 time.gmtime(end)))
    me = At(a.gate, key.token, world.a.id)
    path = f"{me.keys}/{key.id}"
    before = a.ok("GET", path)["expiresAt"]
    for value in (None, "2099-01-01T00:00:00Z", (end + 60) * 1000):
        invalid(me("PATCH", path, {"expiresAt": value}), "expiresAt")
        invalid(me("PATCH", path, {"name": "x", "expiresAt": value}),
                "expiresAt")
        invalid(me("POST", path + "/rotate",
                   {"graceSeconds": 0, "expiresAt": value}), "expiresAt")
    after = me.ok("POST", path + "/rotate", {"graceSeconds": 2592000})
    assert after["expiresAt"] == after["previousEndsAt"] == before
    assert a.ok("GET", path)["expiresAt"] == before


def test_a_key_does_not_lose_its_owner(a, world):
    """Somebody answers for every org key, whoever asks."""
    key = world.a.key("*")
    me = At(a.gate, key.token, world.a.id)
    for caller in (me, a):
        for owner in (None, "", " "):
            invalid(caller("PATCH", f"{a.keys}/{key.id}", {"owner": owner}),
                    "owner")
    assert me.ok("PATCH", f"{a.keys}/{key.id}", {"owner": "carol"})[
        "owner"] == "carol"


# -- what is no org key -------------------------------------------------------


@pytest.fixture(scope="module")
def worker(gate, world):
    """A worker's runtime token that says it has everything."""
    key = world.a.key("workers:register", type="worker_registration")
    ident = "wkr_" + ULID + "E"
    world.store.connect().execute(
        "INSERT INTO rensei_workers (id, org_id, key_id, hostname, "
        "max_agents, created_at) VALUES (?, ?, ?, 'h', 1, 1)",
        (ident, world.a.id, key.id))
    claims = jwt.claims(ident, world.a.id, ["*"], reg=key.id)
    return jwt.mint(gate.secret, claims,
                    {"alg": "HS256", "typ": "rensei-runtime+jwt"})


@pytest.fixture(scope="module")
def callers(gate, world, worker):
    return {
        "user key": world.a.key("*", type="user", user_id="u").token,
        "user key that names them": world.a.key(
            "org:read org:write", type="user", user_id="u").token,
        "registration key": world.a.key("workers:register",
                                        type="worker_registration").token,
        "M2M token": gate.token(world.a.client("*")),
        "worker": worker,
    }


@pytest.mark.parametrize("kind", [
    "user key", "user key that names them", "registration key", "M2M token",
    "worker"])
def test_who_gives_nothing_at_all(a, gate, world, callers, kind):
    """A user's own key reaches past his vocabulary, and outlives him, if it
    makes another; and a token would make what does not expire with it. The
    location lets all of them in: the handler has to insist."""
    client = a.client(scopes=[])["clientId"]
    key = a.key(scopes=[])["keyId"]
    caller = At(gate, callers[kind], world.a.id, "careless.test")
    calls = [("POST", CLIENTS, {"name": "x", "scopes": []}),
             ("PATCH", one(client), {"name": "x"}),
             ("POST", f"{one(client)}/secrets/rotate/start", None),
             ("POST", f"{one(client)}/secrets/rotate", None),
             ("POST", f"{one(client)}/secrets/rotate/cancel", None),
             ("POST", f"{one(client)}/tokens/revoke", None),
             ("DELETE", one(client)),
             ("DELETE", f"{CLIENTS}?client_id={client}"),
             ("PATCH", f"{a.keys}/{key}", {"name": "x"}),
             ("POST", f"{a.keys}/{key}/rotate", {"graceSeconds": 0}),
             ("DELETE", f"{a.keys}/{key}"),
             ("GET", CLIENTS), ("GET", one(client)), ("GET", a.keys),
             ("GET", f"{a.keys}/{key}"), ("GET", a.audit)]
    for path in (a.keys, "/api/org/api-keys"):
        for key_type, more in (("user", {"userId": "u"}),
                               ("org", {"owner": "o"}),
                               ("worker_registration", {})):
            calls.append(("POST", path, {"name": "x", "keyType": key_type,
                                         "scopes": [], **more}))
    refused(caller, a, *calls)
    org = At(gate, world.a.admin.token, world.a.id, "careless.test")
    assert org("GET", one(client)).status == 200
    assert org("PATCH", f"{a.keys}/{key}", {"name": "x"}).status == 200


# -- a workspace --------------------------------------------------------------


@pytest.fixture(scope="module")
def bound(gate, world):
    """An org key of everything, bound to a workspace."""
    return At(gate, world.a.key("*", workspace=world.a.workspace).token,
              world.a.id)


@pytest.fixture(scope="module")
def other(world):
    return world.store.workspace(world.a.id, "other")


def test_a_workspaces_key_makes_nothing_beyond_it(a, bound, world, other):
    """An organisation-wide credential, made by a key that is confined to a
    workspace, is the way out of it."""
    for more in ({}, {"workspaceId": None}, {"workspaceId": other},
                 {"workspaceId": world.b.workspace}):
        calls = [("POST", CLIENTS, {"name": "x", "scopes": [READ], **more})]
        for path in (a.keys, "/api/org/api-keys"):
            for key_type, kind in (("user", {"userId": "u"}),
                                   ("org", {"owner": "o"}),
                                   ("worker_registration", {})):
                scopes = (["workers:register"]
                          if key_type == "worker_registration" else [READ])
                calls.append(("POST", path, {
                    "name": "x", "keyType": key_type, "scopes": scopes,
                    **kind, **more}))
        refused(bound, a, *calls)
    answer = bound("POST", CLIENTS, {"name": "x", "scopes": [READ]})
    assert world.a.workspace in answer.json["error_description"]
    mine = {"workspaceId": world.a.workspace}
    assert bound.client(**mine)["workspaceId"] == world.a.workspace
    for key_type, more in (("user", {"userId": "u"}), ("org", {}),
                           ("worker_registration",
                            {"scopes": ["workers:register"]})):
        assert bound.key(keyType=key_type, **more, **mine)[
            "workspaceId"] == world.a.workspace
    assert a.client()["workspaceId"] is None


def test_a_workspaces_key_changes_nothing_beyond_it(a, bound, world, other):
    """Nor does it take over, prolong or end what others have made."""
    for workspace in (None, other):
        key = a.key(scopes=[READ], workspaceId=workspace)["keyId"]
        client = a.client(workspaceId=workspace)["clientId"]
        refused(bound, a,
                ("PATCH", f"{a.keys}/{key}", {"name": "x"}),
                ("PATCH", f"{a.keys}/{key}", {"scopes": []}),
                ("POST", f"{a.keys}/{key}/rotate", {"graceSeconds": 0}),
                ("DELETE", f"{a.keys}/{key}"),
                ("PATCH", one(client), {"name": "x"}),
                ("PATCH", one(client), {"status": "inactive"}),
                ("POST", f"{one(client)}/secrets/rotate/start", None),
                ("POST", f"{one(client)}/secrets/rotate", None),
                ("POST", f"{one(client)}/secrets/rotate/cancel", None),
                ("POST", f"{one(client)}/tokens/revoke", None),
                ("DELETE", one(client)),
                ("DELETE", f"{CLIENTS}?client_id={client}"))
        assert a.ok("GET", f"{a.keys}/{key}")["status"] == "active"
    mine = {"workspaceId": world.a.workspace}
    key = a.key(scopes=[READ], **mine)["keyId"]
    client = a.client(**mine)["clientId"]
    bound.ok("PATCH", f"{a.keys}/{key}", {"name": "x"})
    bound.ok("POST", f"{a.keys}/{key}/rotate", {"graceSeconds": 0})
    bound.ok("PATCH", one(client), {"name": "x"})
    bound.ok("POST", f"{one(client)}/secrets/rotate/start")
    bound.ok("POST", f"{one(client)}/secrets/rotate")
    bound.ok("POST", f"{one(client)}/tokens/revoke")
    bound.ok("DELETE", one(client))
    bound.ok("DELETE", f"{a.keys}/{key}")


def test_a_workspaces_key_ends_no_worker_beyond_it(a, bound, world, other):
    wire = world.store.connect()
    idents = {}
    for letter, workspace in (("F", None), ("G", other),
                              ("H", world.a.workspace)):
        key = world.a.key("workers:register", type="worker_registration")
        idents[workspace] = "wkr_" + ULID + letter
        wire.execute(
            "INSERT INTO rensei_workers (id, org_id, workspace_id, key_id, "
            "hostname, max_agents, created_at) VALUES (?, ?, ?, ?, 'h', 1, 1)",
            (idents[workspace], world.a.id, workspace, key.id))
    path = f"/api/org/{world.a.id}/workers/"
    refused(bound, a, ("DELETE", path + idents[None]),
            ("DELETE", path + idents[other]))
    bound.ok("DELETE", path + idents[world.a.workspace])
    a.ok("DELETE", path + idents[None])


def test_a_workspaces_key_does_not_leave_it(bound, a):
    """By a change of its own."""
    me = a.gate.get("/api/whoami", token=bound.token).json["sub"]
    for value in (None, "ws_" + ULID + "V"):
        invalid(bound("PATCH", f"{a.keys}/{me}", {"workspaceId": value}),
                "workspaceId")
    bound.token = bound.ok("POST", f"{a.keys}/{me}/rotate",
                           {"graceSeconds": 0})["token"]
    assert a.ok("GET", f"{a.keys}/{me}")["workspaceId"]


# -- M2M tokens, where the administrator lets them ----------------------------


@pytest.fixture(scope="module")
def deputy(gate, world):
    """A client that m2m.test lets administer clients."""
    client = world.a.client(f"{AGENTS} {READ}")
    admin = At(gate, gate.token(client), world.a.id, "m2m.test")
    admin.client_id = client.id
    return admin


def test_a_token_administers_only_where_that_is_said(a, deputy, gate, world):
    """RenseiAccept m2m alone, and a Require line that any token passes, are
    easily written without this in mind."""
    body = {"name": "x", "scopes": [READ]}
    for host in ("localhost", "careless.test"):
        refused(At(gate, deputy.token, world.a.id, host), a,
                ("POST", CLIENTS, body), ("GET", CLIENTS))
    assert deputy("POST", CLIENTS, body).status == 201
    # the location's Require lines go on to count
    outside = At(gate, gate.token(world.a.client("*"), READ), world.a.id,
                 "m2m.test")
    assert outside("POST", CLIENTS, body).status == 403
    user = At(gate, world.a.key("*", type="user", user_id="u").token,
              world.a.id, "m2m.test")
    assert user("POST", CLIENTS, body).status == 403


def test_a_token_gives_what_it_has(a, deputy, gate, world):
    """Its own scopes, no others; never all, unless it has all."""
    made = deputy.client(scopes=[READ, AGENTS])
    assert made["orgId"] == world.a.id
    weak = deputy.client(scopes=[])["clientId"]
    strong = a.client(scopes=["*"])["clientId"]
    for scopes in ([WRITE], ["*"], [READ, "agents:write"]):
        refused(deputy, a, ("POST", CLIENTS, {"name": "x", "scopes": scopes}),
                ("PATCH", one(weak), {"scopes": scopes}))
    refused(deputy, a, ("POST", f"{one(strong)}/secrets/rotate/start", None))
    deputy.ok("PATCH", one(weak), {"scopes": [READ]})
    deputy.ok("POST", f"{one(weak)}/secrets/rotate/start")
    deputy.ok("DELETE", one(weak))
    # a token that was narrowed gives what is left of it
    narrowed = At(gate, gate.token(world.a.client(f"{AGENTS} {READ}"), AGENTS),
                  world.a.id, "m2m.test")
    refused(narrowed, a, ("POST", CLIENTS, {"name": "x", "scopes": [READ]}))
    # not even with everything does it reach what is not for clients
    most = At(gate, gate.token(world.a.client("*")), world.a.id, "m2m.test")
    assert most.client(scopes=["*"])
    for scope in ("org:read", "workers:register", "workflows:read"):
        invalid(most("POST", CLIENTS, {"name": "x", "scopes": [scope]}),
                "scopes")


def test_a_token_makes_no_keys(a, deputy, gate, world):
    """An org key of its making would do what it may not."""
    most = At(gate, gate.token(world.a.client("*")), world.a.id, "m2m.test")
    key = a.key(scopes=[])["keyId"]
    for caller in (deputy, most):
        for path in (a.keys, "/api/org/api-keys"):
            for key_type, more in (("user", {"userId": "u"}),
                                   ("org", {"owner": "o"}),
                                   ("worker_registration", {})):
                refused(caller, a, ("POST", path, {
                    "name": "x", "keyType": key_type, "scopes": [], **more}))
        refused(caller, a, ("PATCH", f"{a.keys}/{key}", {"name": "x"}),
                ("POST", f"{a.keys}/{key}/rotate", {"graceSeconds": 0}),
                ("DELETE", f"{a.keys}/{key}"), ("GET", a.keys),
                ("GET", f"{a.keys}/{key}"), ("GET", a.audit))


def test_a_client_does_not_change_itself(a, deputy):
    """It would put off its own end, or get a secret without one."""
    path = one(deputy.client_id)
    refused(deputy, a,
            ("PATCH", path, {"expiresAt": None}),
            ("PATCH", path, {"secretExpiresAt": None}),
            ("PATCH", path, {"tokenLifetime": 86400}),
            ("PATCH", path, {"audiences": ["https://x.example"]}),
            ("POST", f"{path}/secrets/rotate/start", None),
            ("POST", f"{path}/secrets/rotate", None),
            ("POST", f"{path}/secrets/rotate/cancel", None))
    a.ok("PATCH", path, {"tokenLifetime": 3600})


def test_a_token_stays_in_its_organisation(a, b, deputy):
    theirs = b.client()["clientId"]
    for call in (("GET", one(theirs)), ("PATCH", one(theirs), {"name": "x"}),
                 ("POST", f"{one(theirs)}/secrets/rotate/start", None),
                 ("DELETE", one(theirs))):
        assert deputy(*call).error == (404, "not_found"), call
    listed = [c["clientId"] for c in deputy.ok("GET", CLIENTS)["clients"]]
    assert listed and theirs not in listed


def test_a_token_of_a_workspace_stays_in_it(a, gate, world):
    client = world.a.client(f"{AGENTS} {READ}", workspace=world.a.workspace)
    caller = At(gate, gate.token(client), world.a.id, "m2m.test")
    refused(caller, a, ("POST", CLIENTS, {"name": "x", "scopes": [READ]}),
            ("DELETE", one(a.client()["clientId"])))
    assert caller.client(workspaceId=world.a.workspace)


def test_a_client_ends_with_its_token_in_hand(a, deputy, gate, world):
    """What was taken from the client since is taken from the token: it gives
    none of it any more."""
    client = world.a.client(f"{AGENTS} {READ}")
    caller = At(gate, gate.token(client), world.a.id, "m2m.test")
    assert caller.client(scopes=[READ])
    a.ok("PATCH", one(client.id), {"scopes": [AGENTS]})
    refused(caller, a, ("POST", CLIENTS, {"name": "x", "scopes": [READ]}))
    a.ok("DELETE", one(client.id))
    assert caller("POST", CLIENTS, {"name": "x", "scopes": []}).status == 401


def test_not_in_a_file_beside_the_content(launch_here):
    """Whoever may put a file there must not be who says it."""
    server = launch_here.httpd("""
        <Directory "@DIR@/htdocs">
          AllowOverride All
        </Directory>""", children=1, start=False)
    server.file("htdocs/page.html", "page")
    server.start()
    assert server.get("/page.html").status == 200
    server.file("htdocs/.htaccess", "RenseiAdminTokens On\n")
    server.expect_log("RenseiAdminTokens not allowed here")
    assert server.get("/page.html").status == 500
