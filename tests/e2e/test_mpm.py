# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""With the other MPMs: mpm_worker, and mpm_prefork, where a child has one
thread for requests, and httpd ends it in a signal's handler."""

import os
import re
import signal
import threading

import pytest

from harness import conf
from harness.admin import Admin, noted
from harness.load import trail
from harness.pace import wait_for

READ = "sessions:read"
CONF = conf.API + conf.PROXY + conf.protected("/r/any/")
CHILDREN = 4
KILLED = "AH00046"  # a child did not end by itself


@pytest.fixture(params=["prefork", "worker"])
def mpm(request):
    return request.param


@pytest.fixture
def gate(launch_here, world, mpm):
    return launch_here.httpd(CONF, store=world.store, mpm=mpm,
                             backend=launch_here.backend(), children=CHILDREN)


@pytest.fixture
def wires(gate):
    """Connections to as many children as there are with prefork, which gives
    each of them a child of its own; with worker, to some."""
    wires = [gate.connection() for _ in range(CHILDREN)]
    yield wires
    for wire in wires:
        wire.close()


def asked(wires, token, path="/api/whoami"):
    return {wire.get(path, token=token).status for wire in wires}


def test_the_mpm_is_the_one_meant(gate, wires, mpm):
    """Else the others would say nothing of it."""
    since = len(gate.access())
    for wire in wires:
        wire.get("/?who")
    lines = gate.wait_for_access("/?who", CHILDREN, since)
    pids = {int(line.split()[-2]) for line in lines}
    threads = {len(os.listdir(f"/proc/{pid}/task")) for pid in pids}
    if mpm == "prefork":
        assert len(pids) == CHILDREN and max(threads) < 10, (pids, threads)
    else:
        assert min(threads) > 25, threads
    assert f"mpm_{mpm}:notice" in gate.log()


def test_what_is_revoked_is_refused_by_all_children_at_once(gate, world, wires):
    admin = Admin(gate, world.a.admin.token, world.a.id)
    client, key = world.a.client(READ), world.a.key(READ)
    token = gate.token(client)
    for known in (token, key.token):
        for _ in range(3):
            assert asked(wires, known) == {200}
    admin.ok("DELETE", f"/api/admin/m2m-clients/{client.id}")
    assert asked(wires, token) == {401}
    assert asked(wires, key.token) == {200}
    admin.ok("DELETE", f"{admin.keys}/{key.id}")
    assert asked(wires, key.token) == {401}


def test_each_child_issues_tokens(gate, world, wires):
    client = world.a.client(READ)
    form = {"grant_type": "client_credentials", "client_id": client.id,
            "client_secret": client.secret}
    for wire in wires * 2:
        answer = wire.post("/api/oauth/token", form=form)
        assert answer.status == 200, answer
        assert asked(wires, answer.json["access_token"]) == {200}
    events = Admin(gate, world.a.admin.token, world.a.id).events(
        target=client.id, event="m2m.token_issued")
    assert len(events) == 2 * CHILDREN


class Load:
    """Threads, each of which opens a connection for each request."""

    def __init__(self, ask, threads=CHILDREN):
        self.ask, self.seen = ask, []
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._run)
                         for _ in range(threads)]

    def _run(self):
        while not self._done.is_set():
            try:
                self.seen.append(self.ask())
            except OSError as trouble:
                self.seen.append(trouble)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        for thread in self._threads:
            thread.join()


def test_graceful_restarts_under_load(gate, world):
    key = world.a.key(READ)
    with Load(lambda: gate.get("/r/any/x", token=key.token).status) as load:
        for _ in range(3):
            gate.graceful()
            wait_for(lambda n=len(load.seen): len(load.seen) > n + 50)
    assert set(load.seen) == {200}


def test_a_child_that_is_killed(gate, world):
    key, client = world.a.key(READ), world.a.client(READ)
    token = gate.token(client)
    before = gate.workers()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(set(gate.workers()) - set(before)) >= CHILDREN)
    for _ in range(2 * CHILDREN):
        assert gate.get("/api/whoami", token=token).status == 200
        assert gate.get("/api/whoami", token=key.token).status == 200
        gate.token(client)


def test_what_was_used_is_noted(gate, world):
    """It is when httpd stops, at the latest."""
    client = world.a.client(READ)
    gate.token(client)
    key = world.a.key(READ)
    assert gate.get("/api/whoami", token=key.token).status == 200
    gate.stop()
    gate.start()
    admin = Admin(gate, world.a.admin.token, world.a.id)
    assert noted(lambda: admin.ok("GET", f"{admin.keys}/{key.id}")["lastUsedAt"])


def test_a_stop_while_tokens_are_issued(gate, world, mpm):
    """Each child ends by itself, and what was answered is in the trail."""
    client, issued = world.a.client(READ), []
    if mpm == "worker":
        # it closes the connections of its threads under them: one that waits
        # for the body of a request goes on waiting, whatever module reads it
        gate.allow_log(KILLED)

    def issue():
        issued.append(gate.token(client))

    for _ in range(3):
        with Load(issue, threads=2 * CHILDREN):
            wait_for(lambda n=len(issued): len(issued) > n + 40)
            gate.stop()
            gate.start()
    there = [e for e in trail(world.a) if e["event"] == "m2m.token_issued"
             and e["target"] == client.id]
    assert len(there) >= len(issued) > 120


def test_a_child_of_prefork_takes_no_large_pages(launch_here, world):
    """There are hundreds of them: two megabytes for a first credential, and
    more for a first token, would be some of a gigabyte."""
    gate = launch_here.httpd(CONF, store=world.store, mpm="prefork",
                             children=CHILDREN)
    key, client = world.a.key(READ), world.a.client(READ)
    assert gate.get("/api/whoami", token=key.token).status == 200
    for _ in range(2 * CHILDREN):
        assert gate.get("/api/whoami", token=gate.token(client)).status == 200
    for pid in gate.workers():
        with open(f"/proc/{pid}/smaps_rollup") as text:
            [large] = re.findall(r"AnonHugePages: +(\d+) kB", text.read())
        assert int(large) == 0, pid
