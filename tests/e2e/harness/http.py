# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""HTTP clients: a plain one, and one that sends whatever bytes it is given."""

import base64
import http.client
import json
import re
import socket
import time
import urllib.parse

from . import known_secrets, where

TIMEOUT = 20 * where.SLOWNESS  # seconds


class Challenge:
    """One WWW-Authenticate challenge, read strictly (RFC 9110 11.6.1)."""

    PARAM = re.compile(r'([a-z_]+)="((?:[^"\\\x00-\x1f\x7f-\xff]|\\.)*)"')

    def __init__(self, text):
        self.text = text
        self.scheme, _, rest = text.partition(" ")
        self.params = {}
        at = 0
        while at < len(rest):
            found = self.PARAM.match(rest, at)
            assert found, f"bad challenge at {rest[at:]!r} of {text!r}"
            name, value = found.groups()
            assert name not in self.params, f"{name} twice in {text!r}"
            self.params[name] = re.sub(r"\\(.)", r"\1", value)
            at = found.end()
            if at < len(rest):
                assert rest[at:at + 2] == ", ", f"bad separator in {text!r}"
                at += 2

    def __getattr__(self, name):
        return self.params.get(name)


class Reply:
    """An answer, read whole."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.msg
        self.body = response.read()

    def __repr__(self):
        heads = "; ".join(f"{k}: {v}" for k, v in self.headers.items())
        return f"<{self.status} [{heads}] {self.body[:400]!r}>"

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        """The body, which must be JSON and say so."""
        kind = self.headers.get_content_type()
        assert kind in ("application/json", "application/jwk-set+json"), self
        return known_secrets.learn(json.loads(self.body))

    @property
    def challenge(self):
        """The only challenge, or None."""
        found = self.headers.get_all("WWW-Authenticate") or []
        assert len(found) <= 1, self
        return Challenge(found[0]) if found else None

    @property
    def error(self):
        """(status, error) of a JSON error, with its form checked. It may
        repeat the scope of the challenge, and name a field."""
        body = self.json
        assert set(body) <= {"error", "error_description", "field",
                             "scope"}, self
        if "scope" in body:
            assert body["scope"] == self.challenge.scope, self
        assert isinstance(body["error_description"], str), self
        assert body["error_description"], self
        return self.status, body["error"]


def _headers(token, basic, headers, body, json_body, form):
    out = list(headers.items()) if isinstance(headers, dict) else list(
        headers or [])
    if token is not None:
        out.append(("Authorization", "Bearer " + token))
    if basic is not None:
        known_secrets.add(basic[1])
        pair = ":".join(basic).encode()
        out.append(("Authorization",
                    "Basic " + base64.b64encode(pair).decode()))
    if json_body is not None:
        body = json.dumps(json_body).encode()
        out.append(("Content-Type", "application/json"))
    if form is not None:
        body = urllib.parse.urlencode(form).encode()
        out.append(("Content-Type", "application/x-www-form-urlencoded"))
    return out, body.encode() if isinstance(body, str) else body


def _next_millisecond():
    """Lists go by the millisecond in which something was made: of two that
    were made in the same one, either may come first."""
    now = time.time_ns() // 10 ** 6
    while time.time_ns() // 10 ** 6 == now:
        time.sleep(0.0002)


class Connection:
    """A connection that stays open between requests."""

    def __init__(self, port, host="localhost"):
        self.host = host
        self.wire = http.client.HTTPConnection("127.0.0.1", port,
                                               timeout=TIMEOUT)

    def request(self, method, path, *, token=None, basic=None, headers=None,
                body=None, json=None, form=None, host=None, chunked=False):
        """Sends one request and reads the answer. headers: a dict or a list
        of pairs, which may repeat a name; body, json or form; token: sent as
        Bearer; basic: (user, password); chunked: the body in chunks of 64 KB,
        its length unsaid."""
        pairs, data = _headers(token, basic, headers, body, json, form)
        self.wire.putrequest(method, path, skip_host=True,
                             skip_accept_encoding=True)
        self.wire.putheader("Host", host or self.host)
        for name, value in pairs:
            self.wire.putheader(name, value)
        if chunked:
            self.wire.putheader("Transfer-Encoding", "chunked")
        elif data is not None:
            self.wire.putheader("Content-Length", str(len(data)))
        self._send(data, chunked)
        reply = Reply(self.wire.getresponse())
        if reply.status == 201:
            _next_millisecond()
        return reply

    def _send(self, data, chunked):
        # A server that refuses a body unread closes while we still send: its
        # answer counts, not our broken pipe.
        try:
            self.wire.endheaders()
            if data is None:
                return
            if not chunked:
                self.wire.send(data)
                return
            for at in range(0, len(data), 65536):
                part = data[at:at + 65536]
                self.wire.send(b"%x\r\n%s\r\n" % (len(part), part))
            self.wire.send(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, **more):
        return self.request("POST", path, **more)

    def close(self):
        self.wire.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def raw(port, data, method="GET"):
    """Sends bytes as they are and reads one answer."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as wire:
        wire.sendall(data)
        response = http.client.HTTPResponse(wire, method=method)
        response.begin()
        return Reply(response)
