# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""PostgreSQL away, slow, stuck, full, read-only; and what gets lost on the
way to it. Whatever happens: no 200 for what is not good, no 401 for what is,
what was acknowledged is there, and the audit trail is whole.

docs/deployment.md has the table of what happens when; it is tested here."""

import contextlib
import os
import signal
import threading
import time

import psycopg2
import pytest

from harness import conf, http, oauth
from harness.admin import CLIENTS, READ, Admin
from harness.faults import Elsewhere, Line, crowded
from harness.load import CHANGES, Load, check_store, trail
from harness.oauth import TOKEN, WHOAMI
from harness.pace import cut_off, wait_for
from harness.postgres import Cluster
from harness.store import Pgsql
from harness.world import Org

pytestmark = pytest.mark.only("pgsql", "there is no server between httpd and "
                              "a SQLite file")

STALENESS = 6  # RenseiMaxStaleness, where a test waits until it is over
TIMEOUT = 3  # RenseiStoreTimeout
WAITERS = 4  # RenseiStoreWaiters
UNKNOWN = "rsk_live_" + "7" * 64
QUICK = 1.5  # seconds: what does not wait for the store, on a busy machine
COMMIT = "COMMIT\0"  # not that of READ COMMITTED
BACK = 20  # seconds in which a gateway has to work again, by itself
CONF = (f"RenseiStoreTimeout {TIMEOUT}\n"
        f"RenseiStoreWaiters {WAITERS}\nRenseiThrottle off\n" + conf.ISSUER)
NOISE = ("RS0010", "AH00636", "RS0014", "RS0031", "RS0090", "RS0101", "RS0131",
         *Pgsql.CUT_OFF)


@pytest.fixture(scope="module")
def cluster(launch):
    """One that is stopped and crowded, and nobody else's."""
    return launch.kept(Cluster(max_connections=30))


class Gate:
    """A gateway, with an organisation, and credentials that it knows."""

    def __init__(self, launcher, store, dbd=None, start=True, staleness=60):
        self.store, self.org = store, Org(store, "acme")
        if isinstance(store, Elsewhere):
            store.cluster.excuse(store.database)
        self.httpd = launcher.httpd(
            f"RenseiMaxStaleness {staleness}\n" + CONF, store=store,
            children=1, dbd=dbd, start=start)
        self.httpd.allow_log(*NOISE)
        self.admin = Admin(self.httpd, self.org.admin.token, self.org.id)
        if start:
            self.warm()

    def warm(self):
        self.client, self.key = self.org.client(), self.org.key()
        self.token = self.httpd.token(self.client)
        self.gone = self.admin.key()
        assert self.says(self.gone["token"]) == 200
        self.admin.ok("DELETE", f"{self.admin.keys}/{self.gone['keyId']}")
        self.ready()

    def ready(self):
        """It knows them as they are now, and follows what was changed
        before."""
        for pause in 0.4, 0:
            for known, status in self.known():
                assert self.says(known) == status
            time.sleep(pause)

    def remembers(self):
        """Those that are good; to be asked while there is no store."""
        return self.says(self.token) == self.says(self.key.token) == 200

    def known(self):
        return ((self.token, 200), (self.key.token, 200),
                (self.gone["token"], 401))

    def says(self, token):
        return self.httpd.get(WHOAMI, token=token).status

    def issue(self, client=None):
        client = client or self.client
        return self.httpd.post(TOKEN, form={
            "grant_type": "client_credentials", "client_id": client.id,
            "client_secret": client.secret})

    def create(self):
        return self.admin("POST", CLIENTS,
                          {"name": "new", "scopes": [READ]})

    def works_again(self, token=None):
        """Everything, and within BACK."""
        deadline = time.monotonic() + BACK
        fresh = self.org.key()
        asks = {"known": lambda: self.says(token or self.token),
                "unknown": lambda: self.says(fresh.token),
                "issue": lambda: self.issue().status,
                "create": lambda: self.create().status}
        for name, ask in asks.items():
            while (status := ask()) not in (200, 201):
                assert status == 503, (name, status)
                assert time.monotonic() < deadline, (name, status)
                time.sleep(0.1)
        # and not by chance: each of its connections
        for _ in range(3):
            assert {ask() for ask in asks.values()} <= {200, 201}
        check_store(self.store)


