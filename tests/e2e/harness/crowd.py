# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Open connections to the children of a server, to see that all of them say
the same."""

import threading

SIZE = 24  # connections: enough to reach every child
TRIES = 20


class Crowd:
    """Connections that stay open. warm(wire) is what each does first."""

    def __init__(self, gate, warm=lambda wire: wire.get("/crowd")):
        self.wires = []
        for _ in range(TRIES):
            since = len(gate.access())
            self.close()
            self.wires = [gate.connection() for _ in range(SIZE)]
            self._all_at_once(warm)
            if len(_children(gate.access()[since:])) > 1:
                return
        raise AssertionError("only one child was asked")

    def _all_at_once(self, warm):
        """One after the other, one child would take them all."""
        start = threading.Barrier(SIZE)

        def run(wire):
            start.wait(20)
            warm(wire)

        threads = [threading.Thread(target=run, args=(wire,))
                   for wire in self.wires]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def each(self, ask):
        """What ask(wire) gives on the connections, each of them, as a set."""
        return {ask(wire) for wire in self.wires}

    def close(self):
        for wire in self.wires:
            wire.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _children(lines):
    """The pids that an access log names."""
    return {line.split()[-2] for line in lines.splitlines()}
