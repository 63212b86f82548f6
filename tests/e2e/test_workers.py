# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Workers: registration, runtime tokens, refresh, and their administration."""

import os
import re
import threading
import time
from datetime import datetime

import pytest

from harness import conf, jwt, known_secrets, where
from harness.admin import Admin, invalid, lacks
from harness.crowd import Crowd
from harness.pace import patient, wait_for
from harness.workers import (DAEMON, REGISTER, bearer, daemon, made, refresh,
                             registration_key, report, whoami)

WORKER = re.compile(r"wkr_[0-9A-HJKMNP-TV-Z]{26}")
NOBODY = "wkr_01ARZ3NDEKTSV4RRFFQ69G5FAV"
CONF = conf.ISSUER + conf.WORKERS + conf.PROXY + "".join([
    conf.protected("/r/jobs/", "RenseiAccept worker",
                   "Require rensei-scope workers:read"),
    conf.protected("/r/agents/", "RenseiAccept worker",
                   "Require rensei-scope agents:read"),
    conf.protected("/r/plain/"),
    conf.protected("/r/key/", "RenseiAccept key"),
])
DEFAULT = ["workers:read", "workers:write", "sessions:read", "sessions:write"]


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd("RenseiThrottle off\n" + CONF, store=world.store,
                        backend=launch.backend(), children=2)


@pytest.fixture
def key(world):
    return registration_key(world)


@pytest.fixture(scope="module")
def admin(gate, world):
    return Admin(gate, world.a.admin.token, world.a.id)


def workers_of(org):
    return f"/api/org/{org.id}/workers"


def ms(text):
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text), text
    return datetime.fromisoformat(text[:-1] + "+00:00").timestamp() * 1000


# -- the answers ---------------------------------------------------------------

def test_a_daemon_registers(gate, key):
    before = time.time()
    answer = daemon(gate, key)
    assert answer.status == 201
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers.get_content_type() == "application/json"
    body = answer.json
    assert set(body) == {"workerId", "runtimeJwt", "expiresAt",
                         "heartbeatIntervalSeconds", "pollIntervalSeconds"}
    assert WORKER.fullmatch(body["workerId"])
    assert body["heartbeatIntervalSeconds"] == 30
    assert body["pollIntervalSeconds"] == 5
    assert before + 899 <= ms(body["expiresAt"]) / 1000 <= time.time() + 901


def test_a_worker_registers_with_bearer(gate, key):
    answer = bearer(gate, key)
    assert answer.status == 201
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json
    assert set(body) == {"workerId", "runtimeJwt", "runtimeToken",
                         "runtimeTokenExpiresAt", "heartbeatInterval",
                         "pollInterval"}
    assert body["runtimeToken"] == body["runtimeJwt"]
    assert body["heartbeatInterval"] == 30000
    assert body["pollInterval"] == 5000
    ms(body["runtimeTokenExpiresAt"])


def test_the_runtime_token(gate, world, key):
    body = made(daemon(gate, key))
    header, claims = jwt.verified(body["runtimeJwt"], gate.secret)
    assert header["typ"] == "rensei-runtime+jwt"
    assert header["alg"] == "HS256" and header["kid"]
    assert set(claims) == {"sub", "org_id", "scopes", "iss", "aud", "iat",
                           "exp", "jti", "reg"}
    assert claims["sub"] == body["workerId"]
    assert claims["org_id"] == world.a.id
    assert claims["reg"] == key.id
    assert claims["iss"] == "rensei-platform"
    assert claims["aud"] == "rensei-api"
    assert claims["scopes"] == DEFAULT
    assert claims["exp"] - claims["iat"] == 900
    assert claims["exp"] * 1000 == ms(body["expiresAt"])


def test_the_workspace_is_the_keys(gate, world):
    key = registration_key(world, workspace=world.a.workspace)
    _, claims = jwt.read(made(daemon(gate, key))["runtimeJwt"])
    assert claims["workspace_id"] == world.a.workspace


