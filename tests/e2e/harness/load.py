# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""A mixed load on an issuer that remembers what was acknowledged to it: every
answer is judged when it comes, and in the end each acknowledged thing has to
be in the store, and its event in the trail, once."""

import collections
import json
import random
import select
import socket
import subprocess
import threading
import time

from . import conf, http, where
from .admin import CLIENTS
from .oauth import INTROSPECT, TOKEN, WHOAMI

# Failed attempts are part of the load, and trace8 would write gigabytes.
CONF = "RenseiThrottle off\nLogLevel notice\n" + conf.ISSUER

KEPT = 20  # credentials of each kind that a client of ours goes on using
GONE = (http.http.client.RemoteDisconnected, ConnectionError,
        http.http.client.CannotSendRequest)


class Lost(Exception):
    """No answer: whether it was done is not known."""


class Refused(Exception):
    """An answer that the test allows, such as 503: it was not done, where the
    load is not unsure of that."""


class Wrong(Exception):
    """An answer that must not be."""


class Ledger:
    """What was acknowledged. Lists, because threads may append to them."""

    def __init__(self):
        self.issued = []  # jti
        self.events = []  # (event, target)
        self.limbo = set()  # targets of changes without an answer
        self.answers = collections.Counter()  # (what was asked, status)
        self.slowest = collections.Counter()  # what was asked: seconds
        self.wrong = []

    def count(self, *statuses):
        return sum(n for (_, status), n in self.answers.items()
                   if status in statuses)


def closed(wire):
    """Has the server ended that connection, between two requests?"""
    sock = wire.wire.sock
    return sock is None or bool(select.select([sock], [], [], 0)[0])


class Worker(threading.Thread):
    """One client program: it asks for one thing after the other. reuse: on
    one connection, as long as the server keeps it, else on a new one each."""

    def __init__(self, load, number, reuse):
        super().__init__(daemon=True)
        self.load, self.gate, self.reuse = load, load.gate, reuse
        self.ledger, self.org = load.ledger, load.org
        self.random = random.Random(number)
        self.wire = None
        self.client = load.clients[number % len(load.clients)]
        self.tokens, self.keys = [], []  # good ones
        self.clients = []  # made, (id, secret)
        self.dead = []  # keys, and tokens of clients, that were revoked

    # -- one request ----------------------------------------------------------

    def ask(self, what, method, path, good, **more):
        """The answer, of a status in `good`."""
        begun = time.monotonic()
        try:
            answer = self._answer(method, path, more)
        except (OSError, http.http.client.HTTPException) as trouble:
            self._drop()
            self.ledger.answers[what, "lost"] += 1
            if not self.load.may_lose or isinstance(trouble, socket.timeout):
                raise Wrong(f"{what}: {trouble!r} after "
                            f"{time.monotonic() - begun:.1f} s") from trouble
            raise Lost from trouble
        took = time.monotonic() - begun
        self.ledger.slowest[what] = max(took, self.ledger.slowest[what])
        self.ledger.answers[what, answer.status] += 1
        if answer.status in good:
            return answer
        if answer.status in self.load.may:
            raise Refused
        raise Wrong(f"{what}: {answer}")

    def _answer(self, method, path, more):
        if self.wire and (not self.reuse or closed(self.wire)):
            self._drop()
        used = self.wire is not None
        self.wire = self.wire or self.gate.connection()
        try:
            answer = self.wire.request(method, path, **more)
        except GONE:
            # It was closed at the very moment that we sent. Who may not
            # lose a request asks again, once, as browsers and libraries do.
            self._drop()
            if not used or self.load.may_lose:
                raise
            self.wire = self.gate.connection()
            answer = self.wire.request(method, path, **more)
        if answer.headers["Connection"] == "close":
            self._drop()
        return answer

    def _drop(self):
        if self.wire:
            self.wire.close()
        self.wire = None

    def change(self, what, event, target, good, method, path, body=None):
        """A change by the administrator; the answer's JSON. It stands in the
        ledger when it was answered."""
        try:
            answer = self.ask(what, method, path, good,
                              token=self.org.admin.token, json=body)
        except (Lost, Wrong):
            self.ledger.limbo.add(target)
            raise
        except Refused:
            if self.load.unsure:
                self.ledger.limbo.add(target)
                raise Lost from None
            raise
        said = json.loads(answer.body)
        made = said.get("client", said)
        self.ledger.events.append(
            (event, target or made.get("keyId") or made["clientId"]))
        return made

    # -- what it asks for -----------------------------------------------------

    def issue(self):
        answer = self.ask("issue", "POST", TOKEN, {200}, form={
            "grant_type": "client_credentials", "client_id": self.client.id,
            "client_secret": self.client.secret})
        token = json.loads(answer.body)["access_token"]
        self.ledger.issued.append(jti_of(token))
        self.tokens = [*self.tokens[-KEPT:], token]

    def use_token(self):
        if self.tokens:
            self.ask("token", "GET", WHOAMI, {200},
                     token=self.random.choice(self.tokens))

    def use_key(self):
        if self.keys:
            self.ask("key", "GET", WHOAMI, {200},
                     token=self.random.choice(self.keys)[1])

    def use_dead(self):
        if self.dead:
            self.ask("dead", "GET", WHOAMI, {401},
                     token=self.random.choice(self.dead))

    def use_bad(self):
        made_up = "%064x" % self.random.getrandbits(256)
        self.ask("bad key", "GET", WHOAMI, {401}, token="rsk_live_" + made_up)
        self.ask("bad secret", "POST", TOKEN, {401}, form={
            "grant_type": "client_credentials", "client_id": self.client.id,
            "client_secret": "m2ms_" + made_up})

    def introspect(self):
        """A live token is active, and one whose client was revoked is not."""
        for tokens, active in (self.tokens, True), (self.dead, False):
            if not tokens:
                continue
            answer = self.ask("introspect", "POST", INTROSPECT, {200},
                              token=self.org.admin.token,
                              form={"token": self.random.choice(tokens)})
            if json.loads(answer.body)["active"] != active:
                raise Wrong(f"introspect: {answer}, not {active}")

    def make_client(self):
        made = self.change("make client", "m2m.client_created", None, {201},
                           "POST", CLIENTS,
                           {"name": "made", "scopes": ["sessions:read"]})
        self.clients.append((made["clientId"], made["clientSecret"]))

    def make_key(self):
        made = self.change("make key", "api_key.created", None, {201}, "POST",
                           f"/api/org/{self.org.id}/keys",
                           {"name": "made", "keyType": "org", "owner": "ops",
                            "scopes": ["sessions:read"]})
        self.keys.append((made["keyId"], made["token"]))

    def rename(self):
        if self.clients:
            ident, _ = self.random.choice(self.clients)
            self.change("rename", "m2m.client_updated", ident, {200}, "PATCH",
                        f"{CLIENTS}/{ident}",
                        {"name": f"made {self.random.random()}"})

    def revoke_key(self):
        if len(self.keys) > 2:
            ident, token = self.keys.pop(0)
            self._undo(self.keys, (ident, token), "revoke key",
                       "api_key.revoked", ident,
                       f"/api/org/{self.org.id}/keys/{ident}")
            self.dead = [*self.dead[-KEPT:], token]

    def revoke_client(self):
        """With a token of its own, which ends with it."""
        if not self.clients:
            return
        ident, secret = self.clients.pop(0)
        try:
            answer = self.ask("issue", "POST", TOKEN, {200}, form={
                "grant_type": "client_credentials", "client_id": ident,
                "client_secret": secret})
        except Refused:
            self.clients.append((ident, secret))
            raise
        token = json.loads(answer.body)["access_token"]
        self.ledger.issued.append(jti_of(token))
        self._undo(self.clients, (ident, secret), "revoke client",
                   "m2m.client_revoked", ident, f"{CLIENTS}/{ident}")
        self.dead = [*self.dead[-KEPT:], token]

    def _undo(self, back, one, what, event, ident, path):
        try:
            self.change(what, event, ident, {200}, "DELETE", path)
        except Refused:
            back.append(one)
            raise

    # -- over and over --------------------------------------------------------

    def run(self):
        wants = [getattr(self, name) for name, weight in self.load.mix.items()
                 for _ in range(weight)]
        while not self.load.done.is_set():
            try:
                self.random.choice(wants)()
            except Wrong as wrong:
                self.ledger.wrong.append(str(wrong))
            except (Lost, Refused):
                time.sleep(0.02)  # nobody storms a server that is in trouble
            time.sleep(self.load.pause)
        self._drop()


def jti_of(token):
    """Without remembering it as a secret to look for: there are thousands."""
    from .jwt import unb64url
    return json.loads(unb64url(token.split(".")[1]))["jti"]


EVERYTHING = {"issue": 4, "use_token": 6, "use_key": 4, "use_dead": 2,
              "use_bad": 1, "introspect": 2, "make_client": 1, "make_key": 1,
              "rename": 1, "revoke_key": 1, "revoke_client": 1}
CHANGES = {"issue": 3, "make_client": 1, "make_key": 1, "revoke_key": 1,
           "revoke_client": 1, "use_dead": 1, "use_token": 1}


class Load:
    """Workers, half of them on connections that they keep. may: statuses
    that are allowed besides the right one; may_lose: connections may break;
    unsure: so may the store's, and what was answered 503 was perhaps done."""

    def __init__(self, gate, org, mix=None, threads=6, may=(), may_lose=False,
                 pause=0.0, unsure=False):
        self.gate, self.org, self.mix = gate, org, mix or EVERYTHING
        self.may, self.may_lose, self.pause = set(may), may_lose, pause
        self.unsure = unsure
        self.ledger = Ledger()
        self.done = threading.Event()
        self.clients = [org.client("sessions:read") for _ in range(threads)]
        self.workers = [Worker(self, n, reuse=n % 2 == 0)
                        for n in range(threads)]

    def __enter__(self):
        for worker in self.workers:
            worker.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        for worker in self.workers:
            worker.join(http.TIMEOUT * 3)
            assert not worker.is_alive(), "a client waits for ever"

    def more(self, count, seconds=60):
        """Waits for so many more good answers."""
        want = self.ledger.count(200, 201) + count
        deadline = time.monotonic() + seconds
        while self.ledger.count(200, 201) < want:
            assert not self.ledger.wrong, self.ledger.wrong[:5]
            assert time.monotonic() < deadline, self.ledger.answers
            time.sleep(0.01)

    def hit(self, what):
        """How many requests of that kind ("revoke": of clients and keys) got
        no answer."""
        return sum(n for (asked, status), n in self.ledger.answers.items()
                   if status == "lost" and asked.startswith(what))

    def settle(self):
        """Nothing was wrong, and everything that was acknowledged is there;
        while the server still runs, or the store is one's own."""
        assert not self.ledger.wrong, (len(self.ledger.wrong),
                                       self.ledger.wrong[:5])
        events = check_trail(self.org, self.ledger)
        if not self.may and not self.may_lose:
            self._nothing_unanswered(events)
        check_rows(self.org.store, self.ledger)
        check_store(self.org.store)

    def _nothing_unanswered(self, events):
        """Who asks again, since his connection was closed, was not heard: the
        server closes none on which it has read a request."""
        ours, known = {c.id for c in self.clients}, set(self.ledger.issued)
        unanswered = [e["details"]["jti"] for e in events
                      if e["event"] == "m2m.token_issued"
                      and e["target"] in ours
                      and e["details"]["jti"] not in known]
        assert not unanswered, unanswered


