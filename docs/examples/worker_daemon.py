#!/usr/bin/env python3
# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""A worker, with Python's standard library alone.

It registers with a registration key, keeps a good runtime token in a file for
the programs that do the work, and gets the next one in time. It ends by itself
when the server refuses it for good: exit status 2.

    RENSEI_URL                the gateway: https://gateway.example
    RENSEI_KEY_FILE           a file with the registration key, its owner's
                              alone (0600); or RENSEI_REGISTRATION_KEY
    RENSEI_TOKEN_FILE         where the runtime token is kept
    RENSEI_MAX_AGENTS         how much work at once (4)
    RENSEI_MACHINE_ID         by which the server knows this machine again
                              (made of /etc/machine-id)
    RENSEI_POLL               a path to ask for work with the token, at the
                              interval that the server gives; without it, none
    RENSEI_MARGIN             seconds before its end to renew the token (a
                              third of its life)
"""

import email.utils
import hashlib
import http.client
import json
import os
import random
import signal
import socket
import stat
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from datetime import datetime

TIMEOUT = 20  # seconds, of one call
BACKOFF_MAX = 60  # seconds between two attempts

stopping = threading.Event()


class Refused(Exception):
    """The server said no, and will say it again."""

    def __init__(self, status, why):
        super().__init__(f"{status}: {why}")
        self.status = status


class Busy(Exception):
    """The server, or the way to it, is away for the moment."""

    def __init__(self, why, wait=0):
        super().__init__(why)
        self.wait = wait


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Whoever answers with a redirect would be sent our credential."""

    def redirect_request(self, *_):
        return None


web = urllib.request.build_opener(NoRedirect)


def say(text):
    print("worker:", text, file=sys.stderr, flush=True)


def call(method, url, credential, body=None):
    """(the answer's JSON, its headers). Raises Refused or Busy."""
    request = urllib.request.Request(url, method=method)
    request.add_header("Authorization", "Bearer " + credential)
    if method == "POST":
        request.data = json.dumps(body or {}).encode()
        request.add_header("Content-Type", "application/json")
    try:
        with web.open(request, timeout=TIMEOUT) as answer:
            text, headers = answer.read(), answer.headers
        return (json.loads(text) if method == "POST" else None), headers
    except urllib.error.HTTPError as error:
        why = description(error)
        if error.code == 429 or error.code >= 500:
            wait = error.headers.get("Retry-After", "")
            raise Busy(f"{error.code}: {why}",
                       int(wait) if wait.isdigit() else 0) from None
        raise Refused(error.code, why) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Busy(str(error)) from None


def description(error):
    try:
        return json.loads(error.read())["error_description"]
    except (OSError, ValueError, KeyError, TypeError):
        return error.reason


class Token:
    """A runtime token, and when it has to be renewed. By the server's clock
    it lives so long; by ours, which may be wrong, so long from now."""

    def __init__(self, text, expires_at, headers, margin):
        ends = datetime.fromisoformat(expires_at.replace("Z", "+00:00"))
        sent = email.utils.parsedate_to_datetime(headers["Date"])
        life = (ends - sent).total_seconds()
        self.text = text
        self.ends = time.monotonic() + life
        self.renew_at = self.ends - (life / 3 if margin is None else margin)

    def over(self):
        return time.monotonic() >= self.ends


