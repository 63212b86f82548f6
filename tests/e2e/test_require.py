# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Who may pass: the Require providers, alone, combined as httpd combines
them, and with expressions."""

import pytest

from harness import conf, jwt

READ, WRITE = "sessions:read", "sessions:write"


def location(path, *lines):
    return conf.protected(f"/r/{path}/", *lines)


CONF = conf.API + conf.PROXY + "".join([
    # one provider each
    location("scope", f"Require rensei-scope {READ}"),
    location("both", f"Require rensei-scope {READ} {WRITE}"),
    location("resource", "Require rensei-resource sessions"),
    location("org", "Require rensei-org @ORG@"),
    location("orgs", "Require rensei-org org_other @ORG@"),
    location("workspace", "Require rensei-workspace @WORKSPACE@"),
    location("client", "Require rensei-client @CLIENT@"),
    location("org-key", "Require rensei-key-type org"),
    location("user-key", "Require rensei-key-type user"),
    location("some-key", "Require rensei-key-type user org"),
    location("m2m", "Require rensei-kind m2m"),
    location("key", "Require rensei-kind key"),
    location("either", "Require rensei-kind m2m key"),
    location("claim", "Require rensei-claim tier:gold"),
    location("claims", "Require rensei-claim tier:gold tier:silver"),
    location("claim-jti", "Require rensei-claim iss:rensei-platform"),
    location("user", "Require user @CLIENT@"),
    location("valid", "Require valid-user"),
    # combinations
    location("any", f"Require rensei-scope {READ}",
             "Require rensei-kind key"),
    location("any-scope", "Require rensei-scope agents:read",
             f"Require rensei-scope {READ}"),
    location("require-any", "<RequireAny>",
             "Require rensei-scope agents:read", "Require rensei-kind key",
             "</RequireAny>"),
    location("all", "<RequireAll>", f"Require rensei-scope {READ}",
             "Require rensei-org @ORG@", "</RequireAll>"),
    location("all-scopes", "<RequireAll>", f"Require rensei-scope {READ}",
             f"Require rensei-scope {WRITE}", "</RequireAll>"),
    location("nested", "<RequireAll>", "Require rensei-org @ORG@",
             "<RequireAny>", f"Require rensei-scope {WRITE}",
             "Require rensei-client @CLIENT@", "</RequireAny>",
             "</RequireAll>"),
    location("none", "<RequireAll>", "Require valid-user", "<RequireNone>",
             f"Require rensei-scope {WRITE}", "</RequireNone>",
             "</RequireAll>"),
    location("not", "<RequireAll>", "Require valid-user",
             f"Require not rensei-scope {WRITE}", "</RequireAll>"),
    location("not-client", "<RequireAll>", "Require valid-user",
             "Require not rensei-client @CLIENT@", "</RequireAll>"),
    location("ip", "<RequireAll>", "Require ip 10.9.8.7",
             f"Require rensei-scope {READ}", "</RequireAll>"),
    location("ip-or", "Require ip 10.9.8.7",
             f"Require rensei-scope {READ}"),
    location("local-or", "Require ip 127.0.0.1",
             f"Require rensei-scope {READ}"),
    location("denied", "Require all denied"),
    location("satisfy", f"Require rensei-scope {READ}", "Order deny,allow",
             "Deny from all", "Satisfy Any"),
    location("satisfy-local", f"Require rensei-scope {READ}",
             "Order deny,allow", "Allow from 127.0.0.1", "Satisfy Any"),
    location("satisfy-all", f"Require rensei-scope {READ}",
             "Order deny,allow", "Deny from all", "Satisfy All"),
    location("limit", "<Limit POST>", f"Require rensei-scope {WRITE}",
             "</Limit>", "<LimitExcept POST>",
             f"Require rensei-scope {READ}", "</LimitExcept>"),
    # vocabularies
    location("voc/m2m", "Require rensei-scope agents:write"),
    location("voc/key", "Require rensei-scope workflows:write"),
    location("voc/org", "Require rensei-scope org:read"),
    location("voc/register", "Require rensei-scope workers:register"),
    # expressions
    conf.protected("^/r/in-org/(?<org>[^/]+)/",
                   "Require rensei-org %{env:MATCH_ORG}", tag="LocationMatch"),
    conf.protected("^/r/of-client/(?<client>[^/]+)/",
                   "Require rensei-client %{env:MATCH_CLIENT}",
                   tag="LocationMatch"),
    conf.protected("^/r/in-workspace/(?<ws>[^/]+)/",
                   "Require rensei-workspace %{env:MATCH_WS}",
                   tag="LocationMatch"),
    conf.protected("^/r/with-scope/(?<scope>[^/]+)/",
                   "Require rensei-scope %{env:MATCH_SCOPE}",
                   tag="LocationMatch"),
    conf.protected("^/r/on/(?<thing>[^/]+)/",
                   "Require rensei-scope %{env:MATCH_THING}:read",
                   tag="LocationMatch"),
    conf.protected("^/r/resource-of/(?<thing>[^/]+)/",
                   "Require rensei-resource %{env:MATCH_THING}",
                   tag="LocationMatch"),
    conf.protected("^/r/tier/(?<tier>[^/]*)/",
                   "Require rensei-claim tier:%{env:MATCH_TIER}",
                   tag="LocationMatch"),
    conf.protected("/r/header/", "Require rensei-org %{HTTP:X-Which-Org}"),
    # beside Basic
    """
    <Location "/r/basic/">
      AuthType Basic
      AuthName "people"
      AuthUserFile "@DIR@/passwords"
      Require user alice
    </Location>
    <Location "/r/beside/">
      <If "%{HTTP:Authorization} =~ /^Basic /i">
        AuthType Basic
        AuthName "people"
        AuthUserFile "@DIR@/passwords"
        Require user alice
      </If>
      <Else>
        AuthType Bearer
        Require rensei-scope sessions:read
      </Else>
    </Location>
    <Location "/r/open/">
      Require all granted
    </Location>
