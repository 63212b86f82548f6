# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Our tokens at resource servers that others wrote: another httpd with
Debian's mod_auth_openidc or mod_oauth2, which verifies them by our published
keys, by the shared secret, or by asking our introspection endpoint."""

import subprocess
import time
from pathlib import Path

import pytest

from harness import conf, jwt, where
from harness.httpd import DENIALS
from harness.oauth import (INTROSPECT, JWKS, METADATA, new_key, revoked,
                           sign)

pytestmark = [
    pytest.mark.only(
        "sqlite", "what a token looks like, wherever it was recorded"),
    pytest.mark.not_under(
        "valgrind", "mod_oauth2 loses memory of its configuration"),
]

READ = "sessions:read"
OTHER = "https://other.example/"
MODULES = ("auth_openidc", "oauth2")
ALGS = ("ES256", "RS256", "HS256", "EdDSA")

# What Debian's modules say of a token that they refuse is their affair.
THEIR_LINES = ("[auth_openidc:error]", "[oauth2:error]", "[auth_openidc:warn]")

# mod_auth_openidc takes https alone for the URLs that it is told.
TLS = """
LoadModule ssl_module "@MODULES@/mod_ssl.so"
Listen 127.0.0.1:@TLS@ https
<VirtualHost 127.0.0.1:@TLS@>
  ServerName localhost
  SSLEngine On
  SSLCertificateFile "@DIR@/tls.pem"
  SSLCertificateKeyFile "@DIR@/tls.key"
</VirtualHost>
"""


def certificate(folder):
    """A certificate for localhost, which is its own authority."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.pem")],
        check=True, capture_output=True)


class Issuer:
    """A server of ours that signs in one way."""

    def __init__(self, launch, world, alg):
        self.alg, self.world = alg, world
        self.key = None if alg == "HS256" else new_key(alg, kid="k-" + alg)
        self.gate = launch.httpd("", store=world.store, start=False)
        certificate(self.gate.dir)
        self.gate.conf = conf.ISSUER + TLS.replace("@MODULES@",
                                                   where.modules_dir())
        if self.key:
            self.keyfile("key.pem", self.key)
            # Published beside it, as for a rotation, is one that Debian's
            # libcjose cannot read: that must not cost them the other.
            self.keyfile("next.pem", new_key("EdDSA"))
            self.gate.conf = (
                f"RenseiSigningKey file:@DIR@/key.pem kid={self.kid}\n"
                "RenseiSigningKey file:@DIR@/next.pem kid=next\n"
            ) + self.gate.conf
        self.gate.start()
        self.client = world.a.client(READ, audience=OTHER)
        self.caller = world.a.client("agents:read")  # a resource server

    def keyfile(self, name, key):
        # root reads it before privileges go; a normal user's is his own
        self.gate.file(name, key.as_pem(is_private=True).decode(), 0o600,
                       owner=not where.AS_ROOT)

    @property
    def kid(self):
        return "k-" + self.alg

    def url(self, path):
        return f"https://localhost:{self.gate.tls}{path}"

    def token(self, **more):
        answer = self.gate.post("/api/oauth/token", basic=self.client, form={
            "grant_type": "client_credentials", **more})
        assert answer.status == 200, answer
        return answer.json["access_token"]

    def minted(self, token, key=None, secret=None, **changes):
        """The same claims but for the changes, signed as the issuer signs or
        with another key; a change to None leaves one out."""
        header, claims = jwt.read(token)
        claims = {name: value for name, value in {**claims, **changes}.items()
                  if value is not None}
        if self.alg == "HS256":
            return jwt.mint(secret or self.gate.secret, claims, header)
        return sign(key or self.key, self.alg, claims, **{
            name: value for name, value in header.items() if name != "alg"})


@pytest.fixture(scope="module")
def issuers(launch, world):
    return {alg: Issuer(launch, world, alg) for alg in ALGS}


# -- the other httpd ----------------------------------------------------------


def openidc(issuer, *lines):
    """mod_auth_openidc's configuration, and what protects."""
    server = "\n".join(("OIDCCryptoPassphrase no-cookies-are-made-here",
                        f'OIDCCABundlePath "{issuer.gate.dir}/tls.pem"',
                        *lines))
    return server, "AuthType oauth20", "claim"


def oauth2(issuer, verify):
    """mod_oauth2's. iat: by default it refuses what is older than 10 s."""
    return "", f"AuthType oauth2\n  OAuth2TokenVerify {verify}", "oauth2_claim"


def by_keys(module, issuer):
    if module == "auth_openidc":
        return openidc(issuer, f"OIDCOAuthVerifyJwksUri {issuer.url(JWKS)}")
    return oauth2(issuer, f"jwks_uri {issuer.url(JWKS)} "
                  "jwks_uri.ssl_verify=false&verify.iat=skip"
                  "&verify.exp=required")


def by_secret(module, issuer):
    secret = issuer.gate.secret
    if module == "auth_openidc":
        kid = jwt.read(issuer.token())[0].get("kid", "")
        return openidc(issuer,
                       f"OIDCOAuthVerifySharedKeys plain#{kid}#{secret}")
    return oauth2(issuer, f"plain {secret} verify.iat=skip"
                  "&verify.exp=required")


