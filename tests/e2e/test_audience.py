# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Whom a token is for: `resource` (RFC 8707) and `audience` at the token
endpoint, RenseiAudience at a location."""

import pytest

from harness import conf, jwt
from harness.admin import CLIENTS, Admin
from harness.oauth import TOKEN, active, introspect
from harness.store import Client

READ, WRITE = "sessions:read", "sessions:write"
MCP, JOBS = "https://mcp.example/v1", "urn:jobs"
CONF = ("RenseiThrottle off\n" + conf.ISSUER + conf.PROXY
        + conf.protected("/r/api/")
        + conf.protected("/r/mcp/", f"RenseiAudience {MCP}")
        + conf.protected("/r/jobs/", f"RenseiAudience {JOBS}"))
PLACES = {"api": "rensei-api", "mcp": MCP, "jobs": JOBS}


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd(CONF, store=world.store, backend=launch.backend(),
                        children=2)


def make(gate, org, audiences, scopes=(READ, WRITE)):
    admin = Admin(gate, org.admin.token, org.id)
    made = admin.client(scopes=list(scopes), audiences=list(audiences))
    assert made["audiences"] == list(audiences)
    return Client(made["clientId"], made["clientSecret"])


@pytest.fixture(scope="module")
def client(gate, world):
    return make(gate, world.a, [MCP, JOBS])


@pytest.fixture(scope="module")
def plain(gate, world):
    return make(gate, world.a, [])


def ask(gate, client, *pairs, how="form", **more):
    """The answer to a request with these parameters, which may repeat."""
    own = {"grant_type": "client_credentials", "client_id": client.id,
           "client_secret": client.secret, **more}
    if how == "json":
        return gate.post(TOKEN, json=own)
    return gate.post(TOKEN, form=list(own.items()) + list(pairs))


def issued(answer):
    assert answer.status == 200, answer
    return answer.json["access_token"]


def aud(token):
    return jwt.read(token)[1]["aud"]


def opens(gate, token):
    """The places that take it; the others say why not."""
    out = set()
    for place in PLACES:
        answer = gate.get(f"/r/{place}/x", token=token)
        if answer.status == 200:
            out.add(place)
        else:
            assert answer.error == (401, "invalid_token")
            assert "audience" in answer.challenge.error_description
    return out


def test_nothing_asked_for(gate, client, plain):
    """The issuer's own, whatever else the client may have."""
    for one in (client, plain):
        token = issued(ask(gate, one))
        assert aud(token) == "rensei-api"
        assert opens(gate, token) == {"api"}


@pytest.mark.parametrize("name", ["resource", "audience"])
@pytest.mark.parametrize("how", ["form", "json"])
@pytest.mark.parametrize("place", PLACES)
def test_one(gate, client, name, how, place):
    """The token is for that, and for nothing else."""
    token = issued(ask(gate, client, how=how, **{name: PLACES[place]}))
    assert aud(token) == PLACES[place]
    assert opens(gate, token) == {place}
    assert introspect(gate, client, token)["aud"] == PLACES[place]


@pytest.mark.parametrize("pairs", [
    [("resource", MCP), ("resource", JOBS)],
    [("audience", MCP), ("audience", JOBS)],
    [("resource", MCP), ("audience", JOBS)],
    [("resource", MCP), ("resource", JOBS), ("resource", MCP),
     ("audience", JOBS)],
    [("resource", MCP), ("resource", ""), ("resource", JOBS)]])
def test_several(gate, client, pairs):
    token = issued(ask(gate, client, *pairs))
    assert aud(token) == [MCP, JOBS]
    assert opens(gate, token) == {"mcp", "jobs"}


def test_several_in_json(gate, client):
    for more in ({"resource": [MCP, JOBS]}, {"audience": [MCP, JOBS]},
                 {"resource": [MCP], "audience": JOBS}):
        token = issued(ask(gate, client, how="json", **more))
        assert aud(token) == [MCP, JOBS]
    assert aud(issued(ask(gate, client, how="json", resource=[]))) == (
        "rensei-api")


def test_the_issuers_own_beside_others(gate, client):
    token = issued(ask(gate, client, ("resource", "rensei-api"),
                       ("resource", MCP)))
    assert opens(gate, token) == {"api", "mcp"}


