# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""What an attacker tries at each endpoint there is: another organisation's
objects, SQL in every field, bytes that are no text, bodies that are bombs. The
endpoints come from the modules' tables of routes: a new one without its line
here fails."""

import base64
import json
import re
import urllib.parse
from collections import namedtuple

import pytest

from harness import conf, routes, workers
from harness.admin import CLIENTS, READ, Admin, invalid
from harness.oauth import INTROSPECT, REVOKE, TOKEN, active, introspect, revoked
from harness.store import Client, Key

KEYS, WORKERS = "/api/org/{orgId}/keys", "/api/org/{orgId}/workers"
NEW_CLIENT = {"name": "x", "scopes": [READ]}
NEW_KEY = {"name": "x", "keyType": "org", "owner": "o", "scopes": [READ]}
REPORT = workers.report()

# What each call takes: a body that is right, further members, parameters.
Call = namedtuple("Call", "body more query", defaults=(None, (), ()))
CLIENT_MORE = ("description", "owner", "workspaceId", "tokenLifetime",
               "expiresAt", "secretExpiresAt", "tokenEndpointAuthMethod",
               "jwks", "audiences", "trustedMetadata")
KEY_MORE = ("userId", "workspaceId", "expiresAt", "maxUses")
PAGE = ("limit", "cursor")
CALLS = {
    f"POST {CLIENTS}": Call(NEW_CLIENT, CLIENT_MORE),
    f"GET {CLIENTS}": Call(None, (), PAGE + ("name", "owner", "scope",
                                             "status")),
    f"DELETE {CLIENTS}": Call(None, (), ("client_id", "reason")),
    f"GET {CLIENTS}/{{id}}": Call(),
    f"PATCH {CLIENTS}/{{id}}": Call({"name": "y"},
                                    CLIENT_MORE + ("scopes", "status")),
    f"DELETE {CLIENTS}/{{id}}": Call(None, (), ("reason",)),
    f"POST {CLIENTS}/{{id}}/secrets/rotate/start": Call({}, ("expiresAt",)),
    f"POST {CLIENTS}/{{id}}/secrets/rotate": Call({}),
    f"POST {CLIENTS}/{{id}}/secrets/rotate/cancel": Call({}),
    f"POST {CLIENTS}/{{id}}/tokens/revoke": Call({}),
    f"POST {KEYS}": Call(NEW_KEY, KEY_MORE),
    f"GET {KEYS}": Call(None, (), PAGE + ("name", "owner", "keyType", "scope",
                                          "status")),
    f"GET {KEYS}/{{keyId}}": Call(),
    f"PATCH {KEYS}/{{keyId}}": Call({"name": "y"}, ("owner", "scopes")),
    f"DELETE {KEYS}/{{keyId}}": Call(None, (), ("reason",)),
    f"POST {KEYS}/{{keyId}}/rotate": Call({"graceSeconds": 60}),
    "POST /api/org/api-keys": Call(NEW_KEY, KEY_MORE),
    f"GET {WORKERS}": Call(None, (), PAGE + ("hostname", "keyId", "region",
                                             "status")),
    f"GET {WORKERS}/{{id}}": Call(),
    f"DELETE {WORKERS}/{{id}}": Call(None, (), ("reason",)),
    "GET /api/org/{orgId}/audit": Call(None, (), PAGE + (
        "event", "actor", "target", "since", "until")),
    "GET /api/org/{orgId}/credentials": Call(None, (), PAGE + (
        "unused_for", "expiring_within", "without_owner", "class")),
}
REGISTERS = {
    "POST /api/workers/register": Call(REPORT, (
        "machineId", "version", "region", "capabilities", "activeAgentCount",
        "status")),
    "POST /v1/daemon/register": Call({"registrationToken": "@", **REPORT}, (
        "machineId", "version", "region", "capabilities", "activeAgentCount",
        "status")),
}
WITH_BODY = {**{r: c for r, c in CALLS.items() if c.body is not None},
             **REGISTERS}


def test_each_endpoint_is_attacked():
    """A new endpoint, or a new field of one, needs its line above."""
    assert set(routes.of("admin")) == set(CALLS)
    assert set(routes.of("token")) == set(WALLS)
    known = {name for call in [*CALLS.values(), *REGISTERS.values()]
             for name in [*(call.body or ()), *call.more, *call.query]}
    assert routes.fields() <= known, routes.fields() - known


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd("RenseiThrottle off\nRenseiExpiryNotice off\n"
                        + conf.ISSUER + conf.WORKERS, store=world.store)


class Place:
    """An organisation, with one of each in it."""

    def __init__(self, gate, org):
        self.gate, self.org = gate, org
        self.admin = Admin(gate, org.admin.token, org.id)
        self.registration = self._key(keyType="worker_registration",
                                      scopes=["workers:register"])
        self.key, made = self._key(), self.admin.client()
        self.client = Client(made["clientId"], made["clientSecret"])
        self.token = gate.token(self.client)
        made = workers.made(workers.daemon(gate, self.registration))
        self.worker, self.runtime = made["workerId"], made["runtimeJwt"]
        self.names = [org.id, org.workspace, org.admin.id, self.client.id,
                      self.key.id, self.registration.id, self.worker]

    def _key(self, **more):
        made = self.admin.key(**more)
        return Key(made["keyId"], made["token"])

    def __call__(self, method, path, body=None, query=None, **more):
        """As the organisation's administrator, or its registration key; bytes
        are sent as they are."""
        token = (self.registration if path == workers.REGISTER
                 else self.org.admin).token
        if path == workers.DAEMON and isinstance(body, dict):
            body = {**body, "registrationToken": self.registration.token}
            token = None
        if query:
            path += "?" + urllib.parse.urlencode(query)
        how = "body" if isinstance(body, bytes) else "json"
        return self.gate.request(method, path, token=token, **{how: body},
                                 **more)

    def everything(self):
        """All that it has, as its own administrator sees it."""
        lists = [CLIENTS, self.admin.keys, f"/api/org/{self.org.id}/workers",
                 self.admin.audit]
        out = [self("GET", path).json for path in lists]
        # when it was last used is written now and then
        return re.sub(r'"(lastUsed\w+|usageCount)": [^,]+', "",
                      json.dumps(out))


@pytest.fixture(scope="module")
def a(gate, world):
    return Place(gate, world.a)


@pytest.fixture(scope="module")
def b(gate, world):
    return Place(gate, world.b)


def filled(pattern, org, client, key, worker):
    one = worker if "/workers/" in pattern else client
    return (pattern.replace("{orgId}", org).replace("{keyId}", key)
            .replace("{id}", one))


def of(place, pattern):
    return filled(pattern, place.org.id, place.client.id, place.key.id,
                  place.worker)


# -- another organisation -----------------------------------------------------

ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
NOBODYS = ("m2m_" + "0" * 32, "key_" + ULID, "wkr_" + ULID)


@pytest.mark.parametrize("route", CALLS)
def test_another_organisations(a, b, route):
    """b's administrator goes for what is a's: under a's path, and a's object
    under his own. It is 404 with the very bytes of an object that is not
    there; nothing is changed, and no event tells a's trail of it."""
    method, pattern = route.split(" ")
    body = CALLS[route].body
    before = a.everything()
    if "{" not in pattern:  # there is nothing to name
        query = {"client_id": a.client.id} if method == "DELETE" else None
        answer = b(method, pattern, body, query)
        assert answer.status in ((404,) if query else (200, 201)), answer
        assert not [n for n in a.names if n in answer.text], answer
    else:
        absent = b(method, filled(pattern, "org_" + ULID, *NOBODYS), body)
        answer = b(method, of(a, pattern), body)
        assert answer.error == absent.error == (404, "not_found"), answer
        assert answer.body == absent.body
    if "{orgId}" in pattern and pattern.count("{") == 2:
        absent = b(method, filled(pattern, b.org.id, *NOBODYS), body)
        answer = b(method, filled(pattern, b.org.id, a.client.id, a.key.id,
                                  a.worker), body)
        assert answer.error == absent.error == (404, "not_found"), answer
        assert answer.body == absent.body
    assert a.everything() == before


