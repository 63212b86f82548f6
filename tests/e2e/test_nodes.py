# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Several gateways with one store: what happens on one counts on the others,
and none of them is anything special. Two servers on a SQLite file, three on
PostgreSQL."""

import secrets
import threading
import time
from datetime import datetime

import pytest

from harness import conf, httpd, jwt, known_secrets, oauth, store, workers
from harness.admin import CLIENTS, READ, Admin, noted
from harness.crowd import Crowd, stopped
from harness.pace import Within, cut_off, wait_for
from harness.relay import Relay
from harness.world import World

WRITE = "sessions:write"
COUNT = {"sqlite": 2, "pgsql": 3}[store.kind()]
SECOND = 1.0  # in which the others follow
STALENESS = 3

CONF = (f"RenseiMaxStaleness {STALENESS}\n"
        + conf.ISSUER + conf.WORKERS
        + conf.protected("/me/", "SetHandler rensei-whoami",
                         "RenseiAccept client-secret"))


class Nodes(list):
    """Servers with one secret and one store, as behind one balancer."""

    def __init__(self, launch, kept, count=COUNT, dbd=None, start=True,
                 children=2):
        self.secret = known_secrets.add(secrets.token_hex(24))
        for n in range(count):
            node = launch.httpd(CONF, store=kept, start=False,
                                env={httpd.SECRET: self.secret},
                                dbd=dbd[n] if dbd else None,
                                children=children)
            node.secret = self.secret
            self.append(node.start() if start else node)


@pytest.fixture(scope="module")
def nodes(launch, world):
    return Nodes(launch, world.store)


@pytest.fixture(scope="module")
def a(nodes, world):
    """Organisation a's administrator, at the first node."""
    return Admin(nodes[0], world.a.admin.token, world.a.id)


def at(admin, node):
    """The same administrator, at another node."""
    return Admin(node, admin.token, admin.keys.split("/")[3])


