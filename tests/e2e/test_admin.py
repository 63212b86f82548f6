# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""The admin API: clients, keys, the audit trail, and the wall between
organisations."""

import datetime
import json
import re

import pytest

from harness import conf, known_secrets
from harness.admin import CLIENTS, NOBODY, Admin, invalid, lacks, now_ms
from harness.store import Key

READ, WRITE = "sessions:read", "sessions:write"
ISO = "%Y-%m-%dT%H:%M:%S.%fZ"
NO_KEY = "key_01ARZ3NDEKTSV4RRFFQ69G5FAV"


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd(conf.API, store=world.store)


@pytest.fixture(scope="module")
def a(gate, world):
    return Admin(gate, world.a.admin.token, world.a.id)


@pytest.fixture(scope="module")
def b(gate, world):
    return Admin(gate, world.b.admin.token, world.b.id)


@pytest.fixture(scope="module")
def with_scopes(gate, world):
    def make(scopes):
        key = world.a.key(scopes)
        return Admin(gate, key.token, world.a.id)
    return make


# -- clients: create ----------------------------------------------------------


def test_create_a_client(a, world):
    before = now_ms()
    answer = a("POST", CLIENTS, {
        "name": "builder", "scopes": ["workers:read", READ],
        "description": "builds", "owner": "team@example.org",
        "trustedMetadata": {"tier": "gold", "deep": [1, {"x": None}]},
        "tokenLifetime": 900, "workspaceId": world.a.workspace,
        "expiresAt": before + 3_600_000})
    assert answer.status == 201, answer
    assert set(answer.json) == {"client"}
    client = answer.json["client"]
    assert client["clientId"].startswith("m2m_")
    assert len(client["clientId"]) == 4 + 32
    assert client["clientSecret"].startswith("m2ms_")
    assert len(client["clientSecret"]) == 5 + 64
    assert client["name"] == "builder"
    assert client["orgId"] == world.a.id
    assert client["workspaceId"] == world.a.workspace
    assert client["scopes"] == ["workers:read", READ]
    assert client["description"] == "builds"
    assert client["owner"] == "team@example.org"
    assert client["trustedMetadata"] == {"tier": "gold",
                                         "deep": [1, {"x": None}]}
    assert client["tokenLifetime"] == 900
    assert client["expiresAt"] == before + 3_600_000
    assert client["status"] == "active"
    assert client["lastUsedAt"] is None
    assert isinstance(client["createdAt"], int)
    assert before - 5 <= client["createdAt"] <= now_ms() + 5


def test_the_least_of_a_client(a, world):
    client = a.client(name="least")
    assert client["workspaceId"] is None
    assert client["orgId"] == world.a.id
    token = a.gate.post("/api/oauth/token", form={
        "grant_type": "client_credentials", "client_id": client["clientId"],
        "client_secret": client["clientSecret"]})
    assert token.json["scope"] == READ


def test_expires_at_as_iso(a):
    at = datetime.datetime.utcnow() + datetime.timedelta(hours=1)
    at = at.replace(microsecond=250_000)
    client = a.client(expiresAt=at.strftime(ISO))
    ms = at.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000
    assert client["expiresAt"] == int(ms)


@pytest.mark.parametrize("field, value", [
    ("name", None), ("name", ""), ("name", 5), ("name", ["x"]),
    ("name", "x" * 101), ("name", "a\nb"), ("name", "\u00e9" * 51),
    ("scopes", None), ("scopes", READ), ("scopes", 5), ("scopes", [5]),
    ("scopes", ["nonsense"]), ("scopes", ["org:read"]),
    ("scopes", ["workers:register"]), ("scopes", [f"{READ} {WRITE}"]),
    ("scopes", [""]), ("scopes", {"a": 1}),
    ("description", 5), ("description", "x" * 1001),
    ("owner", 5), ("owner", ["x"]),
    ("trustedMetadata", "x"), ("trustedMetadata", []),
    ("trustedMetadata", {"x": "y" * 9000}),
    ("tokenLifetime", "60"), ("tokenLifetime", 59), ("tokenLifetime", 86401),
    ("tokenLifetime", -1), ("tokenLifetime", 60.5), ("tokenLifetime", True),
    ("tokenLifetime", 2 ** 62),
    ("expiresAt", "tomorrow"), ("expiresAt", 1), ("expiresAt", -1),
    ("expiresAt", "2020-01-01T00:00:00Z"), ("expiresAt", True),
    ("expiresAt", "2099-02-30T00:00:00Z"), ("expiresAt", 1.5),
    ("workspaceId", 5), ("workspaceId", "a b")])
def test_a_client_that_is_not_right(a, field, value):
    body = {"name": "x", "scopes": [READ], field: value}
    invalid(a("POST", CLIENTS, body), field)


@pytest.mark.parametrize("field", ["name", "scopes"])
def test_a_client_without_what_it_needs(a, field):
    body = {"name": "x", "scopes": [READ]}
    del body[field]
    invalid(a("POST", CLIENTS, body), field)


@pytest.mark.parametrize("field, value", [
    ("nmae", "x"), ("clientId", NOBODY), ("clientSecret", "m2ms_x"),
    ("orgId", "org_x"), ("status", "active"), ("createdAt", 5),
    ("revokedAt", 5), ("__proto__", {}), ("Name", "x")])
def test_unknown_fields_are_refused(a, field, value):
    """A misspelt `expiresAt` that is ignored makes a client that never ends;
    an `orgId` that is honoured makes one in somebody else's house."""
    invalid(a("POST", CLIENTS, {"name": "x", "scopes": [READ], field: value}),
            field)


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '"x"', "{}x",
                                  '{"tokenLifetime":1e400}',
                                  '{"tokenLifetime":%d}' % 2 ** 70,
                                  '{"name":"a","name":"b"}',
                                  '{"name":"a\\u0000b"}'])
