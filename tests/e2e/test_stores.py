# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Virtual hosts with stores of their own, in one process with one cache."""

import pytest

from harness import conf

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
    import time
    key = two.b.key(two.orgs[1], "k", READ)
    for _ in range(6):
        assert two.get("/me/x", token=key.token, host="b.example").status == 200
    two.b.ctl("org", "api-keys", "revoke", key.id)
    deadline = time.monotonic() + 3
    while two.get("/me/x", token=key.token, host="b.example").status != 401:
        assert time.monotonic() < deadline
        time.sleep(0.05)
