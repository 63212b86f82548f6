# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""API keys: rotation with a grace, changes, and what is known of their use."""

import time

import pytest

from harness import conf
from harness.admin import Admin, invalid, lacks
from harness.crowd import Crowd
from harness.oauth import introspect
from harness.pace import LIMIT, cut_off, patient, wait_for
from harness.store import Key

READ, WRITE = "sessions:read", "sessions:write"
NO_KEY = "key_01ARZ3NDEKTSV4RRFFQ69G5FAV"
WHOAMI = "/api/whoami"
CONF = (conf.ISSUER
        + conf.protected("/read/", "SetHandler rensei-whoami",
                         f"Require rensei-scope {READ}")
        + conf.protected("/secret/", "SetHandler rensei-whoami",
                         "RenseiAccept client-secret"))


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd(CONF, store=world.store, children=2)


@pytest.fixture(scope="module")
def a(gate, world):
    return Admin(gate, world.a.admin.token, world.a.id)


@pytest.fixture(scope="module")
def b(gate, world):
    return Admin(gate, world.b.admin.token, world.b.id)


@pytest.fixture
def crowd(gate):
    """Connections to both children."""
    with Crowd(gate, size=8) as crowd:
        yield crowd


def made(admin, **more):
    body = admin.key(**more)
    return Key(body["keyId"], body["token"])


def rotated(admin, key, grace):
    body = admin.ok("POST", f"{admin.keys}/{key.id}/rotate",
                    {"graceSeconds": grace})
    assert body["keyId"] == key.id
    assert body["token"] != key.token
    return Key(key.id, body["token"]), body


def statuses(crowd, token, path=WHOAMI):
    return crowd.statuses(token, path)


def settled():
    """The gateway follows the changes in the store, its own as well, and asks
    anew for what changed: what it asks for after this it keeps."""
    time.sleep(0.7)


def at(text):
    assert text.endswith("Z")
    return time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) \
        - time.timezone + float(text[19:-1])


# -- rotation -----------------------------------------------------------------


def test_both_tokens_are_good_until_the_grace_ends(a, crowd):
    """And then the old one ends by itself, in children that had it cached:
    nothing is written then that would tell them."""
    def run(grace):
        key = made(a)
        assert statuses(crowd, key.token) == {200}
        begun = time.time()
        new, body = rotated(a, key, grace.seconds)
        ends = at(body["previousEndsAt"])
        assert begun - 0.002 <= ends - grace.seconds <= time.time() + 0.002
        assert at(body["rotatedAt"]) == pytest.approx(ends - grace.seconds,
                                                      abs=0.002)
        settled()
        assert statuses(crowd, key.token) == {200}
        assert statuses(crowd, new.token) == {200}
        grace.not_yet()
        time.sleep(max(0, ends + 0.05 - time.time()))
        assert statuses(crowd, key.token) == {401}
        assert statuses(crowd, new.token) == {200}
    patient(run, 2)


def test_without_grace_the_old_one_ends_at_once(a, crowd):
    """Before the answer is sent: it was leaked, somebody uses it now."""
    key = made(a)
    assert statuses(crowd, key.token) == {200}
    new, _ = rotated(a, key, 0)
    assert statuses(crowd, key.token) == {401}
    assert statuses(crowd, new.token) == {200}


def test_a_grace_is_not_longer_than_the_key(a, crowd):
    """The grace would otherwise be a way to live on."""
    def run(end):
        key = made(a, expiresAt=end.ms)
        new, body = rotated(a, key, 3600)
        assert body["previousEndsAt"] == body["expiresAt"]
        assert at(body["expiresAt"]) * 1000 == pytest.approx(end.ms, abs=1)
        settled()
        assert statuses(crowd, key.token) == {200}
        assert statuses(crowd, new.token) == {200}
        end.not_yet()
        end.wait()
        assert statuses(crowd, key.token) == {401}
        assert statuses(crowd, new.token) == {401}
    patient(run, 2)


def test_one_grace_at_a_time_and_a_way_out(a, crowd):
    key = made(a)
    second, body = rotated(a, key, 600)
    answer = a("POST", f"{a.keys}/{key.id}/rotate", {"graceSeconds": 1})
    assert answer.error == (409, "conflict"), answer
    assert body["previousEndsAt"] in answer.json["error_description"]
    assert "graceSeconds 0" in answer.json["error_description"]
    assert statuses(crowd, key.token) == statuses(crowd, second.token) == {200}
    third, _ = rotated(a, key, 0)
    for token, status in ((key.token, 401), (second.token, 401),
                          (third.token, 200)):
        assert statuses(crowd, token) == {status}


