# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Every secret that a test has seen, so that no log may show one."""

import re

_needles = set()


def add(text):
    """Remembers a secret: an HS256 secret, a client's secret, an API key, or
    a token. What may be shown of it (a mark, a stored prefix, a token's
    claims) is left out of what is searched for."""
    text = text.decode("latin-1") if isinstance(text, bytes) else text
    if re.fullmatch(r"rsk_live_[0-9a-f]{64}", text):
        _needles.add(text[13:])
    elif re.fullmatch(r"m2ms_[0-9a-f]{64}", text):
        _needles.add(text[5:])
    elif text.count(".") == 2:
        signature = text.rsplit(".", 1)[1]
        if len(signature) >= 20:
            _needles.add(signature)
    elif len(text) >= 16:
        _needles.add(text)
    return text


def found_in(text):
    """The secrets that stand in text."""
    return sorted(needle for needle in _needles if needle in text)


def learn(value):
    """Remembers what a JSON answer shows once."""
    if isinstance(value, dict):
        for name, member in value.items():
            if (name in ("access_token", "clientSecret", "nextClientSecret",
                         "token", "client_secret", "secret", "runtimeJwt",
                         "runtimeToken")
                    and isinstance(member, str)):
                add(member)
            else:
                learn(member)
    elif isinstance(value, list):
        for member in value:
            learn(member)
    return value