def test_a_body_that_is_no_object(a, body):
    answer = a.gate.post(CLIENTS, token=a.token, body=body,
                         headers={"Content-Type": "application/json"})
    assert answer.error == (400, "invalid_request"), answer


def test_bodies_of_other_types_and_sizes(a):
    answer = a.gate.post(CLIENTS, token=a.token, form={"name": "x"})
    assert answer.error == (415, "invalid_request"), answer
    big = json.dumps({"name": "x" * 10_000_000})
    for chunked in (False, True):
        answer = a.gate.post(CLIENTS, token=a.token, body=big,
                             chunked=chunked,
                             headers={"Content-Type": "application/json"})
        assert answer.error == (413, "invalid_request"), answer


def test_a_scope_given_twice_counts_once(a):
    assert a.client(scopes=[READ, READ])["scopes"] == [READ]


def test_no_scopes_grant_nothing(a):
    """An empty assignment is allowed, and grants nothing."""
    client = a.client(scopes=[])
    answer = a.gate.post("/api/oauth/token", form={
        "grant_type": "client_credentials", "client_id": client["clientId"],
        "client_secret": client["clientSecret"]})
    if answer.status == 200:
        assert answer.json["scope"] == ""
        me = a.gate.get("/api/whoami", token=answer.json["access_token"])
        assert me.json["scopes"] == []
    else:
        assert answer.error == (400, "invalid_scope")


def test_names_with_letters_of_the_world(a):
    name = "B\u00fcro \u6771\u4eac \U0001f511 <b>&\"'\\"
    client = a.client(name=name)
    got = a.ok("GET", f"{CLIENTS}/{client['clientId']}")["client"]
    assert got["name"] == name


# -- clients: read ------------------------------------------------------------


def test_show_a_client(a):
    made = a.client(name="shown")
    answer = a.ok("GET", f"{CLIENTS}/{made['clientId']}")
    assert set(answer) == {"client"}
    secret = made.pop("clientSecret")
    assert answer["client"] == made
    assert "clientSecret" not in answer["client"]
    assert secret not in json.dumps(answer)


def test_the_list_has_no_secret_and_no_digest(a):
    made = a.client(name="listed")
    answer = a.ok("GET", CLIENTS)
    assert set(answer) == {"clients", "nextCursor"}
    row = next(c for c in answer["clients"]
               if c["clientId"] == made["clientId"])
    assert {"clientId", "name", "scopes", "createdAt", "lastUsedAt",
            "status"} <= set(row)
    text = json.dumps(answer)
    for word in ("clientSecret\"", "digest", "sha256", "hash"):
        assert word not in text


def pages(admin, path, name, limit, between=lambda: None, **query):
    """Every object of a list, page by page."""
    out, cursor = [], None
    while True:
        answer = admin.ok("GET", path, query={
            "limit": limit, **query, **({"cursor": cursor} if cursor else {})})
        assert len(answer[name]) <= limit
        out.append(answer[name])
        cursor = answer["nextCursor"]
        if cursor is None:
            return out
        assert len(answer[name]) == limit
        between()


def test_pages_while_clients_come_and_go(a):
    """Paging by offset shows a row twice, or skips one, when something is
    added or removed between two pages."""
    made = [a.client(name="paged", owner="pager")["clientId"]
            for _ in range(7)]
    victims = [a.client(name="paged", owner="pager")["clientId"]
               for _ in range(2)]

    def between():
        a.client(name="paged", owner="pager")
        if victims:
            a.ok("DELETE", f"{CLIENTS}/{victims.pop()}")

    got = pages(a, CLIENTS, "clients", 3, between, owner="pager")
    ids = [client["clientId"] for page in got for client in page]
    assert len(ids) == len(set(ids))
    assert [i for i in ids if i in made] == made[::-1]  # newest first
    assert len(got) >= 3


