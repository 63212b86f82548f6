# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""CPU, requests a second and latency, next to a bare server.

A round takes a variant and its baseline, both up, and asks them in turn A B B
A (every second round B A A B), each some ten milliseconds at a time, so that
what the machine does to the one it does to the other. A ratio comes from one
round; what is quoted is the median of the rounds, with the quartiles."""

import os
import time

import servers
import world
from clients import Wire, turns, wrk
from servers import Server

LAST = os.cpu_count() - 1
# server and client on one core: CPU for each request, undisturbed by
# interrupts between cores; on a core each: what it can serve, and how fast
PINS = {"same": (LAST, LAST), "split": (0, LAST), "none": (None, None)}


# ---- the gate ------------------------------------------------------------

def altered(token):
    """With another first letter of the signature."""
    head, _, sig = token.rpartition(".")
    return f"{head}.{'B' if sig[0] == 'A' else 'A'}{sig[1:]}"


def bad_credentials(v):
    """(what is wrong, the Authorization, the body) that must be refused."""
    first = world.lines(v.cred, 1)[0]
    out = [("none", None, v.body)]
    if v.cred in world.SIGNED:
        out += [("signature altered", altered(first), v.body),
                ("no signature", first.rpartition(".")[0] + ".", v.body),
                ("garbage", "Bearer abc", v.body)]
    if v.cred == "hs256":
        now = int(time.time())
        out += [(what, "Bearer " + world.token(0, **wrong), v.body)
                for what, wrong in (
                    ("expired", {"iat": now - 7200, "exp": now - 3600}),
                    ("without the scope", {"scopes": ["workers:read"]}),
                    ("other secret", {"secret": "x" * 64}))]
    if v.cred == "key":
        out += [("unknown", "Bearer " + world.api_key(world.COUNT), v.body),
                ("cut short", first[:-1], v.body)]
    if v.cred in ("basic", "client"):
        out += [("wrong secret", world.basic(world.client_id(0), "no"), v.body),
                ("unknown", world.basic("nobody", "no"), v.body)]
    if v.cred == "client":
        out += [("scope not granted", first,
                 "grant_type=client_credentials&scope=agents:write"),
                ("other grant", first, "grant_type=nope")]
    return out


def answer(server, auth, body):
    v = server.variant
    with Wire(server.port) as wire:
        return wire.ask(v.path, auth, body, v.type)


def wrong_answers(server):
    """What a variant answers other than it must."""
    v, out = server.variant, []
    for auth in (world.lines(v.cred) if v.many else world.lines(v.cred, 1))[
            ::world.COUNT - 1]:
        status, _, body = answer(server, auth, v.body)
        if status != 200 or (v.body and b'"access_token"' not in
                             body.replace(b" ", b"")):
            out.append(f"{status} to a good credential: {body[:200]}")
    for what, auth, body in [] if v.is_open() else bad_credentials(v):
        status = answer(server, auth, body)[0]
        if status not in (400, 401, 403):
            out.append(f"{status} to a bad credential: {what}")
    return out


def trusted(found):
    """The variants that answer right; the others are named, and not
    measured."""
    out = []
    for v in found.values():
        if v.baseline:
            with Server(v, world.marks()) as server:
                wrong = wrong_answers(server)
            if wrong:
                print(f"not measured: {v.name}: " + "; ".join(wrong),
                      flush=True)
            else:
                out.append(v)
    return out


# ---- measuring -------------------------------------------------------------

def in_turns(sides, asked, limit, args):
    """{server: its result}. The CPU is all that a server took from the
    beginning to the end, and so what it did between its turns, too."""
    stolen, began = servers.stolen(), time.monotonic()
    cpu = [servers.cpu_of(s.pid) for s in sides]
    counts = turns(sides, world.creds(asked.cred), limit, args.duration,
                   min(args.conns, asked.conns), PINS[args.pin][1],
                   asked.body, asked.type)
    took = [servers.cpu_between(before, servers.cpu_of(s.pid))
            for before, s in zip(cpu, sides)]
    steal = (servers.stolen() - stolen) / (time.monotonic() - began)
    return {s: {"cpu_us": used / done * 1e6, "requests": done, "errors": bad,
                "rps": done / seconds, "p50_us": p50, "p99_us": p99,
                "steal": steal,
                "log_bytes": s.log_bytes(), **servers.memory_of(s.pid)}
            for s, used, (done, bad, seconds, p50, p99) in zip(
                sides, took, counts)}


def warm(server, asked, limit, args):
    """Lets it remember what it is to remember: each of its processes is shown
    each credential. By itself a process may get two connections of 32, and
    meet most credentials for the first time while they are measured."""
    if not server.variant.is_open():
        for wire in one_of_each_process(server):
            with wire:
                for auth in world.lines(asked.cred, limit):
                    wire.ask(server.variant.path, auth, asked.body, asked.type)
    wrk(server.port, world.creds(asked.cred), limit, args.warmup,
        min(args.conns, asked.conns), PINS[args.pin][1], server.variant.path,
        asked.body, asked.type)


ENOUGH = 256  # connections to find all of a server's processes with


def one_of_each_process(server):
    """A connection to each that takes any."""
    found = {}
    for _ in range(ENOUGH):
        wire = Wire(server.port)
        wire.ask(server.variant.path)  # taken, whatever the answer
        pid = server.process_of(wire.sock.getsockname()[1])
        if pid in found:
            wire.close()
        else:
            found[pid] = wire
    return found.values()


def one_round(v, base, limit, turn, args):
    """(the variant's result, its baseline's)"""
    core = PINS[args.pin][0]
    threads = 64 if args.conns <= 64 else args.conns
    with Server(v, world.marks(), core, threads=threads) as mine, \
            Server(base, world.marks(), core, threads=threads) as bare:
        sides = [bare, mine] if turn else [mine, bare]
        for side in sides:
            warm(side, v, limit, args)
        got = in_turns(sides, v, limit, args)
        return got[mine], got[bare]


def in_turn(items, number):
    """A different one first in each round."""
    number %= len(items)
    return items[number:] + items[:number]


def run(args, record):
    world.setup()
    found = servers.load(args.variants)
    jobs = [(v, c) for v in trusted(found) for c in args.creds
            if bool(v.body) == args.issue and (c == "one" or v.many)]
    for number in range(args.rounds if jobs else 0):
        for v, c in in_turn(jobs, number * 3):
            mine, bare = one_round(
                v, found[v.baseline], 1 if c == "one" else world.COUNT,
                number % 2, args)
            record({"variant": v.name, "label": v.label, "issue": args.issue,
                    "baseline": v.baseline, "creds": c, "pin": args.pin,
                    "conns": args.conns, "round": number, "mine": mine,
                    "bare": bare})
            print("%d %-26s %-4s cpu %7.1f us %6.3f  %7.0f/s %5.3f  p99 "
                  "%6.2f ms %5.3f  stolen %.0f %%%s" % (
                number + 1, v.name, c, mine["cpu_us"],
                mine["cpu_us"] / bare["cpu_us"], mine["rps"],
                mine["rps"] / bare["rps"], mine["p99_us"] / 1e3,
                mine["p99_us"] / bare["p99_us"], mine["steal"] * 100,
                f"  ERRORS {mine['errors']}" * bool(mine["errors"])),
                flush=True)
