# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests.

    make && /usr/bin/python3 -m pytest tests/e2e -q

RENSEI_BUILD says where the modules and renseictl are (default: build/),
RENSEI_E2E_STORE which kind of store is under test: sqlite (the default) or
pgsql. A test runs over each of them, unless it is marked only(kind, "why"):
what has nothing to do with the store runs once, over sqlite.

RENSEI_E2E_MPM=worker: with another MPM than mpm_event. It is not for
test_attack_load.py (a directive of event's), nor test_jose_while_keys_rotate: a
child that ends answers once more on a connection that is kept. (Most tests
need several connections to one child, which mpm_prefork does not have; what is
said of it is in test_mpm.py.)

RENSEI_E2E_SHARED is a folder, empty at first, of several such runs at the same
time that share the work: whoever comes first to a file does all of it."""

import functools
import os
import sys

sys.dont_write_bytecode = True

import pytest  # noqa: E402

from harness import backend, httpd, store, where  # noqa: E402
from harness.node import Node  # noqa: E402
from harness.world import World  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "only(kind, why): runs over that kind of store alone")
    config.addinivalue_line(
        "markers", "not_under(watcher, why): not where tests/watched.sh has "
        "asan or valgrind watch the processes")


def pytest_runtest_setup(item):
    for mark in item.iter_markers("not_under"):
        watcher, why = mark.args
        assert watcher in ("asan", "valgrind"), item.nodeid
        if watcher == where.WATCHED_BY:
            pytest.skip(f"under {watcher}: {why}")


def _is_for_this_store(item):
    for mark in item.iter_markers("only"):
        kind, _why = mark.args
        assert kind in store.KINDS, item.nodeid
        if kind != store.kind():
            return False
    return True


def pytest_collection_modifyitems(config, items):
    kept = [item for item in items if _is_for_this_store(item)]
    config.hook.pytest_deselected(
        items=[item for item in items if item not in kept])
    items[:] = kept


@functools.lru_cache(maxsize=None)
def _is_mine(file):
    shared = os.environ.get("RENSEI_E2E_SHARED")
    if shared:
        try:
            os.mkdir(os.path.join(shared, os.path.basename(file)))
        except FileExistsError:
            return False
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    """True: nothing is left to do for it. Its file is another's."""
    return None if _is_mine(str(item.path)) else True


class Launcher:
    """Starts what a test module needs, and ends it in reverse order."""

    def __init__(self):
        self._open = []

    def kept(self, thing):
        """Closes it at the end, too."""
        self._open.append(thing)
        return thing

    def store(self, of=None, empty=False):
        return self.kept(store.new(of, empty))

    def backend(self):
        return self.kept(backend.Backend())

    def httpd(self, conf, start=True, **more):
        server = self.kept(httpd.Httpd(conf, **more))
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
        problems += server.store.check_log() if server.store else []
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