def together(*calls):
    """Runs them at the same moment; what each gave."""
    start = threading.Barrier(len(calls))
    out = [None] * len(calls)

    def run(n):
        start.wait(20)
        out[n] = calls[n]()

    threads = [threading.Thread(target=run, args=(n,))
               for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return out


class Watch:
    """Connections to all children of all nodes, where a credential is known
    to be good; and a bystander's, which has to stay so."""

    def __init__(self, nodes, credential, bystander, path="/api/whoami"):
        self.credential, self.bystander = credential, bystander
        self.path = path
        self.crowds = [Crowd(node, self._get) for node in nodes]

    def _get(self, wire):
        status = wire.get(self.path, **self.credential).status
        # a secret that is wrong counts as a guess
        return 401 if status == 429 and "basic" in self.credential else status

    def statuses(self, n):
        return self.crowds[n].each(self._get)

    def warm(self):
        for n in range(len(self.crowds)):
            assert self.statuses(n) == {200}

    def ended(self, immediately):
        """It is refused by all: the node of that number at once, each other
        on all requests that begin more than a second from now."""
        with Within(SECOND) as second:
            if immediately is not None:
                assert self.statuses(immediately) == {401}
            self.all_say(401, second)

    def all_say(self, status, second):
        left = set(range(len(self.crowds)))

        def nobody_left():
            left.difference_update([n for n in left
                                    if self.statuses(n) == {status}])
            return not left
        second.until(nobody_left, lambda: f"nodes {left}")
        for n, crowd in enumerate(self.crowds):
            assert self.statuses(n) == {status}
            said = crowd.statuses(**self.bystander)
            assert said == {200}, "a bystander"

    def __enter__(self):
        self.warm()
        return self

    def __exit__(self, *_):
        for crowd in self.crowds:
            crowd.close()


@pytest.fixture
def bystander(nodes, world):
    return {"token": nodes[0].token(world.b.client())}


# -- what ends on one node ends on all ----------------------------------------


def test_no_child_alone_follows_the_changes(launch_here):
    """Whichever child of a node stands still: the other one is told what
    happens at another node, as ever."""
    kept = launch_here.store()
    world, (here, there) = World(kept), Nodes(launch_here, kept, count=2)
    admin = Admin(here, world.a.admin.token, world.a.id)
    children = there.workers()
    assert len(children) == 2
    for pid in children * 2:
        key = world.a.key()
        with stopped([pid]):
            for pause in 0.5, 0, 0:  # it has followed the creation by then
                assert there.get(oauth.WHOAMI, token=key.token).status == 200
                time.sleep(pause)
            admin.ok("DELETE", f"{admin.keys}/{key.id}")
            with Within(SECOND) as second:
                second.until(lambda: there.get(
                    oauth.WHOAMI, token=key.token).status == 401,
                    lambda: f"without {pid} of {children}")



def client_token(nodes, world):
    client = world.a.client(f"{READ} {WRITE}")
    return client, {"token": nodes[-1].token(client)}


CLIENT_ENDS = {
    "revoked": lambda a, ident: a.ok("DELETE", f"{CLIENTS}/{ident}"),
    "inactive": lambda a, ident: a.ok("PATCH", f"{CLIENTS}/{ident}",
                                      {"status": "inactive"}),
    "its tokens": lambda a, ident: a.ok("POST",
                                        f"{CLIENTS}/{ident}/tokens/revoke"),
}


@pytest.mark.parametrize("how", CLIENT_ENDS)
def test_a_client(nodes, world, a, bystander, how):
    client, token = client_token(nodes, world)
    with Watch(nodes, token, bystander) as watch:
        CLIENT_ENDS[how](a, client.id)
        watch.ended(immediately=0)


def test_one_token(nodes, world, bystander):
    """By its jti, at the last node."""
    client, token = client_token(nodes, world)
    other = {"token": nodes[0].token(client)}
    with Watch(nodes, token, bystander) as watch:
        oauth.revoked(nodes[-1], client, token["token"])
        watch.ended(immediately=len(nodes) - 1)
    for node in nodes:
        assert node.get("/api/whoami", **other).status == 200


def test_a_key(nodes, world, a, bystander):
    key = world.a.key()
    with Watch(nodes, {"token": key.token}, bystander) as watch:
        a.ok("DELETE", f"{a.keys}/{key.id}")
        watch.ended(immediately=0)


def test_a_keys_token_that_was_rotated(nodes, world, a, bystander):
    key = world.a.key()
    with Watch(nodes, {"token": key.token}, bystander) as watch:
        made = a.ok("POST", f"{a.keys}/{key.id}/rotate", {"graceSeconds": 0})
        watch.ended(immediately=0)
    for node in nodes:
        assert node.get("/api/whoami", token=made["token"]).status == 200


@pytest.mark.parametrize("what", ["worker", "its key"])
def test_a_worker(nodes, world, a, bystander, what):
    key = workers.registration_key(world)
    made = workers.made(workers.daemon(nodes[-1], key))
    worker, token = made["workerId"], {"token": made["runtimeJwt"]}
    with Watch(nodes, token, bystander) as watch:
        a.ok("DELETE", f"{a.keys}/{key.id}" if what == "its key" else
             f"/api/org/{world.a.id}/workers/{worker}")
        watch.ended(immediately=0)


def test_an_organisation_is_suspended_and_resumed(nodes, world, bystander):
    """By renseictl, which no node is told of."""
    kept = world.store
    org = kept.org(f"suspended {secrets.token_hex(4)}")
    key, client = kept.key(org, "k", READ), kept.client(org, "c", READ)
    token = {"token": nodes[0].token(client)}
    with Watch(nodes, {"token": key.token}, bystander) as by_key, Watch(
            nodes, token, bystander) as by_token:
        for command, status in (("suspend", 401), ("resume", 200)):
            kept.ctl("org", command, org)
            with Within(SECOND) as second:
                together(lambda: by_key.all_say(status, second),
                         lambda: by_token.all_say(status, second))
            assert by_key.statuses(0) == by_token.statuses(0) == {status}


def test_a_secret_that_opens_a_location(nodes, world, a, bystander):
    """Shown as Basic: the nodes remember that it was right."""
    client = world.a.client()
    with Watch(nodes, {"basic": tuple(client)}, bystander, "/me/x") as watch:
        rotate = f"{CLIENTS}/{client.id}/secrets/rotate"
        a.ok("POST", rotate + "/start")
        watch.warm()
        a.ok("POST", rotate)
        watch.ended(immediately=0)


# -- what is made on one node is good on all ----------------------------------


def test_a_new_key_is_good_everywhere_at_once(nodes, a):
    """On the next request, at a node that has never seen it; while guesses
    keep every node busy remembering what is unknown."""
    done = threading.Event()

    def guess(node):
        with node.connection() as wire:
            while not done.is_set():
                wire.get("/api/whoami",
                         token="rsk_live_" + secrets.token_hex(32))

    threads = [threading.Thread(target=guess, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    try:
        for n in range(12):
            key = at(a, nodes[n % len(nodes)]).key()
            for node in nodes:
                assert node.get("/api/whoami",
                                token=key["token"]).status == 200
    finally:
        done.set()
        for thread in threads:
            thread.join(30)


def test_a_key_that_another_node_knew_as_unknown(nodes, world, a):
    """It cannot be shown before it is made; but a store that is put back to
    an earlier state brings keys back. A node says 401 for what is unknown
    for a second at the most."""
    key = world.a.key()
    wire = world.store.connect()
    digest, = wire.execute("SELECT digest FROM rensei_keys WHERE id = ?",
                           (key.id,)).fetchone()

    def put(value):
        wire.execute("UPDATE rensei_keys SET digest = ? WHERE id = ?",
                     (value, key.id))

    put("hidden" + digest)
    for node in nodes:
        assert node.get("/api/whoami", token=key.token).status == 401
    put(digest)
    with Within(SECOND + 0.1) as second:
        for node in nodes:
            second.until(lambda: node.get(
                "/api/whoami", token=key.token).status == 200)
    wire.close()


def test_a_token_of_one_node_at_the_others(nodes, world):
    for issuer in nodes:
        client = world.a.client()
        token = issuer.token(client)
        for node in nodes:
            assert node.get("/api/whoami", token=token).status == 200
            assert oauth.active(node, world.a.admin, token)


def test_a_worker_moves_between_nodes(nodes, world):
    key = workers.registration_key(world)
    made = workers.made(workers.bearer(nodes[0], key))
    worker, token = made["workerId"], made["runtimeToken"]
    for node in nodes[1:] + nodes[:1]:
        answer = workers.refresh(node, worker, token)
        assert answer.status == 200, answer
        token = answer.json["runtimeToken"]
        for other in nodes:
            assert workers.whoami(other, token).status == 200


def test_the_rotation_of_a_secret(nodes, world, a):
    """Started at one node, both secrets are good at all; completed at
    another, the old one is refused everywhere at once: a token is recorded in
    the store, whatever a node remembers of the secret."""
    client = world.a.client()
    rotate = f"{CLIENTS}/{client.id}/secrets/rotate"
    for node in nodes:
        assert node.token(client)
    begun = a.ok("POST", rotate + "/start")
    known_secrets.learn(begun)
    new = store.Client(client.id, begun["nextClientSecret"])
    for node in nodes:
        assert node.token(client) and node.token(new)
    at(a, nodes[-1]).ok("POST", rotate)
    for node in nodes:
        answer = node.post(oauth.TOKEN, basic=tuple(client),
                           form={"grant_type": "client_credentials"})
        assert answer.error == (401, "invalid_client"), answer
        assert node.token(new)


def test_a_client_that_is_changed_issues_as_it_is_now(nodes, world, a):
    """The next token of another node has the new scopes, not those which it
    remembers."""
    client = world.a.client(f"{READ} {WRITE}")
    for scopes in ([READ], [READ, WRITE], [WRITE]) * 3:
        for node in nodes:
            node.token(client)
        a.ok("PATCH", f"{CLIENTS}/{client.id}", {"scopes": scopes})
        for node in nodes:
            assert jwt.read(node.token(client))[1]["scopes"] == scopes


def test_a_client_that_may_more_just_now(nodes, world, a):
    """The other nodes remember what it was before: nobody is refused by that.
    """
    for _ in range(5):
        client = world.a.client(READ)
        for node in nodes:
            node.token(client)
        a.ok("PATCH", f"{CLIENTS}/{client.id}", {"status": "inactive"})
        time.sleep(SECOND)
        for node in nodes:
            assert node.post(oauth.TOKEN, basic=tuple(client), form={
                "grant_type": "client_credentials"}).status == 401
        a.ok("PATCH", f"{CLIENTS}/{client.id}", {"status": "active",
                                                 "scopes": [READ, WRITE]})
        for node in nodes:
            assert node.token(client, WRITE)
        a.ok("PATCH", f"{CLIENTS}/{client.id}", {
            "audiences": ["https://other.example"]})
        for node in nodes:
            answer = node.post(oauth.TOKEN, basic=tuple(client), form={
                "grant_type": "client_credentials",
                "resource": "https://other.example"})
            assert answer.status == 200, answer


def test_an_assertion_while_its_client_is_changed(nodes, world, a):
    """It is good once; but not used up by a try which the server itself
    repeats, because the client was changed meanwhile."""
    key = oauth.new_key()
    client = a.client(tokenEndpointAuthMethod="private_key_jwt",
                      jwks=oauth.public(key))["clientId"]
    done = threading.Event()

    def change():
        n = 0
        while not done.is_set():
            n += 1
            a.ok("PATCH", f"{CLIENTS}/{client}", {"description": f"no. {n}"})

    def ask(node):
        audience = f"http://localhost{oauth.TOKEN}"
        return node.post(oauth.TOKEN, form={
            "grant_type": "client_credentials",
            "client_assertion_type": oauth.ASSERTION,
            "client_assertion": oauth.sign(
                key, "ES256", oauth.assertion_claims(client, audience))})

    for node in nodes:
        assert ask(node).status == 200
        node.allow_log("RS0101")  # changed again and again: 503
    changer = threading.Thread(target=change)
    changer.start()
    try:
        answers = [ask(nodes[n % len(nodes)]) for n in range(60)]
    finally:
        done.set()
        changer.join(30)
    statuses = {answer.status for answer in answers}
    assert statuses <= {200, 503}, answers
    assert 200 in statuses


# -- what all of them count ---------------------------------------------------


def test_a_single_use_key_on_all_nodes_at_once(nodes, world):
    for _ in range(4):
        key = workers.registration_key(world, max_uses=1)
        answers = together(*[
            lambda node=node, n=n: workers.daemon(node, key,
                                                  hostname=f"host-{n}")
            for n, node in enumerate(nodes * 3)])
        made = [answer for answer in answers if answer.status == 201]
        assert len(made) == 1, answers
        assert {answer.status for answer in answers} == {201, 403}, answers


def test_one_machine_on_all_nodes_at_once(nodes, world):
    """A daemon that got no answer tries the next node: it is one worker."""
    key = workers.registration_key(world)
    answers = together(*[
        lambda node=node: workers.daemon(node, key, machineId="machine-1")
        for node in nodes * 3])
    assert {answer.status for answer in answers} <= {200, 201}, answers
    assert len({answer.json["workerId"] for answer in answers}) == 1


def test_uses_on_all_nodes_add_up(nodes, world, a):
    key = world.a.key()
    for n, node in enumerate(nodes):
        for _ in range(5 + n):
            assert node.get("/api/whoami", token=key.token).status == 200
    last = int(time.time() * 1000)
    total = sum(5 + n for n in range(len(nodes)))
    path = f"{a.keys}/{key.id}"
    assert noted(lambda: a.ok("GET", path)["usageCount"] == total), (
        a.ok("GET", path))
    used = a.ok("GET", path)["lastUsedAt"]
    if isinstance(used, str):
        used = datetime.fromisoformat(
            used.replace("Z", "+00:00")).timestamp() * 1000
    assert last - 5000 < used <= last


def test_who_guesses_waits_at_the_node_where_he_guessed(nodes, world):
    """The throttle is a node's own: N nodes let N times as many through."""
    client = world.a.client()
    wrong = {"grant_type": "client_credentials", "client_id": client.id,
             "client_secret": "m2ms_" + "0" * 64}
    statuses = [nodes[0].post(oauth.TOKEN, form=wrong).status
                for _ in range(11)]
    assert statuses == [401] * 10 + [429], statuses
    assert nodes[1].post(oauth.TOKEN, form=wrong).status == 401
    assert nodes[1].token(client)


# -- all at the same time -----------------------------------------------------


def test_the_trail_after_everything_at_once(nodes, world):
    """Every node issues and changes, for two organisations, at the same time:
    nothing fails, every change that was answered is in the trail, numbered
    without a gap, and its chain verifies."""
    orgs = [world.a, world.b]
    clients = [org.client() for org in orgs for _ in range(3)]
    seen = {org.id: org.events()[0]["seq"] for org in orgs}
    issued = []

    def issue(node):
        for n in range(30):
            token = node.token(clients[n % len(clients)])
            issued.append(jwt.read(token)[1]["jti"])

    def change(node, org):
        admin = Admin(node, org.admin.token, org.id)
        for n in range(6):
            client = admin.client(name=f"{org.name} {n}")["clientId"]
            admin.ok("PATCH", f"{CLIENTS}/{client}", {"description": "x"})
            key = admin.key()["keyId"]
            admin.ok("DELETE", f"{admin.keys}/{key}")
            admin.ok("DELETE", f"{CLIENTS}/{client}")
        return True

    calls = [lambda node=node: issue(node) for node in nodes]
    calls += [lambda node=node, org=org: change(node, org)
              for node in nodes for org in orgs]
    done = together(*calls)
    assert done[len(nodes):] == [True] * (2 * len(nodes))
    assert len(issued) == len(set(issued)) == 30 * len(nodes)
    assert world.store.ctl("db", "check")["problems"] == []
    verified = world.store.ctl("audit", "verify")
    assert not [t for t in verified["trails"] if t["problems"]], verified
    recorded = []
    for org in orgs:
        fresh = [event for event in org.events()
                 if event["seq"] > seen[org.id]]
        top = max(event["seq"] for event in fresh)
        assert sorted(event["seq"] for event in fresh) == list(
            range(seen[org.id] + 1, top + 1))
        recorded += [event["details"]["jti"] for event in fresh
                     if event["event"] == "m2m.token_issued"]
        for name in ("created", "updated", "revoked"):
            count = [e for e in fresh if e["event"] == f"m2m.client_{name}"]
            assert len(count) == 6 * len(nodes), name
    assert sorted(recorded) == sorted(issued)


@pytest.mark.not_under("valgrind", "while one makes the tables so slowly, the "
                       "others wait for longer than they may")
@pytest.mark.parametrize("round_", range(3))
def test_starting_together_on_an_empty_database(launch_here, round_):
    """Each step of the schema is taken once, and no request fails for it: the
    first of each node come while it is being made."""
    kept = launch_here.store(empty=True)
    nodes = Nodes(launch_here, kept, start=False)
    together(*[node.start for node in nodes])
    unknown = "rsk_live_" + "0" * 64
    statuses = together(*[
        lambda node=node: node.get("/api/whoami", token=unknown).status
        for node in nodes * 4])
    assert set(statuses) == {401}, statuses
    wire = kept.connect()
    versions = [version for version, in wire.execute(
        "SELECT version FROM rensei_schema ORDER BY version").fetchall()]
    wire.close()
    assert versions == list(range(1, len(versions) + 1)) and versions
    org = kept.org("acme")
    key = kept.key(org, "k", READ)
    assert {node.get("/api/whoami", token=key.token).status
            for node in nodes} == {200}


# -- when a node, or all of them, cannot reach the store ----------------------


def says(nodes, credential):
    """The statuses of a few requests to each node."""
    return {node.get("/api/whoami", token=credential).status
            for node in nodes for _ in range(4)}


def test_all_lose_the_store(launch_here):
    """What they know goes on for RenseiMaxStaleness, then there is no answer
    but 503; never 401, never 200 for what is unknown."""
    kept = launch_here.store()
    org = kept.org("acme")
    client, key = kept.client(org, "c", READ), kept.key(org, "k", READ)
    nodes = Nodes(launch_here, kept, 2, children=1)
    token = nodes[0].token(client)
    for node in nodes:
        node.allow_log("RS0")
    broken = cut_off(kept.break_, kept.mend, lambda: says(
        nodes, token) == says(nodes, key.token) == {200})
    assert says(nodes, "rsk_live_" + "1" * 64) == {503}
    time.sleep(max(0, broken + STALENESS + 0.5 - time.monotonic()))
    for credential in (token, key.token):
        assert says(nodes, credential) == {503}
    kept.mend()
    wait_for(lambda: says(nodes, token) | says(nodes, key.token) == {200})


@pytest.mark.only("pgsql", "two processes cannot be parted from one file")
def test_one_node_is_cut_off(launch_here):
    """A revocation elsewhere cannot reach it: it goes on with what it knows
    for RenseiMaxStaleness and no longer, and when it is back, it knows before
    it lets anybody in."""
    kept = launch_here.store()
    relay = launch_here.kept(Relay(kept.cluster))
    org = kept.org("acme")
    client, other = kept.client(org, "c", READ), kept.client(org, "d", READ)
    admin_key = kept.key(org, "admin", "*")
    nodes = Nodes(launch_here, kept, 2, children=1,
                  dbd=[kept.dbd(), kept.by_way_of(relay.folder)])
    whole, parted = nodes
    token, good = whole.token(client), whole.token(other)
    parted.allow_log("RS0", *kept.CUT_OFF)
    cut = cut_off(relay.cut, relay.join, lambda: says(nodes, token) == says(
        nodes, good) == {200})
    Admin(whole, admin_key.token, org).ok("DELETE", f"{CLIENTS}/{client.id}")
    assert says([whole], token) == {401}
    while time.monotonic() < cut + STALENESS + 0.5:
        assert says([parted], token) <= {200, 503}
        time.sleep(0.1)
    for one in (token, good):
        assert says([parted], one) == {503}
    assert says([whole], good) == {200}
    relay.join()

    def refused():
        said = says([parted], token)
        assert 200 not in said, said
        return said == {401}
    wait_for(refused)
    assert says([parted], good) == {200}


def test_a_standby_takes_over_that_had_not_got_all(nodes, world, a, bystander):
    """Or the database is put back to an earlier state: then numbers of the
    change sequence are given again, and to each of them a node has already
    followed. What is changed under such a number counts all the same."""
    key, other = world.a.key(), world.a.key()
    a.ok("DELETE", f"{a.keys}/{other.id}")  # what will have been lost
    time.sleep(SECOND)
    wire = world.store.connect()
    with Watch(nodes, {"token": key.token}, bystander) as watch:
        now = int(time.time() * 1000)
        wire.execute("BEGIN")
        wire.execute("UPDATE rensei_keys SET revoked_at = ? WHERE id = ?",
                     (now, key.id))
        done = wire.execute(
            "UPDATE rensei_changes SET subject = ?, at = ? WHERE seq = "
            "(SELECT value FROM rensei_sequence)", (key.id, now))
        assert done.rowcount == 1
        wire.execute("COMMIT")
        watch.ended(immediately=None)
    wire.close()


def test_the_store_is_newer_than_a_node(launch_here):
    """An upgrade, one node after the other, has brought the schema forward:
    a node of before refuses to work on tables that it does not know, with
    503, and says what is wrong."""
    kept = launch_here.store()
    org = kept.org("acme")
    key = kept.key(org, "k", READ)
    node = Nodes(launch_here, kept, 1)[0]
    assert says([node], key.token) == {200}
    wire = kept.connect()
    wire.execute("INSERT INTO rensei_schema (version, applied_at) "
                 "SELECT MAX(version) + 1, 1 FROM rensei_schema")
    wire.close()
    since = len(node.log())
    node.allow_log("RS0")
    node.graceful()  # with connections that are not open yet
    assert says([node], key.token) == {503}
    node.wait_for_log("install the newer build", since)
