# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Policies of a virtual host: what an organisation's administrators are held
to when they make or change credentials there. Two organisations, and hosts of
different policy over one store, so that each call shows whose policy binds."""

import secrets
import threading
import time

import pytest

from harness import conf, jwt, workers
from harness.admin import CLIENTS, Admin, invalid
from harness.oauth import WHOAMI
from harness.pace import patient
from harness.store import Client

READ = "sessions:read"
DAY = 86400
FEW = 6  # RenseiMaxCredentials of few.example

HOSTS = {
    "localhost": "",
    "age.example": "RenseiMaxKeyAge 90d",
    "owner.example": "RenseiRequireOwner On",
    "expiry.example": "RenseiRequireExpiry On",
    "short.example": "RenseiMaxTokenLifetime 15m",
    "few.example": f"RenseiMaxCredentials {FEW}",
    "all.example": """RenseiMaxKeyAge 30d
RenseiRequireOwner On
RenseiRequireExpiry On
RenseiMaxTokenLifetime 300""",
}


def vhost(name, store, lines):
    return (f"<VirtualHost *:@PORT@>\nServerName {name}\n{store.dbd()}{lines}\n"
            f"{conf.ISSUER}{conf.WORKERS}</VirtualHost>\n")


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd("".join(
        vhost(name, world.store, lines) for name, lines in HOSTS.items()),
        store=world.store, children=2)


class At(Admin):
    """Calls the admin API of one virtual host."""

    def __init__(self, gate, token, org, host="localhost"):
        super().__init__(gate, token, org)
        self.host, self.org = host, org

    def __call__(self, method, path, body=None, query=None, **more):
        return super().__call__(method, path, body, query, host=self.host,
                                **more)

    def new_client(self, **more):
        return self("POST", CLIENTS, {"name": "c", "scopes": [READ], **more})

    def new_key(self, **more):
        return self("POST", self.keys, {
            "name": "k", "keyType": "org", "owner": "ops", "scopes": [READ],
            **more})

    def new_registration(self, **more):
        return self("POST", self.keys, {
            "name": "r", "keyType": "worker_registration",
            "scopes": ["workers:register"], **more})

    def patch(self, client, **changes):
        return self("PATCH", f"{CLIENTS}/{client}", changes)


@pytest.fixture(params=["a", "b"])
def at(gate, world, request):
    """at(host) calls the admin API there, as an organisation's key: each test
    is run by both."""
    org = getattr(world, request.param)
    return lambda host="localhost": At(gate, org.admin.token, org.id, host)


def ahead(seconds):
    """A time from now on, as the API takes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(
        time.time() + seconds))


def made(answer):
    """What was made, of either kind."""
    assert answer.status == 201, answer
    return answer.json.get("client", answer.json)


def names(answer, *words):
    for word in words:
        assert word in answer.json["error_description"], answer


# ---- RenseiMaxKeyAge ----

def test_the_age_of_a_key(at):
    for make in ("new_key", "new_registration"):
        for more in ({}, {"expiresAt": None},
                     {"expiresAt": ahead(90 * DAY + 60)},
                     {"expiresAt": ahead(3000 * DAY)}):
            answer = getattr(at("age.example"), make)(**more)
            invalid(answer, "expiresAt")
            names(answer, "RenseiMaxKeyAge is 90d")
            made(getattr(at(), make)(**more))
        made(getattr(at("age.example"), make)(expiresAt=ahead(90 * DAY - 60)))
    # a client is no key
    made(at("age.example").new_client())


def test_the_age_of_a_key_made_by_the_legacy_path(at):
    """Attack: the older of two ways to make a key was forgotten."""
    body = {"name": "k", "keyType": "org", "owner": "ops", "scopes": [READ]}
    answer = at("age.example")("POST", "/api/org/api-keys", body)
    invalid(answer, "expiresAt")
    made(at()("POST", "/api/org/api-keys", body))
    made(at("age.example")("POST", "/api/org/api-keys",
                           {**body, "expiresAt": ahead(DAY)}))


def test_a_rotation_does_not_prolong_a_key(at):
    """Attack: a key without an end, from where that is allowed, is renewed
    again and again where it is not."""
    plain, strict = at(), at("age.example")
    endless, long, short = (
        made(plain.new_key(**more))["keyId"] for more in (
            {}, {"expiresAt": ahead(91 * DAY)}, {"expiresAt": ahead(DAY)}))
    for key in (endless, long):
        answer = strict("POST", f"{strict.keys}/{key}/rotate",
                        {"graceSeconds": 0})
        assert answer.error == (403, "access_denied"), answer
        names(answer, "RenseiMaxKeyAge is 90d")
    body = {"graceSeconds": 0}
    assert strict("POST", f"{strict.keys}/{short}/rotate", body).status == 200
    for key in (endless, long, short):
        assert plain("POST", f"{plain.keys}/{key}/rotate", body).status == 200


