# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""What can be wrong between httpd and PostgreSQL."""

import os
import shutil
import socket
import threading
import time
from contextlib import contextmanager, suppress

import psycopg2

from . import where
from .postgres import PORT
from .store import Pgsql


class Line:
    """A socket in a folder of its own, and the way from it to PostgreSQL,
    with a fault on it. Without one, all is passed on."""

    def __init__(self, cluster):
        self.folder = where.run_folder("line")
        self._to = str(cluster.folder / f".s.PGSQL.{PORT}")
        self._changed = threading.Condition()
        self._delay, self._silent, self._marked = 0, False, None
        self._pairs, self._ended = [], False
        self.lost = 0  # answers that were kept back, or statements
        self._listener = socket.socket(socket.AF_UNIX)
        path = str(self.folder / f".s.PGSQL.{PORT}")
        self._listener.bind(path)
        os.chmod(path, 0o777)
        self._listener.listen(100)
        threading.Thread(target=self._accept, daemon=True).start()

    # -- faults ---------------------------------------------------------------

    def slow(self, seconds):
        """Every answer takes so long."""
        self._set(delay=seconds)

    def silent(self):
        """Connections are taken, and what is sent on them, and on those that
        are there, is never answered."""
        self._set(silent=True)

    def lose_answer(self, text, of=""):
        """The next statement with that text is run; its answer gets lost with
        its connection. of: what was sent before in the same transaction, for
        httpd has transactions of its own."""
        self._set(marked=(text, of, True))

    def lose_statement(self, text, of=""):
        """The next statement with that text gets lost with its connection."""
        self._set(marked=(text, of, False))

    def whole(self):
        self._set()

    def drop(self):
        """Ends the connections that are there."""
        for pair in list(self._pairs):
            self._end(pair)

    def close(self):
        self._ended = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.whole()
        self.drop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- passing on -----------------------------------------------------------

    def _set(self, delay=0, silent=False, marked=None):
        with self._changed:
            self._delay, self._silent = delay, silent
            self._marked = marked
            self._changed.notify_all()

    def _accept(self):
        while not self._ended:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            there = socket.socket(socket.AF_UNIX)
            try:
                there.connect(self._to)
            except OSError:  # PostgreSQL is down
                here.close()
                there.close()
                continue
            pair = {"here": here, "there": there, "doomed": False,
                    "sent": b""}
            self._pairs.append(pair)
            for run in self._ask, self._answer:
                threading.Thread(target=run, args=(pair,),
                                 daemon=True).start()

    def _ask(self, pair):
        with suppress(OSError):
            while data := pair["here"].recv(65536):
                with self._changed:
                    self._changed.wait_for(lambda: not self._silent)
                    if self._is_marked(pair, data):
                        pair["doomed"] = self._marked[2]
                        self._marked = None
                        self.lost += 1
                        if not pair["doomed"]:
                            break
                pair["there"].sendall(data)
        self._end(pair)

    def _is_marked(self, pair, data):
        pair["sent"] = data if b"BEGIN " in data else pair["sent"] + data
        return self._marked and (self._marked[0].encode() in data and
                                 self._marked[1].encode() in pair["sent"])

    def _answer(self, pair):
        with suppress(OSError):
            while data := pair["there"].recv(65536):
                if pair["doomed"]:
                    break
                with self._changed:
                    self._changed.wait_for(
                        lambda: self._delay == 0, self._delay)
                pair["here"].sendall(data)
        self._end(pair)

    def _end(self, pair):
        for name in "here", "there":
            with suppress(OSError):
                pair[name].shutdown(socket.SHUT_RDWR)


class Elsewhere(Pgsql):
    """A store in a cluster that a test may stop."""

    def __init__(self, cluster):
        self._cluster = cluster
        super().__init__()

    @property
    def cluster(self):
        return self._cluster

    @cluster.setter
    def cluster(self, _shared):
        pass

    def close(self):
        pass  # goes with its cluster


def _slots(store):
    """How many connections PostgreSQL gives to others than superusers."""
    most, kept = (int(store.cluster.execute(f"SHOW {name}")[0][0]) for name in
                  ("max_connections", "superuser_reserved_connections"))
    return most - kept


@contextmanager
def crowded(store):
    """Others have taken all connections that PostgreSQL gives, and httpd has
    lost its own."""
    held, wanted = [], _slots(store)
    conninfo = store.cluster.conninfo(store.database)
    deadline = time.monotonic() + 20
    try:
        while len(held) < wanted:
            assert time.monotonic() < deadline, len(held)
            try:
                held.append(psycopg2.connect(
                    conninfo + " application_name=crowd"))
            except psycopg2.OperationalError as full:
                assert "connection" in str(full), full
                store.cluster.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE usename = 'rensei' "
                    "AND application_name <> 'crowd'")
        yield
    finally:
        for wire in held:
            wire.close()
