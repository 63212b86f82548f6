# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Who asks: one connection that sends exactly what it is told; wrk; and a
client that asks two servers in turn."""

import json
import re
import socket
import subprocess

from servers import HERE, session


class Wire:
    """A connection that is kept. ask() gives (status, headers, body)."""

    def __init__(self, port, timeout=60):
        self.port = port
        self.sock = socket.create_connection(("127.0.0.1", port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def ask(self, path="/hello.json", auth=None, body="", ctype="",
            method=None):
        head = f"{method or ('POST' if body else 'GET')} {path} HTTP/1.1\r\n"
        head += f"Host: 127.0.0.1:{self.port}\r\n"
        if auth:
            head += f"Authorization: {auth}\r\n"
        if body:
            head += f"Content-Type: {ctype}\r\nContent-Length: {len(body)}\r\n"
        self.sock.sendall(f"{head}\r\n{body}".encode())
        return self.answer()

    def answer(self):
        head = self.until(b"\r\n\r\n").decode("latin1").split("\r\n")
        headers = {name.lower(): value for name, _, value in
                   (line.partition(": ") for line in head[1:])}
        if headers.get("transfer-encoding") == "chunked":
            body = b"".join(iter(self.chunk, b""))
        else:
            body = self.exactly(int(headers.get("content-length", 0)))
        return int(head[0].split()[1]), headers, body

    def chunk(self):
        size = int(self.until(b"\r\n").split(b";")[0], 16)
        return self.exactly(size + 2)[:-2]

    def until(self, mark):
        while mark not in self.rest:
            self.receive()
        out, _, self.rest = self.rest.partition(mark)
        return out

    def exactly(self, count):
        while len(self.rest) < count:
            self.receive()
        out, self.rest = self.rest[:count], self.rest[count:]
        return out

    def receive(self):
        got = self.sock.recv(65536)
        if not got:
            raise ConnectionError("closed by the server")
        self.rest += got

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def wrk(port, creds, limit, seconds, conns, cpu=None, path="/hello.json",
        body="", ctype=""):
    """One run of wrk over the first limit credentials of a file (None: none);
    what it reports: requests, us, p50, p99, max (us), errors, bad_status."""
    command = ["wrk", "-t1", f"-c{conns}", f"-d{seconds}s", "--timeout", "10s",
               "-s", str(HERE / "creds.lua"),
               f"http://127.0.0.1:{port}{path}", "--", str(creds or "-"),
               str(limit)]
    if body:
        command += ["POST", body, ctype]
    if cpu is not None:
        command = ["taskset", "-c", str(cpu), *command]
    done = subprocess.run(command, text=True, capture_output=True,
                          timeout=seconds + 120)
    found = re.search(r"^JSON:(.*)$", done.stdout, re.M)
    if not found:
        raise SystemExit(f"wrk failed: {done.stdout}{done.stderr}")
    return json.loads(found.group(1))


def _turns():
    """The program of turns.c, made once."""
    program = session() / "turns"
    if not program.exists():
        subprocess.run(["cc", "-O2", "-o", program, HERE / "turns.c"],
                       check=True)
    return program


# Requests that a server is asked before it is the other's turn, and those for
# each connection at the least.
TURN, EACH = 256, 8


def turns(servers, creds, limit, seconds, conns, cpu, body, ctype):
    """Asks two servers in turn, so many seconds in all. For each, in their
    order: (requests, those that were not answered by 200, its seconds, the
    median of what answers took, the 99th percentile (us))."""
    command = [_turns(), str(seconds), str(conns),
               str(max(TURN, EACH * conns)), str(creds),
               str(limit), "POST" if body else "GET", body, ctype]
    for server in servers:
        command += [str(server.port), server.variant.path]
    if cpu is not None:
        command = ["taskset", "-c", str(cpu), *command]
    done = subprocess.run(command, text=True, capture_output=True,
                          timeout=seconds + 120)
    if done.returncode != 0:
        raise SystemExit(f"turns failed: {done.stderr}")
    return [tuple(float(n) for n in line.split())
            for line in done.stdout.splitlines()]
