# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Organisations and workspaces that are switched off, on again, and deleted:
their credentials stop at once in every child of a running gateway, and nobody
else's."""

import pytest

from harness import conf, jwt, workers
from harness.admin import Admin
from harness.crowd import Crowd
from harness.oauth import WHOAMI, active, introspect
from harness.pace import Within
from harness.store import CtlError

READ = "sessions:read"
RUNTIME = "rensei-runtime+jwt"
ULID = "01ARZ3NDEKTSV4RRFFQ69G5F"


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd(conf.API + conf.OAUTH + conf.WORKERS,
                        store=world.store, children=2)


class Place:
    """An organisation with a workspace; in each of the two a client with a
    token, and a key. Credentials by name: of_ws..., of_org..."""

    made = 0

    def __init__(self, gate, store):
        Place.made += 1
        self.gate, self.store = gate, store
        self.name = f"place {Place.made}"
        self.org = store.org(self.name)
        self.ws = store.workspace(self.org, "main")
        self.admin = store.key(self.org, "admin", "*")
        self.ws_client = store.client(self.org, "in", READ, workspace=self.ws)
        self.org_client = store.client(self.org, "out", READ)
        self.ws_key = store.key(self.org, "in", READ, workspace=self.ws)
        self.org_key = store.key(self.org, "out", READ)
        self.of_ws = {"token": gate.token(self.ws_client),
                      "key": self.ws_key.token}
        self.of_org = {"token": gate.token(self.org_client),
                       "key": self.org_key.token}

    def ctl(self, *args):
        return self.store.ctl(*args)

    def workspace(self, what, *more):
        return self.ctl("workspace", what, self.ws, "--org", self.org, *more)

    def events(self):
        return self.ctl("audit", "--org", self.org, "--limit", "500")["events"]


@pytest.fixture
def place(gate, world):
    return Place(gate, world.store)


@pytest.fixture
def other(gate, world):
    """Another organisation, which nothing must happen to."""
    return Place(gate, world.store)


def asking(credentials):
    """For Crowd: the statuses that the credentials get, by their names."""
    def ask(wire):
        return tuple((name, wire.get(WHOAMI, token=token).status)
                     for name, token in sorted(credentials.items()))
    return ask


def all_get(credentials, status):
    return {tuple((name, status) for name in sorted(credentials))}


def within_a_second(crowd, credentials, status):
    """Each child gives that answer to each of them, on every request that
    begins more than a second from now."""
    want = all_get(credentials, status)
    with Within(1) as second:
        second.until(lambda: crowd.each(asking(credentials)) == want)


def followed(gate, token, status):
    """The gateway has followed what renseictl did: every child says so."""
    with Crowd(gate) as crowd:
        within_a_second(crowd, {"one": token}, status)


def crowd_of(gate, credentials):
    """Open connections to all children, that have the credentials in their
    caches."""
    crowd = Crowd(gate, asking(credentials))
    assert crowd.each(asking(credentials)) == all_get(credentials, 200)
    return crowd


def refused(gate, client):
    """Is a client refused a token, or does it get one?"""
    answer = gate.post("/api/oauth/token", basic=tuple(client), form={
        "grant_type": "client_credentials"})
    if answer.status == 200:
        return False
    assert answer.error == (401, "invalid_client"), answer
    return True


# ---- workspaces ----

def test_a_workspace_suspended_and_resumed(gate, place, other):
    """What is bound to the workspace stops at once, tokens too; the rest of
    the organisation, and other organisations, go on."""
    everybody = {**{"ws " + k: v for k, v in place.of_ws.items()},
                 **{"org " + k: v for k, v in place.of_org.items()},
                 **{"other " + k: v for k, v in other.of_ws.items()}}
    others = {k: v for k, v in everybody.items() if not k.startswith("ws ")}
    with crowd_of(gate, everybody) as crowd:
        assert place.workspace("suspend")["status"] == "suspended"
        within_a_second(crowd, place.of_ws, 401)
        assert crowd.each(asking(others)) == all_get(others, 200)
        assert place.workspace("resume")["status"] == "active"
        within_a_second(crowd, everybody, 200)
    assert [(e["event"], e["target"]) for e in place.events()[:2]] == [
        ("workspace.resumed", place.ws), ("workspace.suspended", place.ws)]


