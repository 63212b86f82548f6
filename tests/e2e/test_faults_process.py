# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Processes that die, restart and fork, and clocks that are set, all under
load: no wrong answer, nothing that was acknowledged is lost, and it goes on
by itself."""

import json
import os
import shutil
import signal
import struct
import subprocess
import threading
import time
from http.client import HTTPException

import pytest

from harness import conf, jwt, where
from harness.admin import CLIENTS, READ, Admin, noted
from harness.httpd import Httpd
from harness.load import CHANGES, CONF, Load, check_store, jti_of
from harness.oauth import TOKEN, WHOAMI
from harness.world import World

KILLED = "AH00052"  # child pid N exit signal Killed (9)
NOT_THE_STORES = pytest.mark.only("sqlite", "the store has no part in it")


def place(launch, more="", **options):
    """A store of its own, and a server on it."""
    world = World(launch.store())
    return world, launch.httpd(CONF + more, store=world.store, **options)


def until(ask, seconds=20, why=""):
    """Waits until ask() is true."""
    deadline = time.monotonic() + seconds * where.SLOWNESS
    while not ask():
        assert time.monotonic() < deadline, why or ask
        time.sleep(0.05)


# -- kill -9 ------------------------------------------------------------------


def test_children_killed_under_load(launch_here):
    """In the middle of issuing, creating and revoking: who was connected to
    that child gets no answer, everybody else gets the right one."""
    world, gate = place(launch_here, children=3)
    gate.allow_log(KILLED)
    deadline = time.monotonic() + 60 * where.SLOWNESS
    with Load(gate, world.a, CHANGES, threads=8, may_lose=True) as load:
        while not all(map(load.hit, ("issue", "make", "revoke"))):
            assert time.monotonic() < deadline, load.ledger.answers
            load.more(25)
            before = gate.workers()
            os.kill(before[0], signal.SIGKILL)
            until(lambda: before[0] not in gate.workers())
        load.more(50)
    load.settle()


@pytest.mark.only("sqlite", "PostgreSQL has no writers' turn")
def test_whoever_has_the_writers_turn_is_killed(launch_here):
    """The turn to write is in memory that all children share, and here it is
    held: another program keeps the writers waiting. Each child in turn is
    killed meanwhile, so one of them had it; the others write as soon as they
    can."""
    world, gate = place(launch_here)
    gate.allow_log(KILLED, "RS0")
    client = world.a.client()
    form = {"grant_type": "client_credentials", "client_id": client.id,
            "client_secret": client.secret}

    def ask():
        try:
            gate.post(TOKEN, form=form)
        except (OSError, HTTPException):
            pass  # its child was killed

    for victim in 0, 1, 0, 1:
        until(lambda: len(gate.workers()) == 2)
        threads = [threading.Thread(target=ask) for _ in range(12)]
        with world.store.hold():
            for thread in threads:
                thread.start()
            time.sleep(0.5)
            os.kill(sorted(gate.workers())[victim], signal.SIGKILL)
            time.sleep(0.3)
        begun = time.monotonic()
        until(lambda: gate.post(TOKEN, form=form).status == 200)
        assert time.monotonic() - begun < 10 * where.SLOWNESS
        for thread in threads:
            thread.join(30 * where.SLOWNESS)
            assert not thread.is_alive()
    check_store(world.store)


def killed_whole(gate):
    Httpd.running.remove(gate)
    os.killpg(gate.process.pid, signal.SIGKILL)
    gate.process.wait(10)


def test_the_whole_tree_is_killed_and_started_again(launch_here):
    """Its pid file, its sockets and its shared memory are left behind, a
    -wal with what was not yet moved into the store's file as well."""
    world, gate = place(launch_here)
    admin = Admin(gate, world.a.admin.token, world.a.id)
    revoked, key, good = world.a.client(), admin.key(), world.a.client()
    dead = gate.token(revoked)
    for token in dead, key["token"]:
        assert gate.get(WHOAMI, token=token).status == 200
    admin.ok("DELETE", f"{CLIENTS}/{revoked.id}")
    admin.ok("DELETE", f"{admin.keys}/{key['keyId']}")
    live = gate.token(good)
    for _ in range(3):
        with Load(gate, world.a, CHANGES, may_lose=True) as load:
            load.more(60)
            killed_whole(gate)
        assert (gate.dir / "httpd.pid").exists()
        gate.start()
        gate.allow_log("AH00098")  # a pid file from before
        for token, status in ((dead, 401), (key["token"], 401), (live, 200)):
            for _ in range(6):
                assert gate.get(WHOAMI, token=token).status == status
        assert gate.token(good)
        load.settle()


