# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Clients that only hold the server up: a request that never ends, a crowd of
connections that say nothing, guesses without number. Each test: what the
attacker spends, that it ends, and that others are served meanwhile."""

import resource
import socket
import threading

import pytest

from harness import conf, where
from harness.load import closed, ctl
from harness.oauth import TOKEN

IDLE = 1000

CONF = (f'LoadModule reqtimeout_module '
        f'"{where.modules_dir()}/mod_reqtimeout.so"\n'
        f'LoadModule remoteip_module "{where.modules_dir()}/mod_remoteip.so"\n'
        "RequestReadTimeout header=2 body=2\n"
        "RenseiThrottle 4/120\n"
        "AsyncRequestWorkerFactor 40\n"
        + conf.ISSUER + conf.PROXY + conf.protected("/r/", "RenseiForward On")
        + "<VirtualHost *:@PORT@>\nServerName localhost\n</VirtualHost>\n"
        + "<VirtualHost *:@PORT@>\nServerName proxied.test\n"
        "RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy 127.0.0.1\n"
        "</VirtualHost>\n"
        "<VirtualHost *:@PORT@>\nServerName free.test\nRenseiThrottle off\n"
        "</VirtualHost>\n")


@pytest.fixture(scope="module")
def files():
    """As many as Debian's apachectl gives httpd, for both ends."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if limits[1] == resource.RLIM_INFINITY else min(
        8192, limits[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, limits[0]),
                                                limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.fixture(scope="module")
def gate(files, launch, world):
    return launch.httpd(CONF, store=world.store, backend=launch.backend(),
                        children=2)


# -- time ---------------------------------------------------------------------

FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
HEAD = "Host: localhost\r\n"


def never_ending(token):
    """What a client begins, and does not end."""
    bearer = f"Authorization: Bearer {token}\r\n"
    long = "Content-Length: 1000\r\n\r\ngrant_type="
    return {
        "a first line": "GET /r/x HT",
        "headers": f"GET /r/x HTTP/1.1\r\n{HEAD}X-A",
        "a credential": f"GET /r/x HTTP/1.1\r\n{HEAD}Authorization: Bearer ey",
        "a form": f"POST {TOKEN} HTTP/1.1\r\n{HEAD}{FORM}{long}",
        "a chunk": f"POST {TOKEN} HTTP/1.1\r\n{HEAD}{FORM}"
                   "Transfer-Encoding: chunked\r\n\r\n5\r\ngr",
        "a JSON body": f"POST /api/admin/m2m-clients HTTP/1.1\r\n{HEAD}{bearer}"
                       f"Content-Type: application/json\r\n{long}",
        "a refused body": f"POST /api/admin/m2m-clients HTTP/1.1\r\n{HEAD}"
                          f"{long}",
        "a backend's body": f"POST /r/x HTTP/1.1\r\n{HEAD}{bearer}{long}",
    }


@pytest.mark.only("sqlite", "mod_reqtimeout, whatever the store")
def test_a_request_that_never_ends(gate, world):
    """Slowloris, and its kin with a body: more of them at once than the
    server has threads. mod_reqtimeout ends them, with 408 where there is
    still somebody to answer; then their threads serve others again."""
    token = world.a.admin.token
    gate.allow_log("AH01095", "AH01097", "AH00484", "AH10159")
    begun = never_ending(token)
    wires = []
    for name, data in begun.items():
        for _ in range(8):
            wire = socket.create_connection(("127.0.0.1", gate.port), 60)
            wire.sendall(data.encode())
            wires.append((name, wire))
    said = {name: set() for name in begun}
    for name, wire in wires:
        answer = b""
        try:
            while part := wire.recv(65536):
                answer += part
        except ConnectionError:
            pass
        said[name].add(int(answer[9:12]) if answer else 0)
        wire.close()
    assert said.pop("a refused body") <= {401}
    for name, statuses in said.items():
        assert statuses <= {408, 0}, (name, statuses)
        assert "line" in name or 408 in statuses, (name, statuses)
    assert gate.get("/r/x", token=token).status == 200


@pytest.mark.only("sqlite", "httpd's connections, whatever the store")
def test_a_thousand_idle_connections(gate, world):
    """Each has asked once, and stays. With the event MPM they take no thread:
    everybody else is served, and they are, too, when they ask again."""
    client = world.a.client()
    crowd = []
    gate.allow_log("AH00484", "AH10159")  # that it was full
    try:
        for _ in range(IDLE):
            wire = gate.connection()
            assert wire.get("/api/whoami").status == 401
            crowd.append(wire)
        ends = [wire.wire.sock.fileno() for wire in crowd]
        for _ in range(20):
            token = gate.token(client)
            assert gate.get("/r/x", token=token).status == 200
            assert gate.get("/r/x").status == 401
        for wire in crowd:
            assert not closed(wire)
            assert wire.get("/api/whoami", token=token).status == 200
        assert ends == [wire.wire.sock.fileno() for wire in crowd]
    finally:
        for wire in crowd:
            wire.close()