def test_a_page_that_is_just_full(a):
    for _ in range(4):
        a.client(name="full", owner="fuller")
    got = pages(a, CLIENTS, "clients", 2, owner="fuller")
    assert [len(page) for page in got] == [2, 2]


def test_filters_of_clients(a):
    one = a.client(name="filter one", owner="filter@x", scopes=[READ])
    two = a.client(name="filter two", owner="filter@x", scopes=[WRITE])
    star = a.client(name="filter star", owner="filter@x", scopes=["*"])
    a.ok("PATCH", f"{CLIENTS}/{two['clientId']}", {"status": "inactive"})

    def ids(**query):
        return {c["clientId"] for c in
                a.ok("GET", CLIENTS, query=query)["clients"]}

    ones, twos, stars = ({c["clientId"]} for c in (one, two, star))
    assert ids(owner="filter@x") == ones | twos | stars
    assert ids(name="filter one") == ones
    assert ids(name="filter") == set()
    assert ids(name="filter %") == set()
    assert ids(owner="filter@x", status="inactive") == twos
    assert ids(owner="filter@x", status="active") == ones | stars
    assert ids(owner="filter@x", scope=READ) == ones
    assert ids(owner="filter@x", scope="*") == stars
    assert ids(owner="filter@x", scope="sessions") == set()
    assert ids(owner="filter@x", name="filter two", scope=WRITE) == twos
    assert ids(owner="nobody") == set()
    a.ok("DELETE", f"{CLIENTS}/{one['clientId']}")
    assert ids(owner="filter@x", status="revoked") == ones


@pytest.mark.parametrize("path", ["clients", "keys", "audit"])
@pytest.mark.parametrize("field, value", [
    ("limit", "0"), ("limit", "-1"), ("limit", "501"), ("limit", "x"),
    ("limit", "1.5"), ("limit", "99999999999999999999"), ("cursor", "x"),
    ("cursor", "../.."), ("cursor", "AAAA"), ("cursor", "'; --"),
    ("page", "2"), ("Limit", "2")])
def test_a_query_that_is_not_right(a, path, field, value):
    where = {"clients": CLIENTS, "keys": a.keys, "audit": a.audit}[path]
    invalid(a("GET", where, query={field: value}), field)


def test_a_query_parameter_twice(a):
    answer = a("GET", CLIENTS + "?limit=1&limit=2")
    assert answer.error == (400, "invalid_request"), answer


def test_a_status_that_is_none(a):
    invalid(a("GET", CLIENTS, query={"status": "asleep"}), "status")


def test_a_cursor_of_another_organisation(a, b):
    """A cursor names a place in a list: in the other's list it shows that
    list's rows only, or nothing."""
    for _ in range(3):
        a.client(name="cursor")
        b.client(name="cursor")
    theirs = a.ok("GET", CLIENTS, query={"limit": 1})["nextCursor"]
    answer = b("GET", CLIENTS, query={"limit": 100, "cursor": theirs})
    if answer.status == 200:
        mine = {c["clientId"] for page in pages(b, CLIENTS, "clients", 100)
                for c in page}
        assert {c["clientId"] for c in answer.json["clients"]} <= mine
    else:
        invalid(answer, "cursor")


# -- clients: change ----------------------------------------------------------


def test_change_a_client(a):
    made = a.client(name="before", description="d", owner="o")
    url = f"{CLIENTS}/{made['clientId']}"
    answer = a.ok("PATCH", url, {
        "name": "after", "description": None, "owner": "p",
        "scopes": [READ, WRITE], "trustedMetadata": {"x": 1},
        "tokenLifetime": 60, "expiresAt": now_ms() + 60_000})
    client = answer["client"]
    assert client["name"] == "after"
    assert client["description"] is None
    assert client["owner"] == "p"
    assert client["scopes"] == [READ, WRITE]
    assert client["trustedMetadata"] == {"x": 1}
    assert client["tokenLifetime"] == 60
    assert client["createdAt"] == made["createdAt"]
    assert "clientSecret" not in client
    assert a.ok("GET", url)["client"] == client
    # what is not named stays; null takes away
    client = a.ok("PATCH", url, {"expiresAt": None,
                                 "tokenLifetime": None})["client"]
    assert client["expiresAt"] is None
    assert client["tokenLifetime"] is None
    assert client["name"] == "after"


@pytest.mark.parametrize("field, value", [
    ("name", None), ("name", ""), ("scopes", ["nonsense"]), ("scopes", None),
    ("status", "revoked"), ("status", "asleep"), ("status", 5),
    ("status", None), ("workspaceId", "ws_x"), ("clientId", NOBODY),
    ("orgId", "org_x"), ("clientSecret", "x"), ("other", 1),
    ("tokenLifetime", 5), ("expiresAt", "x")])