def test_refresh(gate, key):
    body = made(daemon(gate, key))
    answer = refresh(gate, body["workerId"], body["runtimeJwt"])
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    fresh = answer.json
    assert set(fresh) == {"runtimeJwt", "runtimeToken", "expiresAt"}
    assert fresh["runtimeToken"] == fresh["runtimeJwt"] != body["runtimeJwt"]
    old, new = (jwt.verified(token, gate.secret)[1] for token in
                (body["runtimeJwt"], fresh["runtimeJwt"]))
    assert new.pop("jti") != old.pop("jti")
    assert new["exp"] >= old["exp"]
    for name in ("sub", "org_id", "reg", "scopes"):
        assert new[name] == old[name]
    # both are good, the new one for the next refresh too
    for token in (body["runtimeJwt"], fresh["runtimeJwt"]):
        assert whoami(gate, token).status == 200
    assert refresh(gate, body["workerId"], fresh["runtimeJwt"],
                   json={}).status == 200


def test_what_a_runtime_token_opens(gate, world, key):
    token = made(daemon(gate, key))["runtimeJwt"]
    assert gate.get("/r/jobs/x", token=token).status == 200
    answer = gate.get("/r/agents/x", token=token)
    assert answer.error == (403, "insufficient_scope")
    assert gate.get("/r/plain/x", token=token).status == 401
    assert gate.get(workers_of(world.a), token=token).status in (401, 403)
    me = whoami(gate, token).json
    assert (me["kind"], me["orgId"], me["scopes"]) == (
        "worker", world.a.id, DEFAULT)


# -- who registers -------------------------------------------------------------

def test_a_registration_key_opens_nothing_else(gate, world, key):
    """It lies about on many machines, and must be worth nothing but a
    registration: not a resource, not the admin API, not a refresh."""
    worker = made(bearer(gate, key))["workerId"]
    assert refresh(gate, worker, key.token).status == 401
    assert gate.get("/r/key/x", token=key.token).status == 401
    assert gate.get("/r/jobs/x", token=key.token).status == 401
    assert whoami(gate, key.token).status == 401
    assert gate.get(workers_of(world.a), token=key.token).status == 401


def test_what_does_not_register(gate, world, key):
    """Were a runtime token good for registration, a worker would outlive its
    own revocation under new names; and what opens much else must not lie about
    on machines that register."""
    worker = made(daemon(gate, key))
    token = gate.token(world.a.client("workers:read"))
    user = world.a.key("sessions:read", type="user", user_id="u1")
    for bad in (worker["runtimeJwt"], token, user.token, world.a.admin.token,
                "rsk_live_" + "0" * 64, "x.y.z"):
        assert gate.post(REGISTER, json=report(), token=bad).status == 401
        answer = gate.post(DAEMON, json=report(registrationToken=bad))
        assert answer.status == (
            403 if bad in (user.token, world.a.admin.token) else 401), bad
    assert gate.post(REGISTER, json=report()).status == 401
    assert bearer(gate, key).status == 201


def test_a_key_of_another_type_is_told_so(gate, world):
    answer = daemon(gate, world.a.admin)
    assert answer.error == (403, "access_denied")
    assert "worker_registration" in answer.json["error_description"]
    assert answer.challenge is None


@pytest.mark.parametrize("token", [
    "rsk_live_" + "0" * 64, "rsk_live_", "x", "rsk_live_" + "0" * 65, "é"])
def test_an_unknown_registration_token(gate, token):
    answer = gate.post(DAEMON, json=report(registrationToken=token))
    assert answer.error == (401, "invalid_token")
    assert answer.challenge.scheme == "Bearer"
    assert answer.challenge.error == "invalid_token"
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_revoked_registration_key(gate, admin, key):
    body = made(daemon(gate, key))
    admin.ok("DELETE", f"{admin.keys}/{key.id}")
    for _ in range(8):
        assert daemon(gate, key).error == (401, "invalid_token")
        assert bearer(gate, key).error == (401, "invalid_token")
        assert whoami(gate, body["runtimeJwt"]).status == 401
        assert refresh(gate, body["workerId"],
                       body["runtimeJwt"]).error == (401, "invalid_token")


def test_a_key_that_expires(gate, world):
    def run(end):
        key = registration_key(world, expires=time.strftime(
            "%Y-%m-%dT%H:%M:%SZ", time.gmtime(end.at)))
        body = made(daemon(gate, key))
        assert ms(body["expiresAt"]) <= end.ms  # not 15 minutes
        assert whoami(gate, body["runtimeJwt"]).status == 200
        end.not_yet()
        end.wait()
        return key, body
    key, body = patient(run, whole=True)
    assert daemon(gate, key).error == (401, "invalid_token")
    assert bearer(gate, key).error == (401, "invalid_token")
    assert refresh(gate, body["workerId"], body["runtimeJwt"]).status == 401