def unavailable(answer):
    assert answer.status == 503, answer
    assert int(answer.headers["Retry-After"]) > 0, answer
    return True


def timed(ask):
    begun = time.monotonic()
    answer = ask()
    return answer, time.monotonic() - begun


@contextlib.contextmanager
def waiting(*asks):
    """Runs them at the same time, in threads; they have to be answered in
    the end, and what they gave is in the list."""
    answers = []
    threads = [threading.Thread(target=lambda ask=ask: answers.append(ask()),
                                daemon=True) for ask in asks]
    for thread in threads:
        thread.start()
    yield answers
    for thread in threads:
        thread.join(http.TIMEOUT * 2)
        assert not thread.is_alive()


# -- it is away ---------------------------------------------------------------


def test_stopped_and_started(launch_here, cluster):
    """What the gateway knows goes on for RenseiMaxStaleness; what it does not
    know, and every change, is answered 503; what was revoked is never let
    in."""
    gate = Gate(launch_here, Elsewhere(cluster), staleness=STALENESS)
    down = cut_off(cluster.stop, cluster.start, gate.remembers)
    for known, status in gate.known():
        assert gate.says(known) in {status, status == 401 and 503}
    unavailable(gate.httpd.get(WHOAMI, token=UNKNOWN))
    unavailable(gate.issue())
    unavailable(gate.create())
    while time.monotonic() < down + STALENESS + 1.5:
        assert gate.says(gate.token) in (200, 503)
        assert gate.says(gate.gone["token"]) in (401, 503)
        time.sleep(0.1)
    for known, _ in gate.known():
        assert gate.says(known) == 503
    cluster.start()
    gate.works_again()
    assert gate.says(gate.gone["token"]) == 401
    # not a line for each request
    assert gate.httpd.log().count("RS0031") < 10, gate.httpd.log()


def test_started_before_the_database(launch_here, cluster):
    """A gateway comes up without it, and works when it is there."""
    store = Elsewhere(cluster)
    gate = Gate(launch_here, store, start=False)
    client = gate.client = gate.org.client()
    cluster.stop()
    try:
        gate.httpd.start()
        unavailable(gate.httpd.get(WHOAMI, token=UNKNOWN))
        unavailable(gate.issue(client))
    finally:
        cluster.start()
    key = gate.org.key()
    gate.works_again(key.token)


def test_restarted_and_killed_under_load(launch_here, cluster):
    """Stopped and started, crashed and recovered, each connection cut now and
    then: what was answered is there."""
    gate = Gate(launch_here, Elsewhere(cluster))
    with Load(gate.httpd, gate.org, CHANGES, may={503},
              unsure=True) as load:
        load.more(30)
        for mode in "fast", "immediate":
            cluster.restart(mode)
            load.more(30)
        for _ in range(20):
            cluster.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE usename = 'rensei' ORDER BY random() LIMIT 1")
            time.sleep(0.05)
        load.more(60)
    assert load.ledger.count(503), load.ledger.answers
    load.settle()
    gate.works_again()


def in_a_transaction(store):
    """The pids of the server's processes that have one, and wait in it."""
    return [pid for pid, in store.cluster.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = %s AND "
        "usename = 'rensei' AND xact_start IS NOT NULL AND "
        "wait_event_type = 'Lock'", (store.database,))]


