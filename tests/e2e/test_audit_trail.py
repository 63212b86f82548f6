# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""The chain of the audit trail: what was done to it shows, to us and to a
stranger; its export, its pruning, its copy in a log (RenseiAuditLog); and the
change sequence, whose old rows are forgotten."""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from datetime import datetime, timezone

import pytest

from harness import conf, where
from harness.admin import NOBODY, Admin
from harness.crowd import Crowd
from harness.pace import wait_for
from harness.store import Client
from harness.world import World

READ = "sessions:read"
LONG = [f"scope:{i:02}-" + "x" * 50 for i in range(60)]  # more than PIPE_BUF

# What stands in docs/audit.md for a stranger, taken from there.
STRANGER = re.search(r"```python\n(.*?)```",
                     (where.ROOT / "docs/audit.md").read_text(), re.S).group(1)

ME = conf.protected("/me/", "SetHandler rensei-whoami")

# A program that reads slowly: the pipe is full when many write at once, and
# lines that are longer than PIPE_BUF go into it in parts.
SLOW = """
import os, sys, time
with open(sys.argv[1], "ab", buffering=0) as out:
    while data := os.read(0, 3000):
        out.write(data)
        time.sleep(0.02)
"""

HOSTS = f"""
RenseiAuditLog main.log
RenseiScopes m2m sessions:read {" ".join(LONG)}
<VirtualHost *:@PORT@>
  ServerName localhost
</VirtualHost>
<VirtualHost *:@PORT@>
  ServerName strict.example
  RenseiAuditLog "|@PYTHON@ @DIR@/slow.py @DIR@/strict.log"
  RenseiIssuer https://strict.example
</VirtualHost>
<VirtualHost *:@PORT@>
  ServerName shared.example
  RenseiAuditLog main.log
