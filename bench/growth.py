# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""What stays as it is when everything else grows: stores of a million clients
and keys, 10,000 organisations, revocations under load, a million credentials
that are different each time."""

import json
import sqlite3
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import servers
import world
from clients import Wire, wrk
from servers import Server

PROBES = 1000  # requests that a latency is the median of
LISTS = 20
SETTLE = 1  # seconds until all processes and threads are there
SERVICES = servers.HERE / "variants" / "rensei-services.part"


def gateway(store):
    """Our gateway, issuer and admin API over a copy of a store."""
    variant = servers.load(["rensei-hs256.httpd"])["rensei-hs256.httpd"]
    return Server(variant, world.marks(), store=store,
                  conf=SERVICES.read_text(), limit=300)


def one_value(store, sql):
    db = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        return db.execute(sql).fetchone()[0]
    finally:
        db.close()


def must(wanted, got, what):
    if got != wanted:
        raise SystemExit(f"growth: {got} to {what}, not {wanted}")


def ms(wire, asks):
    """The median of what these requests take, in ms. asks: (path,
    Authorization, body)."""
    took = []
    for path, auth, body in asks:
        began = time.perf_counter()
        status, _, said = wire.ask(path, auth, body, world.FORM)
        took.append((time.perf_counter() - began) * 1e3)
        must(200, status, f"{path}: {said[:200]}")
    return statistics.median(took)


# ---- stores of different sizes ---------------------------------------------

def keys(numbers):
    return [("/hello.json", "Bearer " + world.api_key(i), "")
            for i in numbers]


def deep_page(wire, path, admin):
    """The 20th page of a list."""
    cursor = ""
    for _ in range(LISTS):
        status, _, body = wire.ask(path + cursor, admin)
        must(200, status, path)
        cursor = "&cursor=" + json.loads(body)["nextCursor"]
    return path + cursor


def latencies(wire, org, clients, org_clients):
    """(what, median in ms) of a gateway that has just started."""
    sample = range(0, clients, clients // PROBES)
    yield "key, first request", ms(wire, keys(sample))
    yield "key, repeated", ms(wire, keys(sample))
    yield "a token issued", ms(wire, [
        ("/api/oauth/token", world.client_basic(i), world.GRANT)
        for i in sample])
    tokens = [("/hello.json", auth, "") for auth in
              world.issue(wire.port, sample)]
    yield "token, first request", ms(wire, tokens)
    yield "token, repeated", ms(wire, tokens)
    admin = "Bearer " + world.admin_key()
    pages = [("clients, a page of 100", "/api/admin/m2m-clients?limit=100"),
             ("keys, a page of 100", f"/api/org/{org}/keys?limit=100")]
    for what, path in pages:
        yield what, ms(wire, [(path, admin, "")] * LISTS)
    if org_clients > 100 * (LISTS + 1):
        path = deep_page(wire, pages[0][1], admin)
        yield "clients, the 20th page", ms(wire, [(path, admin, "")] * LISTS)
    path = "/api/admin/m2m-clients?name=client%200"
    yield "clients, by name", ms(wire, [(path, admin, "")] * LISTS)


def size(label, clients, orgs, record):
    """One store's column of the table."""
    store = servers.session() / "grown.db"
    began = time.monotonic()
    world.make_store(str(store), clients, clients, orgs)
    print(f"{label}: made in {time.monotonic() - began:.0f} s, "
          f"{store.stat().st_size >> 20} MiB", flush=True)
    org = one_value(store, "SELECT id FROM rensei_orgs WHERE name = 'bench-0'")

    def row(what, value):
        print(f"  {what:28} {value:10.3f}", flush=True)
        record({"table": "size", "column": label, "row": what, "value": value})
    try:
        with gateway(store) as server, Wire(server.port) as wire:
            ms(wire, keys([0]))
            row("start-up, ms", (time.monotonic() - server.began) * 1e3)
            time.sleep(SETTLE)
            row("PSS at the start, MiB",
                servers.memory_of(server.pid)["pss"] / 1024)
            for what, value in latencies(wire, org, clients, clients // orgs):
                row(what + ", ms", value)
            row("PSS at the end, MiB",
                servers.memory_of(server.pid)["pss"] / 1024)
    finally:
        store.unlink()


# ---- revocations under load ------------------------------------------------

class Revoker:
    """Revokes credentials one after the other, and asks with each on several
    connections just before and just after. (Which process a connection
    belongs to is httpd's choice; of four, seven times in eight not all are
    the same one's.)"""

    WIRES = 4

    def __init__(self, port):
        self.wires = [Wire(port) for _ in range(self.WIRES)]
        self.admin = Wire(port)
        self.refused = self.stale = 0

    def revoke(self, path, auth):
        for wire in self.wires:
            must(200, wire.ask(auth=auth)[0], "a good credential")
        status = self.admin.ask(path, "Bearer " + world.admin_key(),
                                method="DELETE")[0]
        must(200, status, f"DELETE {path}")
        for wire in self.wires:
            if wire.ask(auth=auth)[0] == 401:
                self.refused += 1
            else:
                self.stale += 1

    def all_of(self, jobs):
        for path, auth in jobs:
            self.revoke(path, auth)
        return self


def victims(count, store):
    """(what to DELETE, the Authorization that ends with it), clients and
    keys in turn."""
    org = one_value(store, "SELECT id FROM rensei_orgs")
    db = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    ids = dict(db.execute("SELECT digest, id FROM rensei_keys"))
    db.close()
    tokens = world.lines("hs256", count // 2)
    for i, token in enumerate(tokens):
        key = world.api_key(i)
        yield f"/api/admin/m2m-clients/{world.client_id(i)}", token
        yield (f"/api/org/{org}/keys/{ids[world.digest(key)]}",
               "Bearer " + key)


def storm(count, record):
    store = servers.DATA / "store.db"
    jobs = list(victims(count, store))
    rest = servers.session() / "not-revoked.txt"
    rest.write_text("".join(auth + "\n" for auth in
                            world.lines("hs256")[count // 2:]))
    over, windows = threading.Event(), []

    def load(port):
        while not over.is_set():
            windows.append(wrk(port, rest, world.COUNT, 2, 32))

    with gateway(store) as server, ThreadPoolExecutor(5) as pool:
        wrk(server.port, rest, world.COUNT, 2, 32)
        calm = wrk(server.port, rest, world.COUNT, 4, 32)
        noise = pool.submit(load, server.port)
        began = time.monotonic()
        try:
            done = list(pool.map(lambda k: Revoker(server.port).all_of(
                jobs[k::4]), range(4)))
        finally:
            over.set()
        seconds = time.monotonic() - began
        noise.result()
    busy = sum(w["requests"] for w in windows) / sum(
        w["us"] for w in windows) * 1e6
    rows = {"revocations": len(jobs), "revocations a second":
            len(jobs) / seconds,
            "refused on the next request": sum(r.refused for r in done),
            "accepted though revoked": sum(r.stale for r in done),
            "requests a second beside it": busy,
            "requests a second before it": calm["requests"] / calm["us"] * 1e6,
            "wrong answers or errors beside it": sum(
                w["bad_status"] + w["errors"] for w in windows)}
    for what, value in rows.items():
        print(f"  {what:34} {value:10.0f}", flush=True)
        record({"table": "storm", "row": what, "value": value})
    must(0, rows["accepted though revoked"], "revoked credentials")


# ---- a million different ones ----------------------------------------------

BATCH = 64  # requests on their way, on each of two connections


def flood(port, auths, wanted):
    """Asks with each once."""
    auths = iter(auths)
    with Wire(port) as one, Wire(port) as two:
        while True:
            sent = []
            for wire in (one, two):
                batch = list(islice(auths, BATCH))
                wire.sock.sendall("".join(
                    "GET /hello.json HTTP/1.1\r\nHost: localhost\r\n"
                    f"Authorization: {auth}\r\n\r\n" for auth in
                    batch).encode())
                sent.append((wire, batch))
            if not sent[0][1]:
                return
            for wire, batch in sent:
                for auth in batch:
                    must(wanted, wire.answer()[0], auth[:24])


def variety(label, make, count, wanted, store, record):
    """Memory over count different credentials."""
    with gateway(store) as server:
        time.sleep(SETTLE)
        began, pss = time.monotonic(), []
        step = count // 10
        for k in range(11):
            pss.append(servers.memory_of(server.pid)["pss"] / 1024)
            if k < 10:
                flood(server.port, map(make, range(k * step, (k + 1) * step)),
                      wanted)
        rate = count / (time.monotonic() - began)
    growth = (pss[10] - pss[5]) * 2 ** 20 / (count / 2)
    print(f"  {label:34} PSS MiB {pss[0]:.1f} {pss[5]:.1f} {pss[10]:.1f}, "
          f"{growth:.1f} bytes each, {rate:.0f}/s", flush=True)
    for what, value in (("PSS at the start, MiB", pss[0]),
                        ("after a tenth", pss[1]), ("after half", pss[5]),
                        ("at the end", pss[10]),
                        ("bytes each, second half", growth)):
        record({"table": "variety", "column": label, "row": what,
                "value": value})


def varieties(count, record):
    store = servers.session() / "grown.db"
    world.make_store(str(store), count, count)
    org = one_value(store, "SELECT id FROM rensei_orgs")
    ws = one_value(store, "SELECT id FROM rensei_workspaces")
    secret = (servers.DATA / "secret").read_text().strip()
    try:
        for label, make, wanted in (
                ("bad tokens", lambda i: "Bearer " + world.token(
                    i, "x" * 64), 401),
                ("bad keys", lambda i: "Bearer " + world.api_key(
                    count + i), 401),
                ("good tokens", lambda i: "Bearer " + world.token(
                    i, secret, org_id=org, workspace_id=ws), 200),
                ("good keys", lambda i: "Bearer " + world.api_key(i), 200)):
            variety(f"{count:,} {label}", make, count, wanted, store, record)
    finally:
        store.unlink()


def run(args, record):
    world.setup()
    million = 1_000_000 // args.divide
    parts = {
        "size": lambda: [size(*column, record) for column in (
            (f"{world.COUNT:,} in one organisation", world.COUNT, 1),
            (f"{million:,} in one organisation", million, 1),
            (f"{million:,} in {world.COUNT // args.divide:,} organisations",
             million, world.COUNT // args.divide))],
        "storm": lambda: storm(world.COUNT // args.divide, record),
        "variety": lambda: varieties(million, record)}
    for name in args.parts:
        print(f"-- {name}", flush=True)
        parts[name]()


PARTS = ["size", "storm", "variety"]
