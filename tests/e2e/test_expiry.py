# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""What is said of credentials that are about to end: notices in the audit
trail, and a header in answers."""

import email.utils
import json
import re
import time

import pytest

from harness import conf, jwt
from harness.admin import CLIENTS, Admin, now_ms
from harness.store import Client, Key
from harness.world import World

HEADER = "Rensei-Credential-Expires"
ON = "RenseiExpiryHeader On"
DAY = 86400
RUNTIME = {"alg": "HS256", "typ": "rensei-runtime+jwt"}

TOKEN = conf.TOKEN.replace("SetHandler", ON + "\n  SetHandler")
OAUTH = conf.OAUTH.replace("SetHandler", ON + "\n  SetHandler")
KINDS = "RenseiAccept m2m key worker client-secret"
PLACES = conf.PROXY + "".join([
    conf.protected("/r/on/", ON, KINDS),
    conf.protected("/r/off/", KINDS),
    conf.protected("/r/inner/", ON),
    conf.protected("/r/inner/off/", "RenseiExpiryHeader Off"),
    conf.protected("/r/write/", ON, "Require rensei-scope sessions:write"),
    conf.protected("/pages/", ON, "DirectoryIndex index.txt"),
])


def vhost(name, *lines):
    return ("<VirtualHost *:@PORT@>\n" + f"ServerName {name}\n"
            + "\n".join(lines) + TOKEN + PLACES + "</VirtualHost>\n")


CONF = (vhost("localhost", conf.ADMIN, OAUTH)
        + vhost("short.example", "RenseiExpiryNotice 1h")
        + vhost("silent.example", "RenseiExpiryNotice off")
        + vhost("edge.example", "RenseiRevocation expiry"))


@pytest.fixture(scope="module")
def gate(launch, world):
    server = launch.httpd("RenseiThrottle off\n" + CONF, store=world.store,
                          backend=launch.backend(), start=False, children=3)
    server.file("htdocs/pages/index.txt", "index\n")
    return server.start()


@pytest.fixture(scope="module")
def admin(gate, world):
    return Admin(gate, world.a.admin.token, world.a.id)


def soon(days=2):
    return now_ms() + days * DAY * 1000


def client_of(made):
    return Client(made["clientId"], made["clientSecret"])


def said(answer):
    """When the header says that it ends (epoch seconds), None without one."""
    found = answer.headers.get_all(HEADER) or []
    assert len(found) <= 1, answer
    if not found:
        return None
    assert re.fullmatch(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3]\d [A-Z][a-z]{2} "
                        r"\d{4} [0-2]\d:[0-5]\d:[0-6]\d GMT", found[0]), found
    return email.utils.parsedate_to_datetime(found[0]).timestamp()


def seen(gate, path="/r/on/x", **more):
    """What is said, the same whether the cache knows or not, and in each
    child."""
    out = {said(gate.get(path, **more)) for _ in range(6)}
    assert len(out) == 1
    return out.pop()


# -- the header ---------------------------------------------------------------


def test_a_key(gate, admin):
    end = soon()
    expiring = admin.key(expiresAt=end)["token"]
    assert gate.get("/r/on/x", token=expiring).status == 200
    assert seen(gate, token=expiring) == end // 1000
    later = admin.key(expiresAt=soon(15))["token"]
    never = admin.key()["token"]
    for token in (later, never):
        assert gate.get("/r/on/x", token=token).status == 200
        assert seen(gate, token=token) is None


def test_a_keys_old_token_ends_with_the_grace(gate, admin):
    end = soon(5)
    key = admin.key(expiresAt=end)
    old_token = key["token"]
    made = admin.ok("POST", f"{admin.keys}/{key['keyId']}/rotate",
                    {"graceSeconds": DAY})
    assert seen(gate, token=made["token"]) == end // 1000
    until = said(gate.get("/r/on/x", token=old_token))
    assert abs(until - time.time() - DAY) < 60


def test_only_where_it_is_on(gate, admin):
    token = admin.key(expiresAt=soon())["token"]
    assert seen(gate, "/r/inner/x", token=token)
    for path in ("/r/off/x", "/r/inner/off/x"):
        assert gate.get(path, token=token).status == 200
        assert seen(gate, path, token=token) is None


def test_each_virtual_host_has_its_own_time(gate, admin):
    days = admin.key(expiresAt=soon())["token"]
    minutes = admin.key(expiresAt=now_ms() + 1800 * 1000)["token"]

    def ask(host, token):
        assert gate.get("/r/on/x", token=token, host=host).status == 200
        return seen(gate, token=token, host=host) is not None
    assert ask("localhost", days) and ask("localhost", minutes)
    assert not ask("short.example", days) and ask("short.example", minutes)
    assert not ask("silent.example", days)
    assert not ask("silent.example", minutes)


def test_errors_have_it_too(gate, admin):
    end = soon()
    token = admin.key(expiresAt=end)["token"]
    answer = gate.get("/r/write/x", token=token)
    assert answer.error == (403, "insufficient_scope")
    assert said(answer) == end // 1000
    answer = gate.get("/pages/absent", token=token)
    assert answer.status == 404
    assert said(answer) == end // 1000


def test_once_where_a_directory_becomes_its_index(gate, admin):
    """httpd then adds the headers of a subrequest to those of the request."""
    end = soon()
    answer = gate.get("/pages/", token=admin.key(expiresAt=end)["token"])
    assert (answer.status, answer.text) == (200, "index\n")
    assert said(answer) == end // 1000


def test_a_token_ends_with_its_client(gate, admin):
    """Each token ends within the hour, which is not worth a word; its client's
    end is."""
    end = soon()
    ends = gate.token(client_of(admin.client(expiresAt=end)))
    never = gate.token(client_of(admin.client()))
    assert gate.get("/r/on/x", token=never).status == 200
    assert seen(gate, token=never) is None
    assert seen(gate, token=ends) == end // 1000
    assert seen(gate, token=ends, host="short.example") is None


def test_it_follows_a_change_at_once(gate, admin):
    made = admin.client(expiresAt=soon())
    token = gate.token(client_of(made))
    assert seen(gate, token=token)
    path = f"{CLIENTS}/{made['clientId']}"
    admin.ok("PATCH", path, {"expiresAt": None})
    assert seen(gate, token=token) is None
    end = soon(3)
    admin.ok("PATCH", path, {"expiresAt": end})
    assert seen(gate, token=token) == end // 1000


def test_a_secrets_end_counts_where_the_secret_is_shown(gate, admin):
    end = soon()
    made = admin.client(secretExpiresAt=end, expiresAt=soon(5))
    client = client_of(made)
    assert seen(gate, basic=tuple(client)) == end // 1000
    assert seen(gate, token=gate.token(client)) == made["expiresAt"] // 1000
    # the next secret has no end of its own
    started = admin.ok(
        "POST", f"{CLIENTS}/{client.id}/secrets/rotate/start")
    following = (client.id, started["nextClientSecret"])
    assert seen(gate, basic=following) == made["expiresAt"] // 1000
    assert seen(gate, basic=tuple(client)) == end // 1000


def test_a_worker_ends_with_its_registration_key(gate, world, admin):
    end = soon()
    workers = {}
    for name, expires in (("A", end), ("B", None)):
        key = admin.key(keyType="worker_registration",
                        scopes=["workers:register"], expiresAt=expires)
        ident = "wkr_01ARZ3NDEKTSV4RRFFQ69G5FX" + name
        world.store.connect().execute(
            "INSERT INTO rensei_workers (id, org_id, key_id, hostname, "
            "max_agents, created_at) VALUES (?, ?, ?, 'h', 1, 1)",
            (ident, world.a.id, key["keyId"]))
        workers[name] = jwt.mint(gate.secret, jwt.claims(
            ident, world.a.id, ["workers:read"], reg=key["keyId"]), RUNTIME)
    assert gate.get("/r/on/x", token=workers["B"]).status == 200
    assert seen(gate, token=workers["A"]) == end // 1000
    assert seen(gate, token=workers["B"]) is None


def test_two_organisations(gate, world, admin):
    other = Admin(gate, world.b.admin.token, world.b.id)
    mine, theirs = soon(2), soon(3)
    tokens = [(admin.key(expiresAt=mine)["token"], mine),
              (other.key(expiresAt=theirs)["token"], theirs)]
    for token, end in tokens + tokens:
        assert seen(gate, token=token) == end // 1000


def test_whoever_is_refused_learns_nothing(gate, admin):
    """The header tells of a credential only who holds it: a guess at an id
    or a secret, a revoked key, a token without a client must not be told."""
    made = admin.client(expiresAt=soon())
    client = client_of(made)
    key = admin.key(expiresAt=soon())
    assert said(gate.get("/r/on/x", basic=tuple(client)))
    assert said(gate.get("/r/on/x", token=key["token"]))
    wrong = (client.id, "m2ms_" + "ab" * 32)
    assert gate.get("/r/on/x", basic=wrong).status == 401
    assert said(gate.get("/r/on/x", basic=wrong)) is None
    assert said(gate.get("/r/on/x")) is None
    admin.ok("DELETE", f"{admin.keys}/{key['keyId']}")
    answer = gate.get("/r/on/x", token=key["token"])
    assert answer.status == 401 and said(answer) is None


def test_without_a_store_nothing_is_known(gate, admin):
    """RenseiRevocation expiry: the token alone does not tell of its client."""
    token = gate.token(client_of(admin.client(expiresAt=soon())),
                       host="edge.example")
    assert gate.get("/r/on/x", token=token, host="edge.example").status == 200
    assert seen(gate, token=token, host="edge.example") is None
    assert seen(gate, token=token)


# -- the token service --------------------------------------------------------


def ask(gate, client, host="localhost", **more):
    form = {"grant_type": "client_credentials", "client_id": client.id,
            "client_secret": client.secret, **more}
    return gate.post("/api/oauth/token", form=form, host=host)


def test_the_token_endpoint_says_it(gate, admin):
    end, secret_end = soon(5), soon(2)
    expiring = client_of(admin.client(expiresAt=end))
    answer = ask(gate, expiring)
    assert answer.status == 200 and said(answer) == end // 1000
    ending = client_of(admin.client(expiresAt=end, secretExpiresAt=secret_end))
    assert said(ask(gate, ending)) == secret_end // 1000
    assert said(ask(gate, ending, host="short.example")) is None
    assert said(ask(gate, client_of(admin.client()))) is None


def test_the_token_endpoint_and_errors(gate, admin):
    """An error of a client that is known says it; a wrong secret's must look
    as an unknown client's does."""
    end = soon()
    client = client_of(admin.client(expiresAt=end))
    answer = ask(gate, client, scope="agents:write")
    assert answer.error == (400, "invalid_scope")
    assert said(answer) == end // 1000
    wrong = ask(gate, Client(client.id, "m2ms_" + "ab" * 32))
    unknown = ask(gate, Client("m2m_" + "0" * 32, "m2ms_" + "ab" * 32))
    assert wrong.error == unknown.error == (401, "invalid_client")
    assert set(wrong.headers) == set(unknown.headers)
    assert said(wrong) is None