</VirtualHost>
""".replace("@PYTHON@", sys.executable)


@pytest.fixture(scope="module")
def gate(launch, world):
    server = launch.httpd(conf.API + ME + HOSTS, start=False,
                          store=world.store, children=2)
    server.file("slow.py", SLOW)
    return server.start()


@pytest.fixture(scope="module")
def a(gate, world):
    return Admin(gate, world.a.admin.token, world.a.id)


@pytest.fixture(scope="module")
def b(gate, world):
    return Admin(gate, world.b.admin.token, world.b.id)


@pytest.fixture(scope="module")
def unspoiled(launch):
    """A world with trails, that nobody has spoiled."""
    world = World(launch.store())
    gate = launch.httpd(conf.API, store=world.store)
    for org in (world.a, world.b):
        for _ in range(4):
            gate.token(org.client(READ))
    gate.stop()
    return world


@pytest.fixture
def here(launch_here, unspoiled):
    """A world like that, and a server, that a test may spoil."""
    world = unspoiled.over(launch_here.kept(unspoiled.store.copy()))
    world.gate = launch_here.httpd(conf.API + ME, store=world.store,
                                   children=2)
    return world


def ctl(world, *args, status=0):
    """Runs renseictl; what it printed, as it is, and said."""
    done = subprocess.run(
        [where.tool(), "--store", world.store.spec, *map(str, args)],
        capture_output=True, timeout=60, cwd="/", **where.as_server_user())
    assert done.returncode == status, done
    return done.stdout.decode(), done.stderr.decode()


def verify(world, *args, status=0):
    """(trails by organisation, what was said)."""
    out, said = ctl(world, "--json", "audit", "verify", *args, status=status)
    return {t["orgId"]: t for t in json.loads(out)["trails"]}, said


def export(world, *args):
    return [json.loads(line)
            for line in ctl(world, "audit", "export", *args)[0].splitlines()]


def stranger(events):
    """What the ten lines of docs/audit.md say: (exit status, words)."""
    text = "\n".join(json.dumps(e) for e in events)
    done = subprocess.run([sys.executable, "-c", STRANGER], input=text,
                          text=True, capture_output=True, timeout=30)
    return done.returncode, done.stdout + done.stderr


def busy(admin, gate, org):
    """Something of each kind that happens."""
    client = admin.client(name="nightly \u00e9\u20ac\U0001f511 \"q\" \\ /",
                          owner="o\u2003o")
    gate.post("/api/oauth/token", form={
        "grant_type": "client_credentials", "client_id": client["clientId"],
        "client_secret": "m2ms_" + "0" * 64})
    gate.token(org.client(READ))
    key = admin.key()
    admin.ok("DELETE", f"{admin.keys}/{key['keyId']}?reason=left%20%22us%22")
    return client["clientId"]


# -- the chain ----------------------------------------------------------------


def test_each_trail_is_a_chain_of_its_own(gate, world, a, b):
    busy(a, gate, world.a)
    busy(b, gate, world.b)
    gate.post("/api/oauth/token", form={"grant_type": "client_credentials",
                                        "client_id": NOBODY,
                                        "client_secret": "x"})
    trails, said = verify(world)
    assert said == ""
    assert set(trails) == {None, world.a.id, world.b.id}
    for trail in trails.values():
        assert trail["intact"] and trail["from"] == 1
        assert trail["events"] == trail["to"] > 0 == trail["unhashed"]
    heads = {t["head"] for t in trails.values()}
    assert len(heads) == 3 and all(re.fullmatch("[0-9a-f]{64}", h)
                                   for h in heads)


def test_the_api_shows_number_and_hash(gate, world, a):
    busy(a, gate, world.a)
    shown = a.events(limit=500)
    kept = export(world, "--org", world.a.id)
    assert [e["seq"] for e in shown] == list(range(len(shown), 0, -1))
    for event in kept:
        event.pop("previousHash")
    assert shown == kept[::-1]


def test_many_at_once_make_one_chain(gate, world):
    """Two that take the same number, or the same event to follow on, would
    fork the chain."""
    clients = [org.client(READ) for org in (world.a, world.b) for _ in "12"]
    threads = [threading.Thread(target=lambda c=c: [
        gate.token(c) for _ in range(10)]) for c in clients * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trails, said = verify(world)
    assert said == "" and all(t["intact"] for t in trails.values())


# -- a stranger ---------------------------------------------------------------


@pytest.mark.parametrize("whose", ["a", "b", "system"])
def test_a_stranger_verifies_an_export(gate, world, a, b, whose):
    busy(a, gate, world.a)
    busy(b, gate, world.b)
    org = {"a": world.a.id, "b": world.b.id}.get(whose)
    if not org:
        gate.post("/api/oauth/token", form={
            "grant_type": "client_credentials", "client_id": NOBODY,
            "client_secret": "x"})
    events = export(world, *(["--org", org] if org else ["--system"]))
    assert {e["orgId"] for e in events} == {org or ""}
    status, said = stranger(events)
    assert (status, said) == (0, f"intact, up to {events[-1]['hash']}\n")


def changed(_event, **more):
    return {**_event, **more}


@pytest.mark.parametrize("attack", [
    lambda e: e[:3] + [changed(e[3], event="org.created")] + e[4:],
    lambda e: e[:3] + [changed(e[3], details={})] + e[4:],
    lambda e: e[:3] + [changed(e[3], ip=None)] + e[4:],
    lambda e: e[:3] + [changed(e[3], ip="")] + e[4:],
    lambda e: e[:3] + [changed(e[3], at="2026-01-01T00:00:00.000Z")] + e[4:],
    lambda e: e[:3] + [changed(e[3], orgId="org_x")] + e[4:],
    lambda e: e[:3] + e[4:],
    lambda e: e[:3] + [e[4], e[3]] + e[5:],
    lambda e: e[:4] + [e[3]] + e[4:],
], ids=["event", "details", "null", "empty", "time", "org", "missing",
        "swapped", "twice"])
def test_a_stranger_sees_what_was_done_to_it(gate, world, a, attack):
    """An export that can be doctored proves nothing to an auditor."""
    busy(a, gate, world.a)
    events = export(world, "--org", world.a.id)
    assert stranger(events)[0] == 0
    doctored = attack(events)
    assert doctored != events
    status, said = stranger(doctored)
    assert status == 1 and "does not fit" in said


# -- what was done to it in the store -----------------------------------------


def spoil(world, sql, *args):
    wire = world.store.connect()
    wire.execute(sql, args)
    wire.close()


@pytest.mark.parametrize("sql,seq,problem", [
    ("UPDATE rensei_audit SET actor='mallory' WHERE org_id=? AND seq=4", 4,
     "does not fit its hash"),
    ("UPDATE rensei_audit SET details=replace(details,'a','e') "
     "WHERE org_id=? AND seq=5", 5, "does not fit its hash"),
    ("UPDATE rensei_audit SET at=at-86400000 WHERE org_id=? AND seq=1", 1,
     "does not fit its hash"),
    ("UPDATE rensei_audit SET hash=upper(hash) WHERE org_id=? AND seq=2", 2,
     "does not fit its hash"),
    ("UPDATE rensei_audit SET hash=NULL WHERE org_id=? AND seq=6", 6,
     "has no hash"),
    ("DELETE FROM rensei_audit WHERE org_id=? AND seq=4", 4, "is missing"),
    ("DELETE FROM rensei_audit WHERE org_id=? AND seq=1", 1, "is missing"),
    ("DELETE FROM rensei_audit WHERE org_id=? AND seq>=6", 6, "is missing"),
    ("DELETE FROM rensei_audit_heads WHERE org_id=?", 1,
     "the head is missing"),
    ("UPDATE rensei_audit_heads SET seq=seq-1 WHERE org_id=?", None,
     "was replaced"),
    ("UPDATE rensei_audit_heads SET hash='' WHERE org_id=?", None,
     "was replaced"),
    ("UPDATE rensei_audit_heads SET anchor_seq=3 WHERE org_id=?", 1,
     "before the beginning"),
    ("INSERT INTO rensei_audit SELECT org_id, 0, 'evt_x', event, at, actor, "
     "actor_type, target, ip, request_id, details, NULL FROM rensei_audit "
     "WHERE org_id=? AND seq=2", 0, "before the beginning"),
    ("INSERT INTO rensei_audit SELECT org_id, 999, 'evt_x', event, at, actor, "
     "actor_type, target, ip, request_id, details, hash FROM rensei_audit "
     "WHERE org_id=? AND seq=2", 999, "after the end"),
])
def test_what_was_done_to_a_trail_is_found(here, sql, seq, problem):
    """Who can write the database removes the trace of what he did. Only his
    organisation's trail is said to be broken, and the event is named."""
    assert verify(here)[0][here.a.id]["intact"]
    spoil(here, sql, here.a.id)
    trails, said = verify(here, status=1)
    assert trails[here.b.id]["intact"] and trails[None]["intact"]
    found = trails[here.a.id]
    assert not found["intact"] and found["problemCount"] >= 1
    first = found["problems"][0]
    assert problem in first["problem"] and problem in said
    assert here.a.id in said and here.b.id not in said
    if seq is not None:
        assert first["seq"] == seq
        assert f"event {seq} " in said
    verify(here, "--org", here.a.id, status=1)
    verify(here, "--org", here.b.id)
    verify(here, "--system")


