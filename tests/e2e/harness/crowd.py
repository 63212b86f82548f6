# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Open connections to the children of a server, to see that all of them say
the same."""

import contextlib
import glob
import itertools
import os
import secrets
import select
import signal
import time

from . import http, where

SIZE = 6  # connections, of all children together
PLACED = 5 * where.SLOWNESS  # seconds for a child to take a connection and answer
LIMIT = 90 * where.SLOWNESS  # seconds for all of it


class Crowd:
    """Connections that stay open, as many to one child as to another.

    Which child takes a connection is httpd's choice, and a quick one may take
    dozens in a row. So it is not left to chance: each child gets its own
    while the others are stopped, and the access log says that it did.

    size: how many at least, never less than two to each child. warm(wire) is
    what each does first."""

    def __init__(self, gate, warm=None, size=SIZE):
        self.gate, self.size = gate, size
        self.wires, self._sockets = [], []
        self._place()
        for wire in self.wires if warm else ():
            warm(wire)

    def answers(self, ask):
        """What ask(wire) gives on each of the connections."""
        if not all(map(_is_open, self.wires, self._sockets)):
            self._place()
        return [ask(wire) for wire in self.wires]

    def each(self, ask):
        """The same as a set: what all children say has one member."""
        return set(self.answers(ask))

    def statuses(self, token, path="/api/whoami"):
        return self.each(lambda wire: wire.get(path, token=token).status)

    def close(self):
        for wire in self.wires:
            wire.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _place(self):
        """After a graceful restart children of before may still be there,
        which take nothing: then once more."""
        deadline = time.monotonic() + LIMIT
        while True:
            self.close()
            pids = self.gate.workers()
            if len(pids) >= self.gate.children_wanted and self._reach(pids):
                return
            assert time.monotonic() < deadline, (
                f"not all children could be reached: {pids}")
            time.sleep(0.05)

    def _reach(self, pids):
        count = max(2, -(-self.size // len(pids)))
        mark, since = "/crowd?" + secrets.token_hex(8), len(self.gate.access())
        rows = []
        for pid in pids:
            rows.append([self.gate.connection() for _ in range(count)])
            # dealt in turn, so that the first few are of different children
            self.wires = list(itertools.chain(*zip(*rows)))
            if not _take(pid, set(pids) - {pid}, rows[-1], mark):
                return False
        self._sockets = [wire.wire.sock for wire in self.wires]
        lines = self.gate.wait_for_access(mark, len(self.wires), since)
        took = sorted(int(line.split()[-2]) for line in lines)
        return took == sorted(pids * count)


def _take(pid, others, wires, mark):
    """Has that child take the connections, while the others are stopped. One
    of them may hold a lock then, so that is not for long."""
    with stopped(others), contextlib.suppress(OSError):
        for wire in wires:
            wire.wire.timeout = PLACED
            wire.get(mark)
            wire.wire.timeout = http.TIMEOUT
            wire.wire.sock.settimeout(http.TIMEOUT)
        return True
    return False


@contextlib.contextmanager
def stopped(pids):
    """Those processes do nothing meanwhile."""
    try:
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
        deadline = time.monotonic() + PLACED
        while not all(map(_stands_still, pids)):
            assert time.monotonic() < deadline, "a child does not stop"
            time.sleep(0.001)
        yield
    finally:
        for pid in pids:
            _signal(pid, signal.SIGCONT)


def _signal(pid, number):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _stands_still(pid):
    """All of its threads; or it has ended."""
    for path in glob.glob(f"/proc/{pid}/task/*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(path) as stat:
                if stat.read().rpartition(")")[2].split()[0] not in "TZX":
                    return False
    return True


def _is_open(wire, sock):
    """Is it still the connection that it was? httpd closes what is idle for
    long, and a client opens it again, to whatever child."""
    if sock is None or wire.wire.sock is not sock:
        return False
    return not select.select([sock], [], [], 0)[0]