@pytest.mark.parametrize("route", CALLS)
def test_ones_own(gate, world, route):
    """The control: the same calls on one's own objects do something."""
    place = Place(gate, world.a)
    method, pattern = route.split(" ")
    path = of(place, pattern)
    if pattern.endswith(("rotate", "cancel")) and "secrets" in pattern:
        place.admin.ok("POST", f"{CLIENTS}/{place.client.id}/secrets/rotate"
                       "/start")
    query = ({"client_id": place.client.id}
             if route == f"DELETE {CLIENTS}" else None)
    answer = place(method, path, CALLS[route].body, query)
    assert answer.status == (201 if answer.headers["Location"] else 200), (
        answer)


@pytest.mark.parametrize("route", WITH_BODY)
def test_an_organisation_in_the_body(a, b, route):
    """What names the organisation is the credential alone."""
    method, pattern = route.split(" ")
    before = a.everything()
    for field in ("orgId", "org_id", "org", "organisation"):
        answer = b(method, of(b, pattern), {**WITH_BODY[route].body,
                                            field: a.org.id})
        assert answer.error == (400, "invalid_request"), answer
    assert a.everything() == before


def test_another_organisations_workspace_and_page(a, b):
    """An id of a's inside of what is b's own."""
    mine = {"workspaceId": a.org.workspace}
    for path, body in ((CLIENTS, NEW_CLIENT), (b.admin.keys, NEW_KEY),
                       ("/api/org/api-keys", NEW_KEY)):
        assert b("POST", path, {**body, **mine}).error == (404, "not_found")
    for n in range(2):
        a.admin.client()
    page = a.admin.ok("GET", CLIENTS, query={"limit": 1})
    answer = b("GET", CLIENTS, query={"cursor": page["nextCursor"]})
    assert not [n for n in a.names if n in answer.text], answer
    for target in a.names:
        assert b.admin.events(target=target) == []
        assert b.admin.events(actor=target) == []


