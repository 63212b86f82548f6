# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""User-space instructions for each request, under callgrind.

The difference of two runs of "httpd -X" that serve WARM and WARM + COUNT
requests over one connection, in the threads that serve. Both begin when the
store is followed, so that both ask it for each credential once. It repeats to
about 0.3 %, on a busy machine, too. What other threads did more in the longer
run is said beside it: that goes by the clock, and comes in lumps. The kernel
is not in it; and the emulated processor has no SHA extensions, so that hashing
weighs more than on the processor itself."""

import re
import tempfile
import time
from collections import Counter
from pathlib import Path

import compare
import servers
import world
from clients import Wire

WARM, COUNT = 200, 4000
FOLLOWED = 2  # seconds until our watchdog has looked into the store
MODES = {
    "one": "one credential repeated",
    "seen": "distinct ones in turn, each seen before",
    "new": "distinct ones, each never seen before",
}


def sequence(mode, kind, distinct):
    """(the credentials before counting starts, those that are counted)"""
    if mode == "one":
        first = world.lines(kind, 1)
        return first * WARM, first * COUNT
    if mode == "seen":
        turn = world.lines(kind, distinct)
        return turn, (turn * (COUNT // len(turn) + 1))[:COUNT]
    some = world.lines(kind, WARM + COUNT)
    return some[:WARM], some[WARM:]


def drive(server, variant, auths):
    """Until the store is followed, each request asks it: so after a while."""
    time.sleep(FOLLOWED)
    with Wire(server.port, 300) as wire:
        for auth in auths:
            status, _, body = wire.ask(server.variant.path, auth,
                                       variant.body, variant.type)
            if status != 200:
                raise SystemExit(f"{server.variant.name} answers {status} to "
                                 f"{auth[:20]}...: {body[:200]}")


class Profile:
    """What callgrind saw of one run, by thread."""

    def __init__(self, files):
        self.serving, self.rest, self.files = 0, 0, []
        for path in files:
            text = path.read_text()
            total = re.search(r"^(?:totals|summary): (\d+)", text, re.M)
            if not total or "ap_run_post_config" in text:
                continue  # the main thread starts and stops
            # event's workers, and its listener
            if "ap_queue_pop" in text or "apr_pollset_poll" in text:
                self.serving += int(total.group(1))
                self.files.append(path)
            else:
                self.rest += int(total.group(1))


def profile_of(variant, asked, auths, at_least=0.0):
    """(its profile, seconds it was up). at_least: stay up so long, so that
    what goes by the clock goes as often in both runs."""
    folder = Path(tempfile.mkdtemp(dir=servers.session()))
    servers.own(folder)
    wrap = ["valgrind", "-q", "--tool=callgrind", "--separate-threads=yes",
            f"--callgrind-out-file={folder}/out"]
    with servers.Server(variant, world.marks(), wrap=wrap, single=True,
                        limit=300) as server:
        drive(server, asked, auths)
        time.sleep(max(0.3, at_least - (time.monotonic() - server.up)))
        seconds = time.monotonic() - server.up
    return Profile(sorted(folder.iterdir())), seconds


def per_request(variant, asked, mode, distinct, profile=0):
    """(instructions in threads that serve, in others). asked: the variant
    whose credentials are used (variant itself, or what is compared with
    it)."""
    before, counted = sequence(mode, asked.cred, distinct)
    high, seconds = profile_of(variant, asked, before + counted)
    low, _ = profile_of(variant, asked, before, seconds)
    if profile:
        show(functions(high.files), functions(low.files), len(counted),
             profile)
    return ((high.serving - low.serving) / len(counted),
            (high.rest - low.rest) / len(counted))


def functions(files):
    """What each function took by itself: {"object: function": count}. (Of
    many files callgrind_annotate reads one.)"""
    out = Counter()
    for path in files:
        names, where, called = {}, {}, False
        for line in path.read_text().splitlines():
            said = re.match(r"(ob|fn)=\((\d+)\)(?: (.*))?", line)
            if said:
                kind, number, name = said.groups()
                name = names.setdefault((kind, number), name)
                where[kind] = name
            elif called:  # what the function called took, all in all
                called = False
            elif line.startswith("calls="):
                called = True
            elif re.match(r"[\d+*-]", line):
                out["%s: %s" % (where["ob"].rpartition("/")[2],
                                where["fn"])] += int(line.split()[1])
            else:
                learn(names, line)
    return out


def learn(names, line):
    """A called function's or object's name may be said there first."""
    said = re.match(r"c(ob|fn)=\((\d+)\) (.*)", line)
    if said:
        names[said.group(1), said.group(2)] = said.group(3)


def show(high, low, requests, many):
    """The functions that the counted requests spent most in."""
    spent = {f: (n - low.get(f, 0)) / requests for f, n in high.items()}
    for f in sorted(spent, key=spent.get, reverse=True)[:many]:
        print(f"{spent[f]:8.0f}  {f}", flush=True)


def run(args, record):
    world.setup()
    found = servers.load(args.variants)
    bare = {}
    print("| variant | credentials | instructions | of which bare | added | "
          "other threads |\n|---|---|---|---|---|---|", flush=True)
    for v in compare.trusted(found):
        for mode in args.modes if v.kind == "httpd" else []:
            base = found[v.baseline]
            if mode != "one" and not v.many:
                continue
            # bare does not care whether it has seen a credential
            key = (base.name, v.cred, mode == "one")
            if key not in bare:
                plain = "one" if mode == "one" else "new"
                bare[key], _ = per_request(base, v, plain, args.distinct)
            n, rest = per_request(v, v, mode, args.distinct, args.profile)
            print("| %s | %s | %.0f | %.0f | **%.0f** | %.0f |" % (
                v.name, mode, n, bare[key], n - bare[key], rest), flush=True)
            record({"variant": v.name, "label": v.label, "mode": mode,
                    "meaning": MODES[mode], "distinct": args.distinct,
                    "instructions": n, "bare": bare[key], "others": rest})