def test_killed_in_a_transaction(launch_here, cluster):
    """kill -9 of the process that serves a change: PostgreSQL throws everybody
    out, and recovers. What was not acknowledged was not done."""
    gate = Gate(launch_here, Elsewhere(cluster))
    made = "m2m.client_created"
    before = len(gate.org.events("--event", made))
    with contextlib.suppress(psycopg2.Error), gate.store.hold():
        with waiting(lambda: gate.create().status) as said:
            wait_for(lambda: in_a_transaction(gate.store))
            for pid in in_a_transaction(gate.store):
                os.kill(pid, signal.SIGKILL)
    assert said == [503]
    wait_for(cluster.answers)
    assert len(gate.org.events("--event", made)) == before
    gate.works_again()


def test_the_whole_server_is_killed(launch_here, cluster):
    gate = Gate(launch_here, Elsewhere(cluster))
    with Load(gate.httpd, gate.org, CHANGES, may={503}, unsure=True) as load:
        load.more(30)
        cluster.kill()
        wait_for(lambda: load.ledger.count(503))
        cluster.start()
        load.more(30)
    load.settle()
    gate.works_again()


def test_no_connection_is_left(launch_here, cluster):
    """Others have all of them."""
    gate = Gate(launch_here, Elsewhere(cluster))
    with contextlib.ExitStack() as others:
        cut_off(lambda: others.enter_context(crowded(gate.store)),
                others.close, gate.remembers)
        unavailable(gate.httpd.get(WHOAMI, token=UNKNOWN))
        unavailable(gate.issue())
        unavailable(gate.create())
        assert gate.says(gate.token) == 200
    gate.works_again()


# -- it is slow, or stuck -----------------------------------------------------


@pytest.fixture(scope="module")
def behind(launch):
    """A gateway, and the line by which alone it reaches its store."""
    store = launch.store()
    line = launch.kept(Line(store.cluster))
    gate = Gate(launch, store, store.by_way_of(line.folder))
    store.cluster.excuse(store.database)
    gate.line = line
    cut_off(line.silent, line.whole, gate.remembers)
    line.whole()
    return gate


@pytest.fixture
def gate(behind):
    behind.httpd.allow_log(*NOISE)
    behind.fresh = behind.org.key()  # good, and not known to the gateway
    behind.ready()
    yield behind
    behind.line.whole()


@pytest.fixture
def line(behind):
    behind.line.lost = 0
    return behind.line


def test_five_seconds_slow(gate, line):
    """Each answer takes longer than RenseiStoreTimeout: who waits gets 503;
    who is known is not kept waiting, and nobody good is sent away."""
    good = gate.fresh
    line.slow(5)
    with waiting(lambda: gate.says(good.token),
                 lambda: gate.issue().status) as late:
        begun = time.monotonic()
        while len(late) < 2:
            answer, took = timed(
                lambda: gate.httpd.get(WHOAMI, token=gate.token))
            assert answer.status == 200 and took < QUICK, (answer, took)
            assert time.monotonic() < begun + 5 * TIMEOUT, late
            time.sleep(0.05)
        assert late == [503, 503]
        line.whole()
    gate.works_again()
    assert gate.says(good.token) == 200


def test_slow_but_not_too_slow(gate, line):
    """Every answer takes a tenth of a second: it is slow, and nothing else."""
    good = gate.fresh
    line.slow(0.1)
    assert gate.says(good.token) == 200
    assert gate.issue().status == 200
    assert gate.create().status == 201
    line.whole()
    check_store(gate.store)


def test_a_start_while_it_is_slow(launch_here):
    """A child's mod_dbd connects before anybody may ask it for a connection;
    that it takes its time is no error, and nothing is said of one."""
    store = launch_here.store()
    line = launch_here.kept(Line(store.cluster))
    key = Org(store, "acme").key()
    line.slow(0.4)
    server = launch_here.httpd(CONF, store=store, children=1,
                               dbd=store.by_way_of(line.folder))
    assert server.get(WHOAMI, token=key.token).status == 200
    line.whole()