def test_swapped_events_are_found(here):
    wire = here.store.connect()
    for old, new in ((2, -2), (5, 2), (-2, 5)):
        wire.execute("UPDATE rensei_audit SET seq=? WHERE org_id=? AND seq=?",
                     (new, here.a.id, old))
    wire.close()
    trails, _ = verify(here, status=1)
    found = {p["seq"] for p in trails[here.a.id]["problems"]}
    assert found >= {2, 5}


def form_of(event, previous):
    """The hash of an event, by the text of docs/audit.md."""
    def netstring(s):
        return b"-," if s is None else b"%d:%s," % (len(s.encode()),
                                                    s.encode())
    fields = [previous, event["orgId"], str(event["seq"]), event["id"],
              event["event"], event["at"], event["actor"], event["actorType"],
              event["target"], event["ip"], event["requestId"],
              json.dumps(event["details"], sort_keys=True,
                         separators=(",", ":"), ensure_ascii=False)]
    return hashlib.sha256(b"rensei-audit-1\n"
                          + b"".join(map(netstring, fields))).hexdigest()


def test_a_trail_written_anew_lacks_a_known_hash(here):
    """Who can write the database knows how hashes are made: he changes an
    event and makes all of them anew. A hash that was kept elsewhere gives
    him away."""
    events = export(here, "--org", here.a.id)
    kept = events[4]["hash"]
    last = events[-1]["hash"]
    for head in (kept, last):
        verify(here, "--org", here.a.id, "--head", head)
    wire = here.store.connect()
    previous = ""
    for event in events:
        if event["seq"] == 3:
            event["actor"] = "mallory"
        previous = form_of(event, previous)
        wire.execute("UPDATE rensei_audit SET actor=?, hash=? "
                     "WHERE org_id=? AND seq=?",
                     (event["actor"], previous, here.a.id, event["seq"]))
    wire.execute("UPDATE rensei_audit_heads SET hash=? WHERE org_id=?",
                 (previous, here.a.id))
    wire.close()
    verify(here)  # nothing shows,
    for head in (kept, last):  # but for that
        _, said = verify(here, "--org", here.a.id, "--head", head, status=1)
        assert "No event there has the hash" in said
        verify(here, "--head", head, status=1)
    verify(here, "--org", here.a.id, "--head", events[1]["hash"])
    # of another organisation it is no proof either
    other = export(here, "--org", here.b.id)[-1]["hash"]
    verify(here, "--head", other)
    verify(here, "--org", here.a.id, "--head", other, status=1)