def test_what_a_suspended_workspaces_caller_is_told(gate, place):
    place.workspace("suspend")
    for token in place.of_ws.values():
        followed(gate, token, 401)
        answer = gate.get(WHOAMI, token=token)
        assert answer.error == (401, "invalid_token")
        assert answer.challenge.error_description == \
            "The workspace is suspended."


def test_no_token_in_a_suspended_workspace(gate, place):
    """The same answer as to a wrong secret; the trail says why."""
    place.workspace("suspend")
    assert refused(gate, place.ws_client)
    assert not refused(gate, place.org_client)
    event = next(e for e in place.events() if e["event"] == "m2m.auth_failed")
    assert event["details"] == {"reason": "workspace_suspended"}
    assert event["target"] == place.ws_client.id
    place.workspace("resume")
    assert not refused(gate, place.ws_client)


def test_introspection_of_a_suspended_workspace(gate, place):
    everything = [*place.of_ws.values(), *place.of_org.values()]
    asked = [active(gate, place.admin, token) for token in everything]
    assert asked == [True] * 4
    place.workspace("suspend")
    asked = [active(gate, place.admin, token) for token in everything]
    assert asked == [False, False, True, True]
    place.workspace("resume")
    assert introspect(gate, place.admin, place.of_ws["token"])[
        "workspace_id"] == place.ws


def test_a_caller_of_a_suspended_workspace(gate, place):
    """Attack: an administrator's key that is bound to a suspended workspace
    goes on asking about tokens, and calling the admin API."""
    boss = place.store.key(place.org, "boss", "*", workspace=place.ws)
    target = place.of_org["token"]
    admin = Admin(gate, boss.token, place.org)
    assert active(gate, boss, target)
    assert admin("GET", admin.keys).status == 200
    place.workspace("suspend")
    answer = gate.post("/api/oauth/introspect", token=boss.token,
                       form={"token": target})
    assert answer.error == (401, "invalid_token"), answer
    assert "workspace is suspended" in answer.json["error_description"]
    followed(gate, boss.token, 401)
    assert admin("GET", admin.keys).error == (401, "invalid_token")
    place.workspace("resume")
    assert active(gate, boss, target)


def worker(gate, place, number, workspace):
    """A worker of a registration key of the organisation, and its token."""
    key = place.store.key(place.org, "reg " + number, "workers:register",
                          type="worker_registration")
    ident = f"wkr_{ULID}{number}"
    place.store.connect().execute(
        "INSERT INTO rensei_workers (id, org_id, workspace_id, key_id, "
        "hostname, max_agents, created_at) VALUES (?, ?, ?, ?, 'h', 1, 1)",
        (ident, place.org, workspace, key.id))
    claims = jwt.claims(ident, place.org, ["workers:read"], reg=key.id)
    return jwt.mint(gate.secret, claims, {"alg": "HS256", "typ": RUNTIME})


def test_workers_of_a_suspended_workspace(gate, place):
    """Its registration key is the organisation's, so that only the worker
    itself says which workspace it belongs to."""
    tokens = {"in": worker(gate, place, "D1", place.ws),
              "out": worker(gate, place, "D2", None)}
    with crowd_of(gate, tokens) as crowd:
        place.workspace("suspend")
        within_a_second(crowd, {"in": tokens["in"]}, 401)
        assert crowd.each(asking({"out": tokens["out"]})) == all_get(
            {"out": 0}, 200)
        assert not active(gate, place.admin, tokens["in"])
        place.workspace("resume")
        within_a_second(crowd, tokens, 200)