def test_a_change_that_is_not_right(a, field, value):
    url = f"{CLIENTS}/{a.client()['clientId']}"
    invalid(a("PATCH", url, {field: value}), field)


def test_a_change_of_nothing(a):
    made = a.client()
    answer = a("PATCH", f"{CLIENTS}/{made['clientId']}", {})
    assert answer.status in (200, 400), answer


def test_suspend_and_resume(a):
    made = a.client()
    url = f"{CLIENTS}/{made['clientId']}"
    form = {"grant_type": "client_credentials", "client_id": made["clientId"],
            "client_secret": made["clientSecret"]}

    def token():
        return a.gate.post("/api/oauth/token", form=form).status

    assert token() == 200
    assert a.ok("PATCH", url, {"status": "inactive"})["client"][
        "status"] == "inactive"
    assert token() == 401
    assert a.ok("PATCH", url, {"status": "active"})["client"][
        "status"] == "active"
    assert token() == 200


@pytest.mark.parametrize("way", ["path", "query"])
def test_revoke_a_client(a, way):
    made = a.client()
    url = f"{CLIENTS}/{made['clientId']}"
    target = url if way == "path" else CLIENTS
    query = {} if way == "path" else {"client_id": made["clientId"]}
    before = now_ms()
    answer = a.ok("DELETE", target, query={**query, "reason": "left us"})
    assert set(answer) == {"clientId", "revokedAt"}
    assert answer["clientId"] == made["clientId"]
    assert before - 5 <= answer["revokedAt"] <= now_ms() + 5
    shown = a.ok("GET", url)["client"]
    assert shown["status"] == "revoked"
    # again: the first time stands, and there is one event
    assert a.ok("DELETE", target, query=query) == answer
    events = a.events(target=made["clientId"], event="m2m.client_revoked")
    assert len(events) == 1
    assert "left us" in json.dumps(events[0]["details"])
    # and it is for good
    answer = a("PATCH", url, {"status": "active"})
    assert answer.error == (409, "conflict"), answer


def test_revoke_nothing_in_particular(a):
    assert a("DELETE", CLIENTS).error == (400, "invalid_request")
    answer = a("DELETE", CLIENTS, query={"client_id": NOBODY})
    assert answer.error == (404, "not_found")


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("client", [
    NOBODY, "m2m_", "x", "%2e%2e", "'%20OR%201=1", "%00", "*",
    "m2m_" + "0" * 500, "key_x"])
def test_a_client_that_is_not_there(a, method, client):
    answer = a(method, f"{CLIENTS}/{client}",
               {"name": "x"} if method == "PATCH" else None)
    # httpd itself refuses %00, and folds %2e%2e
    assert answer.status in ((404,) if client not in ("%00", "%2e%2e")
                             else (400, 404, 405)), answer


@pytest.mark.parametrize("method, path", [
    ("PUT", CLIENTS), ("PATCH", CLIENTS), ("BREW", CLIENTS),
    ("PUT", f"{CLIENTS}/{NOBODY}"), ("POST", f"{CLIENTS}/{NOBODY}")])
def test_a_method_that_is_not_there(a, method, path):
    answer = a(method, path, {})
    assert answer.error == (405, "method_not_allowed"), answer
    assert "GET" in answer.headers["Allow"]


def test_a_path_that_is_not_there(a):
    for path in (CLIENTS + "/x/y/z", "/api/admin/other", CLIENTS + "s",
                 a.keys + "/x/y/z", f"/api/org/{NOBODY}"):
        assert a("GET", path).error == (404, "not_found"), path


def test_head(a):
    answer = a("HEAD", CLIENTS)
    assert (answer.status, answer.body) == (200, b"")


# -- keys ---------------------------------------------------------------------


def test_create_a_key(a, world):
    before = datetime.datetime.utcnow() - datetime.timedelta(seconds=1)
    key = a.key(name="deploy", owner="dora@example.org",
                scopes=[READ, "org:read"], expiresAt="2099-01-01T00:00:00Z")
    assert key["keyId"].startswith("key_") and len(key["keyId"]) == 4 + 26
    assert key["token"].startswith("rsk_live_")
    assert len(key["token"]) == 9 + 64
    assert key["name"] == "deploy"
    assert key["keyType"] == "org"
    assert key["scopes"] == [READ, "org:read"]
    assert key["owner"] == "dora@example.org"
    created = datetime.datetime.strptime(key["createdAt"], ISO)
    assert before <= created <= datetime.datetime.utcnow()
    assert key["expiresAt"] == "2099-01-01T00:00:00.000Z"
    me = a.gate.get("/api/whoami", token=key["token"]).json
    assert (me["sub"], me["orgId"]) == (key["keyId"], world.a.id)
    assert me["expiresAt"] == "2099-01-01T00:00:00.000Z"


