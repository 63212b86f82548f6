# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""What ends a credential ends it at once: on the next request, in every
child, on every connection that is open."""

import http.client
import os
import signal
import threading
import time

import pytest

from harness import conf, jwt
from harness.crowd import Crowd, stopped
from harness.httpd import UP
from harness.pace import Within, cut_off, patient, wait_for

READ, WRITE = "sessions:read", "sessions:write"
CLIENTS = "/api/admin/m2m-clients"
CHILDREN = 3

CONF = (conf.API + conf.PROXY + conf.protected("/r/any/")
        + conf.protected("/r/read/", f"Require rensei-scope {READ}")
        + conf.protected("/r/write/", f"Require rensei-scope {WRITE}"))


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd(CONF, store=world.store, backend=launch.backend(),
                        children=CHILDREN)


@pytest.fixture(scope="module")
def admin(gate, world):
    """Calls the admin API as org a's key."""
    def call(method, path, body=None, **more):
        answer = gate.request(method, path, token=world.a.admin.token,
                              json=body, **more)
        assert answer.status in (200, 201), answer
        return answer.json
    return call


class Known(Crowd):
    """Each child has just seen the credential, and has it in its cache; each
    connection remembers it as its last."""

    def __init__(self, gate, token, path="/r/any/crowd"):
        self.token, self.path = token, path
        super().__init__(gate)
        for _ in range(3):
            assert self.here() == {200}

    def ask(self, path=None):
        """The answers to one more request on each connection."""
        return self.answers(lambda wire: wire.get(path or self.path,
                                                  token=self.token))

    def here(self, path=None):
        """Their statuses."""
        return {answer.status for answer in self.ask(path)}


class Load:
    """Threads that ask without a pause. A connection that the server closed
    between two requests is opened again, as any client does; any other
    trouble counts as a failure."""

    def __init__(self, gate, token, threads=4):
        self.gate, self.token = gate, token
        self.seen, self.failures = [], []
        self.done = threading.Event()
        self.threads = [threading.Thread(target=self._run)
                        for _ in range(threads)]

    def _run(self):
        while not self.done.is_set():
            with self.gate.connection() as wire:
                self._use(wire)

    def _use(self, wire):
        fresh = True
        while not self.done.is_set():
            since = time.monotonic()
            try:
                answer = wire.get("/r/any/load", token=self.token)
            except (http.client.RemoteDisconnected, ConnectionResetError,
                    BrokenPipeError, http.client.CannotSendRequest) as gone:
                if fresh:
                    self.failures.append(repr(gone))
                return
            except Exception as trouble:
                self.failures.append(repr(trouble))
                return
            self.seen.append((since, time.monotonic(), answer.status))
            if answer.headers["Connection"] == "close":
                return
            fresh = False

    def more(self, count):
        """Waits for so many more answers."""
        want = len(self.seen) + count
        deadline = time.monotonic() + 60
        while len(self.seen) < want:
            assert not self.failures, self.failures
            assert time.monotonic() < deadline, "no more answers"
            time.sleep(0.01)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join(60)


def revoke_under(load, revoke):
    """Revokes what the load uses. What was answered before passed, what is
    asked afterwards does not; between the two either may be."""
    asked = time.monotonic()
    revoke()
    answered = time.monotonic()
    load.more(50)
    assert load.failures == []
    before = {status for _, end, status in load.seen if end < asked}
    after = [status for start, _, status in load.seen if start > answered]
    assert before == {200}, before
    assert len(after) > 10 and set(after) == {401}, set(after)


# -- by the admin API ---------------------------------------------------------


def test_a_revoked_client(gate, world, admin):
    client, other = world.a.client(), world.a.client()
    with Known(gate, gate.token(client)) as crowd, Known(
            gate, gate.token(other)) as bystanders:
        admin("DELETE", f"{CLIENTS}/{client.id}?reason=leaked")
        for answer in crowd.ask():
            assert answer.error == (401, "invalid_token"), answer
            assert "revoked" in answer.challenge.error_description
        assert bystanders.here() == {200}


def test_a_revoked_key(gate, world, admin):
    key = world.a.key()
    with Known(gate, key.token) as crowd:
        admin("DELETE", f"/api/org/{world.a.id}/keys/{key.id}")
        assert crowd.here() == {401}


def test_a_key_that_revokes_itself(gate, world, admin):
    key = world.a.key("*")
    with Known(gate, key.token) as crowd:
        answer = gate.request("DELETE",
                              f"/api/org/{world.a.id}/keys/{key.id}",
                              token=key.token)
        assert answer.status == 200, answer
        assert crowd.here() == {401}


def test_a_suspended_client_and_its_return(gate, world, admin):
    client = world.a.client()
    with Known(gate, gate.token(client)) as crowd:
        for _ in range(2):
            admin("PATCH", f"{CLIENTS}/{client.id}", {"status": "inactive"})
            assert crowd.here() == {401}
            admin("PATCH", f"{CLIENTS}/{client.id}", {"status": "active"})
            assert crowd.here() == {200}