"""])


@pytest.fixture(scope="module")
def people(world):
    """The callers, by name."""
    a, b = world.a, world.b
    return {
        "reader": a.client(READ),
        "writer": a.client(f"{READ} {WRITE}"),
        "mover": a.client(WRITE),
        "stranger": b.client(f"{READ} {WRITE}"),
        "star": a.client("*"),
        "at work": a.client(READ, workspace=a.workspace),
    }


@pytest.fixture(scope="module")
def gate(launch, world, people):
    marks = {"ORG": world.a.id, "WORKSPACE": world.a.workspace,
             "CLIENT": people["reader"].id}
    text = CONF
    for name, value in marks.items():
        text = text.replace(f"@{name}@", value)
    server = launch.httpd(text, store=world.store, backend=launch.backend(),
                          start=False)
    # alice:wonderland, bob:builder
    server.file("passwords", "alice:{SHA}tiY7sUhYKUwI5L3866kDY+ENcrQ=\n"
                "bob:{SHA}9SMYoF5RilWWASry7TjeaKwmpGg=\n")
    return server.start()


@pytest.fixture(scope="module")
def tokens(gate, world, people):
    out = {name: gate.token(client) for name, client in people.items()}
    out["org key"] = world.a.key(READ).token
    out["star key"] = world.a.admin.token
    answer = gate.post(f"/api/org/{world.a.id}/keys",
                       token=world.a.admin.token,
                       json={"name": "u", "keyType": "user", "userId": "u1",
                             "scopes": ["*"]})
    assert answer.status == 201, answer
    out["user key"] = answer.json["token"]
    return out


@pytest.fixture
def go(gate, tokens):
    def request(path, who=None, method="GET", **more):
        token = tokens[who] if who else None
        return gate.request(method, f"/r/{path}", token=token, **more)
    return request


def passes(answer):
    assert answer.status == 200, answer
    assert answer.challenge is None, "a challenge leaked into a 200"


def lacks(answer, scope):
    """403 that names the scopes needed (RFC 6750 3.1)."""
    assert answer.error == (403, "insufficient_scope"), answer
    assert answer.challenge.error == "insufficient_scope"
    assert answer.challenge.scope == scope, answer


def forbidden(answer):
    """403 that no scope would change: it must not talk of scopes."""
    assert answer.status == 403, answer
    error = answer.challenge.error if answer.challenge else None
    assert error != "insufficient_scope", answer
    assert not answer.challenge or answer.challenge.scope is None, answer
    assert "scope" not in answer.text, answer


def unauthorized(answer):
    assert answer.status == 401, answer
    assert answer.challenge.text == 'Bearer realm="rensei"'


# -- each provider ------------------------------------------------------------


def test_scope(go):
    passes(go("scope/x", "reader"))
    passes(go("scope/x", "org key"))
    lacks(go("scope/x", "mover"), READ)
    unauthorized(go("scope/x"))


def test_all_scopes_of_a_line(go):
    """And the answer names all of them, not only the one that lacks: a client
    asks for a new token with just what it is told."""
    passes(go("both/x", "writer"))
    for who in ("reader", "mover"):
        lacks(go("both/x", who), f"{READ} {WRITE}")


READING = ["GET", "HEAD", "OPTIONS"]
WRITING = ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "MKCOL", "BREW",
           "get"]


@pytest.mark.parametrize("method", READING)
def test_resource_to_read(go, method):
    passes(go("resource/x", "reader", method))
    answer = go("resource/x", "mover", method)
    assert answer.status == 403
    assert answer.challenge.scope == READ


@pytest.mark.parametrize("method", WRITING)
def test_resource_to_write(go, method):
    """What is not known to read needs the right to write."""
    passes(go("resource/x", "mover", method))
    lacks(go("resource/x", "reader", method), WRITE)


def test_a_method_override_is_not_believed(go):
    """A backend that honours this header must not be reached with the right
    to read alone by calling a POST a GET; the real method counts."""
    lacks(go("resource/x", "reader", "POST",
             headers={"X-HTTP-Method-Override": "GET"}), WRITE)


def test_org(go):
    passes(go("org/x", "reader"))
    passes(go("org/x", "org key"))
    forbidden(go("org/x", "stranger"))
    passes(go("orgs/x", "reader"))
    forbidden(go("orgs/x", "stranger"))


def test_workspace(go):
    passes(go("workspace/x", "at work"))
    forbidden(go("workspace/x", "reader"))
    forbidden(go("workspace/x", "stranger"))


def test_client(go):
    passes(go("client/x", "reader"))
    forbidden(go("client/x", "writer"))
    forbidden(go("client/x", "org key"))


def test_key_type(go):
    passes(go("org-key/x", "org key"))
    passes(go("user-key/x", "user key"))
    passes(go("some-key/x", "user key"))
    passes(go("some-key/x", "org key"))
    forbidden(go("org-key/x", "user key"))
    forbidden(go("user-key/x", "org key"))
    forbidden(go("org-key/x", "star"))


def test_kind(go):
    passes(go("m2m/x", "reader"))
    passes(go("key/x", "org key"))
    passes(go("either/x", "reader"))
    passes(go("either/x", "org key"))
    forbidden(go("m2m/x", "org key"))
    forbidden(go("key/x", "reader"))


def test_claim(gate, go, world, people):
    def with_claims(**claims):
        token = jwt.mint(gate.secret, world.a.claims(people["reader"],
                                                     **claims))
        return lambda path: gate.get(f"/r/{path}/x", token=token)

    passes(with_claims(tier="gold")("claim"))
    passes(with_claims(tier="gold")("claims"))
    passes(with_claims(tier="silver")("claims"))
    for value in ("silver", "golden", "gol", "", "GOLD", "gold ", 5, True,
                  None, {"gold": "gold"}):
        forbidden(with_claims(tier=value)("claim"))
    # compared by its whole name: mod_autht_jwt let `a` match `aud`
    forbidden(with_claims(tier2="gold")("claim"))
    forbidden(with_claims(tie="gold")("claim"))
    forbidden(with_claims(x={"tier": "gold"})("claim"))
    passes(with_claims()("claim-jti"))
    # a key has no claims
    forbidden(go("claim/x", "star key"))


def test_a_claim_that_is_a_list(gate, world, people):
    """mod_auth_openidc and mod_oauth2 match an array's members."""
    token = jwt.mint(gate.secret, world.a.claims(
        people["reader"], tier=["bronze", "gold"]))
    passes(gate.get("/r/claim/x", token=token))
    token = jwt.mint(gate.secret, world.a.claims(
        people["reader"], tier=["bronze", ["gold"]]))
    forbidden(gate.get("/r/claim/x", token=token))


