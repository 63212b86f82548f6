# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""A FastCGI application that answers with the parameters it was given."""

import json
import socket
import struct
import threading

BEGIN, END, PARAMS, STDIN, STDOUT = 1, 3, 4, 5, 6


def _length(data, at):
    n = data[at]
    if n < 128:
        return n, at + 1
    return struct.unpack(">I", data[at:at + 4])[0] & 0x7FFFFFFF, at + 4


def _params(data):
    out, at = {}, 0
    while at < len(data):
        name, at = _length(data, at)
        value, at = _length(data, at)
        out[data[at:at + name].decode("latin-1")] = (
            data[at + name:at + name + value].decode("latin-1"))
        at += name + value
    return out


class Fcgi:
    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.answers = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                wire, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(wire,),
                             daemon=True).start()

    def _one(self, wire):
        with wire, wire.makefile("rb") as stream:
            params = b""
            while head := stream.read(8):
                _, kind, ident, size, pad, _ = struct.unpack(">BBHHBB", head)
                body = stream.read(size)
                stream.read(pad)
                if kind == PARAMS:
                    params += body
                elif kind == STDIN and not body:
                    break
            self.answers += 1
            text = (b"Content-Type: application/json\r\n"
                    b"Cache-Control: max-age=60\r\n\r\n"
                    + json.dumps(_params(params)).encode())
            wire.sendall(b"".join(
                struct.pack(">BBHHBB", 1, kind, ident, len(body), 0, 0) + body
                for kind, body in ((STDOUT, text), (STDOUT, b""),
                                   (END, b"\0" * 8))))

    def close(self):
        self.socket.close()
