# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Tests of what happens in time, on a machine that may be busy with other
things."""

import math
import threading
import time

from . import where

# Seconds: for what comes soon, and nobody promised when.
LIMIT = 30 * where.SLOWNESS


class End:
    """A moment that comes in so many seconds: at (since 1970), and ms."""

    def __init__(self, seconds, whole=False):
        self.seconds = seconds
        self.at = time.time() + seconds
        self.at = float(math.ceil(self.at)) if whole else round(self.at, 3)
        self.ms = round(self.at * 1000)
        self.was_ahead = False

    def has_passed(self):
        return time.time() >= self.at

    def not_yet(self):
        """All up to here happened before it."""
        assert not self.has_passed(), "too slow to have seen anything"
        self.was_ahead = True

    def wait(self):
        """Until it has just passed."""
        time.sleep(max(0, self.at + 0.05 - time.time()))


def patient(run, first=1.2, whole=False):
    """run(end): something has to be done before that end, and then
    end.not_yet() says that it was. If the machine was too slow for that, then
    once more, with more time. whole: the end is at a full second."""
    for seconds in (first, 5 * first, 25 * first):
        end = End(seconds, whole)
        try:
            return run(end)
        except Exception:  # renseictl refuses an end that has passed
            if end.was_ahead or not end.has_passed():
                raise
    raise AssertionError("too slow, each time")


def wait_for(condition, said=None, seconds=LIMIT):
    """Until condition() is true, and gives what it is. said(): what to show
    if that never comes."""
    deadline = time.monotonic() + seconds
    while not (known := condition()):
        assert time.monotonic() < deadline, said() if said else "in vain"
        time.sleep(0.02)
    return known


def cut_off(cut, join, known):
    """Takes the store away by cut(), from a server which knows enough to go
    on: known() says so. It remembers nothing before it follows the changes in
    the store, which it begins to do soon after its start, so that with bad
    luck it has to be given back by join(), for once more. When it was cut."""
    for seconds in (1, 5, 25):
        time.sleep(seconds)
        wait_for(known)
        cut()
        at = time.monotonic()
        if known():
            return at
        join()
        wait_for(known)
    raise AssertionError("nothing is remembered")


class Within:
    """So many seconds from now; those in which this machine does not get to
    run a thread that wants to are not counted. Thrice that, for where it
    counts the gateway, its database and we have to be run, in turn."""

    BEAT, FINE = 0.02, 0.01

    def __init__(self, seconds):
        self._seconds, self._stalled = seconds, 0.0
        self._done = threading.Event()
        self._begun = time.monotonic()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while not self._done.is_set():
            since = time.monotonic()
            self._done.wait(self.BEAT)
            late = time.monotonic() - since - self.BEAT
            if late > self.FINE:
                self._stalled += late

    def passed(self):
        return time.monotonic() - self._begun

    def limit(self):
        return self._seconds * where.SLOWNESS + 3 * self._stalled

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._done.set()

    def until(self, condition, said=lambda: ""):
        """condition() holds on every call that begins later than that."""
        while True:
            begun = self.passed()
            if condition():
                return
            assert begun < self.limit(), (
                f"not after {begun:.2f} s, of {self.limit():.2f}: {said()}")
            time.sleep(0.02)