def test_keys_of_each_type(a):
    user = a.key(keyType="user", userId="u_1", scopes=["workflows:read"])
    assert (user["keyType"], user["userId"]) == ("user", "u_1")
    worker = a.key(keyType="worker_registration",
                   scopes=["workers:register"], maxUses=3)
    assert worker["keyType"] == "worker_registration"
    assert worker["maxUses"] == 3


def test_show_and_list_keys(a):
    made = a.key(name="shown key")
    token = made.pop("token")
    shown = a.ok("GET", f"{a.keys}/{made['keyId']}")
    shown = shown.get("key", shown)
    assert {k: shown[k] for k in made if k in shown} == {
        k: made[k] for k in made if k in shown}
    answer = a.ok("GET", a.keys)
    assert set(answer) == {"keys", "nextCursor"}
    assert made["keyId"] in [key["keyId"] for key in answer["keys"]]
    for text in (json.dumps(shown), json.dumps(answer)):
        assert token[13:] not in text
        assert "sha256" not in text and '"token"' not in text


def test_pages_of_keys(a):
    made = [a.key(owner="keypager")["keyId"] for _ in range(5)]
    got = pages(a, a.keys, "keys", 2, lambda: a.key(owner="keypager"),
                owner="keypager")
    ids = [key["keyId"] for page in got for key in page]
    assert len(ids) == len(set(ids))
    assert [i for i in ids if i in made] == made[::-1]


def test_revoke_a_key(a):
    made = a.key()
    url = f"{a.keys}/{made['keyId']}"
    assert a.gate.get("/api/whoami", token=made["token"]).status == 200
    answer = a.ok("DELETE", url)
    assert answer["keyId"] == made["keyId"]
    datetime.datetime.strptime(answer["revokedAt"], ISO)
    assert a.gate.get("/api/whoami", token=made["token"]).status == 401
    assert a.ok("DELETE", url)["revokedAt"] == answer["revokedAt"]
    shown = a.ok("GET", url)
    assert shown.get("key", shown)["status"] == "revoked"


@pytest.mark.parametrize("field, body", [
    ("name", {"name": ""}), ("name", {"name": None}),
    ("name", {"name": "x" * 101}),
    ("keyType", {"keyType": "admin"}), ("keyType", {"keyType": 5}),
    ("keyType", {"keyType": None}),
    ("owner", {"owner": None}), ("owner", {"owner": ""}),
    ("owner", {"owner": 5}),
    ("userId", {"keyType": "user"}),
    ("scopes", {"scopes": ["nonsense"]}), ("scopes", {"scopes": None}),
    ("scopes", {"scopes": READ}), ("scopes", {"scopes": [1]}),
    ("scopes", {"scopes": ["workers:register"]}),
    ("scopes", {"keyType": "worker_registration", "scopes": [READ]}),
    ("scopes", {"keyType": "worker_registration", "scopes": ["*"]}),
    ("scopes", {"keyType": "worker_registration",
                "scopes": ["workers:register", READ]}),
    ("scopes", {"keyType": "user", "userId": "u",
                "scopes": ["agents:read"]}),
    ("scopes", {"keyType": "user", "userId": "u",
                "scopes": ["workers:register"]}),
    ("maxUses", {"maxUses": 3}),
    ("maxUses", {"keyType": "worker_registration", "maxUses": 0,
                 "scopes": ["workers:register"]}),
    ("maxUses", {"keyType": "worker_registration", "maxUses": "1",
                 "scopes": ["workers:register"]}),
    ("expiresAt", {"expiresAt": "never"}), ("expiresAt", {"expiresAt": 1}),
    ("expiresAt", {"expiresAt": "2020-01-01T00:00:00Z"}),
    ("token", {"token": "rsk_live_x"}), ("orgId", {"orgId": "org_x"}),
    ("keyId", {"keyId": NO_KEY}), ("expires", {"expires": 1})])
def test_a_key_that_is_not_right(a, field, body):
    full = {"name": "x", "keyType": "org", "owner": "o", "scopes": [READ],
            **body}
    if full["keyType"] in ("user", "worker_registration"):
        full.pop("owner")
    invalid(a("POST", a.keys, full), field)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_key_that_is_not_there(a, method):
    for key in (NO_KEY, "x", "*", "key_", "%27"):
        assert a(method, f"{a.keys}/{key}").error == (404, "not_found")


def test_the_legacy_call(a, world):
    """POST /api/org/api-keys: as the new one, for the caller's organisation,
    and it says where to go."""
    body = {"name": "old way", "keyType": "org", "owner": "ops",
            "scopes": [READ]}
    answer = a("POST", "/api/org/api-keys", body)
    assert answer.status == 201, answer
    assert answer.headers["Deprecation"] == "true"
    link = answer.headers["Link"]
    assert link.startswith("<") and 'rel="successor-version"' in link
    assert f"/api/org/{world.a.id}/keys" in link
    key = answer.json
    assert set(key) == set(a.key())
    me = a.gate.get("/api/whoami", token=key["token"]).json
    assert me["orgId"] == world.a.id
    assert key["keyId"] in [k["keyId"] for k in a.ok("GET", a.keys)["keys"]]
    invalid(a("POST", "/api/org/api-keys", {**body, "scopes": ["x"]}),
            "scopes")
    answer = a("GET", "/api/org/api-keys")
    assert answer.status in (404, 405)