def test_stock_providers(go):
    passes(go("valid/x", "reader"))
    passes(go("user/x", "reader"))
    forbidden(go("user/x", "writer"))
    unauthorized(go("valid/x"))


# -- combined -----------------------------------------------------------------


def test_lines_are_alternatives(go):
    passes(go("any/x", "reader"))
    passes(go("any/x", "org key"))
    lacks(go("any/x", "mover"), READ)
    passes(go("any-scope/x", "reader"))
    passes(go("require-any/x", "org key"))
    lacks(go("require-any/x", "reader"), "agents:read")
    unauthorized(go("any/x"))


def test_alternatives_name_what_would_do(go):
    answer = go("any-scope/x", "mover")
    assert answer.error == (403, "insufficient_scope")
    assert READ in answer.challenge.scope.split()


def test_require_all(go):
    passes(go("all/x", "reader"))
    lacks(go("all/x", "mover"), READ)
    forbidden(go("all/x", "stranger"))
    unauthorized(go("all/x"))
    passes(go("all-scopes/x", "writer"))


@pytest.mark.parametrize("who", ["reader", "mover"])
def test_require_all_names_all_scopes(go, who):
    """`scope="all that are needed"`: with one of two, the next token must
    have both."""
    answer = go("all-scopes/x", who)
    assert answer.error == (403, "insufficient_scope")
    assert set(answer.challenge.scope.split()) == {READ, WRITE}, answer


