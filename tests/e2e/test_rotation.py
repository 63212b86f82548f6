# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Rotation of a client's secret: a second one beside the first, so that a
service changes over without a pause, and then one of them alone."""

import datetime
import json
import threading

import pytest

from harness import conf, known_secrets
from harness.admin import CLIENTS, NOBODY, Admin, invalid, lacks, now_ms
from harness.crowd import Crowd
from harness.pace import patient
from harness.store import Client

READ, WRITE = "sessions:read", "sessions:write"
TOKEN = "/api/oauth/token"
CHILDREN = 3
GOOD, REFUSED = (200, None), (401, "invalid_client")


@pytest.fixture(scope="module")
def gate(launch, world):
    # refusals are what many of these tests ask for
    return launch.httpd("RenseiThrottle off\n" + conf.API, store=world.store,
                        children=CHILDREN)


class Rotator(Admin):
    """The admin API, on the secrets of a client."""

    def made(self, **more):
        client = self.client(**more)
        return Client(client["clientId"], client["clientSecret"])

    def step(self, client, step="", body=None, **more):
        """The answer to a call: "start", "", "cancel"."""
        path = f"{CLIENTS}/{client}/secrets/rotate"
        return self("POST", f"{path}/{step}" if step else path, body, **more)

    def start(self, client, **body):
        """The new secret, beside the old one."""
        answer = self.step(client.id, "start", body or None)
        assert answer.status == 200, answer
        return Client(client.id, answer.json["nextClientSecret"])

    def end(self, client, step=""):
        """The client, after the rotation was completed or cancelled."""
        answer = self.step(client.id, step)
        assert answer.status == 200, answer
        assert set(answer.json) == {"client"}
        return answer.json["client"]

    def shown(self, client):
        return self.ok("GET", f"{CLIENTS}/{client.id}")["client"]


@pytest.fixture(scope="module")
def a(gate, world):
    return Rotator(gate, world.a.admin.token, world.a.id)


@pytest.fixture(scope="module")
def b(gate, world):
    return Rotator(gate, world.b.admin.token, world.b.id)


def all_say(children, client):
    """What the children say when the client asks for a token."""
    return children.each(lambda wire: verdict(ask(wire, client)))


def ask(wire, client, way="body"):
    """Asks for a token with that secret."""
    form = {"grant_type": "client_credentials"}
    if way == "basic":
        return wire.post(TOKEN, form=form, basic=client)
    form.update(client_id=client.id, client_secret=client.secret)
    return wire.post(TOKEN, **{"json" if way == "json" else "form": form})


def verdict(answer):
    return GOOD if answer.status == 200 else answer.error


def status(gate, client, way="body"):
    found = verdict(ask(gate, client, way))
    assert found in (GOOD, REFUSED), found
    return found[0]


# -- the three steps ----------------------------------------------------------


def test_start_shows_the_new_secret_once(a):
    client = a.made(name="rotated")
    answer = a.step(client.id, "start")
    assert answer.status == 200, answer
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json
    assert set(body) == {"clientId", "nextClientSecret", "nextSecretLast4",
                         "secretLast4", "secretExpiresAt"}
    secret = body["nextClientSecret"]
    assert body["clientId"] == client.id
    assert secret.startswith("m2ms_") and len(secret) == 5 + 64
    assert secret != client.secret
    assert body["nextSecretLast4"] == secret[-4:]
    assert body["secretLast4"] == client.secret[-4:]
    assert body["secretExpiresAt"] is None
    # from then on its last four characters are all there is of it
    shown = a.shown(client)
    listed = next(row for row in a.ok("GET", CLIENTS, query={
        "name": "rotated"})["clients"] if row["clientId"] == client.id)
    for row in (shown, listed):
        assert row["nextSecretLast4"] == secret[-4:]
        assert row["secretLast4"] == client.secret[-4:]
        assert row["status"] == "active"
        text = json.dumps(row)
        assert not known_secrets.found_in(text)
        assert "sha256" not in text


@pytest.mark.parametrize("way", ["body", "json", "basic"])
def test_both_secrets_are_good_in_between(a, gate, way):
    old = a.made()
    new = a.start(old)
    for client in (old, new, old, new):
        answer = ask(gate, client, way)
        assert answer.status == 200, answer
        me = gate.get("/api/whoami", token=answer.json["access_token"])
        assert me.json["sub"] == old.id
    mixed = Client(old.id, old.secret[:37] + new.secret[37:])
    assert status(gate, mixed, way) == 401


def test_completed_in_every_child(a, gate):
    """The old secret is refused by every child from the answer on; no child
    goes by what it remembers."""
    old = a.made()
    with Crowd(gate) as children:
        assert all_say(children, old) == {GOOD}
        new = a.start(old)
        assert all_say(children, new) == {GOOD}
        assert all_say(children, old) == {GOOD}
        client = a.end(old)
        assert a.shown(old) == client
        assert all_say(children, old) == {REFUSED}
        assert all_say(children, new) == {GOOD}
    assert client["clientId"] == old.id
    assert client["secretLast4"] == new.secret[-4:]
    assert client["nextSecretLast4"] is None
    assert client["secretExpiresAt"] is None
    assert "clientSecret" not in client and "nextClientSecret" not in client


def test_cancelled_in_every_child(a, gate):
    old = a.made()
    with Crowd(gate) as children:
        new = a.start(old, expiresAt=now_ms() + 3_600_000)
        assert all_say(children, new) == {GOOD}
        client = a.end(old, "cancel")
        assert a.shown(old) == client
        assert all_say(children, new) == {REFUSED}
        assert all_say(children, old) == {GOOD}
    assert client["secretLast4"] == old.secret[-4:]
    assert client["nextSecretLast4"] is None
    assert client["secretExpiresAt"] is None  # the old one goes on
    # and all of it once more, with a secret that is new again
    third = a.start(old)
    assert third.secret not in (old.secret, new.secret)
    a.end(old)
    assert [status(gate, c) for c in (old, new, third)] == [401, 401, 200]


def test_rotated_many_times(a, gate):
    """Of all the secrets there ever were, one is good."""
    secrets = [a.made()]
    for _ in range(4):
        secrets.append(a.start(secrets[-1]))
        a.end(secrets[-1])
    assert [status(gate, s) for s in secrets] == [401] * 4 + [200]


def test_tokens_live_through_a_rotation(a, gate):
    """Rotation changes what a service signs in with; a token that it has is
    ended by tokens/revoke."""
    old = a.made()
    tokens = [gate.token(old)]
    new = a.start(old)
    tokens += [gate.token(old), gate.token(new)]
    a.end(old)
    tokens.append(gate.token(new))
    for token in tokens:
        assert gate.get("/api/whoami", token=token).status == 200


def test_a_rotation_outlives_a_restart(a, gate):
    old = a.made()
    new = a.start(old)
    gate.graceful()
    assert (status(gate, old), status(gate, new)) == (200, 200)
    a.end(old)
    gate.graceful()
    assert (status(gate, old), status(gate, new)) == (401, 200)


# -- an end for the old secret ------------------------------------------------


def test_the_old_secret_ends_by_itself(a, gate):
    """Whoever forgets to complete a rotation has not kept the old secret for
    good."""
    def run(end):
        old = a.made()
        new = a.start(old, expiresAt=end.ms)
        assert a.shown(old)["secretExpiresAt"] == end.ms
        assert all_say(children, old) == all_say(children, new) == {GOOD}
        end.not_yet()
        end.wait()
        assert all_say(children, old) == {REFUSED}
        assert all_say(children, new) == {GOOD}
        return old, new
    with Crowd(gate) as children:
        old, new = patient(run)
    # what has ended does not come back
    assert a.step(old.id, "cancel").error == (409, "conflict")
    assert (status(gate, old), status(gate, new)) == (401, 200)
    client = a.end(old)
    assert client["secretLast4"] == new.secret[-4:]
    assert client["secretExpiresAt"] is None  # the end was the old one's
    assert status(gate, new) == 200


def test_the_end_as_iso(a):
    at = datetime.datetime.utcnow().replace(microsecond=125_000)
    at += datetime.timedelta(days=7)
    answer = a.step(a.made().id, "start",
                    {"expiresAt": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")})
    ms = at.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000
    assert answer.json["secretExpiresAt"] == int(ms)


@pytest.mark.parametrize("value", [
    1, -1, 0, 1.5, True, "tomorrow", "2020-01-01T00:00:00Z", [], {}, "",
    2 ** 62])
def test_an_end_that_is_none(a, gate, value):
    client = a.made()
    invalid(a.step(client.id, "start", {"expiresAt": value}), "expiresAt")
    assert a.shown(client)["nextSecretLast4"] is None
    assert status(gate, client) == 200


# -- bodies -------------------------------------------------------------------


@pytest.mark.parametrize("step", ["start", "cancel", ""])
@pytest.mark.parametrize("more", [
    {}, {"body": ""}, {"body": "", "chunked": True},
    {"body": "", "headers": {"Content-Type": "application/json"}},
    {"body": "", "headers": {"Content-Type": "text/plain"}},
    {"json": {}}, {"body": "{}", "chunked": True,
                   "headers": {"Content-Type": "application/json"}}],
    ids=lambda more: "-".join(map(str, more)) or "none")
def test_a_body_may_be_left_out(a, gate, step, more):
    client = a.made()
    if step != "start":
        a.start(client)
    url = f"{CLIENTS}/{client.id}/secrets/rotate" + ("/" + step if step
                                                     else "")
    answer = gate.post(url, token=a.token, **more)
    assert answer.status == 200, answer


@pytest.mark.parametrize("step", ["start", "cancel", ""])
def test_bodies_that_are_not_right(a, gate, step):
    client = a.made()
    new = a.start(client) if step != "start" else None
    url = f"{CLIENTS}/{client.id}/secrets/rotate" + ("/" + step if step
                                                     else "")

    def post(**more):
        return gate.post(url, token=a.token, **more)

    js = {"Content-Type": "application/json"}
    for body in ("[]", "null", "{", "{}x", '{"expiresAt":1,"expiresAt":1}'):
        answer = post(body=body, headers=js)
        assert answer.error == (400, "invalid_request"), answer
    for name in ("expires", "clientSecret", "nextClientSecret", "reason"):
        invalid(post(json={name: 1}), name)
    if step != "start":
        invalid(post(json={"expiresAt": now_ms() + 60_000}), "expiresAt")
    assert post(form={"expiresAt": "1"}).error == (415, "invalid_request")
    for chunked in (False, True):
        answer = post(body=b"x" * 200_000, headers=js, chunked=chunked)
        assert answer.error == (413, "invalid_request"), answer
    answer = gate.post(url + "?expiresAt=1", token=a.token)
    invalid(answer, "expiresAt")
    # and nothing happened
    assert status(gate, client) == 200
    if new:
        assert status(gate, new) == 200
    else:
        assert a.shown(client)["nextSecretLast4"] is None


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["secrets/rotate/start", "secrets/rotate",
                                  "secrets/rotate/cancel"])
def test_only_post(a, method, path):
    client = a.made()
    answer = a(method, f"{CLIENTS}/{client.id}/{path}", {})
    assert answer.error == (405, "method_not_allowed"), answer
    assert answer.headers["Allow"] == "POST"


# -- where it does not fit ----------------------------------------------------


CONFLICT = (409, "conflict")


def test_conflicts(a, gate):
    """A second start would drop the first one's secret, which somebody may
    just be putting into his service."""
    old = a.made()
    for step in ("", "cancel"):
        assert a.step(old.id, step).error == CONFLICT
    new = a.start(old)
    assert a.step(old.id, "start").error == CONFLICT
    assert (status(gate, old), status(gate, new)) == (200, 200)
    a.end(old, "cancel")
    for step in ("", "cancel"):
        assert a.step(old.id, step).error == CONFLICT
    assert status(gate, old) == 200
    new = a.start(old)
    a.end(old)
    for step in ("", "cancel"):
        assert a.step(old.id, step).error == CONFLICT
    assert (status(gate, old), status(gate, new)) == (401, 200)


def test_started_twice_at_once(a, gate):
    """One of them has the secret; a secret shown to the other would be none
    of the client's."""
    old = a.made()
    answers = []
    threads = [threading.Thread(
        target=lambda: answers.append(a.step(old.id, "start")))
        for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    good = [answer for answer in answers if answer.status == 200]
    assert len(good) == 1, answers
    assert {answer.error for answer in answers
            if answer.status != 200} == {CONFLICT}
    new = Client(old.id, good[0].json["nextClientSecret"])
    assert (status(gate, old), status(gate, new)) == (200, 200)


def test_a_revoked_client_is_not_rotated(a, gate):
    old = a.made()
    new = a.start(old)
    a.ok("DELETE", f"{CLIENTS}/{old.id}")
    assert (status(gate, old), status(gate, new)) == (401, 401)
    for step in ("start", "", "cancel"):
        assert a.step(old.id, step).error == CONFLICT
    fresh = a.made()
    a.ok("DELETE", f"{CLIENTS}/{fresh.id}")
    assert a.step(fresh.id, "start").error == CONFLICT


def test_a_suspended_client_can_be_rotated(a, gate):
    """Its secret leaked: it is suspended, gets another, and goes on."""
    old = a.made()
    url = f"{CLIENTS}/{old.id}"
    a.ok("PATCH", url, {"status": "inactive"})
    new = a.start(old)
    assert (status(gate, old), status(gate, new)) == (401, 401)
    assert a.end(old)["status"] == "inactive"
    a.ok("PATCH", url, {"status": "active"})
    assert (status(gate, old), status(gate, new)) == (401, 200)


@pytest.mark.parametrize("step", ["start", "", "cancel"])
@pytest.mark.parametrize("client", [NOBODY, "x", "m2m_", "*", "key_x",
                                    "'%20OR%201=1"])
def test_a_client_that_is_not_there(a, step, client):
    assert a.step(client, step).error == (404, "not_found")


# -- who may ------------------------------------------------------------------


@pytest.mark.parametrize("step", ["start", "", "cancel"])
def test_the_wall_between_organisations(a, b, gate, step):
    """Another organisation's client answers as one that is not there, in
    whatever state it is."""
    old = a.made()
    new = a.start(old)
    answer, nothing = b.step(old.id, step), b.step(NOBODY, step)
    assert answer.error == nothing.error == (404, "not_found")
    assert answer.body == nothing.body
    assert (status(gate, old), status(gate, new)) == (200, 200)
    assert a.shown(old)["nextSecretLast4"] == new.secret[-4:]


@pytest.mark.parametrize("step", ["start", "", "cancel"])
def test_it_needs_org_write(a, gate, world, step):
    old = a.made()
    new = a.start(old) if step != "start" else None
    reader = Rotator(gate, world.a.key(f"org:read {READ}").token, world.a.id)
    lacks(reader.step(old.id, step), "org:write")
    user = a.key(keyType="user", userId="u", scopes=["*"])["token"]
    for caller in (user, gate.token(old), gate.token(world.a.client("*"))):
        assert Rotator(gate, caller, world.a.id).step(
            old.id, step).status == 403
    assert gate.post(f"{CLIENTS}/{old.id}/secrets/rotate").status == 401
    assert status(gate, old) == 200
    if new:
        assert status(gate, new) == 200


def test_nobody_takes_a_secret_for_scopes_that_he_lacks(a, gate, world):
    """A secret gives all that its client has: a key with org:write, and
    little else, would make itself what it likes by rotating a client with
    everything."""
    narrow = Rotator(gate, world.a.key(f"org:write {READ}").token, world.a.id)
    for scopes in ([WRITE], [READ, WRITE], ["*"]):
        client = a.made(scopes=scopes)
        answer = narrow.step(client.id, "start")
        assert answer.error == (403, "access_denied"), answer
        assert "nextClientSecret" not in answer.text
        assert a.shown(client)["nextSecretLast4"] is None
        # to end one that somebody else began takes nothing
        new = a.start(client)
        narrow.end(client)
        assert (status(gate, client), status(gate, new)) == (401, 200)
    client = a.made(scopes=[READ])
    assert status(gate, narrow.start(client)) == 200


# -- the audit trail ----------------------------------------------------------


def test_each_step_is_in_the_audit_trail(a, world):
    old = a.made()
    ends = now_ms() + 3_600_000
    dropped = a.start(old, expiresAt=ends)
    a.end(old, "cancel")
    new = a.start(old)
    a.end(old)
    events = a.events(target=old.id)[::-1]
    assert [event["event"] for event in events] == [
        "m2m.client_created", "m2m.secret_rotation_started",
        "m2m.secret_rotation_cancelled", "m2m.secret_rotation_started",
        "m2m.secret_rotation_completed"]
    started, cancelled, again, completed = (
        event["details"] for event in events[1:])
    assert started["nextSecretLast4"] == dropped.secret[-4:]
    assert cancelled["nextSecretLast4"] == dropped.secret[-4:]
    assert again["nextSecretLast4"] == new.secret[-4:]
    assert completed["secretLast4"] == new.secret[-4:]
    assert started["secretExpiresAt"] == ends
    assert again["secretExpiresAt"] is None
    for event in events:
        assert event["actor"] == world.a.admin.id
        assert event["ip"] == "127.0.0.1"
    assert len({event["requestId"] for event in events}) == len(events)
    text = json.dumps(events)
    assert not known_secrets.found_in(text)
    assert "sha256" not in text


def test_a_refusal_writes_nothing(a, b, gate, world):
    client = a.made()
    narrow = Rotator(gate, world.a.key("org:write").token, world.a.id)
    before = a.newest()
    for caller, step in ((a, ""), (a, "cancel"), (b, "start"),
                         (narrow, "start")):
        assert caller.step(client.id, step).status in (403, 404, 409)
    invalid(a.step(client.id, "start", {"expiresAt": 1}), "expiresAt")
    assert a.newest() == before


# -- the store goes away ------------------------------------------------------


def test_without_its_store(launch_here):
    store = launch_here.store()
    org = store.org("acme")
    server = launch_here.httpd("RenseiMaxStaleness 60\n" + conf.API,
                               store=store, children=1)
    admin = Rotator(server, store.key(org, "admin", "*").token, org)
    old = admin.made()
    server.allow_log("RS0")
    store.break_()
    for step in ("start", "", "cancel"):
        answer = admin.step(old.id, step)
        assert answer.error == (503, "temporarily_unavailable"), answer
        assert int(answer.headers["Retry-After"]) > 0
    store.mend()
    new = admin.start(old)
    assert (status(server, old), status(server, new)) == (200, 200)
