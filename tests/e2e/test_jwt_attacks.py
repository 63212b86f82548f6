# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Forged and twisted tokens. Each test says which hole it looks for, shows
the attack refused, and that the honest token beside it passes."""

import base64
import hashlib
import hmac
import json
import time

import pytest

from harness import conf, jwt, known_secrets

pytestmark = pytest.mark.only(
    "sqlite", "what is wrong with a token is seen before the store is")

PATH = "/r/any/x"


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd(
        conf.API + conf.PROXY
        + conf.protected("/r/any/", "RenseiAccept m2m key worker")
        + conf.protected("/r/m2m/", "RenseiAccept m2m")
        + conf.protected("/r/worker/", "RenseiAccept worker"),
        store=world.store, backend=launch.backend())


@pytest.fixture(scope="module")
def client(world):
    return world.a.client("sessions:read sessions:write")


@pytest.fixture(scope="module")
def honest(gate, client):
    return gate.token(client)


@pytest.fixture
def forge(gate, world, client):
    """A token with a right signature: header as given, claims changed."""
    def make(header=None, alg="HS256", secret=None, **changes):
        return jwt.mint(secret or gate.secret,
                        world.a.claims(client, **changes), header, alg)
    return make


@pytest.fixture
def accepted(gate):
    def check(token, path=PATH):
        answer = gate.get(path, token=token)
        assert answer.status == 200, answer
    return check


@pytest.fixture
def refused(gate, honest):
    """The token is refused as invalid_token, and the honest one passes on
    the same connection after it."""
    def check(token, path=PATH, error=(401, "invalid_token")):
        known_secrets.add(token)
        with gate.connection() as wire:
            answer = wire.get(path, token=token)
            assert answer.error == error, answer
            assert wire.get(PATH, token=honest).status == 200
        return answer.json["error_description"]
    return check


def resigned(token, secret, header=None, payload=None):
    """The token with its segments replaced (text as it shall stand) and a
    right signature over them."""
    old_header, old_payload, _ = token.split(".")
    head = (header or old_header) + "." + (payload or old_payload)
    signature = jwt.sign(secret, head.encode())
    return known_secrets.add(head + "." + jwt.b64url(signature))


# -- the algorithm ------------------------------------------------------------


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE"])
@pytest.mark.parametrize("signature", ["", "kept", "AA"])
def test_alg_none(honest, refused, alg, signature):
    """CVE-2015-9235: a library that takes `alg` from the token accepts one
    with no signature at all (RFC 8725 3.1)."""
    payload = honest.split(".")[1]
    head = jwt.b64url(jwt.as_bytes({"alg": alg, "typ": "JWT"}))
    if signature == "kept":
        signature = honest.split(".")[2]
    refused(f"{head}.{payload}.{signature}")


@pytest.mark.parametrize("alg", ["HS384", "HS512"])
def test_another_digest_under_the_same_secret(forge, refused, accepted, alg):
    """mod_auth_openidc took HS512 under the HS256 secret: a key has one
    algorithm, and the token does not choose it."""
    refused(forge(alg=alg))
    accepted(forge(alg="HS256"))


@pytest.mark.parametrize("alg", [
    "hs256", "HS256 ", " HS256", "HS256\u0000", "RS256", "ES256", "EdDSA",
    "PS256", "", None, 256, True, ["HS256"], {"HS256": 1}])
def test_an_algorithm_by_another_name(forge, refused, alg):
    """Signed as HS256, but calling it something else, or nothing."""
    header = {"alg": alg, "typ": "JWT"}
    refused(forge(header))


def test_no_alg(forge, refused):
    refused(forge({"typ": "JWT"}))


# -- other members of the header ----------------------------------------------


@pytest.mark.parametrize("crit", [
    ["exp"], ["b64"], ["alg"], [], ["http://example.com/x"], "exp", {}, None,
    True])
def test_crit(forge, refused, accepted, crit):
    """`crit` names what a reader must understand or refuse (RFC 7515
    4.1.11); mod_auth_openidc took an unknown one."""
    refused(forge({"alg": "HS256", "typ": "JWT", "crit": crit,
                   "http://example.com/x": 1}))
    accepted(forge({"alg": "HS256", "typ": "JWT", "http://example.com/x": 1}))


def test_an_unencoded_payload(forge, refused):
    # RFC 7797: `b64` changes what is signed.
    refused(forge({"alg": "HS256", "typ": "JWT", "b64": False,
                   "crit": ["b64"]}))
    refused(forge({"alg": "HS256", "typ": "JWT", "b64": False}))
    refused(forge({"alg": "HS256", "typ": "JWT", "b64": True}))


ATTACKER = "the attacker's own secret, 32 bytes and more"


@pytest.mark.parametrize("member, value", [
    ("jwk", {"kty": "oct", "k": jwt.b64url(ATTACKER.encode()),
             "alg": "HS256"}),
    ("jku", "https://attacker.example/jwks.json"),
    ("jku", "http://127.0.0.1:1/jwks.json"),
    ("jku", "file:///etc/passwd"),
    ("x5u", "https://attacker.example/cert.pem"),
    ("x5c", ["MIIB"]), ("x5t", "abc"), ("x5t#S256", "abc"),
    ("zip", "DEF")])
def test_a_key_that_the_token_brings(forge, refused, member, value):
    """CVE-2018-0114: a token that carries or points at the key to check it
    with. Refused whether the attacker's key signed it or ours (an URL would
    make the server fetch it)."""
    header = {"alg": "HS256", "typ": "JWT", member: value}
    refused(forge(header, secret=ATTACKER))
    refused(forge(header))


@pytest.mark.parametrize("secret", [
    "", "\0", "secret", "x" * 32, "M2M_JWT_SECRET", "null", "undefined"])
def test_a_secret_that_is_guessed(forge, refused, secret):
    header = {"alg": "HS256", "typ": "JWT"}
    refused(forge(header, secret=secret.encode() or b"\0"))


def test_an_empty_key(world, client, refused):
    """hmac with a key of no bytes: what a missing secret would verify."""
    head = (jwt.b64url(b'{"alg":"HS256","typ":"JWT"}') + "."
            + jwt.b64url(jwt.as_bytes(world.a.claims(client))))
    mac = hmac.new(b"", head.encode(), hashlib.sha256).digest()
    refused(head + "." + jwt.b64url(mac))


# -- kid ----------------------------------------------------------------------


@pytest.mark.parametrize("kid", [
    "unknown", "0" * 16, "../../../../dev/null", "/dev/null",
    "' OR '1'='1", "x' UNION SELECT 'AA", "x|/bin/true", "a\u0000b", "",
    "%2e%2e", "k" * 4000, "\u00e9", "\n"])
def test_a_kid_that_is_no_key_of_ours(forge, refused, kid):
    """CVE-2018-0114's cousins: a kid that reaches a path, a query or a shell.
    A kid that no key has is refused, even over a good signature: it says
    that another key is meant."""
    refused(forge({"alg": "HS256", "typ": "JWT", "kid": kid}))


@pytest.mark.parametrize("kid", [None, 7, True, ["x"], {"x": 1}])
def test_a_kid_of_the_wrong_type(forge, refused, kid):
    refused(forge({"alg": "HS256", "typ": "JWT", "kid": kid}))


def test_the_right_kid_and_none(forge, accepted, refused, honest):
    """Tokens of the original service have neither kid nor typ."""
    kid = jwt.read(honest)[0]["kid"]
    accepted(forge({"alg": "HS256", "typ": "JWT", "kid": kid}))
    accepted(forge({"alg": "HS256", "typ": "JWT"}))
    accepted(forge({"alg": "HS256", "kid": kid}))
    accepted(forge({"alg": "HS256"}))
    refused(forge({"alg": "HS256", "kid": kid.upper() + "x"}))


# -- typ ----------------------------------------------------------------------


@pytest.mark.parametrize("typ", [
    "dpop+jwt", "JOSE", "secevent+jwt", "id_token", "", "JWT ",
    None, 5, ["JWT"]])
def test_a_typ_that_is_another_kind_of_token(forge, refused, typ):
    """A token made for one purpose used for another (RFC 8725 3.11)."""
    refused(forge({"alg": "HS256", "typ": typ}))


def test_typ_in_any_case(forge, accepted):
    # RFC 7515 4.1.9: a media type, so `jwt` is the same.
    accepted(forge({"alg": "HS256", "typ": "jwt"}))
    # the rfc9068 profile
    accepted(forge({"alg": "HS256", "typ": "at+jwt"}))


def test_a_runtime_token_is_no_m2m_token(gate, world, client, forge, refused):
    """typ confusion: the runtime token of a worker as an m2m token, and the
    reverse. Both are signed with the same secret."""
    runtime = {"alg": "HS256", "typ": "rensei-runtime+jwt"}
    # the client's claims under a worker's typ
    refused(forge(runtime))
    refused(forge(runtime, reg="key_01ARZ3NDEKTSV4RRFFQ69G5FAV"))
    refused(forge(runtime), path="/r/m2m/x")
    # a worker's claims under typ JWT
    worker = dict(sub="wkr_01ARZ3NDEKTSV4RRFFQ69G5FAV",
                  reg="key_01ARZ3NDEKTSV4RRFFQ69G5FAV")
    refused(forge(**worker))
    refused(forge({"alg": "HS256"}, **worker))
    refused(forge(**worker), path="/r/worker/x")
    # a worker that nobody registered
    refused(forge(runtime, **worker))


# -- JSON that two parsers read differently -----------------------------------


def test_a_duplicate_member_in_the_header(gate, world, client, refused,
                                          accepted):
    """One parser takes the first, another the last: a filter in front sees
    another token than we do (RFC 7515 4: names MUST be unique)."""
    claims = world.a.claims(client)
    for header in ('{"alg":"HS256","alg":"none"}',
                   '{"alg":"none","alg":"HS256"}',
                   '{"alg":"HS256","alg":"HS256"}',
                   '{"alg":"HS256","\\u0061lg":"none"}',
                   '{"alg":"HS256","typ":"JWT","typ":"rensei-runtime+jwt"}',
                   '{"alg":"HS256","kid":"a","kid":"b"}'):
        refused(jwt.mint(gate.secret, claims, header))
    accepted(jwt.mint(gate.secret, claims, '{"alg":"HS256"}'))


def test_a_duplicate_claim(gate, world, client, refused, accepted):
    text = json.dumps(world.a.claims(client))
    other = world.b.id
    for more in (f'"org_id":"{other}"', '"exp":9999999999', '"sub":"m2m_x"',
                 '"scopes":["*"]', '"x":{"a":1,"a":2}',
                 f'"\\u006frg_id":"{other}"'):
        for twisted in (text[:-1] + "," + more + "}",
                        "{" + more + "," + text[1:]):
            if more.startswith('"x"'):
                twisted = text[:-1] + "," + more + "}"
            refused(jwt.mint(gate.secret, twisted))
    accepted(jwt.mint(gate.secret, text))


@pytest.mark.parametrize("header", [
    "", "{", "[]", "null", '"x"', "{}", "{}x", '{"alg":"HS256"}x',
    '{"alg":"HS256"}{}', "{'alg':'HS256'}", '{"alg":"HS256",}',
    '{"alg":"HS256"//\n}', '{"alg":NaN}', b'{"alg":"HS256","x":"\xff"}',
    b'\xef\xbb\xbf{"alg":"HS256"}', b'{"alg":"HS256"}\0',
    '{"alg":"HS256","x":"\\ud800"}', '{"alg":"HS256","x":"\\u0000"}',
    '{"alg":"HS256","x":"a\nb"}', '{"alg":"HS256","x":01}',
    '{"alg":"HS256","x":' + "[" * 200 + "]" * 200 + "}"])
def test_a_header_that_is_not_json(gate, world, client, refused, header):
    refused(jwt.mint(gate.secret, world.a.claims(client), header))


@pytest.mark.parametrize("payload", [
    "", "{", "[]", "null", "7", "{}", '"x"', b"\xff", b"{}\0"])
def test_a_payload_that_is_not_json(gate, refused, payload):
    refused(jwt.mint(gate.secret, payload))


# -- base64url ----------------------------------------------------------------


def test_more_spellings_of_one_token(gate, honest, refused):
    """One token, many texts: whoever keeps revoked tokens by their text
    misses all but one. Exactly one spelling is accepted."""
    header, payload, signature = honest.split(".")
    refused(honest + "=")
    refused(honest + "==")
    # an HS256 signature is 32 bytes: of its last character two bits are
    # left over and must be zero
    letters = ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
               "0123456789-_")
    at = letters.index(signature[-1])
    for bits in (1, 2, 3):
        refused(honest[:-1] + letters[at ^ bits])
    # RFC 6750 2.1: `=` stands at a credential's end or not at all
    malformed = (400, "invalid_request")
    for pad in ("=", "=="):
        refused(resigned(honest, gate.secret, header=header + pad),
                error=malformed)
        refused(resigned(honest, gate.secret, payload=payload + pad),
                error=malformed)


def test_plain_base64_is_not_base64url(gate, world, client, refused,
                                       accepted):
    """`+` and `/` for `-` and `_`."""
    for n in range(200):
        claims = world.a.claims(client, pad="?>~" * 3 + str(n))
        token = jwt.mint(gate.secret, claims)
        if "-" in token.split(".")[2] and "_" in token.split(".")[2]:
            break
    accepted(token)
    head, signature = token.rsplit(".", 1)
    refused(head + "." + signature.replace("-", "+").replace("_", "/"))
    payload = base64.b64encode(jwt.as_bytes(claims)).rstrip(b"=").decode()
    if "/" in payload or "+" in payload:
        refused(resigned(token, gate.secret, payload=payload))


@pytest.mark.parametrize("twist", [
    lambda h, p, s: f"{h}.{p}", lambda h, p, s: f"{h}.{p}.{s}.",
    lambda h, p, s: f".{p}.{s}", lambda h, p, s: f"{h}..{s}",
    lambda h, p, s: f"{h}.{p}.{s}.{s}", lambda h, p, s: f"{h}.{p}.{s}A",
    lambda h, p, s: f"{h}.{p}.{s[:-1]}", lambda h, p, s: f"{h}.{p}.{s}{s}",
    lambda h, p, s: f"{p}.{h}.{s}", lambda h, p, s: f"{h}.{p}.{h}",
    lambda h, p, s: f"{h}A.{p}.{s}", lambda h, p, s: f"{h}.{p}A.{s}"])
def test_segments_moved_about(honest, refused, twist):
    refused(twist(*honest.split(".")))


# -- claims -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["exp", "sub", "org_id", "iss", "aud",
                                  "scopes"])
def test_a_claim_that_is_missing(forge, refused, accepted, name):
    """mod_auth_openidc and mod_authnz_jwt took a token with no `exp`: it
    never ends. mod_authnz_jwt took one with no `aud`: made for anyone."""
    said = refused(forge(**{name: None}))
    assert name in said or {"iss": "issuer", "aud": "audience"}.get(
        name, "?") in said
    accepted(forge())


@pytest.mark.parametrize("name", ["iat", "jti"])
def test_a_claim_that_may_be_missing(forge, accepted, name):
    accepted(forge(**{name: None}))


LATER = int(time.time()) + 3600


@pytest.mark.parametrize("name, value", [
    ("exp", str(LATER)), ("exp", float(LATER) + 0.5), ("exp", True),
    ("exp", [LATER]), ("exp", -1), ("exp", 0), ("exp", 10 ** 30),
    ("exp", {}), ("exp", ""),
    ("nbf", "0"), ("nbf", []), ("nbf", True), ("nbf", 10 ** 30),
    ("iat", "0"), ("iat", {}), ("iat", True),
    ("sub", 5), ("sub", ["m2m_x"]), ("sub", ""), ("sub", {}), ("sub", True),
    ("sub", "a b"), ("sub", "a\r\nX-Evil: 1"), ("sub", "x" * 65),
    ("sub", "\u00e9"),
    ("org_id", 5), ("org_id", ["o"]), ("org_id", ""), ("org_id", "a b"),
    ("org_id", "*"), ("org_id", "a\nb"), ("org_id", "o" * 65),
    ("workspace_id", 5), ("workspace_id", ["w"]), ("workspace_id", "a\nb"),
    ("jti", 5), ("jti", ["x"]), ("jti", "a\r\nb"),
    ("iss", 5), ("iss", ["rensei-platform"]), ("iss", ""),
    ("iss", "rensei-platform "), ("iss", "RENSEI-PLATFORM"),
    ("aud", 5), ("aud", {"rensei-api": 1}), ("aud", [["rensei-api"]]),
    ("aud", [5]), ("aud", ""), ("aud", "rensei-api "), ("aud", "other,rensei-api"),
    ("scopes", "sessions:read"), ("scopes", 5), ("scopes", {"a": 1}),
    ("scopes", ["sessions:read", 5]), ("scopes", [["sessions:read"]]),
    ("scopes", ["sessions:read sessions:write"]), ("scopes", [""]),
    ("scopes", ['a"b']), ("scopes", ["a\r\nb"]), ("scopes", ["s" * 65]),
    ("scopes", [f"s:{n}" for n in range(65)]), ("scopes", True)])
def test_a_claim_of_the_wrong_form(forge, refused, name, value):
    """A string where a number belongs: who converts it silently takes 0 or
    infinity. A CRLF in a claim became a header of the backend in mod_oauth2.
    """
    refused(forge(**{name: value}))


def test_a_claim_that_is_null(gate, world, client, refused):
    for name in ("exp", "sub", "org_id", "iss", "aud", "scopes", "nbf"):
        claims = dict(world.a.claims(client), **{name: None})
        refused(jwt.mint(gate.secret, claims))


@pytest.mark.parametrize("number", ["1e400", "1e10", "4102444800.0",
                                    "04102444800", "0x7fffffff", "-0",
                                    "9223372036854775808", "+1"])
def test_an_exp_that_is_no_plain_integer(gate, world, client, refused,
                                         number):
    text = json.dumps(world.a.claims(client, exp=1234567))
    assert '"exp": 1234567' in text
    refused(jwt.mint(gate.secret, text.replace("1234567", number)))


def test_times_in_the_future(forge, refused, accepted):
    """mod_auth_openidc took a future `nbf`. A future `iat` says that the
    clocks disagree, or that somebody plays with them."""
    now = int(time.time())
    assert "not valid yet" in refused(forge(nbf=now + 120))
    refused(forge(iat=now + 120))
    accepted(forge(nbf=now - 1, iat=now - 1))
    accepted(forge(nbf=now + 5, iat=now + 5))


def test_no_scopes(gate, forge, refused, accepted):
    """An empty list is a right form: the token may nothing, but is one."""
    accepted(forge(scopes=[]))


def test_scope_in_place_of_scopes(forge, accepted, refused):
    # RFC 9068 2.2.3
    accepted(forge(scopes=None, scope="sessions:read sessions:write"))
    refused(forge(scopes=None, scope=["sessions:read"]))
    refused(forge(scopes=None, scope=7))


def test_claims_of_nobodys_are_ignored(forge, accepted):
    accepted(forge(extra={"a": [1, 2, {"b": None}]}, admin=True,
                   url="https://example.com/"))


# -- sizes --------------------------------------------------------------------


def test_a_long_token(gate, world, client, accepted):
    fits = jwt.mint(gate.secret, dict(world.a.claims(client), pad="x" * 5000))
    assert 7000 < len(fits) < 8000
    accepted(fits)


def test_the_limit_of_8192_bytes(launch_here, world):
    """Hashing what anybody sends costs, so there is a limit. httpd's own for
    a header line is 8190 bytes; this server has a larger one."""
    server = launch_here.httpd(
        "LimitRequestFieldSize 32768\n" + conf.API, store=world.store,
        children=1)
    client = world.a.client()
    claims = dict(world.a.claims(client), pad="")
    empty = len(jwt.mint(server.secret, claims))
    answers = {}
    for pad in range((8192 - empty) * 3 // 4 - 8,
                     (8192 - empty) * 3 // 4 + 8):
        token = jwt.mint(server.secret, dict(claims, pad="x" * pad))
        answer = server.get("/api/whoami", token=token)
        answers[len(token)] = answer.status
    assert {status for length, status in answers.items()
            if length <= 8192} == {200}, answers
    assert {status for length, status in answers.items()
            if length > 8192} == {401}, answers
    long = jwt.mint(server.secret, dict(claims, pad="x" * 15000))
    assert server.get("/api/whoami", token=long).error == (
        401, "invalid_token")


def test_many_claims(forge, refused, accepted):
    accepted(forge(**{f"c{n}": n for n in range(40)}))
    refused(forge(**{f"c{n}": n for n in range(400)}))


# -- the honest token in other hands ------------------------------------------


def test_a_changed_payload_under_the_old_signature(world, honest, refused):
    header, payload, signature = honest.split(".")
    claims = json.loads(jwt.unb64url(payload))
    for change in ({"org_id": world.b.id}, {"exp": claims["exp"] + 1},
                   {"scopes": ["*"]}, {"sub": "m2m_" + "0" * 32}):
        twisted = jwt.b64url(jwt.as_bytes({**claims, **change}))
        refused(f"{header}.{twisted}.{signature}")


def test_a_star_in_a_token_gives_no_more_than_the_client_has(
        gate, world, client, forge):
    """Even with the secret in hand, scopes are bounded by the client's."""
    me = gate.get("/api/whoami", token=forge(scopes=["*"]))
    assert me.status == 200, me
    assert "*" not in me.json["scopes"]
    assert set(me.json["scopes"]) <= {"sessions:read", "sessions:write"}