def test_a_suspended_organisation(gate, world, launch_here):
    key = registration_key(world, world.b)
    body = made(daemon(gate, key))
    world.store.ctl("org", "suspend", world.b.id)
    try:
        wait_for(lambda: whoami(gate, body["runtimeJwt"]).status == 401)
        assert daemon(gate, key).error == (401, "invalid_token")
        assert refresh(gate, body["workerId"],
                       body["runtimeJwt"]).status == 401
    finally:
        world.store.ctl("org", "resume", world.b.id)
    wait_for(lambda: refresh(gate, body["workerId"],
                             body["runtimeJwt"]).status == 200)
    assert daemon(gate, key).status == 201


# -- how often -----------------------------------------------------------------

def at_once(wires, ask):
    """What ask(wire, its number) gives on all of them, at the same time."""
    start, out = threading.Barrier(len(wires)), []

    def run(i, wire):
        start.wait(60)
        out.append(ask(wire, i))
    threads = [threading.Thread(target=run, args=pair)
               for pair in enumerate(wires)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return out


@pytest.mark.parametrize("register", [daemon, bearer])
def test_a_single_use_key_makes_one_worker(gate, world, admin, register):
    """Were the use counted apart from the registration, two daemons that come
    at the same moment would both pass: a key meant for one machine registers
    as many as an attacker can start at once."""
    key = registration_key(world, max_uses=1)
    with Crowd(gate, size=24) as crowd:
        answers = at_once(crowd.wires, lambda wire, i: register(
            wire, key, hostname=f"h{i}"))
    assert sorted(a.status for a in answers) == [201] + 23 * [403]
    for answer in answers:
        if answer.status == 403:
            assert answer.error == (403, "access_denied")
            assert "maxUses is 1" in answer.json["error_description"]
    mine = admin.ok("GET", workers_of(world.a), query={"keyId": key.id})
    assert len(mine["workers"]) == 1


def test_each_registration_counts(gate, world, admin):
    key = registration_key(world, max_uses=5)
    with Crowd(gate, size=20) as crowd:
        answers = at_once(crowd.wires, lambda wire, _: daemon(
            wire, key, machineId="m"))
    assert sorted(a.status for a in answers) == 5 * [201] + 15 * [403]
    assert len({a.json["workerId"] for a in answers if a.status == 201}) == 1
    events = admin.events(event="worker.registered", actor=key.id)
    assert len(events) == 5
    assert [e["details"].get("again") for e in events] == 4 * [True] + [None]
    # used up is not revoked: the worker goes on
    body = next(a.json for a in answers if a.status == 201)
    assert refresh(gate, body["workerId"], body["runtimeJwt"]).status == 200


def test_a_refused_registration_counts_for_nothing(gate, world):
    key = registration_key(world, max_uses=1)
    for _ in range(3):
        invalid(daemon(gate, key, maxAgents=0), "maxAgents")
    assert daemon(gate, key).status == 201
    assert daemon(gate, key).status == 403


def test_the_same_machine(gate, world, admin, key):
    first = made(daemon(gate, key, machineId="m-7", version="1"))
    again = made(bearer(gate, key, machineId="m-7", hostname="new",
                        region="eu", capabilities=["gpu"]))
    assert again["workerId"] == first["workerId"]
    shown = admin.ok("GET", f"{workers_of(world.a)}/{first['workerId']}")
    assert shown["hostname"] == "new" and shown["region"] == "eu"
    assert shown["capabilities"] == ["gpu"]
    assert shown["version"] is None  # it says so no more
    other = made(daemon(gate, registration_key(world), machineId="m-7"))
    assert other["workerId"] != first["workerId"]


# -- bodies --------------------------------------------------------------------

@pytest.mark.parametrize("more, field", [
    ({"hostname": None}, "hostname"),
    ({"hostname": ""}, "hostname"),
    ({"hostname": "a\nb"}, "hostname"),
    ({"hostname": "h" * 256}, "hostname"),
    ({"maxAgents": 0}, "maxAgents"),
    ({"maxAgents": "4"}, "maxAgents"),
    ({"maxAgents": None}, "maxAgents"),
    ({"version": 1}, "version"),
    ({"machineId": ["m"]}, "machineId"),
    ({"capabilities": "gpu"}, "capabilities"),
    ({"capabilities": [1]}, "capabilities"),
    ({"activeAgentCount": -1}, "activeAgentCount"),
    ({"status": "x" * 65}, "status"),
    ({"scopes": ["*"]}, "scopes"),
    ({"workerId": NOBODY}, "workerId"),
])
def test_a_bad_field_is_named(gate, key, more, field):
    invalid(daemon(gate, key, **more), field)
    invalid(bearer(gate, key, **more), field)


def test_where_the_key_goes(gate, key):
    """As Bearer it is not in the body as well: which of two counted would be
    for the server to guess. In a URL it would be in everybody's log."""
    invalid(gate.post(DAEMON, json=report()), "registrationToken")
    invalid(gate.post(DAEMON, json=report(), token=key.token),
            "registrationToken")
    invalid(bearer(gate, key, registrationToken=key.token),
            "registrationToken")
    invalid(gate.post(DAEMON + "?token=x",
                      json=report(registrationToken=key.token)), "token")
    invalid(gate.post(REGISTER + "?a=1", json=report(), token=key.token), "a")


@pytest.mark.parametrize("path", [DAEMON, REGISTER])
def test_what_is_no_json_object(gate, key, path):
    def post(body, kind="application/json"):
        return gate.post(path, body=body, token=key.token,
                         headers={"Content-Type": kind}).error
    assert post("[]") == (400, "invalid_request")
    assert post("{") == (400, "invalid_request")
    assert post('{"hostname":"a","hostname":"b","maxAgents":1}') == (
        400, "invalid_request")
    assert post("a=b", "application/x-www-form-urlencoded") == (
        415, "invalid_request")
    assert gate.post(path, body="{" + " " * 70000 + "}", token=key.token,
                     headers={"Content-Type": "application/json"}
                     ).error == (413, "invalid_request")
    answer = gate.get(path, token=key.token)
    assert answer.error == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "POST"


def test_a_refresh_takes_nothing(gate, key):
    body = made(daemon(gate, key))
    invalid(refresh(gate, body["workerId"], body["runtimeJwt"],
                    json={"scopes": ["*"]}), "scopes")
    assert gate.get(f"/api/workers/{body['workerId']}/refresh-token",
                    token=body["runtimeJwt"]).status == 405


# -- refresh is the worker's own -----------------------------------------------

def test_another_workers_token(gate, world, key):
    """With one machine's token an attacker would get those of all others."""
    mine, other = made(daemon(gate, key)), made(daemon(gate, key))
    theirs = made(daemon(gate, registration_key(world, world.b)))
    for victim in (other["workerId"], theirs["workerId"], NOBODY, "x", "..",
                   mine["workerId"].lower(), mine["workerId"] + "%00"):
        answer = refresh(gate, victim, mine["runtimeJwt"])
        assert answer.status in (400, 404), (victim, answer)
        assert "runtimeJwt" not in answer.text
    assert refresh(gate, other["workerId"],
                   mine["runtimeJwt"]).error == (404, "not_found")
    assert refresh(gate, mine["workerId"], mine["runtimeJwt"]).status == 200


def test_what_is_no_runtime_token(gate, world, key):
    """A client can be given any name, and a token any claims: its type alone
    says that it is a worker's."""
    worker = made(daemon(gate, key))
    _, claims = jwt.read(worker["runtimeJwt"])
    path = worker["workerId"]
    for header in ({"alg": "HS256", "typ": "JWT"}, {"alg": "HS256"},
                   {"alg": "HS256", "typ": "at+jwt"}):
        forged = jwt.mint(gate.secret, claims, header)
        assert refresh(gate, path, forged).error == (401, "invalid_token")
    good = {"alg": "HS256", "typ": "rensei-runtime+jwt"}
    assert refresh(gate, path, jwt.mint("x" * 48, claims, good)).status == 401
    assert refresh(gate, path, jwt.mint(
        gate.secret, {**claims, "exp": int(time.time()) - 60}, good)
    ).error == (401, "invalid_token")
    assert refresh(gate, path, jwt.mint(
        gate.secret, {**claims, "org_id": world.b.id}, good)).status == 401
    assert refresh(gate, path,
                   gate.token(world.a.client("workers:read"))).status == 401
    assert gate.post(f"/api/workers/{path}/refresh-token").status == 401
    assert refresh(gate, path, jwt.mint(gate.secret, claims, good)
                   ).status == 200


# -- the end of a worker -------------------------------------------------------

def test_revoked_at_once_in_each_child(gate, world, admin, key):
    body = made(daemon(gate, key, machineId="m"))
    token, path = body["runtimeJwt"], f"{workers_of(world.a)}/{body['workerId']}"

    def ask(wire):
        return wire.get("/r/jobs/x", token=token).status
    with Crowd(gate, ask) as crowd:
        assert crowd.each(ask) == {200}
        done = admin.ok("DELETE", path + "?reason=stolen")
        assert set(done) == {"workerId", "revokedAt"}
        assert crowd.each(ask) == {401}
    assert refresh(gate, body["workerId"], token).error == (
        401, "invalid_token")
    shown = admin.ok("GET", path)
    assert shown["status"] == "revoked" and shown["revokeReason"] == "stolen"
    assert shown["revokedAt"] == done["revokedAt"]
    assert admin.ok("DELETE", path) == done  # again: nothing new
    events = admin.events(event="worker.revoked", target=body["workerId"])
    assert [e["details"] for e in events] == [{"reason": "stolen"}]
    assert events[0]["actor"] == world.a.admin.id


def test_a_revoked_worker_does_not_come_back(gate, world, admin, key):
    """A daemon that is refused registers anew, by itself and within seconds:
    if it could, revoking it would only change its id."""
    body = made(daemon(gate, key, machineId="m"))
    admin.ok("DELETE", f"{workers_of(world.a)}/{body['workerId']}")
    for register in (daemon, bearer):
        answer = register(gate, key, machineId="m")
        assert answer.error == (403, "access_denied")
        assert "revoked" in answer.json["error_description"]
    assert daemon(gate, key, machineId="m2").status == 201
    assert daemon(gate, registration_key(world), machineId="m").status == 201


# -- administration ------------------------------------------------------------

def test_shown(gate, world, admin, key):
    said = {"version": "2.1", "machineId": "m", "region": "eu-1",
            "capabilities": ["gpu", "arm"], "activeAgentCount": 0,
            "status": "idle"}
    body = made(daemon(gate, key, **said))
    shown = admin.ok("GET", f"{workers_of(world.a)}/{body['workerId']}")
    assert ms(shown.pop("createdAt")) == ms(shown.pop("lastSeenAt"))
    assert shown == {
        "workerId": body["workerId"], "orgId": world.a.id,
        "workspaceId": None, "keyId": key.id, "hostname": "build-1",
        "machineId": "m", "maxAgents": 4, "version": "2.1",
        "region": "eu-1", "capabilities": ["gpu", "arm"],
        "activeAgentCount": 0, "reportedStatus": "idle",
        "status": "active", "revokedAt": None, "revokeReason": None}


def test_last_seen_is_the_last_refresh(gate, world, admin, key):
    body = made(daemon(gate, key))
    path = f"{workers_of(world.a)}/{body['workerId']}"
    before = ms(admin.ok("GET", path)["lastSeenAt"])
    time.sleep(0.05)
    assert refresh(gate, body["workerId"], body["runtimeJwt"]).status == 200
    after = admin.ok("GET", path)
    assert ms(after["lastSeenAt"]) > before
    assert ms(after["createdAt"]) == before


def test_listed(gate, world, admin, key):
    path = workers_of(world.a)
    ids = [made(daemon(gate, key, hostname=f"list-{i % 2}",
                       region="us" if i < 2 else "eu"))["workerId"]
           for i in range(5)]
    admin.ok("DELETE", f"{path}/{ids[0]}")

    def listed(**query):
        answer = admin.ok("GET", path, query={"keyId": key.id, **query})
        return [w["workerId"] for w in answer["workers"]]
    assert listed() == ids[::-1]
    assert listed(status="revoked") == ids[:1]
    assert listed(status="active") == ids[:0:-1]
    assert listed(hostname="list-1") == [ids[3], ids[1]]
    assert listed(region="us") == [ids[1], ids[0]]
    assert listed(region="US") == []
    found, cursor = [], None
    while True:
        query = {"keyId": key.id, "limit": 2}
        answer = admin.ok("GET", path, query=dict(
            query, **({"cursor": cursor} if cursor else {})))
        found += [w["workerId"] for w in answer["workers"]]
        cursor = answer["nextCursor"]
        if not cursor:
            break
    assert found == ids[::-1]
    for name in ("limit", "cursor", "status", "color"):
        invalid(admin("GET", path, query={name: "x"}), name)


def test_another_organisations_workers(gate, world, admin, key):
    """Whose ids exist, and what they are, is nobody else's business."""
    worker = made(daemon(gate, key))["workerId"]
    other = Admin(gate, world.b.admin.token, world.b.id)
    for method in ("GET", "DELETE"):
        absent = other(method, f"{workers_of(world.b)}/{NOBODY}")
        theirs = other(method, f"{workers_of(world.b)}/{worker}")
        assert absent.error == (404, "not_found")
        assert theirs.body == absent.body
        assert other(method, f"{workers_of(world.a)}/{worker}").error == (
            404, "not_found")
    assert other("GET", workers_of(world.a)).error == (404, "not_found")
    listed = other.ok("GET", workers_of(world.b), query={"keyId": key.id})
    assert listed["workers"] == []
    assert admin.ok("GET", f"{workers_of(world.a)}/{worker}"
                    )["status"] == "active"


def test_scopes_of_the_administrator(gate, world, key):
    worker = made(daemon(gate, key))["workerId"]
    path = f"{workers_of(world.a)}/{worker}"
    reader = Admin(gate, world.a.key("org:read").token, world.a.id)
    writer = Admin(gate, world.a.key("org:write").token, world.a.id)
    assert reader.ok("GET", path)["workerId"] == worker
    lacks(reader("DELETE", path), "org:write")
    lacks(writer("GET", path), "org:read")
    writer.ok("DELETE", path)


def test_the_audit_trail(gate, world, admin, key):
    body = made(daemon(gate, key, machineId="m", version="3"))
    fresh = refresh(gate, body["workerId"], body["runtimeJwt"]).json
    events = admin.events(target=body["workerId"])
    assert [e["event"] for e in events] == ["worker.refreshed",
                                            "worker.registered"]
    refreshed, registered = events
    assert (registered["actor"], registered["actorType"]) == (
        key.id, "api_key")
    assert (refreshed["actor"], refreshed["actorType"]) == (
        body["workerId"], "worker")
    for event, token in ((registered, body), (refreshed, fresh)):
        assert event["ip"] == "127.0.0.1" and event["requestId"]
        _, claims = jwt.read(token["runtimeJwt"])
        assert event["details"]["jti"] == claims["jti"]
        assert event["details"]["expiresAt"] == token["expiresAt"]
    assert registered["details"]["hostname"] == "build-1"
    assert registered["details"]["machineId"] == "m"
    assert registered["details"]["keyId"] == key.id
    for event in events:
        assert not known_secrets.found_in(str(event))


def test_an_operator_at_the_machine(gate, world, key):
    body = made(daemon(gate, key, hostname="ctl", capabilities=["a", "b"]))
    worker, store = body["workerId"], world.store
    listed = store.ctl("workers", "list", "--org", world.a.id, "--hostname",
                       "ctl", "--key", key.id, "--status", "active")
    assert [w["workerId"] for w in listed["workers"]] == [worker]
    shown = store.ctl("workers", "show", worker)
    assert shown == listed["workers"][0]
    assert shown["capabilities"] == ["a", "b"]
    for command in ("show", "revoke"):
        with pytest.raises(Exception, match="no such worker"):
            store.ctl("workers", command, worker, "--org", world.b.id)
        with pytest.raises(Exception, match="no such worker"):
            store.ctl("workers", command, NOBODY)
    assert whoami(gate, body["runtimeJwt"]).status == 200
    done = store.ctl("workers", "revoke", worker, "--reason", "retired")
    assert done["workerId"] == worker
    wait_for(lambda: whoami(gate, body["runtimeJwt"]).status == 401)
    assert store.ctl("workers", "show", worker)["revokeReason"] == "retired"
    event = world.a.events("--event", "worker.revoked")[0]
    assert event["target"] == worker and event["actorType"] == "operator"


# -- virtual hosts of different policy -----------------------------------------

TWO = """
<VirtualHost *:@PORT@>
ServerName {name}
{dbd}{lines}{conf}
</VirtualHost>
"""


@pytest.fixture(scope="module")
def two(launch, world):
    def host(name, lines, pieces=CONF):
        return TWO.format(name=name, dbd=world.store.dbd(), lines=lines,
                          conf=pieces)
    return launch.httpd(
        host("localhost", "RenseiWorkerScopes workers:read\n"
                          "RenseiWorkerTokenLifetime 60\n"
                          "RenseiWorkerHeartbeat 7\nRenseiWorkerPoll 2\n")
        + host("wide.example", "RenseiAudience wide\n"
                               "RenseiIssuer https://wide.example\n"
                               "RenseiWorkerScopes *\n"
                               "RenseiWorkerTokenLifetime 3600\n")
        + host("own.example", "RenseiScopes m2m sessions:read jobs:run\n",
               conf.ISSUER + conf.WORKERS),
        store=world.store, backend=launch.backend(), children=2)


def test_each_virtual_host_has_its_own_tokens(two, world, key):
    body = made(daemon(two, key))
    assert body["heartbeatIntervalSeconds"] == 7
    assert body["pollIntervalSeconds"] == 2
    _, claims = jwt.read(body["runtimeJwt"])
    assert claims["scopes"] == ["workers:read"]
    assert claims["exp"] - claims["iat"] == 60
    wide = made(bearer(two, key, host="wide.example"))
    assert wide["heartbeatInterval"] == 30000
    _, claims = jwt.read(wide["runtimeJwt"])
    assert claims["scopes"] == ["*"] and claims["aud"] == "wide"
    assert claims["iss"] == "https://wide.example"
    assert claims["exp"] - claims["iat"] == 3600
    own = made(daemon(two, key, host="own.example"))
    _, claims = jwt.read(own["runtimeJwt"])
    assert claims["scopes"] == ["sessions:read"]


def test_a_star_is_the_vocabulary_of_tokens(two, world, key):
    """`*` of a worker reaches what an M2M token's does: never an
    organisation's administration."""
    token = made(daemon(two, key, host="wide.example"))["runtimeJwt"]
    for path in ("/r/jobs/x", "/r/agents/x"):
        assert two.get(path, token=token, host="wide.example").status == 200
    assert two.get(workers_of(world.a), token=token,
                   host="wide.example").status in (401, 403)


def test_another_hosts_token_is_not_exchanged(two, key):
    """By a refresh it would become one of this host: a worker of a host with
    few scopes would get those of another."""
    narrow = made(daemon(two, key))
    wide = made(daemon(two, key, host="wide.example"))
    assert refresh(two, narrow["workerId"], narrow["runtimeJwt"],
                   host="wide.example").error == (401, "invalid_token")
    assert refresh(two, wide["workerId"],
                   wide["runtimeJwt"]).error == (401, "invalid_token")
    assert refresh(two, wide["workerId"], wide["runtimeJwt"],
                   host="wide.example").status == 200


# -- a public key --------------------------------------------------------------

def test_signed_with_a_key_pair(launch_here, world, key):
    """Whoever verifies tokens by their JWKS verifies these too."""
    server = launch_here.httpd("RenseiSigningKey file:@DIR@/es256.pem\n" + CONF,
                               store=world.store, start=False)
    pem = server.dir / "es256.pem"
    world.store.ctl("signing-key", "new", "--alg", "ES256", "--out", str(pem))
    if where.AS_ROOT:
        os.chown(pem, 0, 0)
    server.start()
    body = made(daemon(server, key))
    header, _ = jwt.read(body["runtimeJwt"])
    assert header["alg"] == "ES256"
    assert header["typ"] == "rensei-runtime+jwt"
    kids = [k["kid"] for k in server.get("/.well-known/jwks.json").json["keys"]]
    assert kids == [header["kid"]]
    assert refresh(server, body["workerId"], body["runtimeJwt"]).status == 200


# -- guessing ------------------------------------------------------------------

def test_whoever_guesses_waits(launch_here, world, key):
    server = launch_here.httpd("RenseiThrottle 3/60\n" + CONF,
                               store=world.store, backend=None)
    for i in range(3):
        bad = f"rsk_live_{i:064x}"
        assert server.post(DAEMON, json=report(registrationToken=bad)
                           ).status == 401
    answer = server.post(DAEMON, json=report(
        registrationToken="rsk_live_" + "f" * 64))
    assert answer.error == (429, "slow_down")
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    # the right one too, or the answer would tell it
    assert daemon(server, key).status == 429
    # what is wrong with the body is not a guess, and clients are not held up
    invalid(daemon(server, key, maxAgents=0), "maxAgents")
    assert server.token(world.a.client())


def test_good_keys_do_not_wait(launch_here, world, key):
    server = launch_here.httpd("RenseiThrottle 3/60\n" + CONF,
                               store=world.store, backend=None)
    for _ in range(8):
        assert daemon(server, key).status == 201
    used_up = registration_key(world, max_uses=1)
    for _ in range(8):
        assert daemon(server, used_up).status in (201, 403)


# -- what can go wrong ---------------------------------------------------------

def test_a_location_without_auth_type(launch_here, world, key):
    """Without AuthType nobody has looked at the credential: whoever calls is
    nobody, whatever he sends."""
    server = launch_here.httpd(
        '<Location "/api/workers/">\nSetHandler rensei-token\n</Location>\n'
        + conf.TOKEN + conf.WHOAMI, store=world.store)
    server.expect_log("RS0071")
    assert bearer(server, key).error == (403, "access_denied")
    assert refresh(server, NOBODY, key.token).error == (403, "access_denied")


def test_a_location_that_takes_too_much(launch_here, world, key):
    """The handler looks at who calls by itself: a location that takes other
    credentials does not let them register, nor refresh."""
    server = launch_here.httpd(
        conf.TOKEN + conf.WHOAMI + conf.protected(
            "/api/workers/", "SetHandler rensei-token",
            "RenseiAccept m2m key worker registration"), store=world.store)
    worker = made(bearer(server, key))
    token = server.token(world.a.client("workers:read"))
    for bad in (token, world.a.admin.token, worker["runtimeJwt"]):
        assert server.post(REGISTER, json=report(), token=bad).error == (
            403, "access_denied")
    for bad in (token, world.a.admin.token, key.token):
        assert refresh(server, worker["workerId"], bad).error == (
            403, "access_denied")
    assert refresh(server, worker["workerId"],
                   worker["runtimeJwt"]).status == 200


def test_the_store_is_away(launch_here, world, key):
    store = launch_here.store()
    org = store.org("away")
    mine = store.key(org, "reg", "workers:register",
                     type="worker_registration")
    server = launch_here.httpd(CONF, store=store)
    body = made(daemon(server, mine))
    assert bearer(server, mine).status == 201
    server.allow_log("RS0101", "RS0031", "RS0010", "RS0014")
    store.break_()
    try:
        for answer in (daemon(server, mine), bearer(server, mine),
                       refresh(server, body["workerId"], body["runtimeJwt"])):
            assert answer.status == 503, answer
            assert answer.headers["Retry-After"]
    finally:
        store.mend()
    assert refresh(server, body["workerId"], body["runtimeJwt"]).status == 200


@pytest.mark.parametrize("line, words", [
    ("RenseiWorkerTokenLifetime 59", ["RenseiWorkerTokenLifetime", "60",
                                      "3600"]),
    ("RenseiWorkerTokenLifetime 3601", ["RenseiWorkerTokenLifetime"]),
    ("RenseiWorkerTokenLifetime 15m", ["RenseiWorkerTokenLifetime"]),
    ("RenseiWorkerHeartbeat 0", ["RenseiWorkerHeartbeat", "3600"]),
    ("RenseiWorkerPoll -1", ["RenseiWorkerPoll"]),
    ("RenseiWorkerScopes", ["RenseiWorkerScopes"]),
    ("RenseiWorkerScopes org:read", ["RS0070", "org:read", "RenseiScopes m2m"]),
    ("RenseiWorkerScopes workers:register", ["RS0070"]),
    ("RenseiWorkerScopes workers:red", ["RS0070", "workers:red"]),
    ("RenseiWorkerScopes jobs:run\nRenseiScopes key jobs:run", ["RS0070"]),
])
def test_configtest_refuses(launch_here, world, line, words):
    server = launch_here.httpd(line + "\n" + conf.ISSUER + conf.WORKERS, store=world.store,
                               start=False)
    good, said = server.configtest()
    assert not good, said
    for word in words:
        assert word in said, said


@pytest.mark.parametrize("line", [
    "RenseiWorkerScopes jobs:run workers:read\n"
    "RenseiScopes m2m jobs:run workers:read",
    "RenseiWorkerScopes *", "RenseiScopes m2m jobs:run",
    "RenseiScopes key jobs:run",
    "RenseiWorkerTokenLifetime 60\nRenseiWorkerHeartbeat 1"])
def test_configtest_accepts(launch_here, world, line):
    server = launch_here.httpd(line + "\n" + conf.ISSUER + conf.WORKERS,
                               store=world.store, start=False)
    good, said = server.configtest()
    assert good, said