# ---- RenseiRequireOwner ----

def test_an_owner(at):
    for make in ("new_client", "new_registration"):
        for more in ({}, {"owner": None}):
            answer = getattr(at("owner.example"), make)(**more)
            invalid(answer, "owner")
            names(answer, "RenseiRequireOwner is On")
            made(getattr(at(), make)(**more))
        made(getattr(at("owner.example"), make)(owner="team ci"))


def test_an_owner_that_is_taken_away(at):
    """Attack: made as it has to be, and then changed."""
    strict = at("owner.example")
    client = made(strict.new_client(owner="team ci"))["clientId"]
    key = made(strict.new_registration(owner="team ci"))["keyId"]
    invalid(strict.patch(client, owner=None), "owner")
    invalid(strict("PATCH", f"{strict.keys}/{key}", {"owner": None}), "owner")
    assert strict.patch(client, owner="team cd").status == 200
    assert strict("PATCH", f"{strict.keys}/{key}",
                  {"owner": "team cd"}).status == 200
    assert at().patch(client, owner=None).status == 200
    assert at()("PATCH", f"{strict.keys}/{key}", {"owner": None}).status == 200


def test_one_from_before_the_policy(at):
    """It can be renamed, and given an owner."""
    client = made(at().new_client())["clientId"]
    key = made(at().new_registration())["keyId"]
    strict = at("all.example")
    assert strict.patch(client, name="renamed").status == 200
    assert strict.patch(client, owner="team ci").status == 200
    path = f"{strict.keys}/{key}"
    assert strict("PATCH", path, {"name": "renamed"}).status == 200
    assert strict("PATCH", path, {"owner": "team ci"}).status == 200


# ---- RenseiRequireExpiry ----

def test_an_expiry(at):
    for make in ("new_client", "new_key", "new_registration"):
        for more in ({}, {"expiresAt": None}):
            answer = getattr(at("expiry.example"), make)(**more)
            invalid(answer, "expiresAt")
            names(answer, "RenseiRequireExpiry is On")
            made(getattr(at(), make)(**more))
        made(getattr(at("expiry.example"), make)(expiresAt=ahead(3000 * DAY)))


def test_an_expiry_that_is_taken_away(at):
    strict = at("expiry.example")
    client = made(strict.new_client(expiresAt=ahead(DAY)))["clientId"]
    invalid(strict.patch(client, expiresAt=None), "expiresAt")
    assert strict.patch(client, expiresAt=ahead(2 * DAY)).status == 200
    assert at().patch(client, expiresAt=None).status == 200


# ---- RenseiMaxTokenLifetime ----

def lifetime(gate, client, host):
    """What a token is said to live, and lives."""
    answer = gate.post("/api/oauth/token", host=host, form={
        "grant_type": "client_credentials", "client_id": client.id,
        "client_secret": client.secret})
    assert answer.status == 200, answer
    _, claims = jwt.read(answer.json["access_token"])
    assert claims["exp"] - claims["iat"] == answer.json["expires_in"]
    return answer.json["expires_in"]


def as_client(client):
    return Client(client["clientId"], client["clientSecret"])


def test_the_lifetime_of_tokens(gate, at):
    strict = at("short.example")
    for seconds in (901, 86400):
        answer = strict.new_client(tokenLifetime=seconds)
        invalid(answer, "tokenLifetime")
        names(answer, "RenseiMaxTokenLifetime is 15m", "at most 900")
    plain = as_client(made(strict.new_client()))
    brief = as_client(made(strict.new_client(tokenLifetime=60)))
    long = as_client(made(at().new_client(tokenLifetime=7200)))
    assert [lifetime(gate, c, "short.example")
            for c in (plain, brief, long)] == [900, 60, 900]
    assert [lifetime(gate, c, "all.example")
            for c in (plain, brief, long)] == [300, 60, 300]
    assert [lifetime(gate, c, "localhost")
            for c in (plain, brief, long)] == [3600, 60, 7200]


def test_a_lifetime_changed_later(gate, at):
    """Attack: a client from where nothing limits it, or changed there, gets
    no token that lives longer here either."""
    strict = at("short.example")
    client = made(strict.new_client(tokenLifetime=900))
    invalid(strict.patch(client["clientId"], tokenLifetime=901),
            "tokenLifetime")
    assert strict.patch(client["clientId"], tokenLifetime=None).status == 200
    assert at().patch(client["clientId"], tokenLifetime=86400).status == 200
    assert lifetime(gate, as_client(client), "short.example") == 900
    assert lifetime(gate, as_client(client), "localhost") == 86400


