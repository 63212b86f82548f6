# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""RenseiClaims: claims of the administrator's own in each token, with what is
the client's own filled in."""

import pytest

from harness import conf, jwt
from harness.admin import CLIENTS, Admin
from harness.oauth import introspect
from harness.store import Client

READ = "sessions:read"
TEMPLATE = ('{"tenant": "acme-\\u00e9", "team": {{ client.trusted_metadata.team }}, '
            '"plan": {"tier": {{ client.trusted_metadata.plan.tier }}, '
            '"kind": "machine"}, '
            '"who": [{{ client.id }}, {{client.name}}, {{ client.owner }}], '
            '"org": {{ client.org_id }}, "ws": {{ client.workspace_id }}, '
            '"fixed": [1, 2.5, true, null]}')
ALL = '{"meta": {{ client.trusted_metadata }}}'


def vhost(name, store, lines):
    return (f"<VirtualHost *:@PORT@>\nServerName {name}\n" + store.dbd()
            + lines + conf.ISSUER + conf.protected(
                "/r/gold/", "Require rensei-claim team:gold")
            + conf.PROXY + "</VirtualHost>\n")


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd(
        vhost("localhost", world.store, f"RenseiClaims '{TEMPLATE}'\n")
        + vhost("all.example", world.store, f"RenseiClaims '{ALL}'\n")
        + vhost("none.example", world.store, "RenseiClaims '{}'\n"),
        store=world.store, backend=launch.backend())


class Maker(Admin):
    def made(self, **more):
        made = self.client(**more)
        return Client(made["clientId"], made["clientSecret"])


@pytest.fixture(scope="module")
def admin(gate, world):
    return Maker(gate, world.a.admin.token, world.a.id)


def claims(gate, client, host="localhost"):
    return jwt.read(gate.token(client, host=host))[1]


REGISTERED = {"sub", "org_id", "scopes", "iss", "aud", "iat", "exp", "jti",
              "workspace_id"}


def own(gate, client, host="localhost"):
    return {name: value for name, value in claims(gate, client, host).items()
            if name not in REGISTERED}


def test_all_placeholders(gate, world, admin):
    client = admin.made(name="ci", owner="ops@example.org",
                        workspaceId=world.a.workspace, trustedMetadata={
                            "team": "gold", "plan": {"tier": 3}, "x": 1})
    assert own(gate, client) == {
        "tenant": "acme-\u00e9", "team": "gold",
        "plan": {"tier": 3, "kind": "machine"},
        "who": [client.id, "ci", "ops@example.org"], "org": world.a.id,
        "ws": world.a.workspace, "fixed": [1, 2.5, True, None]}


def test_what_a_client_does_not_have_is_left_out(gate, world, admin):
    client = admin.made(name="ci")
    assert own(gate, client) == {
        "tenant": "acme-\u00e9", "plan": {"kind": "machine"},
        "who": [client.id, "ci"], "org": world.a.id,
        "fixed": [1, 2.5, True, None]}


@pytest.mark.parametrize("value", [
    "text", 5, 1.5, True, False, None, [], {}, [1, "a", {"b": [None]}],
    "\u00e9\u4e16\U0001f600", '"quoted"', "back\\slash", "new\nline", "</x>"])
def test_a_value_of_any_type_stays_what_it_is(gate, admin, value):
    client = admin.made(trustedMetadata={"team": value})
    assert own(gate, client)["team"] == value


@pytest.mark.parametrize("value", [
    '", "scopes": ["*"], "x": "', '"}', "{{ client.id }}",
    '{"sub": "m2m_x"}', "]}", "\\", '\\"', "{{ client.trusted_metadata }}"])
def test_metadata_cannot_become_more_than_a_value(gate, world, admin, value):
    """Whoever may write a client's metadata must not be able to write its
    token: filled in as text, a quote would end the string."""
    client = admin.made(name="n", trustedMetadata={"team": value})
    found = claims(gate, client)
    assert found["team"] == value
    assert (found["sub"], found["scopes"]) == (client.id, [READ])
    assert found["org_id"] == world.a.id


def test_names_of_claims_inside_metadata(gate, world, admin):
    """They stand where they are, one level down."""
    meta = {"sub": "m2m_x", "scopes": ["*"], "org_id": world.b.id, "exp": 1}
    client = admin.made(trustedMetadata=meta)
    found = claims(gate, client, "all.example")
    assert found["meta"] == meta
    assert found["org_id"] == world.a.id and found["sub"] == client.id