def wall_token(gate, a, b):
    """a's client with the secret of b's, both ways."""
    for one, other in ((a, b), (b, a)):
        form = {"grant_type": "client_credentials",
                "client_id": one.client.id,
                "client_secret": other.client.secret}
        assert gate.post(TOKEN, form=form).error == (401, "invalid_client")


def wall_introspect(gate, a, b):
    """Nothing is said but that it is not active."""
    for caller in (b.org.admin, b.client):
        for token in (a.token, a.key.token, a.org.admin.token, a.runtime,
                      a.registration.token):
            assert introspect(gate, caller, token) == {"active": False}
    assert active(gate, a.client, a.token)
    assert active(gate, a.org.admin, a.runtime)


def wall_revoke(gate, a, b):
    """Answered as if it were unknown, and it goes on."""
    for caller in (b.org.admin, b.client):
        revoked(gate, caller, a.token)
    assert gate.get("/api/whoami", token=a.token).status == 200


def wall_daemon(gate, a, b):
    """A worker belongs to whom its registration key belongs."""
    made = workers.made(workers.daemon(gate, b.registration))
    assert workers.whoami(gate, made["runtimeJwt"]).json["orgId"] == b.org.id
    assert a("GET", f"/api/org/{a.org.id}/workers/{made['workerId']}"
             ).status == 404
    b("DELETE", f"/api/org/{b.org.id}/workers/{made['workerId']}")


def wall_register(gate, a, b):
    made = workers.made(workers.bearer(gate, b.registration))
    assert workers.whoami(gate, made["runtimeJwt"]).json["orgId"] == b.org.id
    answer = gate.post(workers.REGISTER, json=REPORT, token=a.key.token)
    assert answer.error == (401, "invalid_token")


