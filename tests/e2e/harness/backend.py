# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""A backend to proxy to, which keeps the very header lines it received."""

import socketserver
import threading


class Received:
    """One request as it came over the wire."""

    def __init__(self, lines, body):
        self.method, self.path, _ = lines[0].decode("latin-1").split(" ")
        self.lines = lines[1:]
        self.body = body

    def all(self, name):
        """The values of a header, exactly by that name (in any case)."""
        out = []
        for line in self.lines:
            head, _, value = line.decode("latin-1").partition(":")
            if head.lower() == name.lower():
                out.append(value.strip())
        return out

    def names(self):
        return [line.partition(b":")[0].decode("latin-1").lower()
                for line in self.lines]


class _Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        while self._one():
            pass

    def _one(self):
        lines = []
        while True:
            line = self.rfile.readline(65537)
            if not line:
                return False
            line = line.rstrip(b"\r\n")
            if not line:
                break
            lines.append(line)
        heads = {k.strip().lower(): v.strip() for k, _, v in
                 (line.partition(b":") for line in lines[1:])}
        body = self._body(heads)
        self.server.owner.received.append(Received(lines, body))
        method = lines[0].split(b" ")[0]
        answer = b"backend: " + lines[0].split(b" ")[1] + b"\n"
        head = (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                b"Content-Length: %d\r\n\r\n" % len(answer))
        # at once: what comes after a first part would wait for an answer to
        # that, which a client is in no hurry to give (40 ms)
        self.wfile.write(head if method == b"HEAD" else head + answer)
        return True

    def _body(self, heads):
        if heads.get(b"transfer-encoding", b"").lower() == b"chunked":
            out = b""
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                out += self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    return out
        return self.rfile.read(int(heads.get(b"content-length", b"0")))


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        pass  # httpd drops pooled connections as it likes


class Backend:
    def __init__(self):
        self.received = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever,
                         kwargs={"poll_interval": 0.05}, daemon=True).start()

    def take(self):
        """What came since the last call."""
        out, self.received[:] = list(self.received), []
        return out

    def one(self):
        """The one request that came since the last call."""
        out = self.take()
        assert len(out) == 1, [f"{r.method} {r.path}" for r in out]
        return out[0]

    def close(self):
        self._server.shutdown()
        self._server.server_close()