def test_revoked_in_its_grace(a, crowd):
    key = made(a)
    new, _ = rotated(a, key, 600)
    assert statuses(crowd, key.token) == statuses(crowd, new.token) == {200}
    a.ok("DELETE", f"{a.keys}/{key.id}")
    assert statuses(crowd, key.token) == statuses(crowd, new.token) == {401}


def test_what_stays_and_what_does_not(a, world):
    whole = a.key(name="kept", scopes=[READ, "org:read"], owner="alice",
                  workspaceId=world.a.workspace)
    _, body = rotated(a, Key(whole["keyId"], whole["token"]), 0)
    changed = {name for name in body
               if name != "token" and body[name] != whole[name]}
    assert changed == {"prefix", "rotatedAt", "updatedAt", "previousEndsAt"}
    shown = a.ok("GET", f"{a.keys}/{whole['keyId']}")
    assert "token" not in shown
    assert shown == {name: body[name] for name in body if name != "token"}
    assert body["token"].startswith(body["prefix"])


def test_the_key_itself_may_be_the_caller(gate, world):
    """A program rotates its own key, and goes on with the new one."""
    key = world.a.key("org:write org:read")
    new, _ = rotated(Admin(gate, key.token, world.a.id), key, 0)
    assert gate.get(a_path(world), token=key.token).status == 401
    assert gate.get(a_path(world), token=new.token).status == 200


def a_path(world):
    return f"/api/org/{world.a.id}/keys"


def test_the_event_of_a_rotation(a):
    key = made(a)
    new, body = rotated(a, key, 60)
    [event] = a.events(target=key.id, event="api_key.rotated")
    assert event["details"] == {
        "graceSeconds": 60, "secretLast4": new.token[-4:],
        "previousEndsAt": body["previousEndsAt"]}


def test_the_event_of_a_creation(a):
    body = a.key(expiresAt="2100-01-31T12:00:00Z")
    [event] = a.events(target=body["keyId"], event="api_key.created")
    assert event["details"] == {
        **{name: body[name] for name in (
            "name", "keyType", "scopes", "owner", "userId", "workspaceId")},
        "expiresAt": "2100-01-31T12:00:00.000Z",
        "secretLast4": body["token"][-4:]}


@pytest.mark.parametrize("value", [-1, 2592001, "60", 1.5, None, True, [60]])
def test_a_grace_that_is_none(a, value):
    key = made(a)
    invalid(a("POST", f"{a.keys}/{key.id}/rotate", {"graceSeconds": value}),
            "graceSeconds")
    assert a.gate.get(WHOAMI, token=key.token).status == 200


@pytest.mark.parametrize("body", [None, {}])
def test_the_grace_has_to_be_said(a, body):
    """Neither default would be harmless: one ends a token in use, the other
    keeps a leaked one alive. The answer says what to send."""
    key = made(a)
    answer = a("POST", f"{a.keys}/{key.id}/rotate", body)
    invalid(answer, "graceSeconds")
    assert "graceSeconds 0" in answer.json["error_description"]
    assert a.gate.get(WHOAMI, token=key.token).status == 200


def test_other_members_of_a_rotation(a):
    key = made(a)
    invalid(a("POST", f"{a.keys}/{key.id}/rotate",
              {"graceSeconds": 0, "expiresAt": "2099-01-01T00:00:00Z"}),
            "expiresAt")


def test_dead_keys_are_not_rotated_or_changed(a):
    def run(end):
        revoked, expired = made(a), made(a, expiresAt=end.ms)
        a.ok("DELETE", f"{a.keys}/{revoked.id}")
        end.not_yet()
        end.wait()
        return revoked, expired
    revoked, expired = patient(run)
    for key, word in ((revoked, "revoked"), (expired, "expired")):
        for method, path, body in (
                ("POST", f"{a.keys}/{key.id}/rotate", {"graceSeconds": 0}),
                ("PATCH", f"{a.keys}/{key.id}", {"name": "x"})):
            answer = a(method, path, body)
            assert answer.error == (409, "conflict"), answer
            assert word in answer.json["error_description"]