def test_with_a_narrower_scope(gate, client):
    answer = ask(gate, client, resource=MCP, scope=READ)
    assert answer.json["scope"] == READ
    assert aud(answer.json["access_token"]) == MCP


def test_an_empty_one_counts_as_absent(gate, client):
    assert aud(issued(ask(gate, client, resource=""))) == "rensei-api"


# -- RFC 8707 2: invalid_target -----------------------------------------------


def refused(answer, error="invalid_target"):
    assert answer.error == (400, error), answer
    assert answer.headers["Cache-Control"] == "no-store"
    assert "access_token" not in answer.json


@pytest.mark.parametrize("value", [
    "https://other.example/", MCP + "/", MCP + "/x", MCP[:-1], MCP.upper(),
    MCP + "#part", "/v1", "mcp.example", "rensei-api ", "RENSEI-API", "*",
    "x" * 2000, "\u00e4", "a b", '"'])
@pytest.mark.parametrize("name", ["resource", "audience"])
def test_not_the_clients(gate, client, name, value):
    """Two are the same when their bytes are: no prefix, no case, no path."""
    refused(ask(gate, client, **{name: value}))


def test_a_client_without_any(gate, plain):
    refused(ask(gate, plain, resource=MCP))
    assert aud(issued(ask(gate, plain, resource="rensei-api"))) == "rensei-api"


@pytest.mark.parametrize("pairs", [
    [("resource", MCP), ("resource", "https://other.example/")],
    [("resource", "https://other.example/"), ("resource", MCP)],
    [("resource", MCP), ("audience", "https://other.example/")]])
def test_one_that_is_wrong_among_others(gate, client, pairs):
    """All or nothing: a token for less than was asked for would surprise."""
    refused(ask(gate, client, *pairs))


def test_two_organisations(gate, world):
    """What a client of the one may ask for is nothing to the other's."""
    a = make(gate, world.a, ["https://a.example/"])
    b = make(gate, world.b, ["https://b.example/"])
    assert aud(issued(ask(gate, a, resource="https://a.example/")))
    assert aud(issued(ask(gate, b, resource="https://b.example/")))
    refused(ask(gate, a, resource="https://b.example/"))
    refused(ask(gate, b, resource="https://a.example/"))


def test_taken_back(gate, world):
    admin = Admin(gate, world.a.admin.token, world.a.id)
    client = make(gate, world.a, [MCP, JOBS])
    assert issued(ask(gate, client, resource=MCP))
    admin.ok("PATCH", f"{CLIENTS}/{client.id}", {"audiences": [JOBS]})
    refused(ask(gate, client, resource=MCP))
    assert issued(ask(gate, client, resource=JOBS))


def test_who_is_wrong_learns_nothing_of_targets(gate, client):
    wrong = Client(client.id, "m2ms_" + "5" * 64)
    for value in (MCP, "https://other.example/"):
        assert ask(gate, wrong, resource=value).error == (
            401, "invalid_client")


# -- 400: what is no parameter ------------------------------------------------


@pytest.mark.parametrize("value", [5, True, None, {}, [5], [[MCP]], [None],
                                   [MCP, {}]])
@pytest.mark.parametrize("name", ["resource", "audience"])
def test_of_the_wrong_type(gate, client, name, value):
    answer = ask(gate, client, how="json", **{name: value})
    refused(answer, "invalid_request")
    assert answer.json["field"] == name


@pytest.mark.parametrize("name", ["grant_type", "scope", "client_id",
                                  "client_secret", "client_assertion"])
def test_nothing_else_may_be_repeated(gate, client, name):
    refused(ask(gate, client, ("resource", MCP), (name, "x"), (name, "x")),
            "invalid_request")


def test_how_many_there_may_be(gate, client):
    """The 64 of any request; more are refused before anything is done."""
    many = [("resource", MCP)] * 64
    assert aud(issued(ask(gate, client, *many))) == MCP
    refused(ask(gate, client, *many, ("resource", MCP)), "invalid_request")


# -- and at the location ------------------------------------------------------


def test_keys_have_no_audience(gate, world):
    key = world.a.key(READ)
    for place in PLACES:
        assert gate.get(f"/r/{place}/x", token=key.token).status == 200


def test_a_token_for_one_place_is_active_for_its_issuer(gate, client):
    token = issued(ask(gate, client, resource=JOBS))
    assert active(gate, client, token)