# -- who may ------------------------------------------------------------------


READS = ["clients", "client", "keys", "key", "audit"]
WRITES = ["create client", "change client", "revoke client",
          "revoke client by query", "start rotation", "complete rotation",
          "cancel rotation", "revoke tokens", "create key", "revoke key",
          "legacy create key"]


@pytest.fixture(scope="module")
def calls(a):
    """Every call, on an object of organisation a."""
    client, key = a.client()["clientId"], a.key()["keyId"]
    one, keys = f"{CLIENTS}/{client}", a.keys
    new_client = {"name": "x", "scopes": [READ]}
    new_key = {"name": "x", "keyType": "org", "owner": "o", "scopes": [READ]}
    return {
        "clients": ("GET", CLIENTS, None),
        "client": ("GET", one, None),
        "keys": ("GET", keys, None),
        "key": ("GET", f"{keys}/{key}", None),
        "audit": ("GET", a.audit, None),
        "create client": ("POST", CLIENTS, new_client),
        "change client": ("PATCH", one, {"name": "y"}),
        "revoke client": ("DELETE", one, None),
        "revoke client by query": ("DELETE", f"{CLIENTS}?client_id={client}",
                                   None),
        "start rotation": ("POST", f"{one}/secrets/rotate/start", None),
        "complete rotation": ("POST", f"{one}/secrets/rotate", None),
        "cancel rotation": ("POST", f"{one}/secrets/rotate/cancel", None),
        "revoke tokens": ("POST", f"{one}/tokens/revoke", None),
        "create key": ("POST", keys, new_key),
        "revoke key": ("DELETE", f"{keys}/{key}", None),
        "legacy create key": ("POST", "/api/org/api-keys", new_key),
    }


@pytest.mark.parametrize("call", READS)
def test_reading_needs_org_read(calls, with_scopes, call):
    for scopes in (f"org:write {READ}", "sessions:read workflows:read"):
        lacks(with_scopes(scopes)(*calls[call]), "org:read")
    assert with_scopes("org:read")(*calls[call]).status == 200


@pytest.mark.parametrize("call", WRITES)
def test_writing_needs_org_write(calls, with_scopes, call):
    """These fail before anything is changed: the test after them still finds
    the objects."""
    for scopes in (f"org:read {READ}", "sessions:write workflows:write"):
        lacks(with_scopes(scopes)(*calls[call]), "org:write")


NAME_NO_ORG = ("clients", "create client", "legacy create key")


@pytest.mark.parametrize("call", [call for call in READS + WRITES
                                  if call not in NAME_NO_ORG])
def test_the_wall_between_organisations(calls, b, call):
    """Another organisation's object answers 404 exactly as one that is not
    there, or an attacker counts what others have."""
    method, path, body = calls[call]
    answer = b(method, path, body)
    assert answer.error == (404, "not_found"), answer
    absent = (path.replace(path.split("/")[3], "org_01ARZ3NDEKTSV4RRFFQ69G5FAV")
              if path.startswith("/api/org/") else
              re.sub("m2m_[0-9a-f]{32}", NOBODY, path))
    nothing = b(method, absent, body)
    assert nothing.status == 404
    assert nothing.body == answer.body


def test_another_organisations_key_under_ones_own_path(a, b, world):
    """The path says my organisation, the id is of theirs."""
    key = a.key()["keyId"]
    for method in ("GET", "DELETE"):
        answer = b(method, f"{b.keys}/{key}")
        nothing = b(method, f"{b.keys}/{NO_KEY}")
        assert answer.error == nothing.error == (404, "not_found")
        assert answer.body == nothing.body
    assert a.ok("GET", f"{a.keys}/{key}")


def test_lists_show_ones_own_alone(a, b, world):
    mine, theirs = a.client(name="same")["clientId"], b.client(
        name="same")["clientId"]
    ids = [c["clientId"] for c in
           b.ok("GET", CLIENTS, query={"name": "same"})["clients"]]
    assert theirs in ids and mine not in ids
    keys = [k["keyId"] for page in pages(b, b.keys, "keys", 100)
            for k in page]
    assert a.key()["keyId"] not in keys
    assert {e["orgId"] for e in b.events()} == {world.b.id}