def wall_refresh(gate, a, b):
    assert workers.refresh(gate, a.worker, b.runtime).error == (
        404, "not_found")
    for token in (b.org.admin.token, b.token, b.registration.token):
        assert workers.refresh(gate, a.worker, token).error == (
            401, "invalid_token")
    assert workers.refresh(gate, a.worker, a.runtime).status == 200


def wall_public(gate, a, b):
    """What is for everybody says nothing of anybody."""
    for path in ("/.well-known/jwks.json",
                 "/.well-known/oauth-authorization-server"):
        answer = gate.get(path, token=b.org.admin.token)
        assert answer.status == 200
        assert not [n for n in a.names + b.names if n in answer.text]


METADATA = "GET /.well-known/oauth-authorization-server"
WALLS = {
    "POST /api/oauth/token": wall_token,
    "POST /api/oauth/introspect": wall_introspect,
    "POST /api/oauth/revoke": wall_revoke,
    "POST /v1/daemon/register": wall_daemon,
    "POST /api/workers/register": wall_register,
    "POST /api/workers/{id}/refresh-token": wall_refresh,
    "GET /.well-known/jwks.json": wall_public,
    METADATA: wall_public,
    METADATA + "/{a}": wall_public,
    METADATA + "/{a}/{b}": wall_public,
    METADATA + "/{a}/{b}/{c}": wall_public,
}


@pytest.mark.parametrize("route", WALLS)
def test_the_token_service(gate, a, b, route):
    WALLS[route](gate, a, b)


# -- SQL ----------------------------------------------------------------------

SQL = ["x' OR '1'='1", "x'; DROP TABLE rensei_clients; --",
       'x" OR "1"="1', "x') UNION SELECT id FROM rensei_api_keys --",
       "%s %lld %% $1 ?1 :x @x", "x\\' OR 1=1 --", "%", "_", "NULL",
       "x'||pg_sleep(20)||'", "1; ATTACH 'x' AS y", "/*x", "\u02bc OR 1=1"]
TEXTS = ("name", "owner", "description", "userId", "hostname", "machineId",
         "version", "region")


def rows(store):
    """How much there is, by which one sees what a statement did."""
    wire = store.connect()
    counts = [wire.execute(f"SELECT count(*) FROM rensei_{table}").fetchone()
              for table in ("orgs", "clients", "keys", "workers")]
    wire.close()
    return counts


def stored(answer, field):
    body = answer.json
    return body.get("client", body)[field]


@pytest.mark.parametrize("route", WITH_BODY)
def test_sql_in_a_body(gate, world, a, b, route):
    """Each member of each body: what is taken as text is stored as it is,
    anything else refused; and the other organisation is as it was."""
    method, pattern = route.split(" ")
    call, path = WITH_BODY[route], of(a, pattern)
    before = b.everything()
    for field in dict.fromkeys([*call.body, *call.more]):
        if field == "registrationToken":  # `a` puts in its own
            continue
        for value in [*SQL, [SQL[0]], {SQL[0]: SQL[0]}]:
            answer = a(method, path, {**call.body, field: value})
            assert answer.status in (200, 201, 400), (field, answer)
            if answer.status != 400 and field in TEXTS:
                assert value in SQL
                if method == "PATCH" or "Location" in answer.headers:
                    assert stored(answer, field) == value
    assert b.everything() == before


@pytest.mark.parametrize("text", SQL)
def test_what_is_stored_is_what_was_sent(gate, a, text):
    """By another request than the one that stored it, found by the filter of
    that very text; and in the audit trail."""
    made = a.admin.client(name=text, owner=text, description=text,
                          trustedMetadata={text: text})
    shown = a.admin.ok("GET", f"{CLIENTS}/{made['clientId']}")["client"]
    assert [shown[n] for n in ("name", "owner", "description")] == [text] * 3
    assert shown["trustedMetadata"] == {text: text}
    found = a.admin.ok("GET", CLIENTS, query={"name": text, "owner": text})
    assert [c["clientId"] for c in found["clients"]] == [made["clientId"]]
    gone = a("DELETE", f"{CLIENTS}/{made['clientId']}", None,
             {"reason": text})
    assert gone.status == 200
    [event] = a.admin.events(target=made["clientId"],
                             event="m2m.client_revoked")
    assert event["details"]["reason"] == text


