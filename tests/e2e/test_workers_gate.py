# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Runtime tokens of workers at the gateway: while the worker and the key that
registered it count."""

import time

import pytest

from harness import conf, jwt
from harness.pace import patient

TYP = "rensei-runtime+jwt"
ULID = "01ARZ3NDEKTSV4RRFFQ69G5FA"


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd(conf.API + conf.protected(
        "/plain/", "SetHandler rensei-whoami"), store=world.store, children=2)


@pytest.fixture
def worker(gate, world, request):
    """A worker of a new registration key, and its runtime token."""
    def made(number, **more):
        key = world.store.key(world.a.id, f"reg {number} {request.node.name}",
                              "workers:register", type="worker_registration",
                              **more)
        ident = "wkr_" + ULID + number
        world.store.connect().execute(
            "INSERT INTO rensei_workers (id, org_id, key_id, "
            "hostname, max_agents, created_at) VALUES (?, ?, ?, 'h', 1, 1) "
            "ON CONFLICT (id) DO UPDATE SET key_id = excluded.key_id",
            (ident, world.a.id, key.id))
        return ident, key, runtime(gate, world, ident, key.id)
    return made


def runtime(gate, world, ident, key, **changes):
    claims = jwt.claims(ident, world.a.id, ["workers:read"], reg=key, **changes)
    return jwt.mint(gate.secret, claims, {"alg": "HS256", "typ": TYP})


def test_where_it_is_accepted(gate, worker):
    ident, _, token = worker("A")
    answer = gate.get("/api/whoami", token=token)
    assert answer.status == 200
    assert answer.json["kind"] == "worker" and answer.json["sub"] == ident
    assert gate.get("/plain/x", token=token).error == (401, "invalid_token")


def test_the_registration_keys_end_is_its_end(gate, world, worker):
    _, key, token = worker("B")
    for _ in range(6):
        assert gate.get("/api/whoami", token=token).status == 200
    gate.request("DELETE", f"/api/org/{world.a.id}/keys/{key.id}",
                 token=world.a.admin.token)
    for _ in range(6):
        assert gate.get("/api/whoami", token=token).error == (
            401, "invalid_token")


def test_the_registration_keys_expiry_too(gate, worker):
    """Nothing is revoked then, so nothing tells the cache: it has to know the
    time by itself."""
    letters = iter("CEF")

    def run(end):
        _, _, token = worker(next(letters), expires=time.strftime(
            "%Y-%m-%dT%H:%M:%SZ", time.gmtime(end.at)))
        assert gate.get("/api/whoami", token=token).status == 200
        end.not_yet()
        end.wait()
        for _ in range(6):
            assert gate.get("/api/whoami", token=token).status == 401
    patient(run, whole=True)


def test_another_keys_name_in_the_token(gate, world, worker):
    """`reg` says by which key the worker came; one key's end must not be
    dodged by naming another."""
    ident, _, token = worker("D")
    other = world.store.key(world.a.id, "another", "workers:register",
                            type="worker_registration")
    assert gate.get("/api/whoami", token=runtime(
        gate, world, ident, other.id)).status == 401
    assert gate.get("/api/whoami", token=token).status == 200
