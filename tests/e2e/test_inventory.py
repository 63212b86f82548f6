# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""The inventory: an organisation's clients and keys in one list, over HTTP
and by renseictl."""

import subprocess
import time

import pytest

from harness import conf, where
from harness.admin import Admin, invalid, lacks, noted, now_ms
from harness.pace import patient

DAY = 86400 * 1000
FIELDS = {"credentialId", "kind", "keyType", "class", "name", "owner",
          "scopes", "workspaceId", "status", "createdAt", "ageDays",
          "lastUsedAt", "unusedDays", "expiresAt", "expiresInDays"}


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd(conf.API, store=world.store)


class Inventory(Admin):
    def __init__(self, gate, org, token):
        super().__init__(gate, token, org)
        self.path = f"/api/org/{org}/credentials"

    def list(self, **query):
        return self.ok("GET", self.path, query=query)["credentials"]

    def names(self, **query):
        return [entry["name"] for entry in self.list(**query)]

    def one(self, name):
        return next(e for e in self.list() if e["name"] == name)


@pytest.fixture
def org(gate, world, request):
    """A new organisation's inventory, which has its admin's key alone."""
    ident = world.store.org(request.node.name)
    key = world.store.key(ident, "admin", "*")
    return Inventory(gate, ident, key.token)


def change(world, table, ident, **columns):
    wire = world.store.connect()
    for name, value in columns.items():
        done = wire.execute(f"UPDATE {table} SET {name} = ? WHERE id = ?",
                            (value, ident))
        assert done.rowcount == 1
    wire.close()


def test_both_kinds_in_one_list(org):
    client = org.client(name="nightly", owner="ada",
                        expiresAt=now_ms() + 3 * DAY + 60000)
    user = org.key(name="laptop", keyType="user", userId="u1")
    org.key(name="runners", keyType="worker_registration",
            scopes=["workers:register"])
    found = org.list()
    assert [e["name"] for e in found] == ["runners", "laptop", "nightly",
                                          "admin"]
    assert all(set(e) == FIELDS for e in found)
    assert [e["class"] for e in found] == ["minting", "standing", "minting",
                                           "standing"]
    nightly = org.one("nightly")
    assert nightly == {
        "credentialId": client["clientId"], "kind": "client", "keyType": None,
        "class": "minting", "name": "nightly", "owner": "ada",
        "scopes": ["sessions:read"], "workspaceId": None, "status": "active",
        "createdAt": nightly["createdAt"], "ageDays": 0, "lastUsedAt": None,
        "unusedDays": 0, "expiresAt": nightly["expiresAt"], "expiresInDays": 3}
    assert nightly["expiresAt"].endswith("Z")
    laptop = org.one("laptop")
    assert (laptop["credentialId"], laptop["kind"], laptop["keyType"]) == (
        user["keyId"], "key", "user")
    assert laptop["expiresAt"] is laptop["expiresInDays"] is None


def test_nothing_of_another_organisation(gate, world, org):
    """Two organisations in one store: neither's list has anything of the
    other's, and the other's list is not there at all."""
    other = Inventory(gate, world.b.id, world.b.admin.token)
    mine, theirs = org.client(), other.client()
    here = {e["credentialId"] for e in org.list()}
    there = {e["credentialId"] for e in other.list(limit=500)}
    assert mine["clientId"] in here and theirs["clientId"] in there
    assert not here & there
    for path in (other.path, "/api/org/org_01ARZ3NDEKTSV4RRFFQ69G5FAV"
                             "/credentials"):
        assert org("GET", path).error == (404, "not_found")


def test_who_may_see_it(gate, world, org):
    def ask(token):
        return gate.get(org.path, token=token)
    reader = org.key(scopes=["org:read"])
    writer = org.key(scopes=["org:write"])
    user = org.key(keyType="user", userId="u", scopes=["*"])
    client = org.client(scopes=["*"])
    token = gate.token(type("C", (), {"id": client["clientId"],
                                      "secret": client["clientSecret"]}))
    assert ask(reader["token"]).status == 200
    lacks(ask(writer["token"]), "org:read")
    assert ask(user["token"]).status == 403
    assert ask(token).error == (403, "access_denied")
    assert ask(None).status == 401
    assert gate.post(org.path, token=reader["token"]).status in (403, 405)
    assert org("POST", org.path).error == (405, "method_not_allowed")


def test_no_secret_and_no_digest(gate, org):
    """The list is read by many; what it shows must not open anything."""
    client, key = org.client(), org.key()
    text = gate.get(org.path, token=org.token).text
    assert client["clientId"] in text
    for secret in (client["clientSecret"], key["token"]):
        assert secret not in text and secret[-8:] not in text
    assert "sha256$" not in text


def test_what_has_ended_goes(world, org):
    client, key = org.client(name="c"), org.key(name="k")
    org.ok("DELETE", f"/api/admin/m2m-clients/{client['clientId']}")
    org.ok("DELETE", f"{org.keys}/{key['keyId']}")

    def run(end):
        org.client(name="soon", expiresAt=end.ms)
        org.client(name="spent", secretExpiresAt=end.ms)
        assert set(org.names()) == {"admin", "soon", "spent"}
        assert org.one("spent")["expiresAt"] is not None
        end.not_yet()
        end.wait()
        assert org.names() == ["admin"]
    patient(run)
    org.client(name="off")
    off = org.one("off")
    org.ok("PATCH", f"/api/admin/m2m-clients/{off['credentialId']}",
           {"status": "inactive"})
    assert org.one("off")["status"] == "inactive"


def test_unused(gate, world, org):
    used, idle = org.client(name="used"), org.client(name="idle")
    for made in (used, idle):
        change(world, "rensei_clients", made["clientId"],
               created_at=now_ms() - 60 * DAY)
    gate.token(type("C", (), {"id": used["clientId"],
                              "secret": used["clientSecret"]}))
    assert noted(lambda: org.one("used")["lastUsedAt"])
    assert org.names(unused_for="45d") == ["idle"]
    assert org.one("idle")["unusedDays"] == org.one("idle")["ageDays"] == 60
    found = org.one("used")
    assert found["unusedDays"] == 0 and found["lastUsedAt"]
    assert org.names(unused_for="61d") == []
    time.sleep(1.1)
    assert set(org.names(unused_for="1s")) >= {"idle", "used"}


def test_expiring(org):
    org.client(name="never")
    org.client(name="week", expiresAt=now_ms() + 7 * DAY)
    org.client(name="secret", expiresAt=now_ms() + 90 * DAY,
               secretExpiresAt=now_ms() + 6 * DAY)
    org.client(name="quarter", expiresAt=now_ms() + 90 * DAY)
    org.key(name="key", expiresAt=now_ms() + 5 * DAY)
    assert org.names(expiring_within="14d") == ["key", "secret", "week"]
    assert org.names(expiring_within="6d") == ["key", "secret"]
    assert org.names(expiring_within="3650d") == ["key", "quarter", "secret",
                                                  "week"]
    assert org.names(expiring_within="1h") == []


def test_without_owner(org):
    org.client(name="orphan")
    org.client(name="owned", owner="ada")
    org.key(name="u", keyType="user", userId="u1")
    assert org.names(without_owner="true") == ["u", "orphan"]
    everything = org.names()
    assert len(everything) == 4
    assert org.names(without_owner="false") == everything
    # a flag is written without a value, too, and then is no less a filter
    for query in ("?without_owner", "?without_owner=", "?limit=9&without_owner",
                  "?without_owner&limit=9"):
        got = org.ok("GET", org.path + query)["credentials"]
        assert [e["name"] for e in got] == ["u", "orphan"], query
    assert [e["name"] for e in
            org.ok("GET", org.path + "?class=standing&without_owner")[
                "credentials"]] == ["u"]


def test_by_class(org):
    org.client(name="c")
    org.key(name="r", keyType="worker_registration",
            scopes=["workers:register"])
    org.key(name="u", keyType="user", userId="u1")
    assert org.names(**{"class": "standing"}) == ["u", "admin"]
    assert org.names(**{"class": "minting"}) == ["r", "c"]


@pytest.mark.parametrize("name, value", [
    ("unused_for", "soon"), ("unused_for", "0"), ("unused_for", "-1d"),
    ("unused_for", "1w"), ("unused_for", "45"), ("unused_for", "3651d"), ("expiring_within", "1.5d"),
    ("expiring_within", "99999999999999999999d"), ("without_owner", "maybe"),
    ("class", "sitting"), ("class", "Standing"), ("limit", "0"),
    ("limit", "501"), ("cursor", "x"), ("owner", "ada")])
def test_bad_parameters(org, name, value):
    invalid(org("GET", org.path, query={name: value}), name)


def test_a_cursor_of_another_list(org):
    org.client()
    org.client()
    cursor = org.ok("GET", "/api/admin/m2m-clients",
                    query={"limit": 1})["nextCursor"]
    invalid(org("GET", org.path, query={"cursor": cursor}), "cursor")


def test_pages(world, org):
    """Each credential once, also those of the same millisecond, while others
    come and go."""
    made = [org.client()["clientId"] for _ in range(6)]
    made += [org.key()["keyId"] for _ in range(6)]
    wire = world.store.connect()
    for table in ("rensei_clients", "rensei_keys"):
        wire.execute(f"UPDATE {table} SET created_at = created_at / 1000 * 1000"
                     " WHERE org_id = ?", (org.path.split("/")[3],))
    wire.close()
    seen, cursor = [], None
    for _ in range(20):
        query = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = org.ok("GET", org.path, query=query)
        seen += [e["credentialId"] for e in page["credentials"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
        assert len(page["credentials"]) == 3
        time.sleep(0.02)
        org.key(name="later")
    assert len(seen) == len(set(seen)) == 13
    assert set(made) <= set(seen)
    created = {e["credentialId"]: e["createdAt"] for e in org.list(limit=500)}
    times = [created[ident] for ident in seen]
    assert times == sorted(times, reverse=True)


# -- renseictl ----------------------------------------------------------------


def test_the_tool_shows_the_same(world, org):
    org.client(name="orphan", expiresAt=now_ms() + DAY)
    org.key(name="u", keyType="user", userId="u1")
    ident = org.path.split("/")[3]

    def tool(*args):
        return world.store.ctl("credentials", "--org", ident,
                               *args)["credentials"]
    assert tool() == org.list()
    assert [e["name"] for e in tool("--without-owner")] == ["u", "orphan"]
    assert [e["name"] for e in tool("--expiring-within", "14d")] == ["orphan"]
    assert tool("--unused-for", "45d") == []
    assert [e["name"] for e in tool("--class", "standing")] == ["u", "admin"]


def run(store, *args):
    return subprocess.run([where.tool(), "--store", store.spec, *args],
                          text=True, capture_output=True, timeout=60, cwd="/",
                          **where.as_server_user())


def test_the_tools_table_and_what_it_refuses(world, org):
    org.client(name="nightly", owner="ada")
    ident = org.path.split("/")[3]
    done = run(world.store, "credentials", "--org", ident)
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split()[:2] == ["ID", "Kind"] and len(rows) == 2
    assert "nightly" in rows[0] and "ada" in rows[0] and "minting" in rows[0]
    for option, value in (("--unused-for", "soon"), ("--expiring-within", "0")):
        done = run(world.store, "credentials", "--org", ident, option, value)
        assert done.returncode == 2 and option in done.stderr
    done = run(world.store, "credentials", "--org", ident, "--class", "x")
    assert done.returncode == 4 and "class must be" in done.stderr
    assert run(world.store, "credentials").returncode == 2
