# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""A store of each earlier version (tests/fixtures) comes to this one with all
that is in it, by `renseictl db migrate` or by a server that starts on it."""

import json
import re
import secrets
from types import SimpleNamespace

import pytest
from authlib.jose import JsonWebKey

from harness import conf, jwt, known_secrets, oauth, where, workers
from harness.pace import wait_for
from harness.store import Client

FIXTURES = where.ROOT / "tests/fixtures"
NOW = int(re.search(r"RENSEI_SCHEMA_VERSION (\d+)",
                    (where.ROOT / "lib/rensei_schema.h").read_text()).group(1))
# A guard asks for each version before this one; this one's may be there, too.
EARLIER = sorted(int(path.stem[7:]) for path in FIXTURES.glob("schema-*.sql"))
KEYS = {"good": ("org", "user"), "bad": ("revoked", "suspended")}
EARLY = 1600000000  # before the time that "cut off" was cut off at
LINE = re.compile(r"INSERT INTO (\w+) VALUES \((.*)\);")


def fixture(version, kind):
    return (FIXTURES / f"schema-{version}.{kind}").read_text()


def load(store, version):
    wire = store.connect()
    if store.driver == "pgsql":
        wire.execute("SET ROLE rensei")  # whose the tables shall be
    for statement in fixture(version, "sql").splitlines():
        wire.execute(statement.rstrip(";"))
    wire.close()


def tables(version):
    """Each table's columns, as the fixture makes them."""
    out = {}
    for line in fixture(version, "sql").splitlines():
        made = re.match(r"CREATE TABLE (\w+) \((.*)\);", line)
        if made:
            out[made.group(1)] = [
                words.split()[0]
                for words in re.split(r",\s*(?![^()]*\))", made.group(2))
                if re.match(r"[a-z_]+ (TEXT|BIGINT|SMALLINT)\b", words)]
    return out


def rows(store, columns_of):
    """All rows of those tables, in those columns."""
    wire = store.connect()
    out = {table: sorted(map(repr, wire.execute(
        f"SELECT {', '.join(columns)} FROM {table}").fetchall()))
           for table, columns in columns_of.items()}
    wire.close()
    return out


def test_the_fixtures_hold_some_of_everything():
    """A fixture without a row of some table would prove nothing of it."""
    assert EARLIER[:NOW - 1] == list(range(1, NOW))
    for version in EARLIER:
        filled = {m.group(1) for m in map(
            LINE.match, fixture(version, "sql").splitlines()) if m}
        assert filled == set(tables(version)), version
        assert all(len(columns) > 1 for columns in tables(version).values())


@pytest.mark.parametrize("version", EARLIER)
def test_all_that_was_there_is_there(launch_here, version):
    store = launch_here.store(empty=True)
    load(store, version)
    columns = tables(version)
    before = rows(store, columns)
    for _ in range(2):  # the second time there is nothing to do
        assert store.ctl("db", "migrate")["schemaVersion"] == NOW
        after = rows(store, columns)
        versions = after.pop("rensei_schema")
        assert set(before["rensei_schema"]) <= set(versions)
        assert len(versions) == NOW
        assert after == {t: r for t, r in before.items()
                         if t != "rensei_schema"}
    assert store.ctl("db", "check")["problems"] == []


@pytest.mark.parametrize("version", EARLIER)
def test_the_trail_of_before_verifies(launch_here, version):
    store = launch_here.store(empty=True)
    load(store, version)
    store.ctl("db", "migrate")
    org = json.loads(fixture(version, "json"))["orgs"]["acme"]
    events = len(store.ctl("audit", "--org", org, "--limit", "500")["events"])
    store.ctl("workspace", "create", "new", "--org", "acme")
    for trail in store.ctl("audit", "verify")["trails"]:
        assert trail["intact"], trail
        if trail["orgId"] == org:
            assert trail["events"] + trail["unhashed"] == events + 1
            assert trail["unhashed"] == (events if version < 3 else 0)


class Upgraded:
    """A server that was started on the fixture as it is."""

    def __init__(self, launch, version):
        self.version = version
        self.store = launch.store(empty=True)
        load(self.store, version)
        self.gate = launch.httpd(
            "RenseiThrottle off\n" + conf.ISSUER + conf.WORKERS,
            store=self.store, children=2)
        data = json.loads(fixture(version, "json"))
        self.orgs, self.workers = data["orgs"], data["workers"]
        self.signer = data.get("signer")
        self.revoked = data.get("revokedToken")
        self.clients = {name: [Client(c["id"], known_secrets.add(s))
                               for s in c["secrets"]]
                        for name, c in data["clients"].items()}
        self.keys = {name: [known_secrets.add(t) for t in k["tokens"]]
                     for name, k in data["keys"].items()}

    def ask(self, client):
        return self.gate.post(oauth.TOKEN, basic=tuple(client), form={
            "grant_type": "client_credentials"})

    def whoami(self, token):
        return self.gate.get(oauth.WHOAMI, token=token)

    def mint(self, client, **changes):
        """Its jti is none of ours, in which there is a time: iat counts."""
        changes.setdefault("jti", "other-" + secrets.token_hex(8))
        return jwt.mint(self.gate.secret, jwt.claims(
            client.id, self.orgs["acme"], ["sessions:read"], **changes))