def test_a_workspace_of_another_organisation(a, b, world):
    answer = a("POST", CLIENTS, {"name": "x", "scopes": [READ],
                                 "workspaceId": world.b.workspace})
    absent = a("POST", CLIENTS, {
        "name": "x", "scopes": [READ],
        "workspaceId": "ws_01ARZ3NDEKTSV4RRFFQ69G5FAV"})
    assert answer.status in (400, 404), answer
    assert (answer.status, answer.body) == (absent.status, absent.body)


def test_who_is_no_administrator(gate, world, a, calls):
    """Tokens of clients, user keys and registration keys, with all that they
    can hold: none administers."""
    token = gate.token(world.a.client("*"))
    user = a.key(keyType="user", userId="u", scopes=["*"])["token"]
    named = a.key(keyType="user", userId="u",
                  scopes=["org:read", "org:write"])["token"]
    worker = a.key(keyType="worker_registration",
                   scopes=["workers:register"])["token"]
    for caller in (token, user, named):
        for method, path, body in calls.values():
            answer = gate.request(method, path, token=caller, json=body)
            assert answer.status == 403, (method, path, answer)
    for method, path, body in calls.values():
        answer = gate.request(method, path, token=worker, json=body)
        # a registration key opens nothing but registration
        assert answer.error == (401, "invalid_token"), (method, path, answer)
    for method, path, body in calls.values():
        assert gate.request(method, path, json=body).status == 401


def test_the_module_itself_insists(launch_here, world):
    """A location that forgot its Require lines, or grants to all, must not
    open the registry."""
    server = launch_here.httpd(conf.TOKEN + """
        <LocationMatch "^/api/(admin|org)/">
          SetHandler rensei-admin
          Require all granted
        </LocationMatch>
        <Location "/api/admin/m2m-clients/">
          AuthType Bearer
          RenseiAccept m2m key
          Require valid-user
        </Location>""", store=world.store, children=1)
    server.expect_log("RS0151")  # which tells the administrator
    for path in (CLIENTS, f"/api/org/{world.a.id}/keys",
                 f"/api/org/{world.a.id}/audit"):
        for more in ({}, {"token": world.a.admin.token},
                     {"headers": {"X-Rensei-Sub": "key_x"}}):
            answer = server.get(path, **more)
            assert answer.status in (401, 403), answer
    token = server.token(world.a.client("*"))
    assert server.get(f"{CLIENTS}/{NOBODY}", token=token).status == 403


# -- nobody gives what he does not hold ---------------------------------------


def test_scopes_that_the_giver_lacks(a, with_scopes):
    """Else a key with org:write makes itself one with everything."""
    giver = with_scopes(f"org:write org:read {READ}")
    for scopes in ([WRITE], ["*"], [READ, WRITE], ["agents:read"]):
        answer = giver("POST", CLIENTS, {"name": "x", "scopes": scopes})
        assert answer.error == (403, "access_denied"), (scopes, answer)
        answer = giver("POST", giver.keys, {
            "name": "x", "keyType": "org", "owner": "o", "scopes": scopes})
        assert answer.error == (403, "access_denied"), (scopes, answer)
    for kind, scopes in (("user", ["*"]), ("user", ["workflows:read"]),
                         ("worker_registration", ["workers:register"])):
        body = {"name": "x", "keyType": kind, "scopes": scopes}
        if kind == "user":
            body["userId"] = "u"
        answer = giver("POST", giver.keys, body)
        assert answer.error == (403, "access_denied"), (kind, answer)
    assert giver.client(scopes=[READ])["scopes"] == [READ]
    assert giver.key(scopes=["org:write"])["scopes"] == ["org:write"]


def test_a_change_to_scopes_that_the_giver_lacks(a, with_scopes):
    giver = with_scopes(f"org:write org:read {READ}")
    mine = a.client(scopes=[READ, WRITE])["clientId"]
    url = f"{CLIENTS}/{mine}"
    # what it has already may stay, what it has not must be the giver's
    answer = giver("PATCH", url, {"scopes": [READ, WRITE, "agents:read"]})
    assert answer.error == (403, "access_denied"), answer
    answer = giver("PATCH", url, {"scopes": ["*"]})
    assert answer.error == (403, "access_denied"), answer
    assert giver.ok("PATCH", url, {"scopes": [WRITE]})["client"][
        "scopes"] == [WRITE]
    answer = giver.ok("PATCH", url, {"scopes": [READ, WRITE]})
    assert set(answer["client"]["scopes"]) == {READ, WRITE}


# -- the audit trail ----------------------------------------------------------