# -- children that come and go ------------------------------------------------


def test_a_graceful_restart_every_second(launch_here):
    """Not one request fails: on new connections, and on old ones, as long as
    their client looks whether they are still there."""
    world, gate = place(launch_here, children=2)
    with Load(gate, world.a) as load:
        for _ in range(8):
            begun = time.monotonic()
            load.more(20)
            gate.graceful()
            time.sleep(max(0, begun + 1 - time.monotonic()))
        load.more(50)
    assert {status for _, status in load.ledger.answers} == {200, 201, 401}
    load.settle()


@NOT_THE_STORES
def test_children_recycled(launch_here):
    """MaxConnectionsPerChild: nothing fails, and a child that ends hands in
    how often it saw which key."""
    world, gate = place(launch_here, "MaxConnectionsPerChild 25\n")
    key = world.a.key()
    since, first = len(gate.access()), set(gate.workers())
    with Load(gate, world.a, {"issue": 1, "use_token": 1}, threads=4) as load:
        for _ in range(250):
            assert gate.get(WHOAMI, token=key.token).status == 200
    pids = {line.split()[-2] for line in gate.access()[since:].splitlines()}
    assert len(pids) > len(first) + 3, "children were not recycled"
    assert {status for _, status in load.ledger.answers} == {200}
    load.settle()

    def counted():
        wire = world.store.connect()
        count, = wire.execute("SELECT usage_count FROM rensei_keys "
                              "WHERE id = ?", (key.id,)).fetchone()
        wire.close()
        return count == 250

    assert noted(counted, seconds=90)


# -- randomness ---------------------------------------------------------------

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def random_bytes(value):
    """What is random in an id, a jti or a secret, as it was drawn."""
    mark, body = value.rsplit("_", 1)
    if mark in ("m2m", "m2ms", "rsk_live"):
        return bytes.fromhex(body)
    number = 0
    for letter in body[10:]:  # the first ten are the time
        number = number << 5 | CROCKFORD.index(letter)
    return number.to_bytes(10, "big")


def test_the_bytes_are_read_as_they_were_drawn():
    assert random_bytes("tok_0123456789" + "0" * 15 + "1") == bytes(9) + b"\1"
    assert random_bytes("m2m_" + "0f" * 16) == b"\x0f" * 16


class Drawn:
    """Values made at random, none of which may share eight bytes with
    another, wherever in it they stand: a buffer of random bytes that was
    copied by a fork shows, however it was cut."""

    def __init__(self):
        self.seen, self.values = {}, 0

    def add(self, value):
        drawn = random_bytes(value)
        for at in range(len(drawn) - 7):
            part = drawn[at:at + 8]
            assert part not in self.seen, (value, self.seen[part])
            self.seen[part] = value
        self.values += 1


def test_randomness_that_was_copied_is_found():
    drawn = Drawn()
    drawn.add("m2m_" + bytes(range(16)).hex())
    with pytest.raises(AssertionError):
        drawn.add("m2ms_" + bytes(range(5, 37)).hex())


