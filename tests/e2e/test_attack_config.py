# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Configurations that would let somebody in: each is refused before the server
starts, with the words that say why, and the one meant instead is accepted."""

import pytest

from harness import conf, where
from harness.admin import CLIENTS

pytestmark = pytest.mark.only(
    "sqlite", "what a configuration says, before there is a store")

DBD = 'DBDriver sqlite3\nDBDParams "@DIR@/store.db"\n'


@pytest.fixture(scope="module")
def check(launch):
    def run(text):
        server = launch.httpd(text, start=False, dbd=DBD)
        server.file("store.db", "", 0o600)
        server.file("good", "a secret that is long enough to be one, really",
                    0o600, owner=not where.AS_ROOT)
        return server.configtest()
    return run


@pytest.fixture(scope="module")
def refused(check):
    def run(text, *words):
        ok, said = check(text)
        assert not ok, f"accepted: {text}"
        for word in words:
            assert word in said, f"no {word!r} in: {said}"
    return run


@pytest.fixture(scope="module")
def accepted(check):
    def run(text):
        ok, said = check(text)
        assert ok, said
    return run


def forward(*lines):
    return conf.protected("/r/", "RenseiForward On", *lines)


@pytest.mark.parametrize("lines", [
    ("RenseiForwardClaim a-b a_b",), ("RenseiForwardClaim a_b a-b",),
    ("RenseiForwardClaim Role role",), ("RenseiForwardClaim x-Y X_y",),
    ("RenseiForwardClaim a-b", "RenseiForwardClaim other a_b")])
def test_two_claims_in_one_variable(refused, accepted, lines):
    """`a-b` and `a_b` are both RENSEI_CLAIM_A_B. Whoever may choose a claim
    that nobody looks at (by his client's metadata) fills the variable of the
    one that decides."""
    refused(forward(*lines), "RenseiForwardClaim", "RENSEI_CLAIM_")
    accepted(forward("RenseiForwardClaim a-b a-c", "RenseiForwardClaim ab"))
    # once more the same is the same; and each location has its own
    accepted(forward("RenseiForwardClaim a-b a-b"))
    accepted(forward("RenseiForwardClaim a-b")
             + conf.protected("/s/", "RenseiForwardClaim a_b"))


OPEN = """
<Location "/api/admin/">
  SetHandler rensei-admin
  Require all granted
</Location>
"""


def vhost(text):
    return f"<VirtualHost *:@PORT@>\nServerName x\n{text}</VirtualHost>\n"


def test_an_admin_api_that_asks_nobody(refused, accepted):
    """SetHandler rensei-admin, and no AuthType: the handler denies every
    request (RS0151), but that shows only when somebody calls. Where AuthType
    stands does not matter: sections merge by what a request asks for."""
    words = "rensei-admin", "AuthType Bearer"
    refused(OPEN, *words)
    refused(OPEN.replace("rensei-admin", '"rensei-admin"'), *words)
    refused(OPEN + conf.protected("/x").replace("Bearer", "Basic"), *words)
    # another virtual host's AuthType is of no use in this one
    refused(vhost(OPEN) + vhost(conf.protected("/x")), *words)
    accepted(conf.ADMIN)
    accepted(OPEN + '<Location "/api/">\nAuthType Bearer\n</Location>\n')
    accepted(vhost(OPEN) + conf.protected("/api/"))
    accepted(OPEN + vhost(conf.protected("/api/")))
    accepted(OPEN + '<Location "/api/">\nAuthType "%{env:HOW}"\n</Location>\n')


BY_TOKEN = """
<Location "/api/admin/">
  SetHandler rensei-admin
  AuthType Bearer
  RenseiAccept m2m
  RenseiAdminTokens On
  Require rensei-client m2m_00000000000000000000000000000000
</Location>
"""


def test_administrators_that_cannot_be_revoked(refused, accepted):
    """With RenseiRevocation expiry a token counts until it expires, whatever
    became of its client: a leaked one would go on making clients after it was
    revoked."""
    words = "RenseiAdminTokens", "RenseiRevocation"
    expiry = "RenseiRevocation expiry\n"
    refused(expiry + BY_TOKEN, *words)
    refused(BY_TOKEN + expiry, *words)
    refused(vhost(expiry + BY_TOKEN), *words)
    refused(expiry + vhost(BY_TOKEN), *words)
    accepted(BY_TOKEN)
    accepted(expiry + BY_TOKEN.replace("Tokens On", "Tokens Off"))
    accepted(vhost(BY_TOKEN) + vhost(expiry))
    # in a virtual host that has it from the main server it does not count
    accepted(BY_TOKEN + vhost(expiry))


def test_tokens_that_are_not_asked_about_administer_nothing(launch, world):
    """The lines of the main server hold in each virtual host: in the one with
    RenseiRevocation expiry, a revoked client's token still counts, but makes
    no clients."""
    client = world.a.client()
    line = "Require rensei-client " + client.id
    gate = launch.httpd(
        conf.TOKEN + BY_TOKEN.replace("Require rensei-client m2m_" + "0" * 32,
                                      line)
        + conf.WHOAMI + vhost("") + "<VirtualHost *:@PORT@>\n"
        "ServerName edge.test\nRenseiRevocation expiry\n</VirtualHost>\n",
        store=world.store)
    token, body = gate.token(client), {"name": "x",
                                       "scopes": ["sessions:read"]}
    for host, status in (("x", 201), ("edge.test", 403)):
        answer = gate.post(CLIENTS, token=token, json=body, host=host)
        assert answer.status == status, answer
        assert gate.get("/api/whoami", token=token, host=host).status == 200
