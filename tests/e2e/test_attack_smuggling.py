# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Requests that two servers read differently: one in front of us, or the
backend behind us, sees another request, or a header that we did not. Each
shape: the bytes, what is answered, and that the backend got nothing, or
exactly one request, under the identity that we gave it."""

import os
import re
import socket
import struct
import subprocess

import pytest

from harness import conf, where

pytestmark = pytest.mark.only("sqlite", "what a backend is sent")

HTTP2 = os.path.join(where.modules_dir(), "mod_http2.so")

CONF = conf.API + conf.PROXY + conf.protected("/r/", "RenseiForward On")


@pytest.fixture(scope="module")
def gate(launch, world):
    more = ""
    if os.path.exists(HTTP2):
        more = (f'LoadModule http2_module "{HTTP2}"\n'
                "Protocols h2c http/1.1\n")
    return launch.httpd(CONF + more, store=world.store,
                        backend=launch.backend())


@pytest.fixture(scope="module")
def client(world):
    return world.a.client()


@pytest.fixture(scope="module")
def token(gate, client):
    return gate.token(client)


def spoken(gate, data):
    """All that is answered until the server has nothing more to read."""
    out = b""
    with socket.create_connection(("127.0.0.1", gate.port), 20) as wire:
        wire.sendall(data)
        try:
            wire.shutdown(socket.SHUT_WR)
            while part := wire.recv(65536):
                out += part
        except ConnectionError:
            pass  # it had closed, with bytes of ours unread
    return out


def statuses(answers):
    return [int(status) for status in
            re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", answers)]


# What the attacker wants the backend to take for a request of its own.
EVIL = ("GET /r/evil HTTP/1.1\r\nHost: localhost\r\nX-Rensei-Sub: root\r\n"
        "Authorization: Basic cm9vdDpyb290\r\n\r\n")
AS = "Host: localhost\r\nAuthorization: Bearer @\r\n"
POST = "POST /r/x HTTP/1.1\r\n" + AS
GET = "GET /r/x HTTP/1.1\r\n" + AS
TE = POST + "Transfer-Encoding: chunked\r\n"
LONG = f"{len(EVIL):x}"

# name: (bytes, statuses, the bodies that the backend got)
SHAPES = {
    # the length said twice: RFC 9112 6.3
    "CL and TE": (TE + f"Content-Length: {len(EVIL) + 5}\r\n\r\n0\r\n\r\n"
                  + EVIL, [200], [""]),
    "TE and CL": (POST + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"
                  f"\r\n{LONG}\r\n{EVIL}\r\n0\r\n\r\n", [200], [EVIL]),
    "CL twice": (POST + f"Content-Length: 0\r\nContent-Length: {len(EVIL)}\r\n"
                 "\r\n" + EVIL, [400], []),
    "CL twice the same": (POST + "Content-Length: 3\r\nContent-Length: 3\r\n"
                          "\r\nabc", [400], []),
    "CL as a list": (POST + f"Content-Length: 0, {len(EVIL)}\r\n\r\n" + EVIL,
                     [400], []),
    "CL with a sign": (POST + "Content-Length: +3\r\n\r\nabc", [400], []),
    "CL negative": (POST + "Content-Length: -1\r\n\r\nabc", [400], []),
    "CL in hex": (POST + "Content-Length: 0x3\r\n\r\nabc", [400], []),
    "CL beyond 64 bits": (POST + "Content-Length: 18446744073709551619\r\n\r\n"
                          "abc", [400], []),
    "CL, blank, colon": (POST + "Content-Length : 3\r\n\r\nabc", [400], []),
    # a coding that only one of two knows
    "TE xchunked": (POST + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"
                    + EVIL, [400], []),
    "TE chunked, identity": (POST + "Transfer-Encoding: chunked, identity\r\n"
                             "\r\n0\r\n\r\n" + EVIL, [400], []),
    "TE twice": (TE + "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n" + EVIL,
                 [400], []),
    "TE, blank, colon": (POST + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"
                         + EVIL, [400], []),
    "TE after a vertical tab": (POST + "Transfer-Encoding:\x0bchunked\r\n\r\n"
                                "0\r\n\r\n" + EVIL, [400], []),
    "TE folded": (POST + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
                  [200], [""]),
    "TE in HTTP/1.0": (TE.replace("HTTP/1.1", "HTTP/1.0")
                       + "\r\n0\r\n\r\n" + EVIL, [200], [""]),
    # chunks
    "chunk extensions": (TE + "\r\n3;a=b;c=\"d\"\r\nabc\r\n0;x\r\n\r\n",
                         [200], ["abc"]),
    "chunk extension with a bare LF": (
        TE + "\r\n3;\nx\r\nabc\r\n0\r\n\r\n" + EVIL, [400], []),
    "chunk size negative": (TE + "\r\n-3\r\nabc\r\n0\r\n\r\n" + EVIL,
                            [400], []),
    "chunk size with 0x": (TE + "\r\n0x3\r\nabc\r\n0\r\n\r\n" + EVIL,
                           [400], []),
    "chunk size beyond 64 bits": (
        TE + "\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n" + EVIL, [413], []),
    "chunks ended by LF": (TE + "\r\n3\nabc\n0\n\n" + EVIL, [400], []),
    # lines
    "bare LF": ((GET + "\r\n").replace("\r\n", "\n"), [400], []),
    "bare LF in a header": (GET + "X-A: b\nX-Rensei-Sub: root\r\n\r\n",
                            [400], []),
    "bare CR in a header": (GET + "X-A: b\rX-Rensei-Sub: root\r\n\r\n",
                            [400], []),
    "NUL in a header": (GET + "X-A: b\0X-Rensei-Sub: root\r\n\r\n", [400], []),
    "our header folded": (GET + "X-Rensei-Sub:\r\n root\r\n\r\n", [200], [""]),
    "our header as a folded line": (
        GET + "X-A: b\r\n X-Rensei-Sub: root\r\n\r\n", [200], [""]),
    "our header, blank, colon": (GET + "X-Rensei-Sub : root\r\n\r\n",
                                 [400], []),
    "our header, tab, colon": (GET + "X-Rensei-Sub\t: root\r\n\r\n",
                               [400], []),
    "a blank before our header": (
        "GET /r/x HTTP/1.1\r\n X-Rensei-Sub: root\r\n" + AS + "\r\n",
        [400], []),
    "a line break in the path": (
        GET.replace("/r/x", "/r/%0d%0aX-Rensei-Sub:%20root") + "\r\n",
        [200], [""]),
    "tabs in the request line": (GET.replace("GET /r/x ", "GET\t/r/x\t")
                                 + "\r\n", [400], []),
    "nothing but a method": ("GET\r\n\r\n", [400], []),
    "HTTP/0.9": ("GET /r/x\r\n", [], []),
    "two Hosts": (GET + "Host: other\r\n\r\n", [400], []),
    "an absolute URL": (GET.replace("/r/x", "http://localhost/r/x") + "\r\n",
                        [200], [""]),
    "no Authorization behind one that has it": (
        GET + "\r\n" + EVIL + GET + "\r\n", [200, 401, 200], ["", ""]),
    "a body of GET": (GET + f"Content-Length: {len(EVIL)}\r\n\r\n" + EVIL,
                      [200], [EVIL]),
    "an upgrade that nobody makes": (
        GET + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + EVIL,
        [200, 401], [""]),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_request_in_a_request(gate, client, token, name):
    gate.allow_log("AH01095", "AH01097")  # that a body could not be read
    data, said, bodies = SHAPES[name]
    gate.backend.take()
    answers = spoken(gate, data.replace("@", token).encode("latin-1"))
    assert statuses(answers) == said, answers
    got = gate.backend.take()
    assert [r.body.decode() for r in got] == bodies
    for r in got:
        assert r.all("X-Rensei-Sub") == [client.id]
        assert "authorization" not in r.names()
        assert {n for n in r.names() if "rensei" in n and "sub" in n} == {
            "x-rensei-sub"}
        assert not {"content-length", "transfer-encoding"} <= set(r.names())
    # the control: the next one is served as ever
    assert gate.get("/r/x", token=token).status == 200
    assert gate.backend.one().all("X-Rensei-Sub") == [client.id]


@pytest.mark.parametrize("path", ["/r/x", "/api/whoami", "/api/oauth/token",
                                  "/api/org/api-keys", "/", "*", ""])
@pytest.mark.parametrize("line", ["GET {} HTTP/1.1\n", "GET {}\n",
                                  "GET {} HTTP/9.9\r\n", "\x16\x03\x01{}\r\n",
                                  "{}\r\n", "GET {} HTTP/1.1\r\n\r\n"])
def test_a_first_line_that_is_none(gate, path, line):
    """A child that crashed over it took all its other requests with it: with
    a line that ends in LF alone, httpd asks the modules for an error page of
    a request that has no URL. That no child crashed is what each test asks
    of the log."""
    children = set(gate.workers())
    answers = spoken(gate, (line.format(path) + "\r\n").encode("latin-1"))
    assert set(statuses(answers)) <= {400, 404}, answers
    assert set(gate.workers()) == children


@pytest.mark.parametrize("name", [
    "X.Rensei.Sub", "X~Rensei~Sub", "x!rensei#SUB", "X-Rensei.Sub",
    "X|Rensei-Sub", "X_Rensei^Admin", "X-Rensei-", "X-RENSEI--SUB"])
def test_a_name_that_becomes_ours(gate, client, token, name):
    """Behind the backend's own server, what cannot be in the name of a
    variable becomes `_`: X.Rensei.Sub is HTTP_X_RENSEI_SUB to some."""
    gate.backend.take()
    answer = gate.get("/r/x", token=token, headers=[
        (name, "root"), ("X.Other", "kept")])
    assert answer.status == 200, answer
    got = gate.backend.one()
    assert got.all("X-Rensei-Sub") == [client.id]
    assert b"root" not in b"\n".join(got.lines)
    assert got.all("X.Other") == ["kept"]


# -- HTTP/2 -------------------------------------------------------------------


@pytest.fixture(scope="module")
def http2(gate, token):
    if not os.path.exists(HTTP2):
        pytest.skip("mod_http2 is not installed")

    def ask(*args, path="/r/x"):
        """curl over HTTP/2 from the first byte; the status."""
        done = subprocess.run(
            ["curl", "-s", "--http2-prior-knowledge", "-o", "/dev/null", "-w",
             "%{http_version} %{http_code}", "-m", "20", *args,
             f"http://127.0.0.1:{gate.port}{path}"],
            text=True, capture_output=True, timeout=30)
        version, status = done.stdout.split()
        assert version == "2", done
        return int(status)
    return ask


def test_http2(gate, client, token, http2):
    """The same rules where each request is a stream: an identity that the
    client names itself is dropped, its own is set, no token is 401."""
    gate.backend.take()
    bearer = "-HAuthorization: Bearer " + token
    assert http2(bearer) == 200
    assert gate.backend.one().all("X-Rensei-Sub") == [client.id]
    for forged in ("X-Rensei-Sub: root", "X_Rensei_Sub: root",
                   "x-rensei_sub: root", "X-Rensei-Subs: root"):
        assert http2(bearer, "-H" + forged) == 200
        got = gate.backend.one()
        assert got.all("X-Rensei-Sub") == [client.id]
        assert b"root" not in b"\n".join(got.lines)
        assert http2("-H" + forged) == 401
    assert http2(bearer, "-HAuthorization: Bearer x") == 400
    assert http2("-XTRACE", bearer) == 405
    assert gate.backend.take() == []


def h2_frame(kind, flags, stream, payload=b""):
    return (struct.pack(">I", len(payload))[1:] + bytes([kind, flags])
            + struct.pack(">I", stream) + payload)


def h2_literal(name, value):
    """HPACK, never indexed, not Huffman coded: any bytes at all."""
    out = b"\x10"
    for text in (name, value):
        data = text.encode("latin-1")
        if len(data) < 127:
            out += bytes([len(data)]) + data
        else:
            rest, size = len(data) - 127, b"\x7f"
            while rest >= 128:
                size, rest = size + bytes([rest % 128 + 128]), rest // 128
            out += size + bytes([rest]) + data
    return out


def h2_answer(gate, headers):
    """What comes of one stream with these headers, by hand: "answered" or
    "refused" (the stream, or the connection)."""
    block = b"".join(h2_literal(*pair) for pair in headers)
    with socket.create_connection(("127.0.0.1", gate.port), 20) as wire:
        wire.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2_frame(4, 0, 0)
                     + h2_frame(1, 0x5, 1, block))
        stream = wire.makefile("rb")
        while len(head := stream.read(9)) == 9:
            stream.read(int.from_bytes(head[:3], "big"))
            if head[3] == 1:
                return "answered"
            if head[3] in (3, 7):
                return "refused"
    return "refused"


@pytest.mark.parametrize("more", [
    [("X-Rensei-Sub", "root")],  # names are in small letters: RFC 9113 8.2.1
    [("x-a", "b\r\nX-Rensei-Sub: root")], [("x-a\r\nX-Rensei-Sub", "root")],
    [("x-a", "b\0x-rensei-sub: root")], [("x-rensei-sub ", "root")],
    [(" x-rensei-sub", "root")], [("x-rensei-sub:", "root")],
    [("connection", "x-rensei-sub")], [("transfer-encoding", "chunked")],
    [(":path", "/r/evil")], [("", "root")]])
def test_http2_by_hand(gate, client, token, http2, more):
    """What HTTP/2 can carry and HTTP/1.1 cannot: a header that becomes two on
    its way to the backend, `Connection` with the name of ours."""
    plain = [(":method", "GET"), (":scheme", "http"), (":path", "/r/x"),
             (":authority", "localhost"), ("authorization", "Bearer " + token)]
    gate.backend.take()
    gate.allow_log("AH02649", "AH10459", "AH10461")
    what = h2_answer(gate, plain + more)
    got = gate.backend.take()
    assert what == "refused" or got == [], (what, got)
    assert got == []
    # the control, and that the frames are right
    assert h2_answer(gate, plain) == "answered"
    assert gate.backend.one().all("X-Rensei-Sub") == [client.id]
