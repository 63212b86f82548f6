# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Other ways to what is protected than its own door: httpd's internal
redirects and subrequests, other spellings of its path, other methods. Each
test: the way, that it ends at the lock, and that with the right credential it
leads where it should."""

import pytest

from harness import conf, where
from harness.admin import CLIENTS

pytestmark = pytest.mark.only("sqlite", "httpd's ways, whatever the store")

SECRET = "what only a has\n"

LOAD = "".join(
    f'LoadModule {name}_module "{where.modules_dir()}/mod_{name}.so"\n'
    for name in ("include", "negotiation", "speling", "autoindex"))

PLACES = r"""
RewriteEngine On
RewriteRule "^/file$" "/vault/secret.txt" [L]
RewriteRule "^/door-pt$" "/locked/secret.txt" [PT]
RewriteRule "^/door-proxy$" "http://127.0.0.1:@PORT@/locked/secret.txt" [P]
Alias "/alias/" "@DIR@/htdocs/vault/"
AddType text/plain .txt
<Directory "@DIR@/htdocs/open">
  Options +Includes +MultiViews +Indexes +FollowSymLinks
  AddOutputFilter INCLUDES .shtml
  DirectoryIndex disabled
  ErrorDocument 404 /locked/secret.txt
</Directory>
<Directory "@DIR@/htdocs/index">
  DirectoryIndex missing.txt /locked/secret.txt
</Directory>
<Directory "@DIR@/htdocs/locked">
  Options +MultiViews
  AcceptPathInfo On
  CheckSpelling On
</Directory>
<Directory "@DIR@/htdocs/fallback">
  FallbackResource /locked/secret.txt
</Directory>
Action attack-action /locked/secret.txt virtual
<Location "/acted">
  SetHandler attack-action
</Location>
AllowEncodedSlashes On
"""


@pytest.fixture(scope="module")
def gate(launch, world):
    server = launch.httpd(
        LOAD + conf.API + conf.PROXY + PLACES
        + conf.protected("/locked/", f"Require rensei-org {world.a.id}")
        + conf.protected("@DIR@/htdocs/vault", f"Require rensei-org "
                         f"{world.a.id}", tag="Directory")
        + conf.protected("/r/locked/", f"Require rensei-org {world.a.id}",
                         "RenseiForward On")
        + conf.protected("^/r/[mM]atched/", f"Require rensei-org {world.a.id}",
                         tag="LocationMatch"),
        store=world.store, backend=launch.backend(), start=False)
    for name in ("locked", "vault"):
        server.file(f"htdocs/{name}/secret.txt", SECRET)
    server.file("htdocs/open/page.shtml",
                '[<!--#include virtual="/locked/secret.txt" -->]'
                '[<!--#include file="../locked/secret.txt" -->]'
                '[<!--#fsize virtual="/locked/secret.txt" -->]\n')
    server.file("htdocs/open/plain.txt", "open\n")
    for name in ("index", "fallback"):
        server.file(f"htdocs/{name}/other.txt", "open\n")
    return server.start()


@pytest.fixture(scope="module")
def tokens(gate, world):
    return {None: 401, gate.token(world.b.client()): 403}


@pytest.fixture(scope="module")
def good(gate, world):
    return gate.token(world.a.client())


def only_a(gate, tokens, good, path, status=200):
    """Without a credential it is 401, with b's 403, and a's leads in."""
    for token, refused in tokens.items():
        answer = gate.get(path, token=token)
        assert answer.status == refused, answer
        assert SECRET.strip() not in answer.text
    answer = gate.get(path, token=good)
    assert (answer.status, answer.text) == (status, SECRET), answer


@pytest.mark.parametrize("path", [
    "/locked/secret.txt", "/door-pt", "/door-proxy", "/index/",
    "/fallback/nothing", "/acted/x", "/locked/secret", "/locked/secert.txt"])
def test_an_internal_redirect(gate, tokens, good, path):
    """mod_rewrite, DirectoryIndex, FallbackResource, Action, content
    negotiation and mod_speling each end at another URL than was asked for,
    and ask that one's lock."""
    if path == "/locked/secert.txt":  # an external one, to look at first
        for token, status in {**tokens, good: 301}.items():
            assert gate.get(path, token=token).status == status
        return
    only_a(gate, tokens, good, path)


@pytest.mark.parametrize("path", ["/vault/secret.txt", "/file",
                                  "/alias/secret.txt"])
def test_a_file_by_other_urls(gate, tokens, good, path):
    """<Location> locks a URL. Where Alias or a RewriteRule without [PT] lead
    to the same file, <Directory> locks all of them."""
    only_a(gate, tokens, good, path)


def test_an_error_document(gate, tokens, good):
    """ErrorDocument shows a page to whoever makes the error."""
    for token in tokens:
        answer = gate.get("/open/nothing", token=token)
        assert answer.status in (401, 403, 404)
        assert SECRET.strip() not in answer.text
    assert gate.get("/open/nothing", token=good).text == SECRET


def test_server_side_includes(gate, tokens, good):
    """A page that anybody may read includes one that he may not: by URL, as a
    file, or its size alone."""
    gate.allow_log("unable to include", "AH01339")
    for token in tokens:
        answer = gate.get("/open/page.shtml", token=token)
        assert answer.status == 200
        assert SECRET.strip() not in answer.text, answer
        assert "16" not in answer.text, answer
    answer = gate.get("/open/page.shtml", token=good)
    assert f"[{SECRET}]" in answer.text, answer
    assert gate.get("/open/plain.txt").text == "open\n"