def test_two_organisations(gate, world, admin):
    theirs = Maker(gate, world.b.admin.token, world.b.id)
    a = admin.made(trustedMetadata={"team": "a"})
    b = theirs.made(trustedMetadata={"team": "b"})
    assert own(gate, a)["team"] == "a" and own(gate, a)["org"] == world.a.id
    assert own(gate, b)["team"] == "b" and own(gate, b)["org"] == world.b.id


def test_a_change_counts_from_the_next_token_on(gate, admin):
    client = admin.made(trustedMetadata={"team": "red"})
    old = gate.token(client)
    admin.ok("PATCH", f"{CLIENTS}/{client.id}",
             {"trustedMetadata": {"team": "gold"}})
    assert own(gate, client)["team"] == "gold"
    assert introspect(gate, client, old)["custom_claims"]["team"] == "red"
    assert gate.get("/r/gold/x", token=old).status == 403
    assert gate.get("/r/gold/x", token=gate.token(client)).status == 200


def test_introspection_shows_them(gate, admin):
    client = admin.made(trustedMetadata={"team": ["x", {"y": 1}]})
    said = introspect(gate, client, gate.token(client))
    assert said["custom_claims"] == own(gate, client)
    assert said["custom_claims"]["team"] == ["x", {"y": 1}]


def test_a_virtual_host_without(gate, admin):
    client = admin.made(trustedMetadata={"team": "gold"})
    assert own(gate, client, "none.example") == {}


def test_metadata_as_large_as_it_may_be(gate, admin):
    """What can be created can be issued, and what is issued can be read."""
    meta = {f"k{n}": "v" * 50 for n in range(60)}
    client = admin.made(trustedMetadata=meta)
    token = gate.token(client, host="all.example")
    assert jwt.read(token)[1]["meta"] == meta
    assert gate.get("/api/whoami", token=token,
                    host="all.example").status == 200
    deep = {"a": {"b": {"c": {"d": {"e": {"f": [1]}}}}}}
    client = admin.made(trustedMetadata=deep)
    token = gate.token(client, host="all.example")
    assert gate.get("/api/whoami", token=token,
                    host="all.example").status == 200
    answer = admin("POST", CLIENTS, {"name": "n", "scopes": [READ],
                                     "trustedMetadata": {"x": "v" * 9000}})
    assert answer.error[0] in (400, 413)


# -- configtest ---------------------------------------------------------------


@pytest.fixture(scope="module")
def check(launch, world):
    server = launch.httpd("", store=world.store, start=False)

    def run(text):
        quoted = text.replace("\\", "\\\\").replace("'", "\\'")
        return server.configtest(f"RenseiClaims '{quoted}'\n" + conf.ISSUER)
    return run


@pytest.mark.parametrize("text", [
    "{}", '{"a": 1}', '{"a": {{ client.id }}}', '{"a":{{client.id}}}',
    '{"a": [{{ client.trusted_metadata.x.y-z_1 }}]}',
    '{"https://x.example/team": "a"}'])
def test_what_is_right(check, text):
    good, said = check(text)
    assert good, said


@pytest.mark.parametrize("name", [
    "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "org_id", "workspace_id",
    "scopes", "scope", "client_id", "reg", "token_use"])
def test_a_claim_that_is_taken(check, name):
    """It would say who the token is, or what it may do."""
    for text in (f'{{"{name}": 1}}', f'{{"{name}": {{{{ client.id }}}}}}'):
        good, said = check(text)
        assert not good and "RenseiClaims" in said and name in said, said
    assert check(f'{{"x": {{"{name}": 1}}}}')[0]


@pytest.mark.parametrize("text", [
    "", "x", "[]", '"a"', "5", "null", "{", '{"a"}', '{"a": 1,}', '{"a": 1} x',
    '{"a": 1, "a": 2}', "{'a': 1}", '{"a": {{ }}}', '{"a": {{ client }}}',
    '{"a": {{ client.secret }}}', '{"a": {{ env.HOME }}}',
    '{"a": {{ client.id }', '{"a": client.id }}', '{"a": "{{ client.id }}"}',
    '{"a": "x {{ client.id }}"}', '{{{ client.id }}: 1}',
    '{"a": {{ client.trusted_metadata..x }}}',
    '{"a": {{ client.trusted_metadata.x. }}}', '{"": 1}',
    '{"a": {{ client.id client.name }}}', '{"a": ' + "[" * 20 + "]" * 20 + "}",
    '{"a": "' + "x" * 5000 + '"}'])
def test_a_template_that_is_none(check, text):
    good, said = check(text)
    assert not good, text
    assert "RenseiClaims" in said
    # a sentence that says what to write
    assert "JSON object" in said and "{{ client.owner }}" in said
