# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""The admin API, as a program uses it."""

import time
import urllib.parse

from . import pace

READ = "sessions:read"
CLIENTS = "/api/admin/m2m-clients"
NOTICE = "credential.expiring"
NOBODY = "m2m_" + "0" * 32  # well formed, and nobody's


class Admin:
    """Calls the admin API with one key."""

    def __init__(self, gate, token, org):
        self.gate, self.token = gate, token
        self.keys = f"/api/org/{org}/keys"
        self.audit = f"/api/org/{org}/audit"

    def __call__(self, method, path, body=None, query=None, **more):
        if query:
            path += "?" + urllib.parse.urlencode(query)
        return self.gate.request(method, path, token=self.token, json=body,
                                 **more)

    def ok(self, method, path, body=None, status=200, query=None):
        answer = self(method, path, body, query)
        assert answer.status == status, answer
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.json

    def client(self, **more):
        body = {"name": "a client", "scopes": [READ], **more}
        return self.ok("POST", CLIENTS, body, 201)["client"]

    def key(self, **more):
        body = {"name": "a key", "keyType": "org", "owner": "ops",
                "scopes": [READ], **more}
        if body["keyType"] != "org" and "owner" not in more:
            del body["owner"]
        return self.ok("POST", self.keys, body, 201)

    def events(self, **query):
        """The newest first. Without the notices of what ends, which come by
        themselves, at any time, unless they are asked for."""
        found = self.ok("GET", self.audit, query=query)["events"]
        return [e for e in found if e["event"] != NOTICE or "event" in query]

    def newest(self):
        return self.events(limit=100)[0]


def invalid(answer, field):
    """A validation error that names the field."""
    assert answer.error == (400, "invalid_request"), answer
    assert answer.json.get("field") == field, answer
    assert field in answer.json["error_description"], answer


def noted(ask, seconds=pace.LIMIT):
    """What ask() gives when it is something: uses are written in batches."""
    deadline = time.monotonic() + seconds
    while not (known := ask()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return known


def now_ms():
    return int(time.time() * 1000)


def lacks(answer, scope):
    assert answer.error == (403, "insufficient_scope"), answer
    assert answer.challenge.scope == scope, answer