def test_nested(go):
    passes(go("nested/x", "writer"))
    passes(go("nested/x", "reader"))
    forbidden(go("nested/x", "stranger"))
    lacks(go("nested/x", "at work"), WRITE)


@pytest.mark.parametrize("path", ["none/x", "not/x"])
def test_negation(go, path):
    """Denied for what he has: no scope he could ask for helps him."""
    passes(go(path, "reader"))
    forbidden(go(path, "writer"))
    unauthorized(go(path))


def test_negation_of_a_client(go):
    passes(go("not-client/x", "writer"))
    forbidden(go("not-client/x", "reader"))
    unauthorized(go("not-client/x"))


def test_beside_an_address(go):
    forbidden(go("ip/x", "reader"))
    passes(go("ip-or/x", "reader"))
    lacks(go("ip-or/x", "mover"), READ)
    unauthorized(go("ip-or/x"))
    # the address alone is enough: no token is asked for
    passes(go("local-or/x"))
    passes(go("local-or/x", "mover"))


def test_denied_is_denied(go):
    for who in (None, "star", "star key"):
        answer = go("denied/x", who)
        assert answer.status == 403, answer


def test_satisfy(gate, go):
    gate.expect_log("AH01797")  # mod_access_compat: Deny from all
    passes(go("satisfy/x", "reader"))
    unauthorized(go("satisfy/x"))
    lacks(go("satisfy/x", "mover"), READ)
    passes(go("satisfy-local/x"))
    passes(go("satisfy-local/x", "reader"))
    for who in (None, "reader"):
        assert go("satisfy-all/x", who).status == 403


def test_limit(go):
    passes(go("limit/x", "reader"))
    lacks(go("limit/x", "mover"), READ)
    passes(go("limit/x", "mover", "POST"))
    lacks(go("limit/x", "reader", "POST"), WRITE)


# -- vocabularies -------------------------------------------------------------


def test_a_star_reaches_its_own_vocabulary(go):
    """An m2m token with `*` that reached org:* would make every client an
    administrator."""
    passes(go("voc/m2m/x", "star"))
    passes(go("scope/x", "star"))
    for path, scope in (("key", "workflows:write"), ("org", "org:read"),
                        ("register", "workers:register")):
        lacks(go(f"voc/{path}/x", "star"), scope)


def test_a_star_of_an_org_key_reaches_both_lists(go):
    for path in ("voc/m2m/x", "voc/key/x", "voc/org/x", "scope/x"):
        passes(go(path, "star key"))
    # workers:register belongs to registration keys alone
    lacks(go("voc/register/x", "star key"), "workers:register")


def test_a_star_of_a_user_key_reaches_the_keys_list(go):
    passes(go("voc/key/x", "user key"))
    passes(go("voc/org/x", "user key"))
    lacks(go("voc/m2m/x", "user key"), "agents:write")
    lacks(go("voc/register/x", "user key"), "workers:register")


# -- expressions --------------------------------------------------------------


def test_the_organisation_in_the_path(go, world):
    passes(go(f"in-org/{world.a.id}/x", "reader"))
    passes(go(f"in-org/{world.b.id}/x", "stranger"))
    forbidden(go(f"in-org/{world.b.id}/x", "reader"))
    unauthorized(go(f"in-org/{world.a.id}/x"))


def test_two_words_in_one_segment(go, world):
    """/org/a%20admin/: an expansion that is split into words turns one
    organisation into two, and the caller's own is among them."""
    a, b = world.a.id, world.b.id
    for other in (f"{b}%20{a}", f"{a}%20{b}", f"{b}%09{a}", f"{a}%20",
                  f"%20{a}", f"{b},{a}", f"{a}%0a", f'"{a}"'.replace(
                      '"', "%22"), f"{a}%2520", f"'{a}'"):
        forbidden(go(f"in-org/{other}/x", "reader"))
    passes(go(f"in-org/{a}/x", "reader"))


@pytest.mark.parametrize("star", ["*", "%2a", "**", "%25", "org_*", ".*",
                                  "%20*", "_%25"])
def test_an_organisation_named_star(go, star):
    """An expanded value must never act as a wildcard."""
    for who in ("reader", "star", "star key"):
        forbidden(go(f"in-org/{star}/x", who))


