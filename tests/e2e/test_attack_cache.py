# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""mod_cache in front of what AuthType Bearer protects. Its quick handler, on
by default, answers before anybody is authenticated, its normal one after
that, to whoever may read the page; so what is once stored of a protected
answer is others'. Each test: what the attacker hopes to find in the cache, that
it is not there, and that the cache does its work for what is open."""

import http.server
import threading

import pytest

from harness import conf, oauth, where

pytestmark = pytest.mark.only("sqlite", "mod_cache, whatever the store")

# What backends say of their answers. The last four are those with which a
# shared cache may store an answer in spite of Authorization (RFC 9111 3.5).
SAYS = {"nothing": None, "max-age": "max-age=600",
        "private": "private, max-age=600",
        "public": "public, max-age=600", "s-maxage": "s-maxage=600",
        "must-revalidate": "max-age=600, must-revalidate",
        "proxy-revalidate": "max-age=600, proxy-revalidate"}

CACHE = """
LoadModule cache_module "@MODULES@/mod_cache.so"
LoadModule cache_disk_module "@MODULES@/mod_cache_disk.so"
CacheRoot "@DIR@/cache"
CacheDefaultExpire 600
CacheHeader On
CacheEnable disk /
""".replace("@MODULES@", where.modules_dir())


class Personal(http.server.BaseHTTPRequestHandler):
    """A backend whose answer tells what the caller is."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(self.path)
        says = SAYS[self.path.rsplit("/", 1)[1].partition("?")[0]]
        body = ("for " + self.headers.get("X-Rensei-Sub", "anybody")).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Sat, 01 Jan 2022 00:00:00 GMT")
        if says:
            self.send_header("Cache-Control", says)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Application:
    def __init__(self):
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                       Personal)
        self._server.asked = self.asked = []
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever,
                         kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


PLACES = (conf.PROXY + conf.protected("/r/on/", "RenseiForward On")
          + conf.protected("/r/off/") + """
<Location "/r/open/">
  Require all granted
</Location>
""")

QUICK = "quick.test"  # CacheQuickHandler On: before authentication
NORMAL = "normal.test"  # Off: after it


@pytest.fixture(scope="module")
def gate(launch, world):
    def host(name, quick):
        return (f"<VirtualHost *:@PORT@>\nServerName {name}\n{conf.ISSUER}"
                f"{PLACES}CacheQuickHandler {quick}\n</VirtualHost>\n")

    server = launch.httpd(CACHE + host(QUICK, "On") + host(NORMAL, "Off"),
                          store=world.store,
                          backend=launch.kept(Application()), start=False)
    cache = server.dir / "cache"
    cache.mkdir()
    where.own(cache, 0o755)
    return server.start()


@pytest.fixture(scope="module")
def clients(world):
    return [org.client() for org in (world.a, world.b)]


@pytest.fixture(scope="module")
def tokens(gate, clients):
    return [gate.token(client, host=QUICK) for client in clients]


def asked(gate, path):
    """How often the application was asked for it."""
    return gate.backend.asked.count(path)


@pytest.mark.parametrize("host", [QUICK, NORMAL])
@pytest.mark.parametrize("says", SAYS)
def test_one_callers_answer(gate, clients, tokens, host, says):
    """Organisation b asks for what organisation a has just read, and then
    somebody without any credential. With the words of RFC 9111 3.5 mod_cache
    gave b the answer that was made for a."""
    path = f"/r/on/{host}/{says}"
    for turn in (0, 0, 1, 0):
        answer = gate.get(path, token=tokens[turn], host=host)
        assert answer.text == "for " + clients[turn].id, answer
        assert "HIT" not in answer.headers.get("X-Cache", "")
    for more in ({}, {"token": tokens[0] + "x"}):
        assert gate.get(path, host=host, **more).error == (
            401, "invalid_token")
    # from the cache or not at all: before authentication, or after it
    answer = gate.get(path, host=host,
                      headers={"Cache-Control": "only-if-cached"})
    assert answer.status == (504 if host == QUICK else 401), answer
    assert asked(gate, path) == 4


@pytest.mark.parametrize("host", [QUICK, NORMAL])
@pytest.mark.parametrize("says", ["public", "must-revalidate"])
def test_where_the_credential_goes_on_to_the_application(gate, tokens, host,
                                                         says):
    """The same with RenseiForward Off."""
    path = f"/r/off/{host}/{says}"
    for token in tokens:
        assert gate.get(path, token=token, host=host).status == 200
    assert gate.get(path, host=host).error == (401, "invalid_token")
    assert asked(gate, path) == 2


@pytest.mark.parametrize("host", [QUICK, NORMAL])
def test_what_is_open_is_cached(gate, tokens, host):
    """The control: the cache is there, and works."""
    path = f"/r/open/{host}/public"
    answers = [gate.get(path, host=host) for _ in range(3)]
    assert [a.text for a in answers] == ["for anybody"] * 3
    assert "HIT" in answers[2].headers["X-Cache"], answers[2]
    assert asked(gate, path) == 1
    assert gate.get(path, token=tokens[0], host=host).text == "for anybody"


@pytest.mark.parametrize("host", [QUICK, NORMAL])
def test_a_header_that_poisons(gate, host):
    """The attacker is the first to ask for an open page, names himself
    somebody, and hopes that all others get what was made for him."""
    path = f"/r/open/{host}/max-age"
    forged = {"X-Rensei-Sub": "root", "X_Rensei_Sub": "root"}
    answers = [gate.get(path, host=host, headers=forged),
               gate.get(path, host=host)]
    assert [a.text for a in answers] == ["for anybody"] * 2
    assert asked(gate, path) == 1


@pytest.mark.parametrize("host", [QUICK, NORMAL])
def test_our_own_answers(gate, world, clients, tokens, host):
    """Tokens, secrets and who somebody is: nothing of it is kept."""
    for turn in (0, 1, 0):
        answer = gate.get("/api/whoami", token=tokens[turn], host=host)
        assert answer.json["sub"] == clients[turn].id
    assert gate.get("/api/whoami", host=host).status == 401
    seen = [gate.get(f"/api/org/{org.id}/keys", token=org.admin.token,
                     host=host) for org in (world.a, world.b)]
    assert [a.json["keys"][0]["orgId"] for a in seen] == [
        world.a.id, world.b.id]
    for path in ("/api/whoami", f"/api/org/{world.a.id}/keys"):
        answer = gate.get(path, token=world.a.admin.token, host=host)
        assert answer.headers["Cache-Control"] == "no-store", answer
        assert "HIT" not in answer.headers.get("X-Cache", "")
        assert gate.get(path, host=host).status == 401


def test_a_refusal_is_not_kept(gate, clients, tokens):
    """Whoever asks without a credential must not shut out those who have
    one."""
    path = f"/r/on/{NORMAL}/max-age?first"
    for host in (QUICK, NORMAL):
        assert gate.get(path, host=host).headers["Cache-Control"] == "no-store"
        assert gate.get(path, host=host,
                        token=tokens[0]).text == "for " + clients[0].id


def test_metadata_of_another_host(gate):
    """The issuer is the name by which it was asked: an attacker's Host must
    not be what others are told."""
    path = oauth.METADATA
    for host in ("attacker.example", QUICK, NORMAL, QUICK):
        answer = gate.get(path, host=host)
        assert answer.json["issuer"] == f"http://{host}", answer