def test_scopes_narrowed_by_patch(gate, world, admin):
    """The token still lists both: what counts is what its client has now."""
    client = world.a.client(f"{READ} {WRITE}")
    with Known(gate, gate.token(client), "/r/write/x") as crowd:
        admin("PATCH", f"{CLIENTS}/{client.id}", {"scopes": [READ]})
        for answer in crowd.ask():
            assert answer.error == (403, "insufficient_scope"), answer
        assert crowd.here("/r/read/x") == {200}
        admin("PATCH", f"{CLIENTS}/{client.id}", {"scopes": [READ, WRITE]})
        assert crowd.here() == {200}


def test_scopes_widened_do_not_widen_a_token(gate, world, admin):
    client = world.a.client(READ)
    with Known(gate, gate.token(client), "/r/read/x") as crowd:
        admin("PATCH", f"{CLIENTS}/{client.id}", {"scopes": [READ, WRITE]})
        assert crowd.here("/r/write/x") == {403}
        assert crowd.here() == {200}


def test_an_end_brought_forward(gate, world, admin):
    client = world.a.client()
    with Known(gate, gate.token(client)) as crowd:
        def run(end):
            admin("PATCH", f"{CLIENTS}/{client.id}", {"expiresAt": end.ms})
            assert crowd.here() == {200}
            end.not_yet()
            end.wait()
            assert crowd.here() == {401}
        patient(run)


def test_a_new_key_works_at_once(gate, world, admin):
    """A key asked for before it existed must not be remembered as unknown:
    here many keys, each used the moment it is there."""
    for n in range(5):
        key = admin("POST", f"/api/org/{world.a.id}/keys", {
            "name": f"new {n}", "keyType": "org", "owner": "ops",
            "scopes": [READ]})
        for _ in range(4):
            assert gate.get("/r/any/x", token=key["token"]).status == 200


def test_revoked_while_it_is_being_used(gate, world, admin):
    """Requests run in every child while the client is revoked: none that
    began after the answer to the revocation is let in."""
    client = world.a.client()
    with Load(gate, gate.token(client), threads=8) as load:
        load.more(50)
        revoke_under(load, lambda: admin("DELETE", f"{CLIENTS}/{client.id}"))


# -- by renseictl, which is another process -----------------------------------


def within_a_second(crowd, status):
    """Every connection gets that answer, on each request that begins more
    than a second from now."""
    with Within(1) as second:
        second.until(lambda: crowd.here() == {status})


def test_an_organisation_suspended(gate, world):
    store = world.store
    org = store.org("suspended")
    client, key = store.client(org, "c", READ), store.key(org, "k", READ)
    with Known(gate, gate.token(client)) as by_token, Known(
            gate, key.token) as by_key, Known(
            gate, gate.token(world.b.client())) as bystanders:
        store.ctl("org", "suspend", org)
        within_a_second(by_token, 401)
        within_a_second(by_key, 401)
        assert bystanders.here() == {200}
        store.ctl("org", "resume", org)
        within_a_second(by_token, 200)
        within_a_second(by_key, 200)


def test_a_client_revoked_by_renseictl(gate, world):
    client = world.a.client()
    with Known(gate, gate.token(client)) as crowd:
        world.store.ctl("m2m-clients", "revoke", client.id,
                        "--org", world.a.id)
        within_a_second(crowd, 401)


def test_a_key_revoked_by_renseictl(gate, world):
    key = world.a.key()
    with Known(gate, key.token) as crowd:
        world.store.ctl("org", "api-keys", "revoke", key.id,
                        "--org", world.a.id)
        within_a_second(crowd, 401)


# -- children that die --------------------------------------------------------


def test_a_child_that_is_killed(gate, world, admin):
    """kill -9 of a child while it may hold a lock of the shared state: the
    others go on, and revocation reaches the new one."""
    client, other = world.a.client(), world.a.client()
    token, good = gate.token(client), gate.token(other)
    before = gate.workers()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(set(gate.workers()) - set(before)) >= CHILDREN,
             gate.workers)
    admin("DELETE", f"{CLIENTS}/{client.id}")
    with Crowd(gate) as crowd:
        for _ in range(4):
            assert crowd.statuses(token, "/r/any/x") == {401}
            assert crowd.statuses(good, "/r/any/x") == {200}


# -- graceful restarts under load ---------------------------------------------


def test_graceful_restarts_under_load(gate, world):
    """No request fails, over four restarts."""
    with Load(gate, gate.token(world.a.client())) as load:
        for _ in range(4):
            load.more(30)
            gate.graceful()
        load.more(30)
    assert load.failures == []
    assert {status for _, _, status in load.seen} == {200}


def test_revoked_during_a_graceful_restart(gate, world, admin):
    """Old children that finish their last requests and new ones that start
    share one revocation: nothing stale is accepted by either."""
    for _ in range(3):
        client = world.a.client()
        restarted = gate.log().count(UP)
        with Load(gate, gate.token(client)) as load:
            load.more(30)
            gate.process.send_signal(signal.SIGUSR1)
            time.sleep(0.02)
            revoke_under(load, lambda: admin("DELETE",
                                             f"{CLIENTS}/{client.id}"))
        # httpd can miss a signal while it is still at the last one
        wait_for(lambda: gate.log().count(UP) > restarted)


