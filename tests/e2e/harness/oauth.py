# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""The OAuth endpoints, as a program uses them; and keys of clients."""

import secrets
import threading
import time

from authlib.jose import JsonWebKey, JsonWebSignature

from . import known_secrets
from .jwt import as_bytes, b64url
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


def revoke(gate, by, token, how="form", **params):
    return gate.post(REVOKE, **credentials(by),
                     **{how: {"token": token, **params}})


def revoked(gate, by, token, **params):
    """Asserts that it is answered as done, whatever was."""
    answer = revoke(gate, by, token, **params)
    assert (answer.status, answer.json) == (200, {}), answer
    assert answer.headers["Cache-Control"] == "no-store", answer


class Crowd:
    """Open connections, to all children."""

    def __init__(self, gate, path=WHOAMI, size=24):
        since = len(gate.access())
        self.wires = [gate.connection() for _ in range(size)]
        # All at once, or one child takes them all.
        threads = [threading.Thread(target=wire.get, args=(path,))
                   for wire in self.wires]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pids = {line.split()[-2]
                for line in gate.access()[since:].splitlines() if path in line}
        assert len(pids) > 1, "only one child was asked"

    def active(self, by, token, **params):
        """What each child's introspection says."""
        return {active(wire, by, token, **params) for wire in self.wires}

    def statuses(self, token, path=WHOAMI):
        return {wire.get(path, token=token).status for wire in self.wires}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for wire in self.wires:
            wire.close()


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
        if kind != "EC" or {len(key.as_dict()[n]) for n in "xy"} <= {43, 64}:
            return key


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
