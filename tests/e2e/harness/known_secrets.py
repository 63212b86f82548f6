# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Every secret that a test has seen, so that no log may show one."""

import re

HEAD = 16  # characters; no secret is shorter
RUN = re.compile(r"[0-9A-Za-z_-]{%d,}" % HEAD)

_plain = {}  # the first characters of those that are one RUN: the secrets
_odd = set()  # the others


def _keep(needle):
    if len(set(needle)) < 6:
        return  # zeros, as a test makes up that guesses
    if RUN.fullmatch(needle):
        _plain.setdefault(needle[:HEAD], set()).add(needle)
    else:
        _odd.add(needle)


def add(text):
    """Remembers a secret: an HS256 secret, a client's secret, an API key, or
    a token. What may be shown of it (a mark, a stored prefix, a token's
    claims) is left out of what is searched for."""
    text = text.decode("latin-1") if isinstance(text, bytes) else text
    if re.fullmatch(r"rsk_live_[0-9a-f]{64}", text):
        _keep(text[13:])
    elif re.fullmatch(r"m2ms_[0-9a-f]{64}", text):
        _keep(text[5:])
    elif text.count(".") == 2:
        signature = text.rsplit(".", 1)[1]
        if len(signature) >= 20:
            _keep(signature)
    elif len(text) >= HEAD:
        _keep(text)
    return text


def found_in(text):
    """The secrets that stand in text. There are thousands in the end, and
    megabytes of logs: each place is looked at once, not once for each."""
    found = {needle for needle in _odd if needle in text}
    for run in set(RUN.findall(text)):
        for at in range(len(run) - HEAD + 1):
            found.update(needle for needle in _plain.get(
                run[at:at + HEAD], ()) if run.startswith(needle, at))
    return sorted(found)


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