def test_the_lifetime_of_runtime_tokens(gate, at, world):
    """A worker's token is one of those that the host issues, and so is its
    next one."""
    org = world.a if at().org == world.a.id else world.b
    key = workers.registration_key(world, org)

    def lives(token):
        _, claims = jwt.read(token)
        return claims["exp"] - claims["iat"]

    worker = workers.made(workers.daemon(gate, key, host="localhost"))
    assert lives(worker["runtimeJwt"]) == 900
    for register in (workers.daemon, workers.bearer):
        made_here = workers.made(register(gate, key, host="all.example"))
        assert lives(made_here["runtimeJwt"]) == 300
    again = workers.refresh(gate, worker["workerId"], worker["runtimeJwt"],
                            host="all.example")
    assert again.status == 200, again
    assert lives(again.json["runtimeJwt"]) == 300


# ---- RenseiMaxCredentials ----

@pytest.fixture
def fresh(gate, world):
    """fresh() is a new organisation's admin API where few are allowed; its
    admin key is the first of them."""
    def make():
        org = world.store.org("fresh " + secrets.token_hex(8))
        admin = world.store.key(org, "admin", "*")
        return At(gate, admin.token, org, "few.example")
    return make


def denied(answer):
    assert answer.error == (403, "access_denied"), answer
    names(answer, f"RenseiMaxCredentials is {FEW}")


def test_so_many_and_no_more(gate, fresh, at):
    few, other = fresh(), fresh()
    clients = [made(few.new_client())["clientId"] for _ in range(3)]
    keys = [made(few.new_key())["keyId"] for _ in range(2)]
    for more in (few.new_client(), few.new_key(), few.new_registration()):
        denied(more)
    made(other.new_client())  # each organisation has a number of its own
    few.ok("DELETE", f"{CLIENTS}/{clients[0]}")
    made(few.new_key())
    denied(few.new_client())
    few.ok("DELETE", f"{few.keys}/{keys[0]}")
    made(few.new_client())
    denied(few.new_registration())
    # a change of what there is needs no more room
    assert few.patch(clients[1], name="renamed").status == 200
    # and where there is no such policy there is no such number
    made(At(gate, few.token, few.org).new_client())


def test_what_has_expired_does_not_count(fresh):
    """Attack: clients that have expired make room for others, and are then
    given another end, all of them."""
    def run(end):
        few = fresh()
        brief = [made(few.new_client(expiresAt=end.ms))["clientId"]
                 for _ in range(FEW - 1)]
        denied(few.new_client())
        end.not_yet()
        end.wait()
        return few, brief
    few, brief = patient(run)
    for _ in range(FEW - 2):
        made(few.new_client())
    assert few.patch(brief[0], expiresAt=None).status == 200
    for client in brief[1:]:
        denied(few.patch(client, expiresAt=None))
        denied(few.patch(client, expiresAt=ahead(DAY)))
    assert few.patch(brief[1], name="still there").status == 200