def test_introspection_says_it_of_the_caller(gate, admin):
    end = soon()
    client = client_of(admin.client(expiresAt=end))
    key = admin.key(scopes=["org:read"], expiresAt=end)["token"]
    never = admin.key(scopes=["org:read"])["token"]
    form = {"token": gate.token(client)}
    path = "/api/oauth/introspect"
    for way, want in (({"basic": tuple(client)}, end // 1000),
                      ({"token": key}, end // 1000), ({"token": never}, None)):
        answer = gate.post(path, form=form, **way)
        assert answer.json["active"] is True
        assert said(answer) == want


# -- the notices --------------------------------------------------------------

NOTICES = "RenseiExpiryNotice 2d\n" + conf.API


def notices(org):
    return org.events("--event", "credential.expiring")


def wait_for(org, count):
    deadline = time.monotonic() + 60
    while len(notices(org)) < count:
        assert time.monotonic() < deadline, notices(org)
        time.sleep(0.1)
    time.sleep(1.2)  # for more than there should be
    found = notices(org)
    assert len(found) == count, found
    return found


@pytest.fixture(scope="module")
def untold(launch):
    """Two organisations, with what ends sooner and later, and no server that
    would say so."""
    world = World(launch.store())
    for org in (world.a, world.b):
        org.soon = Key(*org.key(expires="36h", owner=org.name))
        org.client_soon = org.client(expires="24h", owner=org.name)
        org.key(expires="60h")
        org.key()
        org.client(expires="60h")
    return world


@pytest.fixture
def orgs(launch_here, untold):
    return untold.over(launch_here.kept(untold.store.copy()))


def test_a_notice_once_for_each(launch_here, orgs):
    """Two gateways with three children each, and one that has none of its
    own to say, over one store."""
    gates = [launch_here.httpd(NOTICES, store=orgs.store, children=3)
             for _ in range(2)]
    for org in (orgs.a, orgs.b):
        found = {e["target"]: e for e in wait_for(org, 2)}
        assert set(found) == {org.soon.id, org.client_soon.id}
        event = found[org.soon.id]
        assert (event["actor"], event["actorType"]) == ("rensei", "system")
        assert event["orgId"] == org.id and event["ip"] is None
        details = event["details"]
        assert (details["kind"], details["owner"]) == ("key", org.name)
        assert details["field"] == "expiresAt" and details["name"]
        assert details["expiresAt"].endswith("Z")
        assert found[org.client_soon.id]["details"]["kind"] == "client"
    # over HTTP as well, and only one's own
    events = Admin(gates[0], orgs.a.admin.token, orgs.a.id).events(
        event="credential.expiring")
    assert {e["target"] for e in events} == {orgs.a.soon.id,
                                             orgs.a.client_soon.id}


def test_again_for_another_end_alone(launch_here, orgs):
    """A start looks at once; what was said stays said, in the store."""
    gate = launch_here.httpd(NOTICES, store=orgs.store)
    wait_for(orgs.a, 2)
    wait_for(orgs.b, 2)
    Admin(gate, orgs.a.admin.token, orgs.a.id).ok(
        "PATCH", f"{CLIENTS}/{orgs.a.client_soon.id}",
        {"expiresAt": now_ms() + 3600 * 1000})
    gate.stop()
    gate.start()
    newest = wait_for(orgs.a, 3)[0]
    assert newest["target"] == orgs.a.client_soon.id
    assert len(notices(orgs.b)) == 2


def test_many_are_written_in_one_go_after_another(launch_here, orgs):
    """No more than some at a time, so that the thread goes on following the
    changes; but the rest does not wait for the next minute."""
    gate = launch_here.httpd(NOTICES, store=orgs.store)
    wait_for(orgs.a, 2)
    wire = orgs.store.connect()
    row = wire.execute("SELECT * FROM rensei_keys WHERE id = ?",
                       (orgs.a.soon.id,))
    names = [column[0] for column in row.description]
    values = dict(zip(names, row.fetchone()))
    for i in range(120):
        values.update(id=f"key_01ARZ3NDEKTSV4RRFFQ69G5{i:03}",
                      digest=f"none {i}", expiry_notice=None)
        wire.execute("INSERT INTO rensei_keys (%s) VALUES (%s)" % (
            ", ".join(names), ", ".join("?" * len(names))),
            [values[name] for name in names])
    wire.close()
    gate.stop()
    gate.start()
    wait_for(orgs.a, 122)


def test_a_notice_goes_to_the_log_of_the_trail(launch_here, orgs):
    gate = launch_here.httpd('RenseiAuditLog "@DIR@/audit.log"\n' + NOTICES,
                             store=orgs.store)
    found = wait_for(orgs.a, 2)
    lines = [json.loads(line) for line in
             (gate.dir / "audit.log").read_text().splitlines()]
    logged = {line["id"] for line in lines
              if line["event"] == "credential.expiring"}
    assert {event["id"] for event in found} <= logged


def test_off(launch_here, orgs):
    launch_here.httpd("RenseiExpiryNotice off\n" + conf.API, store=orgs.store)
    time.sleep(2.5)
    assert notices(orgs.a) == notices(orgs.b) == []


def test_hosts_with_one_store_share_the_longest(launch_here, orgs):
    short = "RenseiExpiryNotice 30h\n" + conf.API
    launch_here.httpd(
        "<VirtualHost *:@PORT@>\nServerName a.example\n"
        "RenseiExpiryNotice off\n" + conf.API + "</VirtualHost>\n"
        "<VirtualHost *:@PORT@>\nServerName b.example\n" + short
        + "</VirtualHost>\nRenseiExpiryNotice off\n", store=orgs.store)
    assert wait_for(orgs.a, 1)[0]["target"] == orgs.a.client_soon.id