def registration(place, **more):
    return place.store.key(place.org, "registration", "workers:register",
                           type="worker_registration", **more)


def test_no_worker_registers_in_a_suspended_workspace(gate, place):
    """Neither way; and one that is there gets no further token. Attack: a
    daemon that is switched off comes back by registering anew."""
    inside = registration(place, workspace=place.ws, max_uses=10)
    outside = registration(place)
    worker = workers.made(workers.daemon(gate, inside))
    place.workspace("suspend")
    assert workers.daemon(gate, inside).error == (401, "invalid_token")
    followed(gate, place.of_ws["key"], 401)
    assert workers.bearer(gate, inside).error == (401, "invalid_token")
    assert workers.refresh(gate, worker["workerId"],
                           worker["runtimeJwt"]).error == (
        401, "invalid_token")
    workers.made(workers.daemon(gate, outside))
    workers.made(workers.bearer(gate, outside))
    place.workspace("resume")
    followed(gate, place.of_ws["key"], 200)
    workers.made(workers.bearer(gate, inside))
    assert workers.refresh(gate, worker["workerId"],
                           worker["runtimeJwt"]).status == 200


def test_no_worker_registers_in_a_deleted_organisation(gate, place):
    key = registration(place)
    worker = workers.made(workers.daemon(gate, key))
    assert workers.whoami(gate, worker["runtimeJwt"]).status == 200
    gone = delete(place)
    assert (gone["workers"], gone["keys"]) == (1, 4)
    followed(gate, worker["runtimeJwt"], 401)
    assert workers.daemon(gate, key).error == (401, "invalid_token")
    assert workers.bearer(gate, key).error == (401, "invalid_token")
    assert workers.refresh(gate, worker["workerId"],
                           worker["runtimeJwt"]).error == (
        401, "invalid_token")
    assert workers.whoami(gate, worker["runtimeJwt"]).status == 401


def test_a_workspace_deleted(gate, place, other):
    """Its credentials are gone, in every child; it does not come back when
    another of the same name is made."""
    with crowd_of(gate, {**place.of_ws, "bystander": other.of_ws["key"],
                         "org": place.of_org["token"]}) as crowd:
        with pytest.raises(CtlError, match="suspend it first"):
            place.workspace("delete", "--confirm", "main")
        place.workspace("suspend")
        with pytest.raises(CtlError, match="name of the workspace"):
            place.workspace("delete", "--confirm", place.ws)
        gone = place.workspace("delete", "--confirm", "main")
        assert (gone["workspaceId"], gone["clients"], gone["keys"]) == (
            place.ws, 1, 1)
        within_a_second(crowd, place.of_ws, 401)
        assert crowd.each(asking({"o": other.of_ws["key"],
                                  "p": place.of_org["token"]})) == all_get(
            {"o": 0, "p": 0}, 200)
        again = place.store.workspace(place.org, "main")
        assert again != place.ws
        assert crowd.each(asking(place.of_ws)) == all_get(place.of_ws, 401)
    assert place.events()[1]["event"] == "workspace.deleted"
    listed = place.ctl("workspace", "list", "--org", place.org)["workspaces"]
    assert [(w["workspaceId"], w["status"]) for w in listed] == [
        (again, "active")]


def test_another_organisations_workspace(place, other):
    """Attack: an operator's script mixes up two organisations; nothing may
    happen to the one that --org does not name."""
    for args in (["suspend", place.ws], ["resume", place.ws],
                 ["delete", place.ws, "--confirm", "main"]):
        with pytest.raises(CtlError, match="no such workspace"):
            other.ctl("workspace", *args, "--org", other.org)
    assert place.workspace("suspend")["status"] == "suspended"
    listed = other.ctl("workspace", "list", "--org", other.org)["workspaces"]
    assert [w["status"] for w in listed] == ["active"]


# ---- organisations ----

def delete(place):
    place.ctl("org", "suspend", place.org)
    return place.ctl("org", "delete", place.org, "--confirm", place.name)


