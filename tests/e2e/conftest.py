# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests.

    make && /usr/bin/python3 -m pytest tests/e2e -q

RENSEI_BUILD says where the modules and renseictl are (default: build/),
RENSEI_E2E_STORE which kind of store is under test (default: sqlite)."""

import sys

sys.dont_write_bytecode = True

import pytest  # noqa: E402

from harness import backend, httpd, store  # noqa: E402
from harness.node import Node  # noqa: E402
from harness.world import World  # noqa: E402


class Launcher:
    """Starts what a test module needs, and ends it in reverse order."""

    def __init__(self):
        self._open = []

    def _kept(self, thing):
        self._open.append(thing)
        return thing

    def store(self):
        return self._kept(store.new())

    def backend(self):
        return self._kept(backend.Backend())

    def httpd(self, conf, start=True, **more):
        server = self._kept(httpd.Httpd(conf, **more))
        return server.start() if start else server

    def close(self):
        problems = []
        for thing in reversed(self._open):
            try:
                thing.close()
            except AssertionError as problem:
                problems.append(str(problem))
        assert not problems, "\n".join(problems)


@pytest.fixture(scope="module")
def launch():
    launcher = Launcher()
    yield launcher
    launcher.close()


@pytest.fixture
def launch_here():
    """As launch, for one test."""
    launcher = Launcher()
    yield launcher
    launcher.close()


@pytest.fixture(autouse=True)
def clean_logs():
    """After each test no server has logged an error, a crash or a secret,
    except the lines that the test expected."""
    yield
    problems = []
    for server in httpd.Httpd.running:
        if server.process.poll() is not None:
            problems.append(f"httpd ended: {server.process.returncode}")
        problems += server.check_logs()
    assert not problems, "\n".join(problems)


@pytest.fixture(scope="module")
def world(launch):
    """A store with two organisations."""
    return World(launch.store())


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    """Runs the scripts in node/."""
    return Node(tmp_path_factory.mktemp("node"))


def pytest_make_parametrize_id(val):
    """A body of 8 KB is no name for a test."""
    if isinstance(val, (str, bytes)) and len(val) > 40:
        return f"{ascii(val[:20])}-of-{len(val)}"
    return None
