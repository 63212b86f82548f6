# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""What an attacker writes into the records: a line of his own in a log, an
escape sequence for the terminal of who reads it, an event that looks like
another's. Each test: where he puts it, what the record has instead."""

import json
import urllib.parse

import pytest

from harness import conf, jwt, workers
from harness.admin import CLIENTS, READ, Admin, invalid
from harness.oauth import TOKEN

pytestmark = pytest.mark.only("sqlite", "what is written beside the store")

FORGED = "[Sat Jan 01 00:00:00 2022] [core:crit] forged by an attacker"
LINE = "x\n" + FORGED
ESCAPE = "x\x1b]0;title\x07\x1b[2K\x1b[1Ay"
DISGUISED = ["a\rb", "a\x85b", "a\u2028" + FORGED, "a\u202eb", "a\x7fb"]


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd(
        'RenseiThrottle off\nRenseiAuditLog "@DIR@/audit.log"\n'
        + conf.ISSUER + conf.WORKERS, store=world.store)


@pytest.fixture(scope="module")
def a(gate, world):
    return Admin(gate, world.a.admin.token, world.a.id)


@pytest.fixture(autouse=True)
def nothing_forged(gate, request):
    """No line of a record begins as the attacker wants it, none has a byte
    that a terminal obeys, and each line of the copy is one event."""
    yield
    for text in (gate.log(), gate.access(), gate._read("audit.log")):
        assert not [x for x in text.split("\n") if x.startswith(FORGED)]
        assert not set(text) & set("\x1b\x07\r\x00\x7f\x85\u2028\u202e")
    for line in gate._read("audit.log").splitlines():
        assert {"id", "event", "seq", "hash"} <= set(json.loads(line))


@pytest.mark.parametrize("text", [LINE, ESCAPE, *DISGUISED])
def test_in_a_field(a, gate, text):
    """Names, owners and reasons are in each event, and in each list that an
    operator reads in a terminal."""
    for field in ("name", "owner"):
        invalid(a("POST", CLIENTS, {"name": "x", "scopes": [READ],
                                    field: text}), field)
    client = a.client()["clientId"]
    for path in (f"{CLIENTS}/{client}", f"{a.keys}/{a.key()['keyId']}"):
        assert a("DELETE", path, query={"reason": text}).status == 400
    # a description has lines, and is in no event
    made = a("POST", CLIENTS, {"name": "x", "scopes": [READ],
                               "description": text})
    assert made.status == (201 if text == LINE else 400), made


@pytest.mark.parametrize("text", [LINE, ESCAPE])
def test_as_a_name(a, gate, text):
    """The name of a field that is not there is part of the answer, and of
    what is logged of it."""
    since = len(gate.log())
    for body in ({text: 1}, {"name": "x", "scopes": [READ], text: 1}):
        assert a("POST", CLIENTS, body).error == (400, "invalid_request")
    assert a("GET", CLIENTS, query={text: "x"}).status == 400
    gate.wait_for_log("RS0102", since)


@pytest.mark.parametrize("text", [LINE, ESCAPE])
def test_in_a_request_for_a_token(a, gate, world, text):
    """An id that nobody has is in an event all the same."""
    for form in ({"client_id": text, "client_secret": "x"},
                 {"client_id": "m2m_x", "client_secret": text},
                 {"client_id": "m2m_x", "client_secret": "x", "scope": text}):
        answer = gate.post(TOKEN, form={"grant_type": "client_credentials",
                                        **form})
        assert answer.status in (400, 401), answer
    client = world.a.client()
    for more in ({"scope": text}, {"resource": text}, {"grant_type": text}):
        answer = gate.post(TOKEN, basic=tuple(client), form={
            "grant_type": "client_credentials", **more})
        assert answer.status == 400, answer
    events = world.store.ctl("audit", "--limit", "3")["events"]
    assert [(e["event"], e["target"]) for e in events] == [
        ("m2m.auth_failed", "malformed")] * 3
    assert gate.token(client)


@pytest.mark.parametrize("text", [LINE, ESCAPE])
def test_in_a_token(gate, world, text):
    """In what a refusal might quote: kid, issuer, audience, subject."""
    client = world.a.client()
    for header, claims in (({"alg": "HS256", "kid": text}, {}),
                           ({"alg": text}, {}), (None, {"iss": text}),
                           (None, {"aud": text}), (None, {"sub": text}),
                           (None, {"org_id": text}), (None, {"jti": text})):
        token = jwt.mint(gate.secret, world.a.claims(client, **claims), header)
        answer = gate.get("/api/whoami", token=token)
        assert answer.error == (401, "invalid_token"), answer
    assert gate.get("/api/whoami", token=gate.token(client)).status == 200


@pytest.mark.parametrize("text", [LINE, ESCAPE])
def test_in_a_path_and_a_header(gate, a, text):
    quoted = urllib.parse.quote(text, safe="")
    for path in (f"{CLIENTS}/{quoted}", f"/api/whoami/{quoted}",
                 f"/{quoted}", f"{CLIENTS}?name={quoted}"):
        answer = gate.get(path, token=a.token)
        assert answer.status in (200, 401, 404), answer
        assert gate.get(path).status in (401, 404)
    head = text.replace("\n", " ").replace("\x1b", "\x9b").replace("\x07", "")
    answer = gate.get("/api/whoami", headers={"Authorization": "Bearer "
                                              + head})
    assert answer.error == (400, "invalid_request")


@pytest.mark.parametrize("text", [LINE, ESCAPE])
def test_what_a_daemon_says_of_itself(gate, world, a, text):
    key = workers.registration_key(world)
    for field in ("hostname", "machineId", "version", "region", "status"):
        answer = workers.daemon(gate, key, **{field: text})
        assert answer.error == (400, "invalid_request"), answer
    answer = workers.daemon(gate, key, capabilities=[text])
    assert answer.error == (400, "invalid_request"), answer
    workers.made(workers.daemon(gate, key))


def test_a_proxys_word_for_the_address(gate, a):
    """The address of an event is the connection's: an attacker who names
    another one would make somebody else the one who did it."""
    made = a("POST", CLIENTS, {"name": "x", "scopes": [READ]}, headers={
        "X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9",
        "Forwarded": "for=203.0.113.9", "Client-IP": "203.0.113.9"})
    [event] = a.events(target=made.json["client"]["clientId"])
    assert event["ip"] == "127.0.0.1"
