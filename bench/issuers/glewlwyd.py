# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""glewlwyd.py before ROUNDS JOURNAL: makes its database in this folder.
glewlwyd.py after PORT CLIENT SECRET KEY: makes, over its API, a plugin that
signs with HS256, the scopes, and a client."""

import gzip
import json
import re
import sqlite3
import sys
import urllib.request

SQL = "/usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz"
SCOPES = ["sessions:read", "workers:read"]
OFF = {f"auth-type-{name}-enabled": False for name in
       ("code", "token", "id-token", "none", "password", "device", "refresh")}


def before(rounds, journal):
    db = sqlite3.connect("glewlwyd.db")
    db.executescript(gzip.open(SQL, "rt").read())
    text, = db.execute(
        "SELECT gcmi_parameters FROM g_client_module_instance").fetchone()
    db.execute("UPDATE g_client_module_instance SET gcmi_parameters = ?", (
        json.dumps({**json.loads(text), "pbkdf2-iterations": int(rounds)}),))
    db.commit()
    db.execute(f"PRAGMA journal_mode={journal}")
    db.close()


def after(port, client, secret, key):
    cookie = {}

    def call(path, body):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/{path}", json.dumps(body).encode(),
            {"Content-Type": "application/json", **cookie})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.headers

    said = call("auth/", {"username": "admin", "password": "password"})
    cookie["Cookie"] = re.match("[^;]+", said["Set-Cookie"]).group(0)
    for scope in (*SCOPES, "agents:write"):
        call("scope/", {"name": scope, "display_name": scope,
                        "description": scope, "password_required": False})
    call("mod/plugin/", {"module": "oidc", "name": "oidc",
                         "display_name": "oidc", "parameters": {
        "iss": "https://bench.example", "jwt-type": "sha",
        "jwt-key-size": "256", "key": key, "cert": "",
        "access-token-duration": 3600, "refresh-token-duration": 1209600,
        "code-duration": 600, "refresh-token-rolling": True,
        "allow-non-oidc": True, **OFF, "auth-type-client-enabled": True,
        "jwks-show": True, "jwks-x5c": [], "scope": [],
        "additional-parameters": [], "claims": [],
        "service-documentation": "", "op-policy-uri": "", "op-tos-uri": "",
        "request-parameter-allow": False, "subject-type": "public",
        "address-claim": {"type": "no"}, "name-claim": "no",
        "email-claim": "no", "scope-claim": "no"}})
    call("client/", {"client_id": client, "name": "bench", "password": secret,
                     "confidential": True, "enabled": True,
                     "authorization_type": ["client_credentials"],
                     "token_endpoint_auth_method": ["client_secret_basic"],
                     "redirect_uri": ["http://localhost/"], "scope": SCOPES})


{"before": before, "after": after}[sys.argv[1]](*sys.argv[2:])
