# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Workers, as the daemons that they are see the server."""

DAEMON = "/v1/daemon/register"
REGISTER = "/api/workers/register"


def report(**more):
    """What a daemon says of itself."""
    return {"hostname": "build-1", "maxAgents": 4, **more}


def registration_key(world, org=None, **more):
    """A new registration key of organisation a."""
    org = org or world.a
    return org.key("workers:register", type="worker_registration", **more)


def daemon(gate, key, host="localhost", **more):
    """Registers with the key in the body; the answer."""
    return gate.post(DAEMON, json=report(registrationToken=key.token, **more),
                     host=host)


def bearer(gate, key, host="localhost", **more):
    """Registers with the key as Bearer; the answer."""
    return gate.post(REGISTER, json=report(**more), token=key.token, host=host)


def made(answer):
    assert answer.status == 201, answer
    return answer.json


def refresh(gate, worker, token, host="localhost", **more):
    return gate.post(f"/api/workers/{worker}/refresh-token", token=token,
                     host=host, **more)


def whoami(gate, token, host="localhost"):
    return gate.get("/api/whoami", token=token, host=host)
