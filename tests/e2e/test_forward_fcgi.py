# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Forwarding to backends that mod_proxy does not ask by HTTP, and what must
not reach any backend."""

import pytest

from harness import conf, httpd
from harness.fcgi import Fcgi

pytestmark = pytest.mark.only("sqlite", "what a backend is sent")

READ, AGENTS = "sessions:read", "agents:read"


@pytest.fixture(scope="module")
def gate(launch, world):
    application = launch.kept(Fcgi())
    stock = list(httpd.STOCK)
    httpd.STOCK += ["proxy_fcgi", "cache", "cache_disk"]
    try:
        server = launch.httpd(f"""
        CacheRoot "@DIR@/cache"
        CacheQuickHandler Off
        CacheEnable disk "/fcgi/"
        CacheEnable disk "/h/"
        ProxyPass "/fcgi/" "fcgi://127.0.0.1:{application.port}/"
        ProxyPass "/either/" "http://127.0.0.1:@BACKEND@/either/"
        """ + conf.API + conf.protected("/fcgi/", "RenseiForward On",
                                        "RenseiForwardClaim jti")
            + conf.protected(
                "/h/", "RenseiForward On", "CGIPassAuth On",
                f'SetHandler "proxy:fcgi://127.0.0.1:{application.port}/"')
            + conf.protected("/either/", "RenseiForward On",
                             "<RequireAny>", "Require ip 127.0.0.1",
                             "Require valid-user", "</RequireAny>"),
            store=world.store, backend=launch.backend(), start=False)
        (server.dir / "cache").mkdir()
        from harness import where
        where.own(server.dir / "cache")
        server.application = application
        return server.start()
    finally:
        httpd.STOCK[:] = stock


@pytest.mark.parametrize("path", ["/fcgi/x", "/h/x"])
def test_the_application_sees_the_caller(gate, world, path):
    """By ProxyPass, and by SetHandler, as PHP-FPM is set up."""
    client = world.a.client(READ)
    token = gate.token(client)
    seen = gate.get(path, token=token,
                    headers={"X-Rensei-Org": "org_evil",
                             "X_Rensei_Kind": "key"}).json
    assert seen["HTTP_X_RENSEI_SUB"] == client.id
    assert seen["HTTP_X_RENSEI_ORG"] == world.a.id
    assert seen["HTTP_X_RENSEI_KIND"] == "m2m"
    assert seen["HTTP_X_RENSEI_SCOPES"] == READ
    assert "HTTP_AUTHORIZATION" not in seen
    assert token not in str(seen)


@pytest.mark.parametrize("path", ["/fcgi/y", "/h/y"])
def test_one_callers_answer_is_not_anothers(gate, world, path):
    """mod_cache keeps what was asked for without Authorization. The request
    that goes to the application is without; the client's was not."""
    one, two = world.a.client(READ), world.b.client(AGENTS)
    first = gate.get(path, token=gate.token(one)).json
    second = gate.get(path, token=gate.token(two)).json
    assert first["HTTP_X_RENSEI_SUB"] == one.id
    assert second["HTTP_X_RENSEI_SUB"] == two.id


def test_an_unchecked_credential_stays_here(gate):
    """`Require ip` let the request in, so nobody has looked at its token; an
    application that is told to trust the gateway must not get it."""
    gate.backend.take()
    answer = gate.get("/either/x", token="a.b.c",
                      headers={"X-Rensei-Sub": "m2m_evil"})
    assert answer.status == 200
    got = b"\n".join(gate.backend.one().lines).lower()
    assert b"authorization" not in got
    assert b"x-rensei" not in got


def test_claims_as_the_application_sees_them(gate, world):
    token = gate.token(world.a.client(READ))
    seen = gate.get("/fcgi/z", token=token).json
    assert seen["HTTP_X_RENSEI_CLAIM_JTI"].startswith("tok_")
    assert gate.get("/fcgi/w", token=world.a.admin.token,
                    headers={"X-Rensei-Claim-Jti": "x"}).json.get(
                        "HTTP_X_RENSEI_CLAIM_JTI") is None