def test_who_did_what_and_from_where(a, world):
    client = a.client(name="audited", scopes=[READ])["clientId"]
    a.ok("PATCH", f"{CLIENTS}/{client}", {"name": "renamed"})
    a.ok("DELETE", f"{CLIENTS}/{client}")
    key = a.key(name="audited")["keyId"]
    a.ok("DELETE", f"{a.keys}/{key}")
    for target, names in ((client, ["m2m.client_revoked",
                                    "m2m.client_updated",
                                    "m2m.client_created"]),
                          (key, ["api_key.revoked", "api_key.created"])):
        events = a.events(target=target)
        assert [event["event"] for event in events] == names
        for event in events:
            assert set(event) == {"id", "event", "at", "actor", "actorType",
                                  "target", "orgId", "ip", "requestId",
                                  "details", "seq", "hash"}
            assert event["id"].startswith("evt_")
            assert event["actor"] == world.a.admin.id
            assert event["actorType"] == "api_key"
            assert event["target"] == target
            assert event["orgId"] == world.a.id
            assert event["ip"] == "127.0.0.1"
            assert event["requestId"]
            assert isinstance(event["details"], dict)
        assert len({event["requestId"] for event in events}) == len(events)
    updated = a.events(target=client, event="m2m.client_updated")[0]
    assert "name" in json.dumps(updated["details"])


def test_an_operators_deed_is_there_too(a, world):
    client = world.a.client()
    events = a.events(target=client.id)
    assert [event["event"] for event in events] == ["m2m.client_created"]
    assert events[0]["actorType"] == "operator"
    assert events[0]["actor"]
    assert events[0]["ip"] is None


def test_a_refusal_changes_nothing_and_writes_nothing(a, with_scopes):
    giver = with_scopes("org:read org:write")
    before = a.newest()
    for body in ({"name": "", "scopes": []}, {"name": "x", "scopes": ["*"]},
                 {"name": "x", "scopes": ["nonsense"]}):
        assert giver("POST", CLIENTS, body).status in (400, 403)
    assert a.newest() == before


def test_filters_of_the_audit_trail(a, world):
    made = [a.client(name=f"trail {n}")["clientId"] for n in range(3)]
    first = a.events(target=made[0])[0]
    last = a.events(target=made[2])[0]

    def targets(**query):
        return [event["target"] for event in a.events(limit=500, **query)]

    assert targets(target=made[1]) == [made[1]]
    created = targets(event="m2m.client_created")
    assert created[:3] == made[::-1]
    assert set(made) <= set(targets(actor=world.a.admin.id))
    assert targets(actor="key_nobody") == []
    assert targets(event="m2m.client") == []
    # since is inclusive, until is not; both take the form that `at` has
    since = targets(since=first["at"])
    assert set(made) <= set(since)
    assert made[2] not in targets(until=last["at"])
    assert made[0] in targets(until=last["at"]) or (
        first["at"] == last["at"])
    assert targets(since=first["at"], until=first["at"]) == []
    for name in ("since", "until"):
        invalid(a("GET", a.audit, query={name: "yesterday"}), name)


def test_pages_of_the_audit_trail(a):
    """Pages run back from the newest and stay put while events arrive."""
    for n in range(5):
        a.client(name=f"event {n}")
    whole = [event["id"] for event in a.ok(
        "GET", a.audit, query={"limit": 500})["events"]]
    got = pages(a, a.audit, "events", 100, lambda: a.client(name="more"))
    ids = [event["id"] for page in got for event in page]
    assert len(ids) == len(set(ids))
    assert ids[-len(whole):] == whole


def test_no_secret_in_the_audit_trail(a, gate):
    made, key = a.client(name="quiet"), a.key(name="quiet")
    gate.post("/api/oauth/token", form={
        "grant_type": "client_credentials", "client_id": made["clientId"],
        "client_secret": made["clientSecret"]})
    text = json.dumps(a.events(limit=500))
    assert made["clientId"] in text and key["keyId"] in text
    assert not known_secrets.found_in(text)


def test_the_request_id_is_the_access_logs(gate, a):
    """mod_unique_id's, where it is loaded: one can go from the trail to the
    log and back."""
    since = len(gate.access())
    made = a.client(name="traced")
    request_id = a.events(target=made["clientId"])[0]["requestId"]
    [line] = gate.wait_for_access(request_id, 1, since)
    assert f'"POST {CLIENTS} ' in line and line.split()[-3] == request_id


# -- the store goes away ------------------------------------------------------


def test_the_admin_api_without_its_store(launch_here):
    store = launch_here.store()
    org = store.org("acme")
    key = Key(*store.key(org, "admin", "*"))
    server = launch_here.httpd("RenseiMaxStaleness 60\n" + conf.API,
                               store=store, children=1)
    admin = Admin(server, key.token, org)
    admin.client()
    server.allow_log("RS0")
    store.break_()
    for method, path, body in (
            ("GET", CLIENTS, None), ("GET", admin.keys, None),
            ("POST", CLIENTS, {"name": "x", "scopes": [READ]}),
            ("GET", admin.audit, None)):
        answer = admin(method, path, body)
        assert answer.error == (503, "temporarily_unavailable"), answer
        assert int(answer.headers["Retry-After"]) > 0
        assert "malformed" not in answer.text  # the driver's words
    store.mend()
    admin.client()
