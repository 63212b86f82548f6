# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Traps of httpd and of its database drivers: each was seen in a running
module, and each must stay shut."""

import os
import signal
import subprocess
import threading
import time

import pytest

from harness import conf, jwt, known_secrets, where
from harness.pace import wait_for

READ = "sessions:read"


# -- 1: authorization is skipped on an internal redirect ----------------------

TENANTS = conf.API + """
RewriteEngine On
<LocationMatch "^/tenants/(?<org>[^/]+)/">
  AuthType Bearer
  Require rensei-org %{env:MATCH_ORG}
  RewriteEngine On
  RewriteRule "hop-to-([^/]+)$" "/tenants/$1/secret.txt" [L]
</LocationMatch>
<Location "/tenants/">
  ErrorDocument 404 /tenants/@B@/secret.txt
  DirectoryIndex index.txt /tenants/@B@/secret.txt
</Location>
"""


@pytest.fixture(scope="module")
def tenants(launch, world):
    server = launch.httpd(TENANTS.replace("@B@", world.b.id),
                          store=world.store, start=False)
    for org in (world.a, world.b):
        (server.dir / "htdocs/tenants" / org.id).mkdir(parents=True)
        server.file(f"htdocs/tenants/{org.id}/secret.txt",
                    f"the secret of {org.name}\n")
        (server.dir / "htdocs/tenants" / org.id / "folder").mkdir()
    return server.start()


def test_internal_redirect_to_another_tenant(tenants, world):
    """Providers registered with AP_AUTH_INTERNAL_PER_CONF are not asked again
    when an internal redirect ends in an equal per-directory configuration:
    inside one LocationMatch, tenant a's token read tenant b's file."""
    a, b = world.a, world.b
    token = tenants.token(a.client())
    hop = f"/tenants/{a.id}/hop-to-"
    answer = tenants.get(hop + b.id, token=token)
    assert answer.status == 403, answer
    assert b.name not in answer.text
    # to one's own it works, and so does the direct way
    answer = tenants.get(hop + a.id, token=token)
    assert (answer.status, answer.text) == (200, "the secret of acme\n")
    answer = tenants.get(f"/tenants/{a.id}/secret.txt", token=token)
    assert answer.text == "the secret of acme\n"
    assert tenants.get(f"/tenants/{b.id}/secret.txt",
                       token=token).status == 403
    assert tenants.get(hop + b.id).status == 401


def test_a_key_that_hops(tenants, world):
    a, b = world.a, world.b
    key = a.key().token
    assert tenants.get(f"/tenants/{a.id}/hop-to-{b.id}",
                       token=key).status == 403
    assert tenants.get(f"/tenants/{a.id}/hop-to-{a.id}",
                       token=key).status == 200


def test_an_error_document_of_another_tenant(tenants, world):
    """ErrorDocument and DirectoryIndex are internal redirects too."""
    a, b = world.a, world.b
    token = tenants.token(a.client())
    for path in ("nothing-here", "folder/"):
        answer = tenants.get(f"/tenants/{a.id}/{path}", token=token)
        assert b.name not in answer.text, answer
    own = tenants.token(b.client())
    answer = tenants.get(f"/tenants/{b.id}/nothing-here", token=own)
    assert (answer.status, answer.text) == (404, "the secret of bolt\n")


# -- 3: prepared statements die when another connection changes the schema ----


def test_a_schema_change_while_the_server_runs(launch_here):
    """The sqlite3 driver prepares in the old way: after any schema change by
    another connection its statements fail for good. Here somebody adds and
    drops tables, while tokens go on without one failure."""
    store = launch_here.store()
    org = store.org("acme")
    client, key = store.client(org, "c", READ), store.key(org, "k", READ)
    server = launch_here.httpd(conf.API, store=store, children=2)

    def works():
        with server.connection() as wire:
            token = server.token(client)
            for good in (token, key.token):
                answer = wire.get("/api/whoami", token=good)
                assert answer.status == 200, answer

    for _ in range(10):  # every connection of the pools has its statements
        works()
    for change in ("CREATE TABLE another_program (x BIGINT)",
                   "ALTER TABLE another_program ADD COLUMN y BIGINT",
                   "CREATE INDEX another_index ON another_program (x)",
                   "DROP TABLE another_program", "VACUUM", "ANALYZE"):
        wire = store.connect()
        wire.execute(change)
        wire.close()
        for _ in range(10):
            works()


def test_a_schema_change_under_load(launch_here):
    store = launch_here.store()
    org = store.org("acme")
    client = store.client(org, "c", READ)
    server = launch_here.httpd(conf.API, store=store, children=2)
    form = {"grant_type": "client_credentials", "client_id": client.id,
            "client_secret": client.secret}
    done = threading.Event()
    answers = []

    def ask():
        with server.connection() as wire:
            while not done.is_set():
                answers.append(wire.post("/api/oauth/token",
                                         form=form).status)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(6):
        wire = store.connect()
        wire.execute(f"CREATE TABLE other_{n} (x BIGINT)")
        wire.close()
        since = len(answers)
        time.sleep(0.15)
        wait_for(lambda: len(answers) > since + 4)
    done.set()
    for thread in threads:
        thread.join(30)
    assert set(answers) == {200}, {s: answers.count(s) for s in set(answers)}


# -- 4: an error on a graceful restart ends the server ------------------------


def rotated(launch_here, secret, first="file:@DIR@/secret"):
    """A server without a store whose secret is in a file."""
    server = launch_here.httpd(
        f"RenseiSecret {first}\nRenseiRevocation expiry\n"
        + conf.protected("/api/whoami", "SetHandler rensei-whoami",
                         "RenseiAccept m2m"),
        start=False, env={"M2M_JWT_SECRET": None})
    server.file("secret", secret, 0o600, owner=not where.AS_ROOT)
    return server.start()


def accepts(server, secret):
    token = jwt.mint(secret, jwt.claims("m2m_" + "a" * 32, "org_x", [READ]))
    answers = {server.get("/api/whoami", token=token).status
               for _ in range(6)}
    assert len(answers) == 1, answers
    return answers == {200}


FIRST = known_secrets.add("the first secret, which is long enough to be one")
SECOND = known_secrets.add("the second secret, and this one is longer still")


@pytest.mark.parametrize("spoil", ["missing", "short", "readable", "empty",
                                   "folder", "symlink"])
def test_a_secret_spoilt_before_a_graceful_restart(launch_here, spoil):
    """An error returned from post_config on a graceful restart ends the
    running server. It must go on with the secret it had, and say so in the
    log; the next good restart takes the new one."""
    server = rotated(launch_here, FIRST)
    path = server.dir / "secret"
    assert accepts(server, FIRST)
    if spoil == "missing":
        path.unlink()
    elif spoil == "short":
        path.write_text("too short")
    elif spoil == "empty":
        path.write_text("")
    elif spoil == "readable":
        path.write_text(SECOND)
        path.chmod(0o644)
    elif spoil == "folder":
        path.unlink()
        path.mkdir()
    elif spoil == "symlink":
        path.unlink()
        server.file("elsewhere", SECOND, 0o600, owner=not where.AS_ROOT)
        path.symlink_to(server.dir / "elsewhere")
    server.expect_log("RS0")
    server.graceful()
    assert accepts(server, FIRST)
    assert not accepts(server, SECOND)
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    server.file("secret", SECOND, 0o600, owner=not where.AS_ROOT)
    server.graceful()
    assert accepts(server, SECOND)
    assert not accepts(server, FIRST)


def test_rotation_by_a_graceful_restart(launch_here):
    server = rotated(launch_here, FIRST)
    server.file("secret", SECOND, 0o600, owner=not where.AS_ROOT)
    assert accepts(server, FIRST) and not accepts(server, SECOND)
    server.graceful()
    assert accepts(server, SECOND) and not accepts(server, FIRST)


def test_the_environments_secret_survives_restarts(launch_here, world):
    """It is wiped from the environment at the first start, so the second
    start must not look for it there."""
    server = launch_here.httpd(conf.API, store=world.store, children=1)
    client = world.a.client()
    token = server.token(client)
    for _ in range(3):
        server.graceful()
        assert server.get("/api/whoami", token=token).status == 200
        assert server.get("/api/whoami",
                          token=server.token(client)).status == 200


def test_a_secret_that_is_wrong_at_the_first_start(launch_here):
    """There nothing runs yet: httpd must not start, with a status other than
    0 that the operator's service manager sees. (In the second pass of the
    configuration it is detached, and exits 0.)"""
    server = launch_here.httpd(
        "RenseiSecret file:@DIR@/secret\n" + conf.TOKEN,
        dbd='DBDriver sqlite3\nDBDParams "/nonexistent"\n', start=False)
    server.file("secret", "too short", 0o600, owner=not where.AS_ROOT)
    server.write()
    done = subprocess.run(server.command("-k", "start"), env=server.env,
                          text=True, capture_output=True, timeout=30)
    pidfile = server.dir / "httpd.pid"
    if pidfile.exists():  # it runs, detached
        os.kill(int(pidfile.read_text()), signal.SIGTERM)
    assert done.returncode != 0, done
    assert f"{server.dir}/secret" in done.stderr
    assert not pidfile.exists()


# -- children that end --------------------------------------------------------


def test_children_end_while_they_write(launch_here):
    """A thread that still has a connection to the store while its child ends:
    mod_dbd's pool is taken down under it, which APR asserts (reslist_cleanup)
    or which crashes. Nothing fails for a client, only the log tells. Here
    another program holds the store's lock, so that whoever writes is still
    at it when the children end."""
    store = launch_here.store()
    org = store.org("acme")
    key = store.key(org, "k", READ)
    server = launch_here.httpd(conf.WHOAMI, store=store, children=4)
    server.allow_log("RS0")  # that the store is locked
    for n in range(8):
        for _ in range(12):
            assert server.get("/api/whoami", token=key.token).status == 200
        with store.hold():
            time.sleep(0.25 + n * 0.04)
            server.graceful()
            time.sleep(0.2)
    server.stop()
    said = server.log() + server.console()
    assert "exit signal" not in said and "Assertion" not in said, [
        line for line in said.splitlines()
        if "exit signal" in line or "Assertion" in line]


# -- 5: a hop-by-hop header takes the identity away ---------------------------


@pytest.fixture(scope="module")
def proxy(launch, world):
    return launch.httpd(
        conf.API + conf.PROXY + conf.protected("/r/", "RenseiForward On"),
        store=world.store, backend=launch.backend())


@pytest.mark.parametrize("connection", [
    "X-Rensei-Sub", "x-rensei-sub", "X_Rensei_Sub", "x_rensei_org",
    "X-Rensei-Org, X-Rensei-Sub", "close, X-Rensei-Org",
    "keep-alive,X-Rensei-Sub,X-Rensei-Org,X-Rensei-Scopes,X-Rensei-Kind",
    "X-Rensei-Sub ;x", "x-rensei-workspace\t, X-RENSEI-ORG", ",,X-Rensei-Sub",
    '"X-Rensei-Sub"', "X-Rensei-Credential", "upgrade, x-rensei_sub"])
def test_connection_names_our_headers(proxy, world, connection):
    """`Connection: X-Rensei-Sub` makes a proxy drop that header on its way
    (RFC 9110 7.6.1): a backend that takes "no identity" for "internal call"
    is then open."""
    client = world.a.client()
    token = proxy.token(client)
    proxy.backend.take()
    answer = proxy.get("/r/x", token=token,
                       headers={"Connection": connection})
    assert answer.status == 200, answer
    got = proxy.backend.one()
    assert got.all("X-Rensei-Sub") == [client.id]
    assert got.all("X-Rensei-Org") == [world.a.id]
    assert got.all("X-Rensei-Kind") == ["m2m"]
    assert got.all("X-Rensei-Scopes") == [READ]
    assert got.all("X-Rensei-Credential")


def test_two_connection_headers(proxy, world):
    client = world.a.client()
    token = proxy.token(client)
    proxy.backend.take()
    answer = proxy.get("/r/x", token=token, headers=[
        ("Connection", "X-Rensei-Sub"), ("Connection", "X-Rensei-Org")])
    assert answer.status == 200
    got = proxy.backend.one()
    assert got.all("X-Rensei-Sub") == [client.id]
    assert got.all("X-Rensei-Org") == [world.a.id]


def test_connection_names_authorization(proxy, world):
    """The credential must not get lost before we look at it, nor reach the
    backend."""
    token = proxy.token(world.a.client())
    proxy.backend.take()
    answer = proxy.get("/r/x", token=token,
                       headers={"Connection": "Authorization"})
    assert answer.status == 200
    assert "authorization" not in proxy.backend.one().names()


def test_other_connection_options_still_work(proxy, world):
    """What the client may rightly name is dropped as ever."""
    token = proxy.token(world.a.client())
    proxy.backend.take()
    answer = proxy.get("/r/x", token=token, headers={
        "Connection": "X-Hop", "X-Hop": "1", "X-Stay": "2"})
    assert answer.status == 200
    got = proxy.backend.one()
    assert got.all("X-Hop") == [] and got.all("X-Stay") == ["2"]
