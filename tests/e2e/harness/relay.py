# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""The network between one node and PostgreSQL, which a test can cut."""

import os
import select
import shutil
import socket
import threading

from . import where
from .postgres import PORT


class Relay:
    """Passes on what comes to a socket in a folder of its own."""

    def __init__(self, cluster):
        self.folder = where.run_folder("relay")
        self._to = str(cluster.folder / f".s.PGSQL.{PORT}")
        self._listener = socket.socket(socket.AF_UNIX)
        path = str(self.folder / f".s.PGSQL.{PORT}")
        self._listener.bind(path)
        os.chmod(path, 0o777)
        self._listener.listen(100)
        self._whole = True
        self._pairs = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._wake, self._woken = socket.socketpair()
        self._ended = False
        self._is_cut = threading.Event()
        self._thread.start()

    def cut(self):
        """What is open has ended, and nothing new gets through."""
        self._is_cut.clear()
        self._whole = False
        self._tell()
        assert self._is_cut.wait(10 * where.SLOWNESS), "the line is not cut"

    def join(self):
        self._whole = True

    def close(self):
        self._ended = True
        self._tell()
        self._thread.join(10)
        for end in (self._listener, self._wake, self._woken):
            end.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _tell(self):
        self._wake.send(b"x")

    def _run(self):
        while not self._ended:
            self._step()
        self._drop_all()

    def _step(self):
        ends = [end for pair in self._pairs for end in pair]
        ready, _, _ = select.select([self._listener, self._woken, *ends],
                                    [], [])
        if self._woken in ready:
            self._woken.recv(100)
        if not self._whole:
            self._drop_all()
            self._is_cut.set()
        if self._listener in ready:
            self._accept()
        for pair in list(self._pairs):
            for here, there in (pair, pair[::-1]):
                if here in ready and pair in self._pairs:
                    self._pass_on(pair, here, there)

    def _accept(self):
        here, _ = self._listener.accept()
        if not self._whole:
            here.close()
            return
        there = socket.socket(socket.AF_UNIX)
        there.connect(self._to)
        self._pairs.append((here, there))

    def _pass_on(self, pair, here, there):
        try:
            data = here.recv(65536)
            there.sendall(data)
        except OSError:
            data = b""
        if not data:
            self._drop(pair)

    def _drop(self, pair):
        self._pairs.remove(pair)
        for end in pair:
            end.close()

    def _drop_all(self):
        for pair in list(self._pairs):
            self._drop(pair)