def ctl(store, *args):
    """renseictl's output; a trail can be long."""
    done = subprocess.run([where.tool(), "--store", store.spec, *args],
                          text=True, capture_output=True, timeout=900, cwd="/",
                          **where.as_server_user())
    assert done.returncode == 0, (args, done.stdout[-2000:], done.stderr)
    return done.stdout


def trail(org):
    """All events of an organisation, the oldest first."""
    return [json.loads(line) for line in
            ctl(org.store, "audit", "export", "--org", org.id).splitlines()]


def check_store(store):
    """The chain of every trail is whole, and the rows fit each other."""
    verified = json.loads(ctl(store, "--json", "audit", "verify"))
    assert verified["trails"]
    assert not [t for t in verified["trails"] if t["problems"]], verified
    assert json.loads(ctl(store, "--json", "db", "check"))["problems"] == []


def check_trail(org, ledger):
    """All its events, when each that was acknowledged is there once."""
    events = trail(org)
    seqs = [event["seq"] for event in events]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    issued = collections.Counter(
        event["details"]["jti"] for event in events
        if event["event"] == "m2m.token_issued")
    lost = [jti for jti in ledger.issued if issued[jti] != 1]
    assert not lost, f"{len(lost)} tokens of {len(ledger.issued)}: {lost[:5]}"
    assert len(set(ledger.issued)) == len(ledger.issued), "a jti twice"
    told = collections.Counter((e["event"], e["target"]) for e in events)
    wanted = collections.Counter(ledger.events)
    wrong = {one: told[one] for one, n in wanted.items()
             if told[one] != n
             and not (one[1] in ledger.limbo and told[one] > n)}
    assert not wrong, f"{len(wrong)} changes of {len(wanted)}: {wrong}"
    return events


def check_rows(store, ledger):
    """What was created is there; revoked, if that was acknowledged, and not,
    if nobody asked."""
    wire = store.connect()
    ended = {ident: bool(when) for table in ("clients", "keys")
             for ident, when in wire.execute(
                 f"SELECT id, revoked_at FROM rensei_{table}")}
    wire.close()
    events = set(ledger.events)
    for event, ident in events:
        assert ident in ended, f"{event} {ident} is gone"
        revoked = {("m2m.client_revoked", ident),
                   ("api_key.revoked", ident)} & events
        if ident not in ledger.limbo:
            assert ended[ident] == bool(revoked), (ident, ended[ident])