def draw(gate, world, drawn, tokens, others):
    """Of all children: each connection is a new one."""
    found, client = [], world.a.client()
    form = {"grant_type": "client_credentials", "client_id": client.id,
            "client_secret": client.secret}
    admin = {"token": world.a.admin.token}

    def body(answer, status):
        assert answer.status == status, answer
        return json.loads(answer.body)  # not .json: too many to look for

    def run():
        for _ in range(others):
            made = body(gate.post(CLIENTS, **admin, json={
                "name": "x", "scopes": [READ]}), 201)["client"]
            found.extend((made["clientId"], made["clientSecret"]))
            made = body(gate.post(f"/api/org/{world.a.id}/keys", **admin, json={
                "name": "x", "keyType": "org", "owner": "x",
                "scopes": [READ]}), 201)
            found.extend((made["keyId"], made["token"]))
        for _ in range(tokens):
            found.append(jti_of(body(gate.post(TOKEN, form=form),
                                     200)["access_token"]))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60 * where.SLOWNESS)
    assert len(found) == 8 * (tokens + 4 * others)
    for value in found:
        drawn.add(value)


@NOT_THE_STORES
@pytest.mark.not_under("valgrind", "of eight writers that are so slow some wait "
                       "longer for SQLite than the gateway lets them")
def test_nothing_random_is_drawn_twice(launch_here):
    """By children that were forked at the same moment, by those of a graceful
    restart, and by those of a server that was killed and started again."""
    world, gate = place(launch_here, "MaxConnectionsPerChild 150\n",
                        children=4)
    drawn = Drawn()
    since = len(gate.access())
    for again in (gate.graceful, lambda: (killed_whole(gate), gate.start()),
                  None):
        draw(gate, world, drawn, tokens=100, others=8)
        if again:
            again()
    pids = {line.split()[-2] for line in gate.access()[since:].splitlines()}
    assert len(pids) > 12 and drawn.values > 3000, (len(pids), drawn.values)


# -- the clock ----------------------------------------------------------------

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset;
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void start(void)
{
    int file = open(getenv("CLOCK_OFFSET"), O_RDONLY);

    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT,
                                                        "clock_gettime");
    offset = mmap(NULL, 8, PROT_READ, MAP_SHARED, file, 0);
    close(file);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    int rc = real(id, t);

    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) {
        t->tv_sec += *offset;
    }
    return rc;
}

int gettimeofday(struct timeval *tv, void *zone)
{
    struct timespec t;
    int rc = clock_gettime(CLOCK_REALTIME, &t);

    tv->tv_sec = t.tv_sec;
    tv->tv_usec = t.tv_nsec / 1000;
    return rc;
}