def stuck(gate):
    """Uncached requests of all kinds, one more than may wait."""
    return [lambda: gate.issue().status,
            lambda: gate.issue().status,
            lambda: gate.says(UNKNOWN),
            lambda: gate.create().status,
            lambda: gate.says("rsk_live_" + "6" * 64)]


def test_those_who_wait_are_bounded(gate, line):
    """The database takes connections and statements, and answers nothing:
    when as many wait as may, the next ones are answered at once, and those
    that the cache knows as ever. Those who wait get their answer when
    RenseiStoreTimeout is over; tokens that are recorded together, too."""
    line.silent()
    left = []  # when somebody had his answer: the first had found no place

    def waits(ask):
        status = ask()
        left.append(time.monotonic())
        return status

    with waiting(*[lambda ask=ask: waits(ask) for ask in stuck(gate)]) as late:
        time.sleep(1.2)  # as long as one waits for a place
        for _ in range(20):
            for ask in (lambda: gate.httpd.get(WHOAMI, token=UNKNOWN),
                        gate.issue, gate.create):
                begun = time.monotonic()
                answer, took = timed(ask)
                # or he got the place of one who left before that was over
                assert unavailable(answer) and (took < QUICK or any(
                    at < begun + QUICK for at in left[1:])), took
            answer, took = timed(
                lambda: gate.httpd.get(WHOAMI, token=gate.token))
            assert answer.status == 200 and took < QUICK, (answer, took)
            if left[1:]:
                break
    assert set(late) == {503} and len(late) == WAITERS + 1, late
    gate.httpd.wait_for_log("too many requests wait for the store")
    gate.httpd.wait_for_log("RS0131")
    line.whole()
    gate.works_again()