# -- guesses ------------------------------------------------------------------


def guess(gate, client, n=0, **more):
    wrong = "m2ms_" + "%064x" % n
    return gate.post(TOKEN, **more, form={
        "grant_type": "client_credentials", "client_id": client,
        "client_secret": wrong})


def right(gate, client, **more):
    return gate.post(TOKEN, **more, form={
        "grant_type": "client_credentials", "client_id": client.id,
        "client_secret": client.secret})


def from_(address):
    return {"host": "proxied.test", "headers": {"X-Forwarded-For": address}}


def test_guesses_at_all_children_at_once(gate, world):
    """A counter in each child would give an attacker as many times the tries
    as there are children. Twenty-four connections at the same time, on both:
    those in flight together may all be looked at, and no more."""
    client, statuses = world.a.client(), []
    start = threading.Barrier(24)

    def run():
        with gate.connection() as wire:
            wire.get("/api/whoami")
            start.wait(60)
            for n in range(6):
                statuses.append(guess(wire, client.id, n).status)

    threads = [threading.Thread(target=run) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= 4 + 24, statuses.count(401)
    # now each child knows
    answers = [right(gate, client) for _ in range(12)]
    assert {a.error for a in answers} == {(429, "slow_down")}
    assert all(0 < int(a.headers["Retry-After"]) <= 120 for a in answers)


def test_nobody_is_locked_out_from_elsewhere(gate, world):
    """The attacker guesses to shut the client out: that hits his own address
    alone, and one client does not stand for another."""
    victim, other = world.a.client(), world.a.client()
    there, here = from_("192.0.2.66"), from_("192.0.2.1")
    said = [guess(gate, victim.id, n, **there).status for n in range(8)]
    assert said == [401] * 4 + [429] * 4
    assert right(gate, victim, **there).status == 429
    assert right(gate, victim, **here).status == 200
    assert right(gate, other, **there).status == 200


def test_an_address_that_is_made_up(gate, world):
    """X-Forwarded-For changes nothing where mod_remoteip does not trust whom
    it comes from: a new address with each guess would be a new count."""
    client = world.a.client()
    said = [guess(gate, client.id, n,
                  headers={"X-Forwarded-For": f"192.0.2.{n}",
                           "Forwarded": f"for=192.0.2.{n}",
                           "X-Real-IP": f"192.0.2.{n}"}).status
            for n in range(8)]
    assert said == [401] * 4 + [429] * 4
    # and one in front of what a trusted proxy has added does not count
    other = world.a.client()
    said = [guess(gate, other.id, n, host="proxied.test", headers={
        "X-Forwarded-For": f"198.51.100.{n}, 192.0.2.77"}).status
        for n in range(8)]
    assert said == [401] * 4 + [429] * 4


@pytest.mark.parametrize("spelling", [
    str.upper, lambda x: " " + x, lambda x: x + " ", lambda x: x + "\0",
    lambda x: x[:-1], lambda x: "+" + x])
def test_another_spelling_of_the_client(gate, world, spelling):
    """A count by what was sent, and a look-up by something else, would give
    each spelling its own tries at the same client."""
    client = world.a.client()
    answer = gate.post(TOKEN, host="free.test", form={
        "grant_type": "client_credentials", "client_id": spelling(client.id),
        "client_secret": client.secret})
    assert answer.status in (400, 401), answer
    assert right(gate, client, host="free.test").status == 200


def test_off(gate, world):
    client = world.a.client()
    said = {guess(gate, client.id, n, host="free.test").status
            for n in range(30)}
    assert said == {401}
    assert right(gate, client, host="free.test").status == 200


# -- time that tells ----------------------------------------------------------


def test_the_work_of_a_refusal(gate, world):
    """Which clients there are must not show in how long a refusal takes.
    Measured by what cannot flicker: both are refused in the same words with
    the same headers, and leave one event each. That a digest is computed for
    an unknown client, too, is what the unit tests show."""
    known, nobody = world.a.client(), "m2m_" + "9" * 32

    def failures(*trail):
        return ctl(world.store, "audit", "export", *trail).count(
            '"m2m.auth_failed"')

    before = failures("--org", world.a.id), failures("--system")
    answers = [guess(gate, who, host="free.test")
               for who in (known.id, nobody, "m2m_x", "x")]
    heads = [[(k, v) for k, v in a.headers.items() if k != "Date"]
             for a in answers]
    assert {a.body for a in answers} == {answers[0].body}
    assert heads == [heads[0]] * 4
    assert [a.error for a in answers] == [(401, "invalid_client")] * 4
    assert failures("--org", world.a.id) == before[0] + 1
    assert failures("--system") == before[1] + 3
    assert right(gate, known, host="free.test").status == 200