def test_revoked_before_a_restart_stays_revoked(gate, world, admin):
    client = world.a.client()
    token = gate.token(client)
    admin("DELETE", f"{CLIENTS}/{client.id}")
    gate.graceful()
    for _ in range(6):
        assert gate.get("/r/any/x", token=token).status == 401


# -- without a store ----------------------------------------------------------


def test_expiry_mode_without_any_store(launch_here):
    """An edge gateway: no mod_dbd, no store, no token module; tokens go by
    their signature and their end."""
    server = launch_here.httpd(
        "RenseiRevocation expiry\n"
        + conf.protected("/x", "SetHandler rensei-whoami", "RenseiAccept m2m",
                         f"Require rensei-scope {READ}"),
        modules=("rensei_auth",))
    assert "mod_dbd" not in server.text()

    def ask(scopes, **changes):
        claims = jwt.claims("m2m_" + "a" * 32, "org_x", scopes, **changes)
        return server.get("/x", token=jwt.mint(server.secret, claims))

    answer = ask([READ])
    assert answer.status == 200, answer
    assert answer.json["scopes"] == [READ]
    assert ask(["*"]).status == 200
    assert ask([WRITE]).error == (403, "insufficient_scope")
    assert ask([READ], exp=int(time.time()) - 60).status == 401
    assert server.get("/x", token="rsk_live_" + "0" * 64).status == 401


def test_expiry_mode_with_keys(launch_here, world):
    """Keys always need the store, so they are revoked at once even there;
    a token of a revoked client goes on to its end, as the mode's name says.
    """
    server = launch_here.httpd(
        "RenseiRevocation expiry\n" + conf.API, store=world.store)
    client, key = world.a.client(), world.a.key()
    token = server.token(client)
    for good in (token, key.token):
        assert server.get("/api/whoami", token=good).status == 200
    admin = world.a.admin.token
    assert server.request("DELETE", f"{CLIENTS}/{client.id}",
                          token=admin).status == 200
    assert server.request("DELETE", f"/api/org/{world.a.id}/keys/{key.id}",
                          token=admin).status == 200
    assert server.get("/api/whoami", token=key.token).status == 401
    assert server.get("/api/whoami", token=token).status == 200
    form = {"grant_type": "client_credentials", "client_id": client.id,
            "client_secret": client.secret}
    assert server.post("/api/oauth/token", form=form).status == 401


def test_the_store_goes_away(launch_here):
    """Tokens that were checked lately go on for RenseiMaxStaleness seconds,
    then everything is 503, never 200 and never 401; when the store is back,
    they pass again."""
    store = launch_here.store()
    org = store.org("acme")
    client, key = store.client(org, "c", READ), store.key(org, "k", READ)
    unseen = store.client(org, "unseen", READ)
    server = launch_here.httpd("RenseiMaxStaleness 4\n" + conf.API,
                               store=store, children=1)
    token = server.token(client)
    fresh = jwt.mint(server.secret, jwt.claims(unseen.id, org, [READ]))

    def ask(credential):
        answer = server.get("/api/whoami", token=credential)
        if answer.status == 503:
            assert answer.error == (503, "temporarily_unavailable")
            assert int(answer.headers["Retry-After"]) > 0
        return answer.status

    server.allow_log("RS0")
    broken = cut_off(store.break_, store.mend,
                     lambda: ask(token) == ask(key.token) == 200)
    # not in the cache: the store would have to be asked
    assert ask(fresh) == 503
    assert ask("rsk_live_" + "0" * 64) == 503
    time.sleep(max(0, broken + 1.5 - time.monotonic()))
    assert ask(token) == 200 or time.monotonic() > broken + 3
    time.sleep(max(0, broken + 4.5 - time.monotonic()))
    for _ in range(3):
        assert ask(token) == 503
        assert ask(key.token) == 503
    store.mend()
    wait_for(lambda: {ask(token), ask(key.token), ask(fresh)} == {200})


def test_revoked_while_the_store_was_away(launch_here):
    """Another gateway revokes while this one sees nothing of the store: when
    it is back, what happened meanwhile counts before anything is let in."""
    store = launch_here.store()
    org = store.org("acme")
    client = store.client(org, "c", READ)
    server = launch_here.httpd("RenseiMaxStaleness 2\n" + conf.API,
                               store=store, children=2)
    token = server.token(client)
    for _ in range(8):
        assert server.get("/api/whoami", token=token).status == 200
    server.allow_log("RS0")
    store.break_()
    wait_for(lambda: server.get("/api/whoami", token=token).status == 503)
    time.sleep(2)  # so long for the other child, too
    assert server.get("/api/whoami", token=token).status == 503
    with stopped(server.workers()):  # or it could look in between the two
        store.mend()
        store.ctl("m2m-clients", "revoke", client.id, "--org", org)

    def refused():
        status = server.get("/api/whoami", token=token).status
        assert status != 200
        return status == 401
    wait_for(refused)