def test_two_at_once_make_one(a, crowd):
    """Both would say that theirs is the token, and one would be wrong."""
    import threading
    key, answers = made(a), []

    def run(wire):
        answers.append(wire.post(
            f"{a.keys}/{key.id}/rotate", token=a.token,
            json={"graceSeconds": 600}))

    threads = [threading.Thread(target=run, args=(wire,))
               for wire in crowd.wires[:8]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted({answer.status for answer in answers}) == [200, 409]
    [winner] = [x for x in answers if x.status == 200]
    assert statuses(crowd, winner.json["token"]) == {200}
    assert statuses(crowd, key.token) == {200}


# -- changes ------------------------------------------------------------------


def test_a_change_counts_at_once(a, crowd):
    """What a child had cached of the key is gone with the answer."""
    key = made(a, scopes=[READ, WRITE])
    assert statuses(crowd, key.token, "/read/x") == {200}
    body = a.ok("PATCH", f"{a.keys}/{key.id}",
                {"name": "renamed", "owner": "bob", "scopes": [WRITE]})
    assert (body["name"], body["owner"], body["scopes"]) == (
        "renamed", "bob", [WRITE])
    assert "token" not in body
    assert at(body["updatedAt"]) >= at(body["createdAt"])
    assert statuses(crowd, key.token, "/read/x") == {403}
    a.ok("PATCH", f"{a.keys}/{key.id}", {"scopes": [READ]})
    assert statuses(crowd, key.token, "/read/x") == {200}
    assert [event["details"] for event in
            a.events(target=key.id, event="api_key.updated")] == [
        {"fields": ["scopes"], "scopes": [READ]},
        {"fields": ["name", "owner", "scopes"], "scopes": [WRITE],
         "owner": "bob"}]


@pytest.mark.parametrize("field, value", [
    ("name", ""), ("name", None), ("name", 5), ("name", "x" * 101),
    ("owner", 5), ("owner", ""), ("owner", None), ("owner", "a\nb"),
    ("scopes", None), ("scopes", READ), ("scopes", ["nonsense"]),
    ("scopes", ["workers:register"]),
    ("expiresAt", "2099-01-01T00:00:00Z"), ("expiresAt", None),
    ("keyType", "user"), ("userId", "u"), ("workspaceId", None),
    ("maxUses", 9), ("status", "active"), ("token", "x"), ("keyId", NO_KEY),
    ("orgId", "org_x"), ("createdBy", "x"), ("nmae", "x")])
def test_what_cannot_be_changed(a, field, value):
    key = made(a)
    before = a.ok("GET", f"{a.keys}/{key.id}")
    invalid(a("PATCH", f"{a.keys}/{key.id}", {field: value}), field)
    invalid(a("PATCH", f"{a.keys}/{key.id}", {"name": "x", field: value}),
            field) if field != "name" else None
    assert a.ok("GET", f"{a.keys}/{key.id}") == before


def test_a_change_of_nothing(a):
    answer = a("PATCH", f"{a.keys}/{made(a).id}", {})
    assert answer.error == (400, "invalid_request")


def test_a_user_key_needs_no_owner(a):
    key = made(a, keyType="user", userId="u", owner="alice")
    assert a.ok("PATCH", f"{a.keys}/{key.id}", {"owner": None})[
        "owner"] is None


def test_a_registration_key_keeps_its_one_scope(a):
    key = made(a, keyType="worker_registration", scopes=["workers:register"])
    for scopes in ([], [READ], ["*"], ["workers:register", READ]):
        invalid(a("PATCH", f"{a.keys}/{key.id}", {"scopes": scopes}), "scopes")
    body = a.ok("PATCH", f"{a.keys}/{key.id}",
                {"name": "n", "scopes": ["workers:register"]})
    assert (body["name"], body["scopes"]) == ("n", ["workers:register"])


# -- who may, and the wall ----------------------------------------------------


def calls(admin, key):
    return (("PATCH", f"{admin.keys}/{key}", {"name": "theirs"}),
            ("POST", f"{admin.keys}/{key}/rotate", {"graceSeconds": 0}))


def test_the_wall_between_organisations(a, b, crowd):
    """Under the other's path or under one's own: as if it were not there."""
    key = made(a)
    before = a.ok("GET", f"{a.keys}/{key.id}")
    for mine, absent in zip(calls(a, key.id) + calls(b, key.id),
                            calls(a, NO_KEY) + calls(b, NO_KEY)):
        answer, nothing = b(*mine), b(*absent)
        assert answer.error == nothing.error == (404, "not_found")
        assert answer.body == nothing.body
    assert a.ok("GET", f"{a.keys}/{key.id}") == before
    assert statuses(crowd, key.token) == {200}
    assert not [event for event in b.events() if event["target"] == key.id]


def test_changing_needs_org_write(a, gate, world):
    key = made(a)
    reader = Admin(gate, world.a.key("org:read").token, world.a.id)
    for call in calls(reader, key.id):
        lacks(reader(*call), "org:write")
    for call in calls(a, key.id):
        assert gate.request(call[0], call[1], json=call[2]).status == 401


def test_other_methods(a):
    key = made(a)
    for method in ("PUT", "GET", "PATCH", "DELETE"):
        answer = a(method, f"{a.keys}/{key.id}/rotate")
        assert answer.status == 405 and answer.headers["Allow"] == "POST"


# -- two virtual hosts --------------------------------------------------------


@pytest.fixture(scope="module")
def hosts(launch, world):
    both = "".join(f"""
        <VirtualHost *:@PORT@>
          ServerName {name}.test
          {policy}
          {CONF}
        </VirtualHost>""" for name, policy in (
            ("lax", ""), ("strict", "RenseiRequireExpiry On\n"
                                    "RenseiRequireOwner On\n"
                                    "RenseiMaxKeyAge 30d")))
    return launch.httpd(both, store=world.store, children=2)


def test_the_policy_is_the_called_hosts(hosts, world):
    """A key that may not be made there may not be prolonged there either, nor
    lose its owner; the other virtual host has no such policy."""
    key = world.a.key(READ, type="user", user_id="u")

    def call(host, method, path, body):
        return hosts.request(method, f"{a_path(world)}/{key.id}{path}",
                             token=world.a.admin.token, json=body, host=host)

    answer = call("strict.test", "POST", "/rotate", {"graceSeconds": 0})
    assert answer.error == (403, "access_denied"), answer
    assert "Rensei" in answer.json["error_description"]
    invalid(call("strict.test", "PATCH", "", {"owner": None}), "owner")
    assert hosts.get(WHOAMI, token=key.token, host="lax.test").status == 200
    assert call("strict.test", "PATCH", "", {"name": "n"}).status == 200
    assert call("lax.test", "PATCH", "", {"owner": None}).status == 200
    answer = call("lax.test", "POST", "/rotate", {"graceSeconds": 0})
    assert answer.status == 200
    for host in ("lax.test", "strict.test"):
        assert hosts.get(WHOAMI, token=key.token, host=host).status == 401
        assert hosts.get(WHOAMI, token=answer.json["token"],
                         host=host).status == 200


# -- what is known of its use -------------------------------------------------


def used(admin, key, count):
    """What is known of a key, when so many uses are."""
    deadline = time.monotonic() + LIMIT
    while True:
        body = admin.ok("GET", f"{admin.keys}/{key.id}")
        if body["usageCount"] >= count or time.monotonic() > deadline:
            return body
        time.sleep(0.2)


def test_each_use_counts_once(a, b, crowd):
    """Over all children, keys and organisations apart; and a request that was
    refused for its scope was one all the same, one for its key was none."""
    mine, quiet, theirs = made(a), made(a), made(b)
    begun = time.time()
    for _ in range(3):
        statuses(crowd, mine.token)
    assert statuses(crowd, mine.token, "/read/x") == {200}
    crowd.wires[0].get(WHOAMI, token=theirs.token)
    bad = quiet.token[:-1] + ("0" if quiet.token[-1] != "0" else "1")
    assert statuses(crowd, bad) == {401}
    expected = 4 * len(crowd.wires)
    body = used(a, mine, expected)
    assert body["usageCount"] == expected
    assert body["lastUsedIp"] == "127.0.0.1"
    assert begun - 1 < at(body["lastUsedAt"]) < time.time() + 1
    assert used(b, theirs, 1)["usageCount"] == 1
    unused = a.ok("GET", f"{a.keys}/{quiet.id}")
    assert (unused["usageCount"], unused["lastUsedAt"],
            unused["lastUsedIp"]) == (0, None, None)


def test_the_count_goes_on_over_a_rotation(a, crowd):
    key = made(a)
    statuses(crowd, key.token)
    new, _ = rotated(a, key, 60)
    statuses(crowd, new.token)
    statuses(crowd, key.token)
    assert used(a, key, 3 * len(crowd.wires))["usageCount"] == 3 * len(
        crowd.wires)


def test_introspection_is_a_use(gate, a, world):
    """A key that does nothing else must not be taken for one that nobody
    needs. What it asks about is not used by that."""
    key, asked = world.a.key("*"), made(a)
    for _ in range(3):
        assert introspect(gate, key, asked.token)["active"]
    assert used(a, key, 3)["usageCount"] == 3
    assert a.ok("GET", f"{a.keys}/{asked.id}")["usageCount"] == 0


def test_a_clients_last_use(gate, a, b, world):
    """At the issuance of a token, and where it shows its secret itself."""
    issued, direct, unused = (world.a.client() for _ in range(3))
    begun = time.time()
    gate.token(issued)
    assert gate.get("/secret/x", basic=tuple(direct)).status == 200
    used = time.time() + 1

    def shown(client):
        return a.ok("GET", f"/api/admin/m2m-clients/{client.id}")["client"]

    for client in (issued, direct):
        wait_for(lambda: shown(client)["lastUsedAt"])
        assert shown(client)["lastUsedIp"] == "127.0.0.1"
        assert begun - 1 < shown(client)["lastUsedAt"] / 1000 < used
    assert (shown(unused)["lastUsedAt"], shown(unused)["lastUsedIp"]) == (
        None, None)


def test_what_was_counted_is_written_when_the_server_stops(launch_here):
    """A stop or a restart is no crash: not one use is lost."""
    store = launch_here.store()
    org = store.org("acme")
    key = store.key(org, "k", READ)
    server = launch_here.httpd(conf.API, store=store, children=2)
    for _ in range(25):
        assert server.get(WHOAMI, token=key.token).status == 200
    server.graceful()
    for _ in range(5):
        assert server.get(WHOAMI, token=key.token).status == 200
    server.stop()
    [shown] = store.ctl("org", "api-keys", "list", "--org", org)["keys"]
    assert shown["usageCount"] == 30


def test_more_keys_than_an_interval_is_used_to(launch_here):
    """Each of many keys, once: none loses its place to another."""
    store = launch_here.store()
    org = store.org("acme")
    admin = store.key(org, "admin", "*")
    server = launch_here.httpd(conf.API, store=store, children=1)
    with server.connection() as wire:
        keys = [wire.post(f"/api/org/{org}/keys", token=admin.token, json={
            "name": "k", "keyType": "user", "userId": "u",
            "scopes": []}).json["token"] for _ in range(300)]
        for token in keys:
            assert wire.get(WHOAMI, token=token).status == 200
    server.stop()
    counts = [key["usageCount"] for key in store.ctl(
        "org", "api-keys", "list", "--org", org)["keys"]
        if key["keyType"] == "user"]
    assert counts == [1] * 300


def test_a_store_that_is_away_loses_no_use(launch_here):
    """What could not be written waits for the next time."""
    store = launch_here.store()
    org = store.org("acme")
    key, admin = store.key(org, "k", READ), store.key(org, "admin", "*")
    server = launch_here.httpd("RenseiMaxStaleness 60\n" + conf.API,
                               store=store, children=1)
    server.allow_log("RS0")
    uses = []

    def use():
        said = [server.get(WHOAMI, token=key.token).status for _ in range(5)]
        uses.extend(status for status in said if status == 200)
        return said == 5 * [200]

    cut_off(store.break_, store.mend, use)
    assert use() and len(uses) >= 15
    time.sleep(6)  # for a try to write them
    store.mend()
    assert used(Admin(server, admin.token, org), key, len(uses))[
        "usageCount"] == len(uses)


# -- used up ------------------------------------------------------------------


def test_a_registration_key_that_is_used_up(a, world):
    key = made(a, keyType="worker_registration", scopes=["workers:register"],
               maxUses=2)
    wire = world.store.connect()

    def shown(uses):
        wire.execute("UPDATE rensei_keys SET uses = ? WHERE id = ?",
                     (uses, key.id))
        body = a.ok("GET", f"{a.keys}/{key.id}")
        listed = [k["keyId"] for k in a.ok(
            "GET", a.keys, query={"status": body["status"],
                                  "keyType": "worker_registration"})["keys"]]
        assert key.id in listed
        return body["status"], body["uses"], body["maxUses"]

    assert shown(0) == ("active", 0, 2)
    assert shown(1) == ("active", 1, 2)
    assert shown(2) == ("exhausted", 2, 2)
    assert "uses" not in a.ok("GET", f"{a.keys}/{made(a).id}")


# -- renseictl ----------------------------------------------------------------


def test_an_operator_rotates_and_changes(a, crowd, world):
    key = made(a)
    assert statuses(crowd, key.token) == {200}
    ctl = world.store.ctl
    new = ctl("org", "api-keys", "rotate", key.id, "--grace", "0")
    # another process: the gateway follows
    wait_for(lambda: statuses(crowd, key.token) == {401})
    assert statuses(crowd, new["token"]) == {200}
    body = ctl("org", "api-keys", "update", key.id, "--name", "new",
               "--scopes", WRITE)
    assert (body["name"], body["scopes"]) == ("new", [WRITE])
    assert a.ok("GET", f"{a.keys}/{key.id}")["name"] == "new"
    [event] = a.events(target=key.id, event="api_key.updated")
    assert event["actorType"] == "operator"