def test_an_organisation_deleted(gate, place, other):
    """All its credentials stop in every child, at once, tokens as well."""
    mine = {**{"ws " + k: v for k, v in place.of_ws.items()},
            **{"org " + k: v for k, v in place.of_org.items()},
            "worker": worker(gate, place, "D3", None)}
    with crowd_of(gate, {**mine, "other": other.of_org["token"]}) as crowd:
        gone = delete(place)
        within_a_second(crowd, mine, 401)
        assert crowd.each(asking(other.of_ws)) == all_get(other.of_ws, 200)
    assert gone == {"orgId": place.org, "name": place.name, "clients": 2,
                    "keys": 4, "workers": 1, "workspaces": 1,
                    "revokedTokens": 0}
    assert refused(gate, place.org_client)
    assert not refused(gate, other.org_client)


def test_a_deleted_organisation_does_not_come_back(gate, place):
    """Attack: an organisation of the same name is made, and the old tokens
    and keys are tried again."""
    delete(place)
    again = place.store.org(place.name)
    assert again != place.org
    place.store.client(again, "in", READ)
    for token in (*place.of_ws.values(), *place.of_org.values()):
        answer = gate.get(WHOAMI, token=token)
        assert answer.error == (401, "invalid_token"), answer


def test_a_token_of_a_deleted_organisations_client(gate, place, other):
    """Nobody is told anything of it: neither its own, nor another's."""
    delete(place)
    assert not active(gate, other.admin, place.of_org["token"])
    answer = gate.post("/api/oauth/introspect", token=place.admin.token,
                       form={"token": place.of_org["token"]})
    assert answer.error == (401, "invalid_token"), answer


def test_a_deletion_that_is_refused(place, other):
    """An active organisation, or another one's name: nothing happens."""
    with pytest.raises(CtlError, match="suspend it first"):
        place.ctl("org", "delete", place.org, "--confirm", place.name)
    place.ctl("org", "suspend", place.org)
    for wrong in (other.name, place.org, "", place.name.upper()):
        with pytest.raises(CtlError, match="name of the organisation"):
            place.ctl("org", "delete", place.org, "--confirm", wrong)
    with pytest.raises(CtlError, match="--confirm"):
        place.ctl("org", "delete", place.org)
    assert place.ctl("org", "resume", place.org)["status"] == "active"


def test_the_trail_of_a_deleted_organisation(place, other):
    """It stays, ends with the deletion, still verifies, and is found by the
    id, not by a name that another organisation may have by now."""
    before = place.events()
    delete(place)
    place.store.org(place.name)
    events = place.events()
    assert [e["event"] for e in events[:2]] == ["org.deleted", "org.suspended"]
    assert events[2:] == before
    assert events[0]["target"] == events[0]["orgId"] == place.org
    assert events[0]["details"]["name"] == place.name
    assert events[0]["details"]["removed"]["clients"] == 2
    by_name = place.ctl("audit", "--org", place.name)["events"]
    assert [e["event"] for e in by_name] == ["org.created"]
    for trails in (["--org", place.org], ["--org", other.org], ["--all"]):
        place.ctl("audit", "verify", *trails)
    with pytest.raises(CtlError, match="no such organisation"):
        place.ctl("audit", "--org", "org_" + "0" * 26)


def test_a_deleted_organisation_elsewhere(gate, place):
    """Whatever names it finds nothing."""
    delete(place)
    for args in (["org", "resume", place.org],
                 ["org", "delete", place.org, "--confirm", place.name],
                 ["m2m-clients", "list", "--org", place.org],
                 ["workspace", "create", "w", "--org", place.org],
                 ["org", "api-keys", "create", "--org", place.org, "--name",
                  "k", "--owner", "o", "--scopes", "org:read"]):
        with pytest.raises(CtlError, match="no such organisation"):
            place.ctl(*args)
    names = [o["orgId"] for o in place.ctl("org", "list")["orgs"]]
    assert place.org not in names
