# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Tokens made by hand: a forger's workshop, and a plain reader."""

import base64
import hashlib
import hmac
import json
import time
import uuid

from . import known_secrets

DIGESTS = {"HS256": hashlib.sha256, "HS384": hashlib.sha384,
           "HS512": hashlib.sha512}


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def as_bytes(value):
    """JSON of a value; text and bytes stay as they are."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    return json.dumps(value, separators=(",", ":")).encode()


def sign(secret, signing_input, alg="HS256"):
    key = secret if isinstance(secret, bytes) else secret.encode()
    return hmac.new(key, signing_input, DIGESTS[alg]).digest()


def mint(secret, claims, header=None, alg="HS256"):
    """A token whose signature is right for alg. header: members, or the text
    of the header as it shall stand; None for what the service itself writes,
    without a kid."""
    if header is None:
        header = {"alg": alg, "typ": "JWT"}
    head = b64url(as_bytes(header)) + "." + b64url(as_bytes(claims))
    return known_secrets.add(
        head + "." + b64url(sign(secret, head.encode(), alg)))


def read(token):
    """(header, claims) of a token, unverified."""
    header, claims, _ = token.split(".")
    return json.loads(unb64url(header)), json.loads(unb64url(claims))


def verified(token, secret):
    """(header, claims) of a token whose HS256 signature this code, which
    shares nothing with the server's, finds good."""
    head, signature = token.rsplit(".", 1)
    assert hmac.compare_digest(unb64url(signature),
                               sign(secret, head.encode()))
    return read(token)


def claims(client, org, scopes, **changes):
    """Claims as the service issues them; a change to None leaves one out."""
    now = int(time.time())
    out = {"sub": client, "org_id": org, "scopes": scopes,
           "iss": "rensei-platform", "aud": "rensei-api", "iat": now,
           "exp": now + 600, "jti": "tok_" + uuid.uuid4().hex[:26].upper()}
    out.update(changes)
    return {name: value for name, value in out.items() if value is not None}
