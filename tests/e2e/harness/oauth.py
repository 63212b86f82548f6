# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""The OAuth endpoints, as a program uses them; and keys of clients."""

import hashlib
import secrets
import time

from authlib.jose import JsonWebKey, JsonWebSignature

from . import known_secrets
from .jwt import as_bytes, b64url, unb64url
from .store import Key

TOKEN = "/api/oauth/token"
INTROSPECT = "/api/oauth/introspect"
REVOKE = "/api/oauth/revoke"
WHOAMI = "/api/whoami"
JWKS = "/.well-known/jwks.json"
METADATA = "/.well-known/oauth-authorization-server"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGS = ("RS256", "PS256", "ES256", "ES384", "EdDSA")

INACTIVE = b'{"active":false}'


def credentials(by):
    """How a caller shows who it is: an org key as Bearer, a client as Basic."""
    return {"token": by.token} if isinstance(by, Key) else {"basic": tuple(by)}


def introspect(gate, by, token, how="form", **params):
    """What a caller is told of a token: the JSON object."""
    answer = gate.post(INTROSPECT, **credentials(by),
                       **{how: {"token": token, **params}})
    assert answer.status == 200, answer
    assert answer.headers["Cache-Control"] == "no-store", answer
    return answer.json


def active(gate, by, token, **params):
    """Is it active? If not, nothing else is said."""
    said = introspect(gate, by, token, **params)
    assert said["active"] in (True, False)
    assert said["active"] or said == {"active": False}, said
    return said["active"]


def active_in(crowd, by, token, **params):
    """What each child's introspection says."""
    return crowd.each(lambda wire: active(wire, by, token, **params))


def revoke(gate, by, token, how="form", **params):
    return gate.post(REVOKE, **credentials(by),
                     **{how: {"token": token, **params}})


def revoked(gate, by, token, **params):
    """Asserts that it is answered as done, whatever was."""
    answer = revoke(gate, by, token, **params)
    assert (answer.status, answer.json) == (200, {}), answer
    assert answer.headers["Cache-Control"] == "no-store", answer


def new_key(alg="ES256", **members):
    """A private key, made by another implementation than the server's."""
    kind, size = {"RS256": ("RSA", 2048), "PS256": ("RSA", 2048),
                  "ES256": ("EC", "P-256"), "ES384": ("EC", "P-384"),
                  "EdDSA": ("OKP", "Ed25519")}[alg]
    if alg == "PS256":  # an RSA key that does not say so is for RS256
        members["alg"] = alg
    while True:
        key = JsonWebKey.generate_key(kind, size, members, is_private=True)
        # authlib drops leading zeros, which RFC 7518 6.2.1.2 has kept
        whole = key.as_dict(is_private=True)
        if kind != "EC" or {len(whole[n]) for n in "xyd"} <= {43, 64}:
            return key


# RFC 7638 3.2: what a thumbprint is made of
NAMES = {"EC": "crv kty x y", "OKP": "crv kty x", "RSA": "e kty n"}


def public_jwk(pem):
    """The public half of a key that the server's tools made, with its
    thumbprint for a kid; with the leading zeros that authlib drops."""
    key = JsonWebKey.import_key(pem).as_dict(is_private=False)
    for name in "xy" if key["kty"] == "EC" else "":
        size = {"P-256": 32, "P-384": 48}[key["crv"]]
        key[name] = b64url(unb64url(key[name]).rjust(size, b"\0"))
    digest = hashlib.sha256(as_bytes({
        name: key[name] for name in NAMES[key["kty"]].split()})).digest()
    return {**key, "kid": b64url(digest)}


def public(*keys):
    """A JWK Set of their public halves."""
    return {"keys": [key.as_dict(is_private=False, **key.options)
                     for key in keys]}


def sign(key, alg, claims, **header):
    """A JWT, signed by authlib; the header is not judged."""
    head = (b64url(as_bytes({"alg": alg, **header})) + "."
            + b64url(as_bytes(claims)))
    how = JsonWebSignature.ALGORITHMS_REGISTRY[alg]
    signature = how.sign(head.encode(), how.prepare_key(key))
    return known_secrets.add(head + "." + b64url(signature))


def assertion_claims(client, audience, **changes):
    """As RFC 7523 3 wants them; a change to None leaves one out."""
    now = int(time.time())
    out = {"iss": client, "sub": client, "aud": audience, "iat": now,
           "exp": now + 120, "jti": secrets.token_hex(12), **changes}
    return {name: value for name, value in out.items() if value is not None}