@pytest.fixture(scope="module", params=EARLIER)
def old(request, launch):
    return Upgraded(launch, request.param)


def test_clients_have_the_secrets_they_had(old):
    for client in old.clients["plain"] + old.clients["rotating"]:
        answer = old.ask(client)
        assert answer.status == 200, answer
        assert old.whoami(answer.json["access_token"]).status == 200
    assert len(old.clients["rotating"]) == (1 if old.version == 1 else 2)


@pytest.mark.parametrize("name", ("revoked", "inactive", "expired",
                                  "suspended"))
def test_a_client_that_was_refused_is_refused(old, name):
    client, = old.clients[name]
    assert old.ask(client).error == (401, "invalid_client")
    assert old.whoami(old.mint(client)).error == (401, "invalid_token")


def test_what_a_client_is_made_of(old):
    client, = old.clients["plain"]
    shown, = (c for c in old.store.ctl("m2m-clients", "list", "--org",
                                       "acme")["clients"]
              if c["clientId"] == client.id)
    assert shown["name"] == "plain"
    assert shown["description"] == "it's \u00fcber; '' and %s"
    assert shown["trustedMetadata"] == {"tier": "gold", "n": [1, None, True]}
    assert shown["tokenLifetime"] == 600 and shown["owner"] == "Ada"
    assert shown.get("audiences", []) == (
        [] if old.version == 1 else ["urn:one", "urn:two"])
    assert old.ask(client).json["expires_in"] == 600


def test_a_client_that_signs(old):
    if old.version == 1:
        assert old.signer is None  # came with version 2
        return
    key = JsonWebKey.import_key(old.signer["key"])
    claims = oauth.assertion_claims(old.signer["id"],
                                    "http://localhost" + oauth.TOKEN)
    answer = old.gate.post(oauth.TOKEN, form={
        "grant_type": "client_credentials",
        "client_assertion_type": oauth.ASSERTION,
        "client_assertion": oauth.sign(key, "ES256", claims)})
    assert answer.status == 200, answer


def test_tokens_that_were_ended_stay_ended(old):
    client, = old.clients["plain"]
    assert old.whoami(old.mint(client)).status == 200
    cut, = old.clients["cut off"]
    assert old.whoami(old.mint(cut)).status == 200
    assert old.whoami(old.mint(client, iat=EARLY)).status == 200
    if old.version == 1:
        assert old.revoked is None  # came with version 2, as did cut-offs
        return
    assert old.whoami(old.mint(client, jti=old.revoked)).error == (
        401, "invalid_token")
    assert old.whoami(old.mint(cut, iat=EARLY)).error == (
        401, "invalid_token")


def test_keys(old):
    for name in KEYS["good"] + ("rotated",):
        for token in old.keys[name]:
            assert old.whoami(token).status == 200, name
    for name in KEYS["bad"]:
        for token in old.keys[name]:
            assert old.whoami(token).error == (401, "invalid_token"), name
    assert len(old.keys["rotated"]) == (1 if old.version < 3 else 2)


def test_workers(old):
    token, = old.keys["registration"]
    by = SimpleNamespace(token=token)
    made = workers.made(workers.bearer(old.gate, by, machineId="new"))
    assert old.whoami(made["runtimeJwt" if "runtimeJwt" in made
                           else "runtimeToken"]).status == 200
    again = workers.made(workers.bearer(old.gate, by, machineId="alive"))
    ids = {w["workerId"]: w["status"] for w in old.store.ctl(
        "workers", "list", "--org", "acme")["workers"]}
    assert ids[old.workers["alive"]] == "active"
    assert ids[old.workers["revoked"]] == "revoked"
    assert (again.get("workerId") or again["id"]) == old.workers["alive"]


def test_what_was_suspended_can_go_on(old):
    """Last: changes the fixture."""
    old.store.ctl("org", "resume", "bolt")
    client, = old.clients["suspended"]
    token, = old.keys["suspended"]
    wait_for(lambda: old.whoami(token).status == 200)
    assert old.ask(client).status == 200
    assert all(t["intact"] for t in old.store.ctl("audit", "verify")["trails"])