def test_a_list_of_what_is_there(gate, tokens, good):
    """mod_autoindex asks about each entry of a folder."""
    assert gate.get("/locked/").status == 401
    assert "secret" not in gate.get("/locked/?C=N;O=D").text


# -- other spellings of a path ------------------------------------------------

SAME = ["/r//locked/x", "//r/locked/x", "/r/./locked/x", "/r/a/../locked/x",
        "/r/%6cocked/x", "/r/%6Cocked/x", "/%72/locked/x", "/r/%2e/locked/x",
        "/r/a/%2e%2e/locked/x", "/r/a/.%2e/locked/x", "/r/locked//x",
        "/r/locked/./x", "/r/locked/%78", "/r/locked/a/../x",
        "/r/locked/x?y", "/r/locked/?", "/r/locked/x%20", "/r/locked/x.",
        "/r/open/..%2flocked/x", "/r%2flocked/x", "/r/open%2f%2e%2e/locked/x"]
OTHER = ["/r/LOCKED/x", "/r/locked;x/y", "/r/locked%3bx", "/r/locked",
         "/r/lock%65d%20/x"]
NEVER = ["/r/locked/%00x", "/r/%00/locked/x", "/r/locked/../../../x",
         "/r/locked/%zz", "/r/locked/%", "r/locked/x", "\\r\\locked\\x"]


@pytest.mark.parametrize("path", SAME)
def test_another_spelling(gate, tokens, good, path):
    """Two names of one resource: the one that the lock does not know is the
    way in. What goes on to the backend was behind the lock."""
    gate.backend.take()
    for token, status in tokens.items():
        answer = gate.get(path, token=token)
        assert answer.status == status, answer
    assert gate.backend.take() == []
    answer = gate.get(path, token=good)
    assert answer.status == 200, answer
    assert gate.backend.one().all("X-Rensei-Sub")


@pytest.mark.parametrize("path", OTHER)
def test_another_resource(gate, path):
    """URLs are compared in their case, and `;` is a character like others:
    these are other resources to httpd. A backend to which they are the same
    needs its lock written for that, as the next test does."""
    gate.backend.take()
    assert gate.get(path).status == 200
    assert not gate.backend.one().path.startswith("/r/locked/")


def test_a_lock_for_both_cases(gate, tokens, good):
    for path in ("/r/matched/x", "/r/Matched/x"):
        for token, status in tokens.items():
            assert gate.get(path, token=token).status == status
        assert gate.get(path, token=good).status == 200


@pytest.mark.parametrize("path", NEVER)
def test_a_path_that_is_none(gate, good, path):
    gate.allow_log("AH10244", "AH00026", "AH10508")
    gate.backend.take()
    answer = gate.get(path, token=good)
    assert answer.status in (400, 404), answer
    assert gate.backend.take() == []


@pytest.mark.parametrize("path", [
    "/api//admin/m2m-clients", "/api/./admin/m2m-clients",
    "/api/%61dmin/m2m-clients", "/api/admin/m2m-clients/",
    "/api/admin/m2m-clients//", "/api/ADMIN/m2m-clients",
    "/api/admin/m2m-clients;x", "/api/admin%2fm2m-clients",
    "/api/admin/m2m-clients/%2e"])
def test_the_admin_api_by_another_name(gate, world, path):
    """Never more than under its own, and never to anybody."""
    answer = gate.get(path)
    assert answer.status in (401, 404), answer
    answer = gate.get(path, token=gate.token(world.a.client()))
    assert answer.status in (403, 404), answer
    answer = gate.get(path, token=world.a.admin.token)
    assert answer.status in (200, 404), answer
    if answer.status == 200:
        assert all(c["orgId"] == world.a.id for c in answer.json["clients"])


# -- other methods ------------------------------------------------------------


@pytest.mark.parametrize("method", [
    "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "PROPFIND", "MKCOL",
    "SEARCH", "PURGE", "get", "Get", "X" * 100])
def test_another_method(gate, tokens, good, method):
    """No method, known or not, is less locked than GET."""
    gate.backend.take()
    for token, status in tokens.items():
        answer = gate.request(method, "/r/locked/x", token=token)
        assert answer.status == status, answer
    assert gate.backend.take() == []
    assert gate.request(method, "/r/locked/x", token=good).status == 200
    assert gate.backend.one().all("X-Rensei-Sub")


@pytest.mark.parametrize("name", [
    "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_a_method_in_a_header(gate, world, name):
    """A client is not revoked by a GET that says it is a DELETE."""
    client = world.a.client()
    answer = gate.get(f"{CLIENTS}/{client.id}", token=world.a.admin.token,
                      headers={name: "DELETE"})
    assert answer.json["client"]["status"] == "active"
    answer = gate.request("POST", f"{CLIENTS}/{client.id}?_method=DELETE",
                          token=world.a.admin.token, json={})
    assert answer.status == 405
    assert gate.token(client)


def test_trace(gate, good):
    for path in ("/r/locked/x", "/locked/secret.txt", "/api/whoami", "/"):
        answer = gate.request("TRACE", path, token=good)
        assert answer.status == 405
        assert good not in answer.text


@pytest.mark.parametrize("name", [
    "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix",
    "X-Forwarded-Uri", "Destination", "Content-Location"])
def test_a_path_in_a_header(gate, tokens, name):
    """What other gateways take for the path that is meant."""
    for token, status in tokens.items():
        for value in ("/r/open", "/"):
            assert gate.get("/r/locked/x", token=token,
                            headers={name: value}).status == status
    gate.backend.take()
    assert gate.get("/r/open", headers={name: "/r/locked/x"}).status == 200
    assert gate.backend.one().path == "/r/open"
