# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""GET /.well-known/jwks.json (RFC 7517): the public keys, and nothing of the
private ones."""

import json

import pytest
from authlib.jose import JsonWebKey, JsonWebToken

from harness import conf, jwt, where
from harness.oauth import ALGS, JWKS, new_key

pytestmark = pytest.mark.only("sqlite", "documents made of the configuration")

READ = "sessions:read"
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


@pytest.fixture(scope="module")
def gate(launch, world):
    """A server without a key pair: HS256 alone."""
    return launch.httpd(conf.ISSUER, store=world.store)


@pytest.fixture(scope="module")
def keys():
    return {alg: new_key(alg) for alg in ALGS}


@pytest.fixture(scope="module")
def signers(launch, world, keys):
    """A virtual host for each algorithm, which signs with it first."""
    text = ""
    server = launch.httpd("", store=world.store, start=False)
    for alg, key in keys.items():
        server.file(alg + ".pem", key.as_pem(is_private=True).decode(), 0o600,
                    owner=not where.AS_ROOT)
    for alg in ALGS:
        rest = [a for a in ALGS if a != alg]
        text += (f'<VirtualHost *:@PORT@>\nServerName {alg.lower()}.example\n'
                 + world.store.dbd()
                 + "".join(f'RenseiSigningKey file:@DIR@/{a}.pem alg={a}\n'
                           for a in [alg] + rest)
                 + conf.ISSUER + "</VirtualHost>\n")
    server.conf = text
    return server.start()


def fetch(server, host="localhost", **more):
    answer = server.get(JWKS, host=host, **more)
    assert answer.status == 200, answer
    return answer


def test_without_a_key_pair(gate):
    """An HS256 secret is nobody's to fetch, not even its kid."""
    answer = fetch(gate)
    assert answer.body == b'{"keys":[]}'


def test_how_it_is_answered(gate):
    answer = fetch(gate)
    assert answer.headers.get_content_type() == "application/jwk-set+json"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers.get_all("Pragma") is None
    tag = answer.headers["ETag"]
    assert tag.startswith('"') and tag.endswith('"') and len(tag) > 10


def test_head(gate):
    whole, head = fetch(gate), gate.request("HEAD", JWKS)
    assert head.status == 200 and head.body == b""
    for name in ("Content-Type", "Cache-Control", "ETag", "Content-Length"):
        assert head.headers[name] == whole.headers[name], name


def test_304(gate):
    tag = fetch(gate).headers["ETag"]
    for asked in (tag, "*", f'"x", {tag}', f"W/{tag}"):
        for method in ("GET", "HEAD"):
            answer = gate.request(method, JWKS,
                                  headers={"If-None-Match": asked})
            assert (answer.status, answer.body) == (304, b""), asked
            assert answer.headers["ETag"] == tag
            assert answer.headers["Cache-Control"] == "public, max-age=300"
    for asked in ('"x"', tag[:-2] + '"'):
        assert gate.get(JWKS, headers={"If-None-Match": asked}).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_405(gate, method):
    answer = gate.request(method, JWKS)
    assert answer.error == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD"


def test_404_below_it(gate):
    assert gate.get(JWKS + "/x").status == 404


def test_it_needs_no_credential_and_takes_none_amiss(gate):
    assert fetch(gate, token="x.y.z").body == fetch(gate).body


def test_the_keys(signers, keys):
    """Every key of the ring, by its thumbprint (RFC 7638), and of each what
    is public."""
    for alg in ALGS:
        listed = fetch(signers, alg.lower() + ".example").json["keys"]
        assert [k["alg"] for k in listed] == [alg] + [
            a for a in ALGS if a != alg]
        for key in listed:
            own = keys[key["alg"]]
            assert key["use"] == "sig"
            assert not PRIVATE & set(key)
            assert key["kid"] == own.thumbprint()
            public = own.as_dict(is_private=False)
            assert {k: key[k] for k in public if k != "kid"} == {
                k: v for k, v in public.items() if k != "kid"}


@pytest.mark.parametrize("alg", ALGS)
def test_they_verify_the_tokens(signers, world, alg):
    """By another implementation, which knows the document and nothing else."""
    host = alg.lower() + ".example"
    client = world.a.client()
    token = signers.token(client, host=host)
    assert jwt.read(token)[0]["alg"] == alg
    keys = JsonWebKey.import_key_set(fetch(signers, host).json)
    claims = JsonWebToken([alg]).decode(token, keys)
    claims.validate()
    assert claims["sub"] == client.id
    head, payload, signature = token.split(".")
    other = "B" if signature[9] == "A" else "A"
    forged = f"{head}.{payload}.{signature[:9]}{other}{signature[10:]}"
    with pytest.raises(Exception, match="bad_signature"):
        JsonWebToken([alg]).decode(forged, keys)


def test_each_virtual_host_has_its_own(signers):
    first = [fetch(signers, a.lower() + ".example").json["keys"][0]["kid"]
             for a in ALGS]
    tags = {fetch(signers, a.lower() + ".example").headers["ETag"]
            for a in ALGS}
    assert len(set(first)) == len(ALGS) == len(tags)


def test_nothing_of_the_private_keys(signers, keys):
    text = fetch(signers, "rs256.example").text
    for key in keys.values():
        whole = key.as_dict(is_private=True)
        for name in PRIVATE & set(whole):
            assert json.dumps(whole[name]) not in text