class Worker:
    def __init__(self, env):
        self.url = env["RENSEI_URL"].rstrip("/")
        self.key = read_key(env)
        self.token_file = env["RENSEI_TOKEN_FILE"]
        self.poll_path = env.get("RENSEI_POLL")
        self.margin = (float(env["RENSEI_MARGIN"])
                       if env.get("RENSEI_MARGIN") else None)
        self.report = {
            "hostname": socket.gethostname(),
            "maxAgents": int(env.get("RENSEI_MAX_AGENTS") or 4),
            "machineId": env.get("RENSEI_MACHINE_ID") or machine_id()}
        self.id = self.token = None
        self.interval = 5
        self.strikes = 0  # polls on end that were refused

    def register(self):
        """Until it succeeds. The key that registers does nothing else: what
        leaks later, with the work, is a token of minutes."""
        def attempt():
            answer, headers = call("POST", self.url + "/api/workers/register",
                                   self.key, self.report)
            self.id = answer["workerId"]
            self.interval = answer["pollInterval"] / 1000
            self.keep(Token(answer["runtimeJwt"],
                            answer["runtimeTokenExpiresAt"], headers,
                            self.margin))
            say(f"registered as {self.id}")
        persist(attempt)

    def renew(self):
        """The next token, as long as the one before is good; after that, a
        new registration. 403 is no to the worker itself."""
        def attempt():
            if self.token.over():
                raise Refused(401, "the token has expired")
            answer, headers = call(
                "POST", f"{self.url}/api/workers/{self.id}/refresh-token",
                self.token.text)
            self.keep(Token(answer["runtimeJwt"], answer["expiresAt"],
                            headers, self.margin))
            say("refreshed")
        try:
            persist(attempt)
        except Refused as no:
            if no.status not in (401, 404):
                raise
            say(f"not refreshed, {no}; registering again")
            self.register()

    def keep(self, token):
        """Replaces the file at once: nobody reads half a token."""
        self.token = token
        folder = os.path.dirname(os.path.abspath(self.token_file))
        fd, path = tempfile.mkstemp(dir=folder)  # 0600
        with os.fdopen(fd, "w") as file:
            file.write(token.text + "\n")
        os.replace(path, self.token_file)

    def poll(self):
        """Here a real worker would take work and do it."""
        try:
            call("GET", self.url + self.poll_path, self.token.text)
            self.strikes = 0
        except Busy as busy:
            say(f"no work, {busy}")
        except Refused as no:
            if no.status != 401:
                say(f"no work, {no}")
            elif self.strikes:
                raise  # with a new token as well
            else:
                self.strikes = 1
                self.renew()  # the token, or its worker, was revoked

    def run(self):
        self.register()
        while not stopping.is_set():
            wait = max(0.0, self.token.renew_at - time.monotonic())
            if self.poll_path:
                wait = min(wait, self.interval)
            stopping.wait(wait)
            if stopping.is_set():
                break
            if time.monotonic() >= self.token.renew_at:
                self.renew()
            if self.poll_path:
                self.poll()


def persist(attempt):
    """Tries until it succeeds or is refused, ever more slowly, and not in
    step with all others that lost the same server."""
    pause = 1
    while not stopping.is_set():
        try:
            return attempt()
        except Busy as busy:
            wait = max(busy.wait, pause * random.uniform(0.5, 1))
            say(f"{busy}; again in {wait:.1f} s")
            stopping.wait(wait)
            pause = min(2 * pause, BACKOFF_MAX)
    sys.exit(0)


def read_key(env):
    """Never from the command line, which everybody on the machine can see."""
    path = env.get("RENSEI_KEY_FILE")
    if not path:
        # what we start must not inherit it
        return os.environ.pop("RENSEI_REGISTRATION_KEY")
    with open(path) as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            sys.exit(f"worker: {path} can be read by others; chmod 600 it")
        return file.read().strip()


def machine_id():
    """Not the machine's own id, which is said to be kept to oneself
    (machine-id(5)), but the same one each time."""
    try:
        with open("/etc/machine-id", "rb") as file:
            own = file.read().strip()
    except OSError:
        own = socket.gethostname().encode()
    return hashlib.sha256(b"rensei-worker " + own).hexdigest()[:32]


def main():
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        worker = Worker(os.environ)
    except (KeyError, ValueError, OSError) as error:
        sys.exit(f"worker: not configured, {error!r}\n\n{__doc__}")
    try:
        worker.run()
    except Refused as no:
        say(f"refused, {no}")
        sys.exit(2)


if __name__ == "__main__":
    main()
