# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""The sample daemons of docs/examples/, run against a server as they are."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from harness import conf, known_secrets, where
from harness.admin import Admin
from harness.workers import REGISTER, registration_key, whoami

pytestmark = pytest.mark.only("sqlite", "two programs that talk to a server")

SAMPLES = where.ROOT / "docs/examples"
DAEMONS = {"python": [sys.executable, str(SAMPLES / "worker_daemon.py")],
           "shell": ["sh", str(SAMPLES / "worker-daemon.sh")]}
CONF = ("RenseiThrottle off\nRenseiWorkerTokenLifetime 60\n"
        "RenseiWorkerPoll 1\n" + conf.ISSUER + conf.WORKERS + conf.PROXY
        + conf.protected("/r/jobs/", "RenseiAccept worker",
                         "Require rensei-scope workers:read")
        + conf.protected("/r/shut/"))


@pytest.fixture
def gate(launch_here, world):
    return launch_here.httpd(CONF, store=world.store,
                             backend=launch_here.backend(), children=2)


class Daemon:
    """A sample that runs: it polls each second, and renews a token when one
    second of its 60 is over."""

    def __init__(self, kind, gate, folder, key, poll="/r/jobs/x", **env):
        self.file = folder / "token"
        self.said = folder / "said"
        key_file = folder / "key"
        key_file.write_text(key.token + "\n")
        key_file.chmod(0o600)
        self.env = {"PATH": os.environ["PATH"], "LANG": "C",
                    "RENSEI_URL": f"http://127.0.0.1:{gate.port}",
                    "RENSEI_KEY_FILE": str(key_file),
                    "RENSEI_TOKEN_FILE": str(self.file),
                    "RENSEI_MARGIN": "59", "RENSEI_POLL": poll, **env}
        self.env = {k: v for k, v in self.env.items() if v is not None}
        with open(self.said, "ab") as said:
            self.process = subprocess.Popen(
                DAEMONS[kind], env=self.env, cwd=folder,
                stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def log(self):
        return self.said.read_text()

    def token(self):
        return known_secrets.add(self.file.read_text().strip())

    def wait_for(self, text, count=1):
        deadline = time.monotonic() + 90
        while self.log().count(text) < count:
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def wait_for_end(self):
        return self.process.wait(90)


@pytest.fixture(params=sorted(DAEMONS))
def daemon(request, gate, tmp_path):
    """Starts one; it is ended, and has shown no secret, after the test."""
    started = []

    def start(key, **more):
        started.append(Daemon(request.param, gate, tmp_path, key, **more))
        return started[-1]
    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.terminate()
            one.process.wait(30)
        assert not known_secrets.found_in(one.log()), one.log()


def worker_of(admin, key):
    found = admin.ok("GET", f"/api/org/{admin.org}/workers",
                     query={"keyId": key.id})["workers"]
    assert len(found) == 1, found
    return found[0]


@pytest.fixture
def admin(gate, world):
    made = Admin(gate, world.a.admin.token, world.a.id)
    made.org = world.a.id
    return made


def test_it_registers_and_refreshes(gate, world, admin, daemon):
    key = registration_key(world, max_uses=1)
    one = daemon(key)
    one.wait_for("refreshed", 3)
    token = one.token()
    assert whoami(gate, token).json["kind"] == "worker"
    assert one.file.stat().st_mode & 0o777 == 0o600
    worker = worker_of(admin, key)
    assert worker["hostname"] == os.uname().nodename
    assert worker["machineId"]
    events = [e["event"] for e in admin.events(target=worker["workerId"])]
    assert events.count("worker.registered") == 1
    assert events.count("worker.refreshed") >= 3
    polls = gate.wait_for_access("GET /r/jobs/x", 3)
    assert {line.split('" ')[1].split()[0] for line in polls} == {"200"}
    one.process.terminate()
    assert one.wait_for_end() == 0


def test_the_credentials_are_not_in_the_process_list(gate, world, daemon):
    """Whoever is on the machine reads everybody's arguments."""
    key, seen, done = registration_key(world), set(), threading.Event()

    def watch():
        while not done.is_set():
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{pid}/cmdline", "rb") as file:
                        seen.add(file.read().decode("latin-1"))
                except OSError:
                    pass
    watcher = threading.Thread(target=watch)
    watcher.start()
    one = daemon(key)
    one.wait_for("refreshed", 2)
    token = one.token()
    done.set()
    watcher.join()
    assert any("worker" in line for line in seen)
    for line in seen:
        assert key.token not in line and token not in line


def test_the_key_from_the_environment(gate, world, daemon):
    key = registration_key(world)
    one = daemon(key, RENSEI_KEY_FILE=None, RENSEI_REGISTRATION_KEY=key.token)
    one.wait_for("refreshed")


def test_a_key_file_that_others_can_read(gate, world, daemon, tmp_path):
    key = registration_key(world)
    path = tmp_path / "open"
    path.write_text(key.token)
    path.chmod(0o644)
    one = daemon(key, RENSEI_KEY_FILE=str(path))
    assert one.wait_for_end() == 1
    assert "chmod 600" in one.log()


def test_it_is_the_same_worker_after_a_restart(gate, world, admin, daemon):
    key = registration_key(world)
    one = daemon(key)
    one.wait_for("registered")
    one.process.terminate()
    one.wait_for_end()
    daemon(key).wait_for("registered", 2)
    worker_of(admin, key)


def test_it_registers_again_when_its_token_is_no_good(gate, world, admin,
                                                      daemon):
    """Here because the server has another secret."""
    key = registration_key(world)
    one = daemon(key)
    one.wait_for("refreshed")
    gate.stop()
    gate.env["M2M_JWT_SECRET"] = known_secrets.add("s" * 20 + "another" * 4)
    gate.start()
    one.wait_for("registering again")
    one.wait_for("registered", 2)
    one.wait_for("refreshed", 2)
    assert whoami(gate, one.token()).status == 200
    worker_of(admin, key)


def test_it_outlasts_a_server_that_is_away(gate, world, admin, daemon):
    key = registration_key(world, max_uses=1)
    one = daemon(key)
    one.wait_for("refreshed")
    gate.stop()
    one.wait_for("again in")
    before = one.token()
    one.wait_for("again in", 2)
    assert one.token() == before  # it is still good for most of a minute
    refreshed = one.log().count("refreshed")
    gate.start()
    one.wait_for("refreshed", refreshed + 1)
    assert "registering again" not in one.log()
    assert whoami(gate, one.token()).status == 200


def test_it_waits_for_a_server_that_is_not_there_yet(gate, world, daemon):
    gate.stop()
    one = daemon(registration_key(world))
    one.wait_for("again in", 2)
    gate.start()
    one.wait_for("registered")


def test_it_stops_when_its_worker_is_revoked(gate, world, admin, daemon):
    key = registration_key(world)
    one = daemon(key)
    one.wait_for("refreshed")
    worker = worker_of(admin, key)["workerId"]
    since = len(gate.access())
    admin.ok("DELETE", f"/api/org/{world.a.id}/workers/{worker}")
    assert one.wait_for_end() == 2
    assert "refused, 403" in one.log() and "revoked" in one.log()
    gate.wait_for_access(REGISTER, 1, since)
    time.sleep(0.5)
    assert gate.access()[since:].count(REGISTER) == 1


@pytest.mark.parametrize("how", ["revoked", "used up", "unknown"])
def test_it_stops_when_its_key_does_not_register(gate, world, admin, daemon,
                                                 how):
    key = registration_key(world, max_uses=1)
    if how == "revoked":
        admin.ok("DELETE", f"{admin.keys}/{key.id}")
    elif how == "used up":
        assert gate.post(REGISTER, json={"hostname": "h", "maxAgents": 1},
                         token=key.token).status == 201
    else:
        key = key._replace(token="rsk_live_" + "0" * 64)
    one = daemon(key)
    assert one.wait_for_end() == 2
    assert "refused, 40" in one.log()
    assert not one.file.exists()


def test_it_stops_where_a_new_token_is_refused(gate, world, daemon):
    """Else it would ask for a token each second, for ever."""
    one = daemon(registration_key(world), poll="/r/shut/x",
                 RENSEI_MARGIN="1")
    assert one.wait_for_end() == 2
    assert one.log().count("refreshed") == 1


def test_it_hears_a_signal_while_it_waits(gate, world, daemon):
    one = daemon(registration_key(world), RENSEI_MARGIN="1", poll="")
    one.wait_for("registered")
    time.sleep(0.3)
    one.process.send_signal(signal.SIGTERM)
    assert one.wait_for_end() == 0  # it would have waited for many minutes