def by_introspection(module, issuer, method="client_secret_basic"):
    caller, url = issuer.caller, issuer.url(INTROSPECT)
    if module == "auth_openidc":
        return openidc(
            issuer, f"OIDCOAuthIntrospectionEndpoint {url}",
            f"OIDCOAuthIntrospectionEndpointAuth {method}",
            f"OIDCOAuthClientID {caller.id}",
            f"OIDCOAuthClientSecret {caller.secret}",
            "OIDCOAuthTokenIntrospectionInterval -1")
    return oauth2(issuer, f"introspect {url} introspect.ssl_verify=false"
                  f"&introspect.auth={method}&client_id={caller.id}"
                  f"&client_secret={caller.secret}&introspect.expiry=0"
                  "&expiry=0")


def by_metadata(module, issuer):
    """They find what they need by RFC 8414. mod_auth_openidc then asks our
    introspection; mod_oauth2 verifies by our keys, and asks where that
    fails."""
    caller, url = issuer.caller, issuer.url(METADATA)
    if module == "auth_openidc":
        return openidc(
            issuer, f"OIDCOAuthServerMetadataURL {url}",
            f"OIDCOAuthClientID {caller.id}",
            f"OIDCOAuthClientSecret {caller.secret}",
            "OIDCOAuthTokenIntrospectionInterval -1")
    return oauth2(issuer, f"metadata {url} metadata.ssl_verify=false"
                  "&introspect.ssl_verify=false&jwks_uri.ssl_verify=false"
                  "&introspect.auth=client_secret_basic"
                  f"&client_id={caller.id}&client_secret={caller.secret}"
                  "&verify.iat=skip&verify.exp=required")


class Verifier:
    """Another httpd, with one of Debian's modules and none of ours."""

    def __init__(self, launch, module, setting):
        path = Path(where.modules_dir()) / f"mod_{module}.so"
        assert path.exists(), f"{path} is not there: support/packages.sh test"
        server, auth, require = setting
        text = f'LoadModule {module}_module "{path}"\n{server}\n'
        for name, audience in (("ours", "rensei-api"), ("other", OTHER)):
            text += conf.protected(
                f"/{name}", "<RequireAll>",
                f"Require {require} iss:rensei-platform",
                f"Require {require} aud:{audience}", "</RequireAll>",
                'Header set X-User "expr=%{REMOTE_USER}"').replace(
                    "AuthType Bearer", auth)
        self.httpd = launch.httpd(text, modules=(), start=False,
                                  allowed=DENIALS + THEIR_LINES)
        for name in ("ours", "other"):
            self.httpd.file(f"htdocs/{name}", name)
        self.httpd.start()

    def ask(self, token, path="/ours"):
        answer = self.httpd.get(path, token=token)
        return answer.status, answer.headers.get("X-User")


def check_verifier(issuer, verifier):
    """What every verifier of signatures lets in, and what not."""
    me = (200, issuer.client.id)
    good = issuer.token()
    assert verifier.ask(good) == me
    assert verifier.httpd.get("/ours").status == 401
    now = int(time.time())
    assert verifier.ask(issuer.minted(good, jti="positive")) == me
    assert verifier.ask(issuer.minted(good, exp=now - 3600))[0] == 401
    assert verifier.ask(issuer.minted(good, iss="other"))[0] == 401
    head, signature = good.rsplit(".", 1)
    flipped = ("B" if signature[0] == "A" else "A") + signature[1:]
    assert verifier.ask(f"{head}.{flipped}")[0] == 401
    other = (issuer.minted(good, secret="another secret, of 32 bytes or more")
             if issuer.key is None else
             issuer.minted(good, key=new_key(issuer.alg)))
    assert verifier.ask(other)[0] == 401
    elsewhere = issuer.token(resource=OTHER)
    assert verifier.ask(elsewhere)[0] == 401
    assert verifier.ask(elsewhere, "/other") == me
    assert verifier.ask(good, "/other")[0] == 401
    assert verifier.ask(good) == me


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("alg", ["ES256", "RS256"])
def test_by_our_published_keys(launch_here, issuers, module, alg):
    issuer = issuers[alg]
    verifier = Verifier(launch_here, module, by_keys(module, issuer))
    check_verifier(issuer, verifier)


@pytest.mark.parametrize("module", MODULES)
def test_by_the_shared_secret(launch_here, issuers, module):
    issuer = issuers["HS256"]
    verifier = Verifier(launch_here, module, by_secret(module, issuer))
    check_verifier(issuer, verifier)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("method", ["client_secret_basic",
                                    "client_secret_post"])
@pytest.mark.parametrize("alg", ["ES256", "HS256", "EdDSA"])
def test_by_introspection(launch_here, issuers, world, module, method, alg):
    issuer = issuers[alg]
    verifier = Verifier(launch_here, module,
                        by_introspection(module, issuer, method))
    check_verifier(issuer, verifier)
    token, kept = issuer.token(), issuer.token()
    me = (200, issuer.client.id)
    assert verifier.ask(token) == verifier.ask(kept) == me
    revoked(issuer.gate, issuer.client, token)
    assert verifier.ask(token)[0] == 401
    assert verifier.ask(kept) == me
    # by signature it is good, but the store knows no such client
    unknown = issuer.minted(kept, sub="m2m_" + "0" * 32)
    assert verifier.ask(unknown)[0] == 401


@pytest.mark.parametrize("module", MODULES)
def test_by_our_metadata(launch_here, issuers, module):
    issuer = issuers["ES256"]
    verifier = Verifier(launch_here, module, by_metadata(module, issuer))
    check_verifier(issuer, verifier)