@pytest.mark.parametrize("args", [
    ["--head", "8a31"], ["--head", "A" * 64], ["--org", "x", "--system"],
    ["--all", "--system"]])
def test_verify_refuses_what_it_cannot_mean(world, args):
    assert "" != ctl(world, "audit", "verify", *args, status=2)[1]


def test_an_unknown_organisation_is_not_found(world):
    for command in (["verify"], ["export"], ["prune", "--older-than", "1d"]):
        ctl(world, "audit", *command, "--org", "nobody", status=3)


# -- exporting ----------------------------------------------------------------


def test_export_in_parts(here):
    """Parts fit together: what came since the last number, or of a span of
    time, is what all of it has there."""
    whole = export(here, "--org", here.a.id)
    assert [e["seq"] for e in whole] == list(range(1, len(whole) + 1))
    assert export(here, "--org", here.a.id, "--after", 3) == whole[3:]
    assert export(here, "--org", here.a.id, "--after", len(whole)) == []
    since, until = whole[2]["at"], whole[5]["at"]
    assert export(here, "--org", here.a.id, "--since", since, "--until",
                  until) == [e for e in whole if since <= e["at"] < until]
    assert export(here, "--org", here.a.id, "--since", since, "--after",
                  4) == whole[4:]
    assert export(here, "--org", here.a.id, "--until",
                  "2020-01-01T00:00:00Z") == []
    both = export(here, "--all")
    assert [e for e in both if e["orgId"] == here.a.id] == whole
    assert {e["orgId"] for e in both} == {here.a.id, here.b.id}
    assert stranger(whole[3:])[0] == 0


@pytest.mark.parametrize("args,words", [
    ([], "Say whose trail"), (["--all", "--org", "acme"], "Say whose trail"),
    (["--all", "--after", "3"], "--after"),
    (["--org", "acme", "--after", "x"], "a number"),
    (["--org", "acme", "--since", "yesterday"], "--since wants")])