@pytest.mark.parametrize("route", [r for r, c in CALLS.items() if c.query])
def test_sql_in_a_query(a, b, world, route):
    """A filter that nothing fits finds nothing, and deletes nothing."""
    method, pattern = route.split(" ")
    path, before = of(a, pattern), rows(world.store)
    if method == "DELETE":  # the reason alone would do what it is for
        path = filled(pattern, a.org.id, *NOBODYS)
    for field in CALLS[route].query:
        for text in SQL:
            answer = a(method, path, None, {field: text})
            assert answer.status in (200, 400, 404), (field, answer)
            if answer.status == 200:
                [found] = [v for v in answer.json.values()
                           if isinstance(v, list)]
                # what other tests here have made goes by these very texts
                assert {item.get(field) for item in found} <= {text}
    assert rows(world.store) == before


@pytest.mark.parametrize("route", [r for r in [*CALLS, *WALLS] if "{" in r])
def test_sql_in_a_path(a, world, route):
    method, pattern = route.split(" ")
    before = rows(world.store)
    names = re.findall(r"\{\w+\}", pattern)
    for name in names:
        for text in [*SQL, "..", ".", "*", "%00", "\u00e9", "x" * 4000]:
            path = pattern.replace(name, text if text == "%00" else
                                   urllib.parse.quote(text, safe=""))
            answer = a(method, of(a, path), (CALLS | REGISTERS).get(
                route, Call()).body)
            assert answer.status in (400, 401, 403, 404, 405), (path, answer)
    assert rows(world.store) == before


OAUTH = {TOKEN: ("grant_type", "client_id", "client_secret", "scope",
                 "resource", "audience", "client_assertion",
                 "client_assertion_type"),
         INTROSPECT: ("token", "token_type_hint", "required_scopes",
                      "max_token_age"),
         REVOKE: ("token", "token_type_hint")}


@pytest.mark.parametrize("path", OAUTH)
def test_sql_in_a_form(gate, a, world, path):
    """Nobody gets a token by it, nobody's becomes active, none is ended."""
    before, other = rows(world.store), gate.token(a.client)
    good = {"grant_type": "client_credentials", "token": other}
    for text in SQL:
        for basic in ((text, a.client.secret), (a.client.id, text)):
            # by hand: what a test sends as a password may be in no log
            pair = base64.b64encode(":".join(basic).encode()).decode()
            answer = gate.post(path, form=good,
                               headers={"Authorization": "Basic " + pair})
            assert answer.error in ((401, "invalid_client"),
                                    (400, "invalid_request")), answer
        for field in OAUTH[path]:
            sent = {**good, field: text}
            if field == "client_assertion_type":  # alone it means nothing
                sent["client_assertion"] = text
            for how in ("form", "json"):
                answer = gate.post(path, basic=tuple(a.client), **{how: sent})
                if field == "token":
                    assert answer.json in ({}, {"active": False}), answer
                elif field != "token_type_hint":
                    assert answer.status in (400, 401) or (
                        answer.json == {"active": False}), (field, answer)
    assert gate.get("/api/whoami", token=a.token).status == 200
    assert gate.get("/api/whoami", token=other).status == (
        401 if path == REVOKE else 200)  # by its own client, with any hint
    assert rows(world.store) == before


@pytest.mark.parametrize("name", [
    "User-Agent", "X-Forwarded-For", "X-Forwarded-Host", "X-Request-Id",
    "Referer", "Cookie", "Accept", "X-HTTP-Method-Override", "Forwarded"])
