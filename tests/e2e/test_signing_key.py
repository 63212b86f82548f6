# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""RenseiSigningKey: what signs, what verifies, and how it is rotated."""

import base64
import json
import subprocess
import threading

import pytest

from harness import conf, jwt, where

pytestmark = pytest.mark.only("sqlite", "files of keys")

READ = "sessions:read"
ALGS = {"ES256": ("EC", "ec_paramgen_curve:P-256"),
        "ES384": ("EC", "ec_paramgen_curve:P-384"),
        "RS256": ("RSA", "rsa_keygen_bits:2048"),
        "PS256": ("RSA", "rsa_keygen_bits:2048"),
        "EdDSA": ("ED25519", None)}
JWKS = """
<Location "/.well-known/jwks.json">
  SetHandler rensei-token
</Location>
"""


def pem(alg="ES256"):
    kind, option = ALGS[alg]
    more = ["-pkeyopt", option] if option else []
    return subprocess.run(["openssl", "genpkey", "-algorithm", kind, *more],
                          capture_output=True, text=True, check=True).stdout


def keyfile(server, name, text):
    # root reads it before privileges go; a normal user's is his own
    return server.file(name, text, 0o600, owner=not where.AS_ROOT)


@pytest.fixture
def gate(launch_here):
    """A server, not started, and a client."""
    store = launch_here.store()
    org = store.org("acme")
    client = store.client(org, "c", READ)
    server = launch_here.httpd("", store=store, start=False)
    server.client, server.org = client, org
    return server


def lines(*keys):
    return "".join(f'RenseiSigningKey "file:@DIR@/{name}" {more}\n'
                   for name, *rest in (k.split(" ", 1) for k in keys)
                   for more in [" ".join(rest)]) + conf.API + JWKS


def header(token):
    return jwt.read(token)[0]


@pytest.mark.parametrize("alg", ALGS)
def test_each_algorithm_signs_and_verifies(gate, alg):
    keyfile(gate, "a.pem", pem(alg))
    gate.conf = lines("a.pem" + (" alg=PS256" if alg == "PS256" else ""))
    gate.start()
    token = gate.token(gate.client)
    assert header(token)["alg"] == alg
    assert gate.get("/api/whoami", token=token).status == 200
    head, signature = token.rsplit(".", 1)
    first = "A" if signature[0] != "A" else "B"
    assert gate.get("/api/whoami",
                    token=head + "." + first + signature[1:]).status == 401


def test_the_public_key_is_no_secret(gate):
    """Whoever may fetch the public key must not be able to sign HS256 with
    it: the algorithm is the key's, not the token's."""
    private = pem("RS256")
    keyfile(gate, "a.pem", private)
    gate.conf = lines("a.pem kid=one")
    gate.start()
    public = subprocess.run(["openssl", "pkey", "-pubout"], input=private,
                            capture_output=True, text=True, check=True).stdout
    claims = jwt.claims(gate.client.id, gate.org, [READ])
    for secret in (public, public.strip()):
        for kid in ({"kid": "one"}, {}):
            forged = jwt.mint(secret, claims, {"alg": "HS256", "typ": "JWT",
                                               **kid})
            assert gate.get("/api/whoami", token=forged).status == 401
    assert gate.get("/api/whoami", token=gate.token(gate.client)).status == 200


def test_the_environments_secret_counts_no_more(gate):
    """Where keys sign, a secret that nobody configured opens nothing."""
    keyfile(gate, "a.pem", pem())
    gate.conf = lines("a.pem")
    gate.start()
    old = jwt.mint(gate.secret, jwt.claims(gate.client.id, gate.org, [READ]))
    assert gate.get("/api/whoami", token=old).status == 401
    gate.conf = "RenseiSecret env:M2M_JWT_SECRET\n" + gate.conf
    gate.stop()
    gate.start()
    assert gate.get("/api/whoami", token=old).status == 200
    assert header(gate.token(gate.client))["alg"] == "ES256"


def published(server):
    return [k["kid"] for k in server.get("/.well-known/jwks.json").json["keys"]]


def test_rotation_keeps_each_token_good(gate):
    """One key, a next one published, then signing, then the old one gone:
    requests and tokens all the while, and none is refused."""
    keyfile(gate, "a.pem", pem())
    keyfile(gate, "b.pem", pem())
    gate.conf = lines("a.pem kid=a")
    gate.start()
    first = gate.token(gate.client)
    assert header(first)["kid"] == "a" and published(gate) == ["a"]

    done, failures = threading.Event(), []

    def ask():
        while not done.is_set():
            answer = gate.get("/api/whoami", token=first)
            if answer.status != 200:
                failures.append(answer)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        gate.write(lines("a.pem kid=a", "b.pem kid=b"))
        gate.graceful()
        assert published(gate) == ["a", "b"]
        assert header(gate.token(gate.client))["kid"] == "a"
        gate.write(lines("b.pem kid=b", "a.pem kid=a"))
        gate.graceful()
        second = gate.token(gate.client)
        assert header(second)["kid"] == "b"
        assert gate.get("/api/whoami", token=first).status == 200
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not failures
    gate.write(lines("b.pem kid=b"))
    gate.graceful()
    for _ in range(6):
        assert gate.get("/api/whoami", token=second).status == 200
    gate.stop()  # no child of before is left
    gate.start()
    assert gate.get("/api/whoami", token=first).status == 401
    assert gate.get("/api/whoami", token=second).status == 200