def test_a_graceful_restart_while_it_is_stuck(gate, line):
    """No request, and none of what a child does by itself, keeps it from
    ending, though the database goes on being silent."""
    old = set(gate.httpd.workers())
    line.silent()
    with waiting(*stuck(gate)[:2]) as late:
        time.sleep(0.5)
        gate.httpd.graceful()
        deadline = time.monotonic() + 30
        while old & set(gate.httpd.children()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert late == [503, 503]
    line.whole()
    gate.works_again()


# -- it gets lost on the way --------------------------------------------------


def rows(gate, table="clients"):
    wire = gate.store.connect()
    count, = wire.execute(f"SELECT COUNT(*) FROM rensei_{table}").fetchone()
    wire.close()
    return count


def issued(gate):
    return len([event for event in trail(gate.org)
                if event["event"] == "m2m.token_issued"])


def test_the_answer_to_commit_is_lost(gate, line):
    """Whether it was done is not known: 503, and nobody does it again. What
    was done is there once, with its event."""
    clients, tokens = rows(gate), issued(gate)
    line.lose_answer(COMMIT, of="m2m.client_created")
    unavailable(gate.create())
    assert line.lost == 1 and rows(gate) == clients + 1
    line.lose_answer(COMMIT, of="m2m.token_issued")
    unavailable(gate.issue())
    assert line.lost == 2 and issued(gate) == tokens + 1
    gate.works_again()


def test_a_revocation_whose_answer_is_lost(gate, line):
    """It was done, so it counts at once, though it was not acknowledged."""
    key = gate.fresh
    assert gate.says(key.token) == 200
    line.lose_answer(COMMIT, of="api_key.revoked")
    unavailable(gate.admin("DELETE", f"{gate.admin.keys}/{key.id}"))
    assert line.lost == 1
    assert gate.says(key.token) == 401
    gate.works_again()


def test_a_commit_is_lost(gate, line):
    """The connection ends between BEGIN and COMMIT: nothing was done."""
    clients, tokens = rows(gate), issued(gate)
    line.lose_statement(COMMIT, of="m2m.client_created")
    unavailable(gate.create())
    line.lose_statement(COMMIT, of="m2m.token_issued")
    unavailable(gate.issue())
    line.lose_statement("INSERT INTO rensei_audit ", of="rensei_clients")
    unavailable(gate.create())
    assert line.lost == 3
    assert (rows(gate), issued(gate)) == (clients, tokens)
    gate.works_again()


def by_assertion(gate, client, key):
    audience = f"http://localhost{TOKEN}"
    return gate.httpd.post(TOKEN, form={
        "grant_type": "client_credentials",
        "client_assertion_type": oauth.ASSERTION,
        "client_assertion": oauth.sign(
            key, "ES256", oauth.assertion_claims(client, audience))})


def test_an_assertion_is_no_replay_of_itself(gate, line):
    """It is used up by a statement; were that sent again when its answer is
    lost, it would find that the assertion was used up."""
    key = oauth.new_key()
    client = gate.admin.client(tokenEndpointAuthMethod="private_key_jwt",
                               jwks=oauth.public(key))["clientId"]
    assert by_assertion(gate, client, key).status == 200
    used_up = "INSERT INTO rensei_assertions"
    for text in used_up, COMMIT:
        line.lose_answer(text, of=used_up)
        unavailable(by_assertion(gate, client, key))
    assert line.lost == 2
    # and one that was lost while nobody used it is replaced
    line.drop()
    assert by_assertion(gate, client, key).status == 200
    gate.works_again()


def test_a_connection_that_nobody_used_is_lost(gate, line):
    """No request fails for it."""
    for ask in (lambda: gate.says(gate.fresh.token),
                lambda: gate.issue().status, lambda: gate.create().status):
        line.drop()
        assert ask() in (200, 201)
    check_store(gate.store)


def test_adding_to_what_is_being_deleted(gate):
    """The database makes the addition wait for the deletion, and then refuses
    it: that is no fault of the store, but there is nothing to add to."""
    org = Org(gate.store, "doomed")
    admin = Admin(gate.httpd, org.admin.token, org.id)
    assert gate.says(org.admin.token) == 200
    wire = gate.store.connect()
    wire.execute("BEGIN")
    for table in "keys", "workspaces":
        wire.execute(f"DELETE FROM rensei_{table} WHERE org_id = ?", (org.id,))
    wire.execute("DELETE FROM rensei_orgs WHERE id = ?", (org.id,))
    with waiting(lambda: admin("POST", CLIENTS, {"name": "c",
                                                 "scopes": [READ]}).status,
                 lambda: admin("POST", admin.keys, {
                     "name": "k", "keyType": "org", "owner": "ops",
                     "scopes": [READ]}).status) as late:
        deadline = time.monotonic() + 10
        while len(gate.store.cluster.execute(
                "SELECT 1 FROM pg_stat_activity WHERE datname = %s "
                "AND wait_event_type = 'Lock'", (gate.store.database,))) < 2:
            assert time.monotonic() < deadline and not late, late
            time.sleep(0.02)
        wire.execute("COMMIT")
        wire.close()
    assert late == [404, 404]


# -- it takes nothing ---------------------------------------------------------


def test_read_only(gate, line):
    """As a standby is: what is to be read is read, and what is to be written
    is answered 503."""
    good = gate.fresh
    store = gate.store
    alter = f"ALTER DATABASE {store.database} SET default_transaction_read_only"
    store.cluster.execute(alter + " = on")
    store.cluster.throw_out(store.database)
    try:
        for token, status in (*gate.known(), (good.token, 200),
                              (UNKNOWN, 401)):
            assert gate.says(token) == status
        listed = gate.admin("GET", CLIENTS)
        assert listed.status == 200 and listed.json["clients"]
        assert oauth.active(gate.httpd, gate.org.admin, gate.token)
        unavailable(gate.issue())
        unavailable(gate.create())
        unavailable(gate.admin("DELETE", f"{gate.admin.keys}/{good.id}"))
        assert gate.says(good.token) == 200
        gate.httpd.wait_for_log("read-only transaction")
    finally:
        store.cluster.execute(alter + " = off")
        store.cluster.throw_out(store.database)
    gate.works_again()