def test_sql_in_a_header(a, name):
    """What a client says of itself and of its way is nowhere used; the audit
    trail has the address that the connection has."""
    for text in SQL[:4]:
        made = a("POST", CLIENTS, NEW_CLIENT,
                 headers={name: text.encode("utf-8").decode("latin-1")})
        assert made.status == 201, made
    [event] = a.admin.events(target=stored(made, "clientId"))
    assert event["ip"] == "127.0.0.1"


def test_sql_as_a_credential(gate, a, world):
    before = rows(world.store)
    for text in SQL:
        for token in (text, "rsk_live_" + text, f"{text}.{text}.{text}"):
            answer = gate.get("/api/whoami", headers={
                "Authorization": "Bearer "
                + token.encode("utf-8").decode("latin-1")})
            assert answer.error in ((401, "invalid_token"),
                                    (400, "invalid_request")), answer
    assert rows(world.store) == before


# -- bytes that are no text, and bombs ----------------------------------------

BROKEN = [b'"\xff"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"',
          b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\u0000"', b'"a\x00b"',
          b'"a\nb"', b"1e400", b"-1e400", b"9" * 400, b"0x10", b"01", b"NaN",
          b"Infinity", b"[" * 5000, b'{"a":' * 5000, b"[" * 3000 + b"]" * 3000]


@pytest.mark.parametrize("route", WITH_BODY)
def test_a_body_that_breaks_something(a, world, route):
    """In a known member, in an unknown one, as a name: it is 400, before it
    comes near the store, where PostgreSQL would fail on it. What is over the
    limit is 413."""
    method, pattern = route.split(" ")
    path, body = of(a, pattern), WITH_BODY[route].body
    before = rows(world.store)
    kind = {"Content-Type": "application/json"}
    plain = json.dumps(body)[1:-1] or '"x":1'
    bodies = [b'{"%s":%s}' % (field.encode(), value) for value in BROKEN
              for field in [*list(body)[:1], "nothing"]]
    bodies += [b'{"\xff":1}', b'{"a\\u0000":1}', b"\xef\xbb\xbf{}",
               f"{{{plain},{plain}}}".encode(),  # every member twice
               b'{"x":1,"x":2}', b'{"x":1,"\\u0078":2}',
               b"{" + b",".join(b'"%d":1' % n for n in range(5000)) + b"}"]
    for data in bodies:
        answer = a(method, path, data, headers=kind)
        assert answer.error == (400, "invalid_request"), (data[:60], answer)
    answer = a(method, path, b'{"x":"' + b"x" * 70000 + b'"}', headers=kind)
    assert answer.error == (413, "invalid_request"), answer
    assert rows(world.store) == before


@pytest.mark.parametrize("route", [r for r, c in CALLS.items() if c.query])
def test_a_query_that_is_no_text(a, route):
    """Before the database sees it, or is asked of a client that is not
    there."""
    method, pattern = route.split(" ")
    path = of(a, pattern)
    for field in CALLS[route].query:
        for text in ("%FF", "%C0%AF", "%ED%A0%80", "%00", "a%00b"):
            answer = a(method, f"{path}?{field}={text}")
            assert answer.error in ((400, "invalid_request"),
                                    (404, "not_found")), (field, answer)


@pytest.mark.parametrize("owner", [
    "\u200b", "\u00a0", "\ufeff", "\u2800", "\u3164", "\U000e0041",
    "\u00ad\u200d", "ops\u202e", "a\u2028b", "\u2066ops\u2069"])
def test_an_owner_that_cannot_be_seen(a, owner):
    """One of invisible characters satisfies the demand for an owner, and
    nobody finds whom to ask; one that turns the direction of writing shows
    as another."""
    for path, body in ((CLIENTS, NEW_CLIENT), (a.admin.keys, NEW_KEY),
                       ("/api/org/api-keys", NEW_KEY)):
        invalid(a("POST", path, {**body, "owner": owner}), "owner")
        made = a("POST", path, {**body, "owner": "\u0645\u06cc\u200c\u0631"})
        assert made.status == 201, made