time_t time(time_t *out)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    if (out) {
        *out = t.tv_sec;
    }
    return t.tv_sec;
}
"""

HOUR = 3600


class Clock:
    """The time of day as one server sees it. What only runs forward, the
    monotonic clock, is as it is."""

    def __init__(self):
        self.folder = where.run_folder("clock")
        source, self.shim = self.folder / "clock.c", self.folder / "clock.so"
        source.write_text(SHIM)
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", self.shim,
                        source, "-ldl"], check=True)
        self.file = self.folder / "offset"
        self.set(0)

    def set(self, seconds):
        self.offset = seconds
        mode = "r+b" if self.file.exists() else "xb"  # it is mapped
        with open(self.file, mode) as file:
            file.write(struct.pack("q", seconds))

    @property
    def now(self):
        return time.time() + self.offset

    def env(self):
        return {"LD_PRELOAD": str(self.shim), "CLOCK_OFFSET": str(self.file)}

    def close(self):
        shutil.rmtree(self.folder)


@pytest.fixture
def timed(launch_here):
    """(the clock, two organisations, a server with that clock)"""
    clock = launch_here.kept(Clock())
    world = World(launch_here.store())
    gate = launch_here.httpd("RenseiThrottle 3/60\n" + conf.ISSUER,
                             store=world.store, env=clock.env(), children=1)
    return clock, world, gate


def status(gate, credential):
    return gate.get(WHOAMI, token=credential).status


def remembered(clock, gate, token):
    """Waits until the cache knows it: a token from the future passes then
    alone. (Before the store was followed once, nothing is cached.)"""
    def known():
        clock.set(0)
        assert status(gate, token) == 200
        clock.set(-2 * HOUR)
        return status(gate, token) == 200

    until(known)
    clock.set(0)


def followed(gate, world):
    """A change that renseictl makes is seen, within the patience of the cache
    (RenseiMaxStaleness is a minute): the poll goes on."""
    key = world.a.key()
    assert status(gate, key.token) == 200
    world.store.ctl("org", "api-keys", "revoke", key.id)
    until(lambda: status(gate, key.token) == 401)


def credentials(clock, gate, world):
    """A token and two keys that the cache knows; one key ends in an hour."""
    admin = Admin(gate, world.a.admin.token, world.a.id)
    token, ever = gate.token(world.a.client()), world.a.key().token
    ending = admin.key(expiresAt=jwt_time(clock.now + HOUR))["token"]
    remembered(clock, gate, token)
    for credential in token, ever, ending:
        assert status(gate, credential) == 200
    return token, ever, ending


def works(clock, gate, world):
    """Whatever the clock says, it is what counts for what is new."""
    token = gate.token(world.a.client())
    claims = jwt.read(token)[1]
    assert abs(claims["iat"] - clock.now) < 60
    assert claims["exp"] - claims["iat"] == HOUR
    assert status(gate, token) == 200
    followed(gate, world)


@NOT_THE_STORES
def test_the_clock_goes_forward(timed):
    """What is over by the clock is refused, however well it is cached."""
    clock, world, gate = timed
    token, ever, ending = credentials(clock, gate, world)
    clock.set(2 * HOUR)
    for _ in range(3):
        assert status(gate, token) == 401
        assert status(gate, ending) == 401
        assert status(gate, ever) == 200
    works(clock, gate, world)
    clock.set(0)
    for credential in token, ever, ending:
        assert status(gate, credential) == 200
    works(clock, gate, world)
    check_store(world.store)


@NOT_THE_STORES
def test_the_clock_goes_back(timed):
    """What is known to be good stays so. A token from after the hour that it
    is now, and that nobody knows, is one from the future: refused until it
    is that late again. Nothing waits for that hour, and the trail is in the
    order in which things happened."""
    clock, world, gate = timed
    token, ever, ending = credentials(clock, gate, world)
    other = gate.token(world.a.client())
    clock.set(-2 * HOUR)
    for _ in range(3):
        assert status(gate, other) == 401
        for credential in token, ever, ending:
            assert status(gate, credential) == 200
    works(clock, gate, world)
    clock.set(0)
    for credential in token, ever, ending, other:
        assert status(gate, credential) == 200
    works(clock, gate, world)
    check_store(world.store)
    events = world.a.events()
    seqs = [event["seq"] for event in events]
    assert seqs == sorted(seqs, reverse=True)
    assert any(later["at"] < earlier["at"]
               for later, earlier in zip(events, events[1:]))


def jwt_time(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


@NOT_THE_STORES
def test_who_has_to_wait_does_not_wait_for_the_clock(timed):
    """The throttle's minute is a minute, whatever the clock says meanwhile."""
    clock, world, gate = timed
    client = world.a.client()
    wrong = {"grant_type": "client_credentials", "client_id": client.id,
             "client_secret": "m2ms_" + "0" * 64}
    assert [gate.post(TOKEN, form=wrong).status for _ in range(4)] == [
        401, 401, 401, 429]
    for step in 2 * HOUR, -2 * HOUR, 0:
        clock.set(step)
        answer = gate.post(TOKEN, form=wrong)
        assert answer.status == 429, answer
        assert 0 < int(answer.headers["Retry-After"]) <= 60