def test_an_organisation_in_other_letters(go, world):
    forbidden(go(f"in-org/{world.a.id.lower()}/x", "reader"))
    forbidden(go(f"in-org/{world.a.id[:-1]}/x", "reader"))
    forbidden(go(f"in-org/{world.a.id}x/x", "reader"))
    # the same path, written with percent codes, is the same organisation
    passes(go(f"in-org/{world.a.id.replace('_', '%5f')}/x", "reader"))


def test_client_and_workspace_in_the_path(go, world, people):
    passes(go(f"of-client/{people['reader'].id}/x", "reader"))
    forbidden(go(f"of-client/{people['reader'].id}/x", "writer"))
    forbidden(go("of-client/*/x", "reader"))
    passes(go(f"in-workspace/{world.a.workspace}/x", "at work"))
    forbidden(go(f"in-workspace/{world.a.workspace}/x", "reader"))
    forbidden(go("in-workspace/*/x", "at work"))
    # no workspace is not the empty one
    forbidden(go("in-workspace/%20/x", "reader"))


def test_a_scope_in_the_path(go):
    passes(go("with-scope/sessions:read/x", "reader"))
    lacks(go("with-scope/sessions:write/x", "reader"), WRITE)
    passes(go("on/sessions/x", "reader"))
    lacks(go("on/agents/x", "reader"), "agents:read")
    passes(go("resource-of/sessions/x", "reader"))
    lacks(go("resource-of/sessions/x", "reader", "POST"), WRITE)


@pytest.mark.parametrize("scope", ["*", "%2a", "sessions:read%20agents:read",
                                   "%20", "sessions:*", "none:such", "%22",
                                   "%5c", "sessions:read%0a"])
def test_a_scope_in_the_path_that_is_none(go, scope):
    """`*` is what the caller may hold, never what is asked for; and who holds
    `*` has the scopes of the vocabulary, not whatever a path makes up."""
    for who in ("reader", "star", "star key"):
        answer = go(f"with-scope/{scope}/x", who)
        assert answer.status == 403, answer
        if answer.challenge:
            # nothing of the path may come out that is no scope
            for word in (answer.challenge.scope or "").split():
                assert word in ("none:such", "sessions:*"), answer


def test_a_claim_in_the_path(gate, world, people):
    def tier(value, path):
        token = jwt.mint(gate.secret, world.a.claims(people["reader"],
                                                     tier=value))
        return gate.get(f"/r/tier/{path}/x", token=token)

    passes(tier("gold", "gold"))
    forbidden(tier("gold", "silver"))
    forbidden(tier("gold", "*"))
    forbidden(tier("gold", "gold%20silver"))
    forbidden(tier("gold", "silver%20tier:gold"))


def test_an_expression_that_gives_nothing(go, world):
    """An empty expansion matches nobody."""
    forbidden(go("header/x", "reader"))
    forbidden(go("header/x", "reader", headers={"X-Which-Org": ""}))
    forbidden(go("header/x", "reader", headers={"X-Which-Org": "*"}))
    passes(go("header/x", "reader", headers={"X-Which-Org": world.a.id}))


# -- other authentication -----------------------------------------------------


def test_basic_is_left_alone(gate, go):
    """A location of AuthType Basic answers as if we were not loaded."""
    gate.expect_log("AH01617")  # mod_auth_basic: a wrong password
    gate.expect_log("AH01614")  # and another scheme than Basic
    answer = go("basic/x")
    assert answer.status == 401
    assert answer.challenge.text == 'Basic realm="people"'
    assert answer.headers.get_content_type() == "text/html"
    passes(go("basic/x", basic=("alice", "wonderland")))
    for pair in (("alice", "x"), ("bob", "builder")):
        answer = go("basic/x", basic=pair)
        assert answer.status == 401
        assert answer.challenge.text == 'Basic realm="people"'
    assert go("basic/x", "star").status == 401


def test_bearer_beside_basic(gate, go):
    gate.expect_log("AH01617")
    passes(go("beside/x", "reader"))
    passes(go("beside/x", basic=("alice", "wonderland")))
    unauthorized(go("beside/x"))
    lacks(go("beside/x", "mover"), READ)
    answer = go("beside/x", basic=("alice", "x"))
    assert answer.status == 401
    assert answer.challenge.scheme == "Basic"
    answer = go("beside/x", basic=("bob", "builder"))
    assert answer.status == 401


def test_an_open_location_asks_for_nothing(go):
    passes(go("open/x"))
    passes(go("open/x", "reader"))
    assert go("open/x", headers={"Authorization": "Bearer x"}).status == 200