def test_so_many_also_at_the_same_time(fresh):
    """Attack: many at once, over both children, each of which finds room for
    one more."""
    few = fresh()
    start = threading.Barrier(16)
    answers = []

    def create(n):
        start.wait(20)
        for _ in range(2):
            make = few.new_client if n % 2 else few.new_key
            answers.append(make())

    threads = [threading.Thread(target=create, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 32
    for answer in answers:
        if answer.status != 201:
            denied(answer)
    assert sum(answer.status == 201 for answer in answers) == FEW - 1
    alive = few.ok("GET", CLIENTS)["clients"], few.ok("GET", few.keys)["keys"]
    assert len(alive[0]) + len(alive[1]) == FEW


# ---- whom they do not bind ----

def test_an_operator_is_not_bound(gate, world):
    """renseictl is for who has the machine, and so the configuration."""
    key = world.store.key(world.a.id, "operator's", READ)
    assert gate.get(WHOAMI, token=key.token, host="all.example").status == 200


def test_what_was_made_elsewhere_goes_on(gate, at):
    """A policy is about making and changing, not about what is there."""
    key = made(at().new_key())
    assert gate.get(WHOAMI, token=key["token"],
                    host="all.example").status == 200


def test_all_of_them_together(at):
    strict = at("all.example")
    body = {"owner": "team ci", "expiresAt": ahead(29 * DAY)}
    made(strict.new_client(**body, tokenLifetime=300))
    made(strict.new_key(**body))
    for name in body:
        less = {k: v for k, v in body.items() if k != name}
        invalid(strict.new_client(**less), name)
        invalid(strict.new_registration(**less), name)


# ---- the directives ----

@pytest.fixture(scope="module")
def configtest(launch, world):
    def run(text):
        return launch.httpd(text, store=world.store,
                            start=False).configtest()
    return run


@pytest.mark.parametrize("lines", [
    "RenseiMaxKeyAge 90d", "RenseiMaxKeyAge off", "RenseiMaxKeyAge 3600",
    "RenseiMaxTokenLifetime 60", "RenseiMaxTokenLifetime 24h",
    "RenseiMaxTokenLifetime Off", "RenseiMaxCredentials 1",
    "RenseiMaxCredentials off",
    "RenseiMaxTokenLifetime 15m\nRenseiTokenLifetime 900",
    "RenseiTokenLifetime 3600\nRenseiMaxTokenLifetime off"])
def test_what_is_said_well(configtest, lines):
    ok, said = configtest(lines + "\n" + conf.ISSUER)
    assert ok, said


@pytest.mark.parametrize("lines, words", [
    ("RenseiMaxKeyAge 0", ["RenseiMaxKeyAge", "90d", "'off'", "not '0'"]),
    ("RenseiMaxKeyAge 3651d", ["at most 3650d"]),
    ("RenseiMaxKeyAge -1d", ["not '-1d'"]),
    ("RenseiMaxKeyAge 1w", ["not '1w'"]),
    ("RenseiMaxTokenLifetime 59", ["60", "86400", "not '59'"]),
    ("RenseiMaxTokenLifetime 2d", ["60", "86400", "not '2d'"]),
    ("RenseiMaxCredentials 0", ["RenseiMaxCredentials", "'off'", "not '0'"]),
    ("RenseiMaxCredentials many", ["not 'many'"]),
    ("RenseiRequireOwner maybe", ["RenseiRequireOwner", "On or Off"]),
    ("RenseiRequireExpiry 1", ["RenseiRequireExpiry", "On or Off"]),
    ("<Location /x>\nRenseiMaxKeyAge 1d\n</Location>",
     ["RenseiMaxKeyAge", "<Location>"]),
    ("<Location /x>\nRenseiRequireOwner On\n</Location>",
     ["RenseiRequireOwner", "<Location>"]),
    ("RenseiMaxTokenLifetime 15m\nRenseiTokenLifetime 901",
     ["RS0080", "RenseiTokenLifetime 901", "RenseiMaxTokenLifetime",
      "write", "RenseiTokenLifetime 900"]),
    ("RenseiMaxTokenLifetime 10m\nRenseiWorkerTokenLifetime 900",
     ["RS0080", "RenseiWorkerTokenLifetime 900", "RenseiMaxTokenLifetime",
      "write", "RenseiWorkerTokenLifetime 600"]),
])
def test_what_is_said_badly(configtest, lines, words):
    ok, said = configtest(lines + "\n" + conf.ISSUER)
    assert not ok
    for word in words:
        assert word.lower() in said.lower(), said


def test_a_lifetime_that_a_virtual_host_inherits(configtest):
    """The server says an hour, the host at most 15 minutes: what is said is
    meant, so one of them is wrong."""
    lines = ("RenseiTokenLifetime 3600\n<VirtualHost *:@PORT@>\n"
             "ServerName short.example\nRenseiMaxTokenLifetime 15m\n"
             "%s</VirtualHost>\n" + conf.ISSUER)
    ok, said = configtest(lines % "")
    assert not ok and "RS0080" in said and "short.example" in said
    assert configtest(lines % "RenseiTokenLifetime 600\n")[0]


def test_a_virtual_host_takes_it_back(gate, world, launch):
    """Said for the server, and off in one host."""
    server = launch.httpd(
        "RenseiMaxKeyAge 1d\nRenseiRequireOwner On\nRenseiRequireExpiry On\n"
        f"RenseiMaxTokenLifetime 60\nRenseiMaxCredentials 1\n"
        + vhost("localhost", world.store, "")
        + vhost("free.example", world.store,
                "RenseiMaxKeyAge off\nRenseiRequireOwner Off\n"
                "RenseiRequireExpiry Off\nRenseiMaxTokenLifetime off\n"
                "RenseiMaxCredentials off"), store=world.store)
    bound = At(server, world.a.admin.token, world.a.id)
    free = At(server, world.a.admin.token, world.a.id, "free.example")
    invalid(bound.new_client(), "owner")
    invalid(bound.new_key(), "expiresAt")
    answer = bound.new_client(owner="o", expiresAt=ahead(3600))
    assert answer.error == (403, "access_denied"), answer
    client = as_client(made(free.new_client(tokenLifetime=3600)))
    made(free.new_key())
    assert lifetime(server, client, "free.example") == 3600
    assert lifetime(server, client, "localhost") == 60