def test_export_refuses_what_it_cannot_mean(world, args, words):
    assert words in ctl(world, "audit", "export", *args, status=2)[1]


def test_export_to_a_full_disk_fails(world):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [where.tool(), "--store", world.store.spec, "audit", "export",
             "--all"], stdout=full, stderr=subprocess.PIPE, text=True,
            timeout=60, cwd="/", **where.as_server_user())
    assert done.returncode == 1 and "takes no more" in done.stderr


@pytest.mark.not_under("asan", "a sanitizer keeps what is freed")
@pytest.mark.not_under("valgrind", "valgrind's own memory counts")
def test_export_of_many_events_takes_little_memory(here):
    """An export that is built whole in memory ends with the machine."""
    wire = here.store.connect()
    wire.execute("""
        INSERT INTO rensei_audit (org_id, seq, id, event, at, actor,
                                  actor_type, details, hash)
        WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n
                                WHERE i < 60000)
        SELECT ?, i, 'evt_x', 'many', i, 'x', 't',
               '{"reason":"0123456789012345678901234567890123456789"}', 'h'
        FROM n""", (here.a.id,))
    wire.execute("UPDATE rensei_audit_heads SET seq=60000 WHERE org_id=?",
                 (here.a.id,))
    wire.close()

    def peak(*args):
        code = ("import resource, subprocess, sys\n"
                "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL,"
                " check=True)\n"
                "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
        done = subprocess.run(
            [sys.executable, "-c", code, str(where.tool()), "--store",
             here.store.spec, "audit", "export", *args],
            capture_output=True, text=True, timeout=120, cwd="/",
            **where.as_server_user())
        assert done.returncode == 0, done.stderr
        return int(done.stdout)
    few = peak("--org", here.b.id)
    many = peak("--org", here.a.id)
    assert many < few + 8 * 1024, (few, many)  # KB; all of it is 15 MB


# -- pruning ------------------------------------------------------------------


def prune(world, *args):
    out, _ = ctl(world, "--json", "audit", "prune", *args)
    return {t["orgId"]: t for t in json.loads(out)["trails"]}


def test_a_pruned_trail_verifies(here):
    """Deleting what is old must not look like deleting what is inconvenient,
    nor the other way round."""
    whole = export(here, "--org", here.a.id)
    others = export(here, "--org", here.b.id)
    before = ["--org", here.a.id, "--older-than", whole[4]["at"]]
    assert prune(here, *before, "--dry-run")[here.a.id]["count"] == 4
    assert export(here, "--org", here.a.id) == whole
    done = prune(here, *before)[here.a.id]
    assert done == {"orgId": here.a.id, "count": 4, "upTo": 4,
                    "hash": whole[3]["hash"], "dryRun": False}
    left = export(here, "--org", here.a.id)
    assert left[:-1] == whole[4:]
    note = left[-1]
    assert note["event"] == "audit.pruned"
    assert note["actorType"] == "operator"
    assert note["details"] == {"count": 4, "upTo": 4,
                               "hash": whole[3]["hash"],
                               "before": whole[4]["at"]}
    assert export(here, "--org", here.b.id) == others
    assert stranger(left)[0] == 0
    assert stranger(whole[:4] + left)[0] == 0  # with what was kept of it
    trails, _ = verify(here)
    assert trails[here.a.id]["from"] == 5
    verify(here, "--org", here.a.id, "--head", whole[3]["hash"])
    verify(here, "--org", here.a.id, "--head", whole[1]["hash"], status=1)
    assert prune(here, *before)[here.a.id]["count"] == 0
    assert export(here, "--org", here.a.id) == left
    # it goes on, and taking one more away shows
    here.gate.token(here.a.client(READ))
    verify(here)
    spoil(here, "DELETE FROM rensei_audit WHERE org_id=? AND seq=5", here.a.id)
    trails, _ = verify(here, status=1)
    assert trails[here.a.id]["problems"][0]["seq"] == 5


def test_prune_all_trails(here):
    here.gate.post("/api/oauth/token", form={
        "grant_type": "client_credentials", "client_id": NOBODY,
        "client_secret": "x"})
    time.sleep(0.01)
    now = datetime.now(timezone.utc).isoformat()
    done = prune(here, "--all", "--older-than", now)
    assert set(done) == {None, here.a.id, here.b.id}
    assert done[None]["count"] == 1 and done[here.a.id]["count"] > 8
    for trail in verify(here)[0].values():
        assert trail["events"] == 1 and trail["from"] == trail["to"]


@pytest.mark.not_under("valgrind", "who prunes so slowly has the store for "
                       "longer than a token waits")
def test_prune_while_httpd_goes_on(here):
    """Verifying, too, at the same time: what is pruned meanwhile is not
    missing."""
    clients = [here.a.client(READ), here.b.client(READ)]
    stop = threading.Event()

    def issue(client):
        while not stop.is_set():
            here.gate.token(client)
    threads = [threading.Thread(target=issue, args=(c,)) for c in clients]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            prune(here, "--all", "--older-than",
                  datetime.now(timezone.utc).isoformat())
            verify(here)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    verify(here)


@pytest.mark.parametrize("args,words", [
    (["--all"], "--older-than"), (["--older-than", "400d"], "Say whose trail"),
    (["--all", "--older-than", "2999-01-01T00:00:00Z"], "to come"),
    (["--all", "--older-than", "old"], "--older-than wants")])
def test_prune_refuses_what_it_cannot_mean(world, args, words):
    assert words in ctl(world, "audit", "prune", *args, status=2)[1]


# -- RenseiAuditLog -----------------------------------------------------------


def lines(gate, name):
    """The events there; a program can be in the middle of the last one."""
    text = (gate.dir / name).read_text()
    return [json.loads(line) for line in text.split("\n")[:-1]]


def wait_for_line(gate, name, test):
    """A program writes when it gets to it."""
    return wait_for(lambda: [e for e in lines(gate, name) if test(e)])


def fail(gate, host, client):
    answer = gate.post("/api/oauth/token", host=host, form={
        "grant_type": "client_credentials", "client_id": client,
        "client_secret": "m2ms_" + "0" * 64})
    assert answer.status == 401, answer


@pytest.mark.parametrize("host,name", [("localhost", "main.log"),
                                       ("strict.example", "strict.log"),
                                       ("shared.example", "main.log")])
def test_events_go_to_the_log_of_their_virtual_host(gate, world, host, name):
    """Both organisations', and those of none; nothing into another's log."""
    there = {world.a.client(READ).id: world.a.id,
             world.b.client(READ).id: world.b.id, "m2m_" + os.urandom(
                 16).hex(): ""}
    for client in there:
        fail(gate, host, client)
    for client, org in there.items():
        (event,) = wait_for_line(gate, name, lambda e: e["target"] == client)
        assert event["orgId"] == org and event["event"] == "m2m.auth_failed"
        whose = ["--org", org] if org else ["--system"]
        kept = export(world, *whose)
        assert event == [e for e in kept if e["target"] == client][-1]
        other = "strict.log" if name == "main.log" else "main.log"
        assert all(e["target"] != client for e in lines(gate, other))


def test_a_line_is_all_that_verify_needs(gate, world, a):
    """The point of the copy: a hash out of reach of who writes the store."""
    made = a.client()["clientId"]
    (event,) = wait_for_line(gate, "main.log", lambda e: e["target"] == made)
    verify(world, "--org", world.a.id, "--head", event["hash"])
    assert stranger([event])[0] == 0


def test_lines_of_many_at_once_stay_whole(gate, a, b):
    """A line longer than PIPE_BUF, cut in two by another child's, is no
    evidence any more."""
    clients = [Client(made["clientId"], made["clientSecret"]) for made in (
        admin.client(scopes=LONG) for admin in (a, b))]
    per, crowd = 10, 8
    threads = [threading.Thread(target=lambda c=c: [
        gate.token(c, host=host) for _ in range(per)
        for host in ("strict.example", "localhost")])
        for c in clients * (crowd // 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = {client.id for client in clients}
    for name in ("strict.log", "main.log"):
        deadline = time.monotonic() + 60
        while True:
            mine = [e for e in lines(gate, name) if e["target"] in ids
                    and e["event"] == "m2m.token_issued"]
            if len(mine) == per * crowd:
                break
            assert time.monotonic() < deadline, len(mine)
            time.sleep(0.05)
        assert min(len(json.dumps(e["details"])) for e in mine) > 3000
        assert len({e["hash"] for e in mine}) == per * crowd


def test_nothing_is_logged_that_was_not_committed(here, launch_here):
    gate = launch_here.httpd(conf.API + "RenseiAuditLog only.log\n",
                             store=here.store)
    client = here.a.client(READ)
    gate.token(client)
    assert len(lines(gate, "only.log")) == 1
    here.store.break_()
    here.gate.allow_log("RS0010", "RS0102", "RS0103")
    try:
        for number in ("RS0010", "RS0101", "RS0201", "RS0301", "RS0302"):
            gate.allow_log(number)
        answer = gate.post("/api/oauth/token", form={
            "grant_type": "client_credentials", "client_id": client.id,
            "client_secret": client.secret})
        assert answer.status == 503, answer
    finally:
        here.store.mend()
    assert len(lines(gate, "only.log")) == 1
    gate.token(client)
    assert len(lines(gate, "only.log")) == 2


def test_a_log_that_fails_fails_no_request(here, launch_here):
    gate = launch_here.httpd(conf.API + "RenseiAuditLog /dev/full\n",
                             store=here.store, children=2)
    gate.expect_log("RS0052")
    client = here.a.client(READ)
    for _ in range(20):
        gate.token(client)
    said = gate.log().count("RS0052")
    assert 1 <= said <= 2  # once by each child
    verify(here)


def test_a_log_is_opened_anew_by_a_graceful_restart(here, launch_here):
    gate = launch_here.httpd(conf.API + "RenseiAuditLog now.log\n",
                             store=here.store, children=2)
    client = here.a.client(READ)
    gate.token(client)
    (gate.dir / "now.log").rename(gate.dir / "then.log")
    gate.graceful()
    for _ in range(3):
        gate.token(client)
    assert len(lines(gate, "now.log")) + len(lines(gate, "then.log")) == 4
    # old children go on for a while
    wait_for(lambda: lines(gate, "now.log") or not gate.token(client))
    mode = (gate.dir / "now.log").stat().st_mode & 0o777
    assert mode & 0o137 == 0, oct(mode)  # others nothing, the group reads


@pytest.mark.parametrize("value,words", [
    ("no/such/folder/audit.log", "there is no directory"),
    ("htdocs", "that is a directory"),
    ("|/no/such/program", "cannot be run"),
    ('"||/no/such/program x"', "cannot be run"),
    ('"|"', "takes a file"), ('"||"', "names no program")])
def test_configtest_refuses_a_log_that_cannot_be(launch, world, value, words):
    server = launch.httpd("", start=False, store=world.store)
    ok, said = server.configtest(conf.API + f"RenseiAuditLog {value}\n")
    assert not ok and words in said and "RenseiAuditLog" in said, said
    host = f"<VirtualHost *:@PORT@>\nRenseiAuditLog {value}\n</VirtualHost>\n"
    ok, said = server.configtest(conf.API + host)
    assert not ok and words in said, said


@pytest.mark.parametrize("value", [
    "audit.log", "@DIR@/htdocs/audit.log", "|/bin/cat", '"||/bin/cat -u"',
    '"|$exec cat"', '"|rotatelogs audit.log 86400"'])
def test_configtest_takes_what_customlog_takes(launch, world, value):
    server = launch.httpd("", start=False, store=world.store)
    for line in (f"CustomLog {value} common\n", f"RenseiAuditLog {value}\n"):
        ok, said = server.configtest(conf.API + line)
        assert ok, said


def test_only_a_server_has_a_log(launch, world):
    server = launch.httpd("", start=False, store=world.store)
    ok, said = server.configtest(
        '<Location "/x">\nRenseiAuditLog x.log\n</Location>\n')
    assert not ok and "RenseiAuditLog" in said


def test_httpd_stops_when_the_folder_is_gone(here, launch_here):
    """Who removes the folder must still be able to stop the server."""
    gate = launch_here.httpd(conf.API + "RenseiAuditLog logs/a.log\n",
                             start=False, store=here.store)
    (gate.dir / "logs").mkdir()
    gate.start()
    gate.token(here.a.client(READ))
    (gate.dir / "logs" / "a.log").unlink()
    (gate.dir / "logs").rmdir()
    done = subprocess.run(gate.command("-k", "stop"), env=gate.env, text=True,
                          capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    gate.process.wait(20)
    gate.stop()


# -- changes that were forgotten ----------------------------------------------


def statuses(gate, key):
    with Crowd(gate) as crowd:
        return crowd.statuses(key.token, "/me/x")


def refused_soon(gate, key):
    wait_for(lambda: statuses(gate, key) == {401},
             lambda: "still goes by what it knew")


def revoked_unseen(gate, world):
    """A key that was revoked, and the gateway does not know: it follows the
    changes, and was not told of this one."""
    for _ in range(20):  # it begins to follow some time after its start
        key = world.a.key()
        time.sleep(0.6)  # follows that it was made
        assert statuses(gate, key) == {200}
        spoil(world, "UPDATE rensei_keys SET revoked_at=1 WHERE id=?", key.id)
        time.sleep(0.6)
        if statuses(gate, key) == {200}:
            return key
    raise AssertionError("nothing is ever cached")


@pytest.mark.parametrize("tail", [False, True], ids=["gap", "end"])
def test_forgotten_changes_are_noticed(gate, world, tail):
    """A gateway that was away for so long that the rows it has to follow are
    gone must not go on with what it knew: a key that was revoked meanwhile
    would pass for as long as it is cached."""
    stays = world.b.key()
    gone = revoked_unseen(gate, world)
    assert statuses(gate, stays) == {200}
    wire = world.store.connect()
    wire.execute("BEGIN")
    wire.execute("UPDATE rensei_sequence SET value=value+2")
    if not tail:  # the change is forgotten, a later one is not
        wire.execute("INSERT INTO rensei_changes (seq, subject, at) "
                     "SELECT value, 'key_other', 1 FROM rensei_sequence")
    wire.execute("COMMIT")
    wire.close()
    refused_soon(gate, gone)
    assert statuses(gate, stays) == {200}
    # and what comes next is followed as ever
    world.store.ctl("org", "api-keys", "revoke", stays.id)
    refused_soon(gate, stays)


def test_changes_do_not_pile_up(gate, world, a):
    """rensei_changes would grow for ever."""
    wire = world.store.connect()
    wire.execute("UPDATE rensei_changes SET at=at-3700000")
    old = wire.execute("SELECT COUNT(*) FROM rensei_changes").fetchone()[0]
    assert old > 0
    for _ in range(old // 20 + 1):
        key = a.key()["keyId"]
        a.ok("DELETE", f"{a.keys}/{key}")
    assert wire.execute("SELECT COUNT(*) FROM rensei_changes WHERE at < ?",
                        ((time.time() - 3600) * 1000,)).fetchone()[0] == 0
    wire.close()
