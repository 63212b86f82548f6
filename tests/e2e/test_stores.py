# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Virtual hosts with stores of their own, in one process with one cache."""

import threading
import time

import pytest

from harness import conf
from harness.pace import wait_for

READ = "sessions:read"


@pytest.fixture(scope="module")
def two(launch):
    """One server, store a for its main part, store b for b.example; the same
    secret, issuer and audience."""
    a, b = launch.store(), launch.store()
    server = launch.httpd(conf.API + f"""
        <VirtualHost *:@PORT@>
          ServerName localhost
        </VirtualHost>
        <VirtualHost *:@PORT@>
          ServerName b.example
          DBDParams "{b.params}"
          {conf.TOKEN}
          {conf.protected("/me/", "SetHandler rensei-whoami",
                          "RenseiAccept m2m key client-secret")}
        </VirtualHost>""", store=a, children=2)
    server.a, server.b = a, b
    server.orgs = a.org("acme"), b.org("acme")
    return server


def test_what_one_store_knows_is_nothing_to_the_other(two):
    """The cache is the process's: were it asked by the credential alone, a
    key of store a would pass at b once a has seen it, and one that b revoked
    would live on through a's copy."""
    client = two.a.client(two.orgs[0], "c", READ)
    key = two.a.key(two.orgs[0], "k", READ)
    token = two.token(client)
    for credential in (token, key.token):
        for _ in range(6):
            answer = two.get("/me/x", token=credential, host="b.example")
            assert answer.error == (401, "invalid_token")
            assert two.get("/api/whoami", token=credential).status == 200
    assert two.get("/me/x", basic=tuple(client),
                   host="b.example").status == 401


def test_each_store_serves_its_own(two):
    key = two.b.key(two.orgs[1], "k", READ)
    for _ in range(6):
        assert two.get("/me/x", token=key.token, host="b.example").status == 200
        assert two.get("/api/whoami", token=key.token).status == 401


def test_a_change_in_the_second_store_is_followed(two):
    """renseictl tells nobody: the change sequence of each store is polled."""
    key = two.b.key(two.orgs[1], "k", READ)
    for _ in range(6):
        assert two.get("/me/x", token=key.token, host="b.example").status == 200
    two.b.ctl("org", "api-keys", "revoke", key.id)
    wait_for(lambda: two.get("/me/x", token=key.token,
                             host="b.example").status == 401)


@pytest.mark.only("pgsql", "while one SQLite file is locked, its driver lets "
                  "nobody in the process work with another")
def test_tokens_of_both_at_the_same_time(two):
    """Those that are issued at the same time are recorded in one transaction:
    which is one store's. b.example says nothing of tokens for itself, so that
    httpd gives it the main server's settings, the very struct."""
    a = two.a.client(two.orgs[0], "many", READ)
    b = two.b.client(two.orgs[1], "many", READ)
    good = []
    threads = [threading.Thread(target=lambda: good.append(two.token(a)))
               for _ in range(8)]
    with two.a.hold():
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        for _ in range(8):
            assert two.token(b, host="b.example")
    for thread in threads:
        thread.join(30)
    assert len(good) == 8
    for kept, org, client in zip((two.a, two.b), two.orgs, (a, b)):
        events = kept.ctl("audit", "--org", org, "--limit", "500")["events"]
        assert len([e for e in events if e["target"] == client.id and
                    e["event"] == "m2m.token_issued"]) == 8
