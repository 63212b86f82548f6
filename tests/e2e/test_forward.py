# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""What the backend learns of the caller, and that nobody else can tell it."""

import pytest

from harness import conf, jwt

pytestmark = pytest.mark.only("sqlite", "what a backend is sent")

READ, WRITE = "sessions:read", "sessions:write"
NAMES = ["sub", "org", "workspace", "scopes", "kind", "credential"]

PRINTENV = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
env | sort
"""

CONF = conf.API + conf.PROXY + "".join([
    conf.protected("/r/on/", "RenseiForward On"),
    conf.protected("/r/off/", "RenseiForward Off"),
    conf.protected("/r/default/"),
    conf.protected("/r/on/nested-off/", "RenseiForward Off"),
    conf.protected("/r/rewritten/", "RenseiForward On"),
    """
    <Location "/r/open/">
      RenseiForward On
      Require all granted
    </Location>
    <Location "/r/open-off/">
      Require all granted
    </Location>
    RewriteEngine On
    RewriteRule "^/r/rewritten/(.*)" "http://127.0.0.1:@BACKEND@/q/$1" [P]
    """,
    # as the environment sees it
    conf.protected("/h/", 'Header always set X-Sub "%{RENSEI_SUB}e"',
                   'Header always set X-Org "expr=%{env:RENSEI_ORG}"',
                   'Header always set X-User "expr=%{REMOTE_USER}"',
                   'Header always set X-Kind "%{RENSEI_KIND}e"'),
    """
    <Location "/h-open/">
      Header always set X-Sub "%{RENSEI_SUB}e"
    </Location>
    ScriptAlias "/cgi/" "@DIR@/cgi/"
    ScriptAlias "/cgi-open/" "@DIR@/cgi/"
    <Directory "@DIR@/cgi">
      Require all granted
      Options +ExecCGI
    </Directory>
    <Location "/cgi/">
      AuthType Bearer
      RenseiForward On
      Require valid-user
    </Location>
    """,
    conf.protected("/pages/", "RenseiForward On",
                   "DirectoryIndex first.txt second.txt index.txt",
                   "ErrorDocument 404 /pages/lost.txt"),
])


@pytest.fixture(scope="module")
def gate(launch, world):
    server = launch.httpd(CONF, store=world.store, backend=launch.backend(),
                          start=False)
    server.file("cgi/env.sh", PRINTENV, 0o755)
    (server.dir / "cgi").chmod(0o755)
    server.file("htdocs/pages/index.txt", "index\n")
    server.file("htdocs/pages/lost.txt", "lost\n")
    return server.start()


@pytest.fixture(scope="module")
def client(world):
    return world.a.client(f"{READ} {WRITE}", workspace=world.a.workspace)


@pytest.fixture(scope="module")
def token(gate, client):
    return gate.token(client)


@pytest.fixture
def send(gate):
    """Sends a request and gives what the backend received of it."""
    def request(path, method="GET", **more):
        gate.backend.take()
        answer = gate.request(method, path, **more)
        assert answer.status == 200, answer
        return gate.backend.one()
    return request


def identity(got):
    """The X-Rensei-* headers, in whatever spelling, name to values."""
    out = {}
    for line in got.lines:
        name, _, value = line.decode("latin-1").partition(":")
        name = name.lower().replace("_", "-")
        if name.startswith("x-rensei"):
            out.setdefault(name, []).append(value.strip())
    return out


def expected(world, client, token):
    return {"x-rensei-sub": [client.id], "x-rensei-org": [world.a.id],
            "x-rensei-workspace": [world.a.workspace],
            "x-rensei-scopes": [f"{READ} {WRITE}"], "x-rensei-kind": ["m2m"],
            "x-rensei-credential": [jwt.read(token)[1]["jti"]]}


# -- what is forwarded --------------------------------------------------------


def test_a_token_is_forwarded_as_an_identity(send, world, client, token):
    got = send("/r/on/x", token=token)
    assert identity(got) == expected(world, client, token)
    assert "authorization" not in got.names()


@pytest.mark.parametrize("method", ["HEAD", "POST", "DELETE", "OPTIONS"])
def test_by_every_method(send, world, client, token, method):
    got = send("/r/on/x", method, token=token, body="a body")
    assert identity(got) == expected(world, client, token)
    assert got.body == b"a body"


def test_a_key_is_forwarded_as_an_identity(send, world):
    key = world.a.key(READ)
    got = send("/r/on/x", token=key.token)
    assert identity(got) == {
        "x-rensei-sub": [key.id], "x-rensei-org": [world.a.id],
        "x-rensei-scopes": [READ], "x-rensei-kind": ["key"],
        "x-rensei-credential": [key.id]}
    assert "authorization" not in got.names()
    assert key.token.encode() not in b"\n".join(got.lines)


def test_a_proxying_rewrite_rule(send, world, client, token):
    got = send("/r/rewritten/x", token=token)
    assert identity(got) == expected(world, client, token)
    assert "authorization" not in got.names()


@pytest.mark.parametrize("path", ["/r/off/x", "/r/default/x",
                                  "/r/on/nested-off/x"])
def test_off_forwards_nothing(send, token, path):
    """Off is the default: the backend gets the credential itself, as through
    any proxy."""
    got = send(path, token=token)
    assert identity(got) == {}
    assert got.all("Authorization") == ["Bearer " + token]


def test_nobody_is_forwarded_where_nobody_was_asked(send, token):
    """No AuthType: nobody was authenticated, so nobody is told of."""
    for more in ({}, {"token": token}):
        assert identity(send("/r/open/x", **more)) == {}


def test_one_connection_two_callers(gate, world):
    """The identity belongs to the request, not to the connection."""
    clients = [world.a.client(), world.b.client()]
    tokens = [gate.token(client) for client in clients]
    gate.backend.take()
    with gate.connection() as wire:
        for n in range(6):
            assert wire.get("/r/on/x", token=tokens[n % 2]).status == 200
    for n, got in enumerate(gate.backend.take()):
        assert got.all("X-Rensei-Sub") == [clients[n % 2].id]


# -- what a client sends ------------------------------------------------------

SPELLINGS = ["X-Rensei-{}", "x-rensei-{}", "X_Rensei_{}", "X-Rensei_{}",
             "X_Rensei-{}", "x_REnsei-{}"]


@pytest.mark.parametrize("path", [
    "/r/on/x", "/r/off/x", "/r/default/x", "/r/open/x", "/r/open-off/x",
    "/r/rewritten/x"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_forged_headers(send, world, client, token, path, spelling):
    """A client that names itself. `X_Rensei_Sub` too: in a CGI or WSGI
    environment both are HTTP_X_RENSEI_SUB. On every location, or the one that
    forwards nothing is the way in."""
    forged = {spelling.format(name.capitalize()): "forged" for name in NAMES}
    forged[spelling.format("Admin")] = "forged"
    got = send(path, token=token, headers=forged)
    if path in ("/r/on/x", "/r/rewritten/x"):
        assert identity(got) == expected(world, client, token)
    else:
        assert identity(got) == {}
    assert b"forged" not in b"\n".join(got.lines)


def test_a_forged_workspace_does_not_fill_a_gap(send, world):
    """A key without a workspace: the client's own header must not stand in
    for the one that we do not set."""
    got = send("/r/on/x", token=world.a.key().token,
               headers={"X-Rensei-Workspace": world.b.workspace})
    assert "x-rensei-workspace" not in identity(got)


def test_forged_twice(send, world, client, token):
    got = send("/r/on/x", token=token, headers=[
        ("X-Rensei-Sub", "one"), ("X-Rensei-Sub", "two"),
        ("x-rensei-sub", "three")])
    assert identity(got) == expected(world, client, token)


def test_other_headers_go_through(send, token):
    got = send("/r/on/x", token=token, headers={
        "X-Renseiless": "a", "X-Request-Id": "b", "Rensei": "c",
        "Cookie": "d=e"})
    assert got.all("X-Request-Id") == ["b"]
    assert got.all("Rensei") == ["c"]
    assert got.all("Cookie") == ["d=e"]


def test_forged_trailers(gate, token):
    """Headers after a chunked body are merged by some backends."""
    gate.backend.take()
    answer = gate.raw(
        (f"POST /r/on/x HTTP/1.1\r\nHost: localhost\r\n"
         f"Authorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n"
         "Trailer: X-Rensei-Org\r\nConnection: close\r\n\r\n"
         "1\r\na\r\n0\r\nX-Rensei-Org: forged\r\n\r\n").encode(), "POST")
    assert answer.status == 200
    assert b"forged" not in b"\n".join(gate.backend.one().lines)


# -- the environment ----------------------------------------------------------


def environment(answer):
    assert answer.status == 200, answer
    return dict(line.partition("=")[::2]
                for line in answer.text.splitlines())


def test_the_environment_of_a_cgi(gate, world, client, token):
    env = environment(gate.get("/cgi/env.sh", token=token))
    assert env["REMOTE_USER"] == client.id
    assert env["AUTH_TYPE"] == "Bearer"
    assert {name: value for name, value in env.items()
            if name.startswith("RENSEI_")} == {
        "RENSEI_SUB": client.id, "RENSEI_ORG": world.a.id,
        "RENSEI_WORKSPACE": world.a.workspace,
        "RENSEI_SCOPES": f"{READ} {WRITE}", "RENSEI_KIND": "m2m",
        "RENSEI_CREDENTIAL": jwt.read(token)[1]["jti"]}
    assert "HTTP_AUTHORIZATION" not in env
    assert token not in "".join(env.values())


def test_the_environment_for_a_key(gate, world):
    key = world.a.key(READ)
    env = environment(gate.get("/cgi/env.sh", token=key.token))
    assert env["REMOTE_USER"] == key.id
    assert env["RENSEI_KIND"] == "key"
    assert env["RENSEI_CREDENTIAL"] == key.id
    assert not env.get("RENSEI_WORKSPACE")


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_forged_headers_in_a_cgi(gate, client, token, spelling):
    """HTTP_X_RENSEI_SUB is what a script would trust."""
    forged = {spelling.format(name.capitalize()): "forged" for name in NAMES}
    env = environment(gate.get("/cgi/env.sh", token=token, headers=forged))
    assert "forged" not in env.values()
    assert env["RENSEI_SUB"] == client.id
    env = environment(gate.get("/cgi-open/env.sh", headers=forged))
    assert "forged" not in env.values()
    assert not any(name.startswith("RENSEI_") for name in env)


def test_headers_and_expressions_see_it(gate, world, client, token):
    answer = gate.get("/h/", token=token)
    assert answer.headers["X-Sub"] == client.id
    assert answer.headers["X-Org"] == world.a.id
    assert answer.headers["X-User"] == client.id
    assert answer.headers["X-Kind"] == "m2m"
    assert gate.get("/h-open/", token=token).headers["X-Sub"] == "(null)"


def test_a_refusal_leaves_no_identity(gate, world):
    """A credential that did not pass must not be told of as one that did."""
    dead = world.a.client()
    token = gate.token(dead)
    answer = gate.request("DELETE", f"/api/admin/m2m-clients/{dead.id}",
                          token=world.a.admin.token)
    assert answer.status == 200
    answer = gate.get("/h/", token=token)
    assert answer.status == 401
    assert answer.headers["X-Sub"] == "(null)"
    assert answer.headers["X-User"] == ""


def test_the_access_log_names_the_caller(gate, client, token):
    since = len(gate.access())
    gate.get("/r/on/logged", token=token)
    gate.get("/r/on/logged")
    lines = gate.wait_for_access("/r/on/logged", 2, since)
    lines.sort(key=lambda line: line.endswith(" -"))
    # %u, and our own variable at the end
    assert f" {client.id} [" in lines[0] and lines[0].endswith(client.id)
    assert lines[1].endswith(" -")


# -- subrequests and internal redirects ---------------------------------------


def test_a_directory_index(gate, token):
    """mod_dir looks for each index by a subrequest."""
    answer = gate.get("/pages/", token=token)
    assert (answer.status, answer.text) == (200, "index\n")
    assert gate.get("/pages/").status == 401


def test_an_error_document_behind_the_same_lock(gate, token):
    answer = gate.get("/pages/nothing", token=token)
    assert (answer.status, answer.text) == (404, "lost\n")
    assert gate.get("/pages/nothing").status == 401