@pytest.mark.parametrize("bad", ["", "not a key", "-----BEGIN PRIVATE KEY-----"
                                 "\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_bad_key_in_a_restart(gate, bad):
    """The ring that runs stays, and the log says so."""
    keyfile(gate, "a.pem", pem())
    gate.conf = lines("a.pem")
    gate.start()
    token = gate.token(gate.client)
    keyfile(gate, "a.pem", bad)
    gate.expect_log("RS0005")
    gate.graceful()
    for _ in range(4):
        assert gate.get("/api/whoami", token=token).status == 200
        assert gate.get("/api/whoami",
                        token=gate.token(gate.client)).status == 200


@pytest.mark.parametrize("line, words", [
    ("RenseiSigningKey", ["file:"]),
    ("RenseiSigningKey /etc/key.pem", ["file:"]),
    ('RenseiSigningKey "file:@DIR@/none.pem"', ["none.pem"]),
    ('RenseiSigningKey "file:@DIR@/a.pem" alg=RS256', ["a.pem"]),
    ('RenseiSigningKey "file:@DIR@/a.pem" alg=none', ["a.pem"]),
    ('RenseiSigningKey "file:@DIR@/a.pem" alg=', ["alg="]),
    ('RenseiSigningKey "file:@DIR@/a.pem" kid=a/b', ["a.pem"]),
    ('RenseiSigningKey "file:@DIR@/a.pem" use=sig', ["use=sig"]),
    ('RenseiSigningKey "file:@DIR@/public.pem"', ["public.pem"]),
    ('RenseiSigningKey "file:@DIR@/open.pem"', ["chmod 600"]),
])
def test_configtest(gate, line, words):
    private = pem()
    keyfile(gate, "a.pem", private)
    gate.file("open.pem", private, 0o644, owner=False)
    keyfile(gate, "public.pem", subprocess.run(
        ["openssl", "pkey", "-pubout"], input=private, capture_output=True,
        text=True, check=True).stdout)
    good, said = gate.configtest(line + "\n" + conf.API)
    assert not good
    for word in ["RenseiSigningKey", *words]:
        assert word in said, said
    good, said = gate.configtest('RenseiSigningKey "file:@DIR@/a.pem"\n'
                                 + conf.API)
    assert good, said


def test_the_thumbprint_names_the_key(gate):
    """RFC 7638, worked out here from the published key."""
    import hashlib
    keyfile(gate, "a.pem", pem())
    gate.conf = lines("a.pem")
    gate.start()
    key = gate.get("/.well-known/jwks.json").json["keys"][0]
    members = {name: key[name] for name in ("crv", "kty", "x", "y")}
    digest = hashlib.sha256(json.dumps(members, sort_keys=True,
                                       separators=(",", ":")).encode()).digest()
    name = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert key["kid"] == name == header(gate.token(gate.client))["kid"]
    assert "d" not in key


def test_keys_that_do_not_go_together(gate):
    """Each line by itself is right: found out by configtest all the same, not
    by a 503 in the night."""
    keyfile(gate, "a.pem", pem())
    keyfile(gate, "b.pem", pem())
    one = 'RenseiSigningKey "file:@DIR@/a.pem" kid=k\n'
    good, said = gate.configtest(
        one + 'RenseiSigningKey "file:@DIR@/b.pem" kid=k\n' + conf.API)
    assert not good and "b.pem" in said
    good, said = gate.configtest(conf.API + one + """
        <VirtualHost *:@PORT@>
          ServerName b.example
          RenseiSigningKey "file:@DIR@/a.pem" alg=RS256
        </VirtualHost>""")
    assert not good and "a.pem" in said
    good, said = gate.configtest(
        one + 'RenseiSigningKey "file:@DIR@/b.pem" kid=l\n' + conf.API)
    assert good, said


def test_a_key_is_no_secret(gate):
    """Its public half is published: as an HS256 secret it would be
    everybody's."""
    public = subprocess.run(["openssl", "pkey", "-pubout"], input=pem(),
                            capture_output=True, text=True, check=True).stdout
    keyfile(gate, "p.pem", public)
    good, said = gate.configtest('RenseiSecret "file:@DIR@/p.pem"\n' + conf.API)
    assert not good and "RenseiSigningKey" in said
