#!/usr/bin/python3
# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""A long mixed load on one server: tokens, keys, issuing, creating, changing,
revoking, introspection, bad credentials; with a graceful restart every twenty
seconds, and a last fifth of the time without one. In the end: was any answer
wrong, is anything lost that was acknowledged, did memory grow?

    make soak [MINUTES=30] [STORE=sqlite|pgsql]

Exit status 0 when all is well."""

import os
import statistics
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from harness import store  # noqa: E402
from harness.httpd import Httpd  # noqa: E402
from harness.load import CONF, Load  # noqa: E402
from harness.world import World  # noqa: E402

RESTART_EVERY = 20  # seconds
SAMPLE_EVERY = 2
SAY_EVERY = 60
WARM_UP = 0.2  # of each part: until the caches are as full as they get
GROWTH = 1.10  # and 2 MB: pages that malloc has not given back
SLACK = 2.0
# Caches that are full before long: what still grows then is a leak.
SMALL = "RenseiCacheSize 1048576\n"


def megabytes(path, name):
    """A line of /proc/PID/status or smaps_rollup, 0 of a process that ended."""
    try:
        with open(path) as file:
            return next(int(line.split()[1]) / 1024 for line in file
                        if line.startswith(name + ":"))
    except (OSError, StopIteration):
        return 0


class Memory:
    """What the server takes, over time: the parent's own pages, and the whole
    tree with what is shared counted once."""

    def __init__(self, gate):
        self.gate, self.parent, self.tree = gate, [], []

    def sample(self):
        pids = [self.gate.process.pid, *self.gate.children()]
        self.parent.append(megabytes(f"/proc/{pids[0]}/status", "RssAnon"))
        self.tree.append(sum(megabytes(f"/proc/{pid}/smaps_rollup", "Pss")
                             for pid in pids))


def ends(values):
    """(the median of the first third after the warm-up, of the last third)"""
    kept = values[int(len(values) * WARM_UP):]
    third = max(1, len(kept) // 3)
    return statistics.median(kept[:third]), statistics.median(kept[-third:])


class Report:
    def __init__(self):
        self.good = True

    def say(self, name, text, good=True):
        self.good = self.good and good
        print(f"  {name:<10}{text}{'' if good else '   <-- WRONG'}", flush=True)

    def flat(self, name, values):
        first, last = ends(values)
        self.say("memory", f"{name} {first:.1f} -> {last:.1f} MB, at most "
                 f"{max(values):.1f}", last <= first * GROWTH + SLACK)


def progress(begun, load, memory, restarts):
    print(f"{(time.monotonic() - begun) / 60:6.1f} min"
          f"{sum(load.ledger.answers.values()):9} requests"
          f"{restarts:5} restarts  parent {memory.parent[-1]:.1f} MB, tree "
          f"{memory.tree[-1]:.1f} MB, wrong {len(load.ledger.wrong)}",
          flush=True)


def drive(gate, load, seconds):
    """@return the memory with restarts, and without; how many restarts"""
    begun = time.monotonic()
    with_them, without = Memory(gate), Memory(gate)
    restarts, due = 0, {"restart": RESTART_EVERY, "say": SAY_EVERY}
    while (at := time.monotonic() - begun) < seconds:
        still = at > 0.8 * seconds
        memory = without if still else with_them
        memory.sample()
        if at >= due["restart"] and not still:
            gate.graceful()
            restarts += 1
            due["restart"] = at + RESTART_EVERY
        if at >= due["say"]:
            progress(begun, load, memory, restarts)
            due["say"] += SAY_EVERY
        if gate.process.poll() is not None:
            raise SystemExit("httpd ended:\n" + gate.log()[-4000:])
        time.sleep(SAMPLE_EVERY)
    return with_them, without, restarts


def judge(report, load, gate):
    ledger = load.ledger
    asked = {}
    for (what, status), n in ledger.answers.items():
        asked.setdefault(what, []).append(f"{n} x {status}")
    for what in sorted(asked):
        report.say("", f"{what:<14}{', '.join(sorted(asked[what]))}; slowest "
                   f"{ledger.slowest[what]:.2f} s")
    report.say("wrong", f"{len(ledger.wrong)} {ledger.wrong[:3]}",
               not ledger.wrong)
    try:
        ledger.wrong = []  # said already
        load.settle()
        report.say("trail", f"{len(ledger.issued)} tokens and "
                   f"{len(ledger.events)} changes were acknowledged: each is "
                   "there once, and the chains verify")
    except AssertionError as lost:
        report.say("trail", str(lost)[:2000], False)
    problems = gate.check_logs() + gate.store.check_log()
    report.say("log", f"{len(problems)} errors {problems[:3]}", not problems)


def main():
    minutes = float(os.environ.get("MINUTES", "30"))
    world = World(store.new())
    gate = Httpd(SMALL + CONF, store=world.store, children=3).start()
    load = Load(gate, world.a, threads=8, pause=0.002)
    print(f"soak: {minutes:g} minutes over {store.kind()}", flush=True)
    with load:
        with_them, without, restarts = drive(gate, load, minutes * 60)
    report, done = Report(), sum(load.ledger.answers.values())
    report.say("load", f"{done} requests, {done / minutes / 60:.0f} a second; "
               f"{restarts} graceful restarts")
    report.flat("of the parent", with_them.parent + without.parent)
    report.flat("of the tree, with restarts", with_them.tree)
    report.flat("of the tree, without", without.tree)
    judge(report, load, gate)
    gate.close()
    world.store.close()
    print("soak: " + ("passed" if report.good else "FAILED"))
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
