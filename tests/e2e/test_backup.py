# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""`renseictl db backup` and `db restore`: what is in a copy, what is refused,
and what a server does whose file goes away or is another one."""

import json
import os
import pwd
import re
import resource
import shutil
import sqlite3
import stat
import subprocess
import threading
import time

import pytest

from harness import conf, where
from harness.crowd import Crowd
from harness.jwt import read
from harness.pace import Within, wait_for
from harness.world import World

pytestmark = pytest.mark.only("sqlite", "PostgreSQL has tools of its own")

OK, FAILED, USAGE, NOT_FOUND, REFUSED = range(5)
LEAP = 10 ** 9  # of the change sequence, at each restore
needs_root = pytest.mark.skipif(not where.AS_ROOT, reason="only root may")


def run(*args, store=None, user=True, **more):
    """renseictl, as the server's account unless told otherwise."""
    who = where.as_server_user() if user else {}
    head = ["--store", f"sqlite3:{store}"] if store else []
    return subprocess.run([where.tool(), "--json", *head, *map(str, args)],
                          text=True, capture_output=True, timeout=60, cwd="/",
                          **{**who, **more})


def done(answer):
    assert answer.returncode == OK, answer.stderr
    return json.loads(answer.stdout)


def refused(status, answer):
    assert answer.returncode == status, (answer.returncode, answer.stdout,
                                         answer.stderr)
    assert not answer.stdout
    assert re.match(r"renseictl: \S.*\.", answer.stderr), answer.stderr
    return answer.stderr


class Place:
    """A folder for copies, and the store that they are made of."""

    def __init__(self, world, folder):
        self.world, self.folder = world, folder
        self.store = world.store.params

    def backup(self, name="copy.db", **more):
        return run("db", "backup", self.folder / name, store=self.store, **more)

    def restore(self, name="copy.db", *options, **more):
        return run("db", "restore", self.folder / name, *options,
                   **{"store": self.store, **more})

    def listing(self):
        return sorted(os.listdir(os.path.dirname(self.store)))

    def state(self):
        """All that a failed restore must leave as it is."""
        folder = os.path.dirname(self.store)
        out = {}
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), "rb") as file:
                out[name] = (file.read(), os.stat(file.fileno()).st_mode)
        return out


@pytest.fixture
def place(launch_here):
    folder = where.run_folder("backup")
    yield Place(World(launch_here.store()), folder)
    shutil.rmtree(folder)


def names(store):
    return [org["name"]
            for org in done(run("org", "list", store=store))["orgs"]]


def verified(store):
    """The verdicts on all trails, each of which is whole."""
    answer = done(run("audit", "verify", store=store))
    assert all(t["intact"] for t in answer["trails"]), answer
    return answer["trails"]


def gateway(launch, place, **more):
    return launch.httpd(conf.ISSUER, store=place.world.store, children=2,
                        **more)


def whoami(gate, credential):
    return gate.get("/api/whoami", token=credential).status


# ---- a copy ----

def test_a_copy_is_whole_and_private(place):
    place.world.a.client()
    said = done(place.backup())
    path = place.folder / "copy.db"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(place.folder) == ["copy.db"]  # nothing else is left
    assert said == {"file": str(path), "schemaVersion": said["schemaVersion"],
                    "orgs": 2, "workspaces": 2, "clients": 1, "keys": 2,
                    "workers": 0, "events": said["events"], "sequence": 0}
    wire = sqlite3.connect(path)
    assert wire.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert said["events"] == wire.execute(
        "SELECT COUNT(*) FROM rensei_audit").fetchone()[0] > 0


@pytest.mark.parametrize("name", ("it's; -- ''.db", "\u00fc %s.db"))
def test_a_name_is_not_read_as_sql(place, name):
    done(place.backup(name))
    assert os.listdir(place.folder) == [name]
    done(place.restore(name))


def test_what_is_there_is_not_overwritten(place):
    (place.folder / "copy.db").write_text("mine")
    assert "there already" in refused(REFUSED, place.backup())
    assert (place.folder / "copy.db").read_text() == "mine"


def test_a_link_is_not_followed(place):
    """Another user of the folder could have root write anywhere."""
    (place.folder / "copy.db").symlink_to(place.folder / "elsewhere")
    refused(REFUSED, place.backup())
    assert not (place.folder / "elsewhere").exists()


@needs_root
def test_root_gets_what_is_his_in_a_folder_of_his(place):
    """The database is read with its owner's rights, who may not write to
    root's folder; the copy is root's all the same."""
    os.chown(place.folder, 0, 0)
    done(place.backup(user=False))
    found = (place.folder / "copy.db").stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (0, 0o600)
    assert os.listdir(place.folder) == ["copy.db"]
    owner = pwd.getpwnam(where.USER).pw_uid
    assert {os.stat(os.path.join(os.path.dirname(place.store), name)).st_uid
            for name in place.listing()} == {owner}
    done(place.restore(user=False))
    assert os.stat(place.store).st_uid == owner
    verified(place.store)


@needs_root
def test_a_folder_that_the_owner_cannot_enter(place):
    os.chown(place.folder, 0, 0)
    place.folder.chmod(0o700)
    assert "folder" in refused(FAILED, place.backup(user=False))
    assert os.listdir(place.folder) == []


def test_a_folder_that_cannot_be_written_to(place):
    folder = place.folder / "shut"
    folder.mkdir(mode=0o555)
    assert "Permission denied" in refused(FAILED, place.backup("shut/copy.db"))
    assert os.listdir(folder) == []


def test_no_room_for_a_copy(place):
    """A disk that is full, as a limit on the size of files."""
    answer = place.backup(preexec_fn=small_files, restore_signals=False)
    refused(FAILED, answer)
    assert os.listdir(place.folder) == []
    done(place.backup())


def small_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, 64 * 1024))


def test_copies_made_while_tokens_are_issued(place, launch_here):
    """A copy is of one moment, and all that was answered before it was asked
    for is in it."""
    gate = gateway(launch_here, place)
    clients = [place.world.a.client() for _ in range(8)]
    issued, stop = [], threading.Event()

    def issue(client):
        with gate.connection() as wire:
            while not stop.is_set():
                answer = wire.post("/api/oauth/token", form={
                    "grant_type": "client_credentials",
                    "client_id": client.id, "client_secret": client.secret})
                assert answer.status == 200, answer
                issued.append(read(answer.json["access_token"])[1]["jti"])

    threads = [threading.Thread(target=issue, args=(c,)) for c in clients]
    for thread in threads:
        thread.start()
    try:
        before = []
        for n in range(4):
            while len(issued) < 100 * (n + 1):
                assert all(t.is_alive() for t in threads)
                time.sleep(0.005)
            before.append(set(issued))
            done(place.backup(f"{n}.db"))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    after = len(issued)
    gate.stop()
    for n, acknowledged in enumerate(before):
        other = place.folder / f"restored-{n}.db"
        done(run("db", "restore", place.folder / f"{n}.db", store=other))
        verified(other)
        wire = sqlite3.connect(other)
        have = {json.loads(details)["jti"] for details, in wire.execute(
            "SELECT details FROM rensei_audit WHERE event='m2m.token_issued'")}
        wire.close()
        assert acknowledged <= have
        assert len(have) <= after  # and nothing that was never answered


def test_a_copy_while_another_program_writes(place, launch_here):
    gate = gateway(launch_here, place)
    with place.world.store.hold():
        done(place.backup())
    assert gate.get("/api/whoami", token=place.world.a.admin.token).status == 200


# ---- putting it back ----

def test_a_restore_puts_back_what_was(place):
    client = place.world.a.client()
    sequence = done(place.backup())["sequence"]
    place.world.store.org("later")
    os.chmod(place.store, 0o640)
    before = os.stat(place.store)
    said = done(place.restore())
    assert said["store"] == place.store
    assert names(place.store) == ["acme", "bolt"]
    assert re.fullmatch(re.escape(place.store) + r"\.replaced-\d{8}T\d{6}Z",
                        said["replaced"])
    now = os.stat(place.store)
    assert (now.st_uid, now.st_gid, now.st_mode) == (
        before.st_uid, before.st_gid, before.st_mode)
    assert now.st_ino != before.st_ino
    os.chmod(place.store, 0o600)
    assert place.listing() == [
        "store.db", os.path.basename(said["replaced"])]
    checked = done(run("db", "check", store=place.store))
    assert checked["sequence"] == sequence + LEAP
    assert checked["clients"] == 1 and client.id
    trails = {t["orgId"]: t for t in verified(place.store)}
    assert trails[None]["events"] == 1  # that it was restored


def test_that_it_was_restored_stands_in_the_trail(place):
    held = done(place.backup())
    done(place.restore())
    wire = sqlite3.connect(place.store)
    rows = wire.execute("SELECT actor, actor_type, details FROM rensei_audit "
                        "WHERE org_id='' AND event='system.store_restored'"
                        ).fetchall()
    wire.close()
    assert [(r[0], r[1]) for r in rows] == [(where.USER, "operator")]
    assert json.loads(rows[0][2]) == {k: held[k] for k in (
        "schemaVersion", "sequence", "events")}


def test_what_was_replaced_is_whole_and_can_be_put_back(place):
    done(place.backup())
    place.world.store.org("later")
    aside = done(place.restore())["replaced"]
    assert names(place.store) == ["acme", "bolt"]
    again = done(run("db", "restore", aside, store=place.store))
    assert names(place.store) == ["acme", "bolt", "later"]
    assert again["replaced"] != aside and os.path.exists(aside)
    verified(place.store)


def test_the_change_sequence_leaps(place):
    """A gateway that has followed the changes up to some number must not find
    that number again, with other changes behind it."""
    done(place.backup())
    for n in range(1, 3):
        done(place.restore())
        assert done(run("db", "check", store=place.store))["sequence"] == LEAP
        done(place.backup(f"after-{n}.db"))
    done(place.restore("after-2.db"))
    assert done(run("db", "check", store=place.store))["sequence"] == 2 * LEAP


@needs_root
def test_where_no_store_is(place):
    done(place.backup())
    for name in place.listing():
        os.unlink(os.path.join(os.path.dirname(place.store), name))
    done(place.restore("copy.db", "--owner", where.USER, user=False))
    assert place.listing() == ["store.db"]
    found = os.stat(place.store)
    assert found.st_uid == pwd.getpwnam(where.USER).pw_uid
    assert stat.S_IMODE(found.st_mode) == 0o600
    verified(place.store)


def test_an_owner_is_only_for_what_is_not_there(place):
    done(place.backup())
    before = place.state()
    refused(USAGE, place.restore("copy.db", "--owner", where.USER))
    assert place.state() == before


def test_over_a_store_that_is_damaged(place):
    done(place.backup())
    with open(place.store, "r+b") as file:
        file.write(b"\0" * 8192)
    said = done(place.restore())
    with open(said["replaced"], "rb") as file:
        assert file.read(8192) == b"\0" * 8192
    verified(place.store)


def test_old_changes_do_not_come_into_the_new_store(place):
    """The -wal file of the old one belongs to that alone; SQLite, finding it
    beside another database, writes it over that."""
    done(place.backup())
    wire = sqlite3.connect(place.store)
    wire.execute("INSERT INTO rensei_orgs VALUES ('o', 'lost', 'active', 1, 1)")
    wire.commit()
    with open(place.store + "-wal", "rb") as file:
        wal = file.read()
    wire.close()
    assert len(wal) > 4096
    os.unlink(place.store)
    with open(place.store + "-wal", "wb") as file:
        file.write(wal)
    where.own(place.store + "-wal", 0o600)
    done(place.restore())
    assert names(place.store) == ["acme", "bolt"]
    aside, = (n for n in place.listing() if "replaced" in n)
    with open(os.path.join(os.path.dirname(place.store), aside), "rb") as file:
        assert aside.endswith("Z-wal") and file.read() == wal
    verified(place.store)


def test_what_is_in_the_wal_is_kept_with_the_old_store(place):
    """After a crash a part of the store is there alone."""
    done(place.backup())
    wire = sqlite3.connect(place.store)
    wire.execute("INSERT INTO rensei_orgs VALUES ('o', 'last', 'active', 1, 1)")
    wire.commit()
    kept = {}
    for rest in ("", "-wal"):
        with open(place.store + rest, "rb") as file:
            kept[rest] = file.read()
    wire.close()
    for rest, data in kept.items():
        with open(place.store + rest, "wb") as file:
            file.write(data)
        where.own(place.store + rest, 0o600)
    aside = done(place.restore())["replaced"]
    assert names(place.store) == ["acme", "bolt"]
    assert not os.path.exists(aside + "-wal")  # all of it in one file
    assert names(aside) == ["acme", "bolt", "last"]


# ---- what is refused ----

def cut(path):
    os.truncate(path, os.path.getsize(path) // 2)


def scribbled(path):
    with open(path, "r+b") as file:
        for page in range(3, os.path.getsize(path) // 4096, 3):
            file.seek(page * 4096)
            file.write(os.urandom(512))


def newer(path):
    sql(path, "INSERT INTO rensei_schema VALUES (1000, 1)")


def strange(path):
    os.unlink(path)
    sql(path, "CREATE TABLE t (a)")


def torn(path):
    sql(path, "DELETE FROM rensei_orgs")


def lacking(path):
    sql(path, "DROP TABLE rensei_changes", "DELETE FROM rensei_sequence")


def sql(path, *statements):
    wire = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        wire.execute(statement)
    wire.close()


BAD = {
    "cut": (cut, "damaged"),
    "scribbled": (scribbled, "damaged"),
    "newer": (newer, "version 1000, newer than"),
    "strange": (strange, "no store of mod_rensei"),
    "torn": (torn, "a row belongs to one that is not there"),
    "lacking": (lacking, "lost its change sequence"),
    "text": (lambda path: path.write_text("hello\n" * 500), "no SQLite"),
    "empty": (lambda path: os.truncate(path, 0), "no store of mod_rensei"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_good_copy_is_refused(place, what):
    spoil, why = BAD[what]
    done(place.backup())
    spoil(place.folder / "copy.db")
    where.own(place.folder / "copy.db", 0o600)
    before = place.state()
    said = refused(REFUSED, place.restore())
    assert why in said and "store is as it was" in said
    assert place.state() == before


def test_a_part_of_a_store_is_refused(place):
    """A copy made with cp while a gateway ran lacks what is in the -wal."""
    done(place.backup())
    (place.folder / "copy.db-wal").write_bytes(b"x" * 100)
    assert "-wal" in refused(REFUSED, place.restore())


def test_what_is_not_there_or_no_file(place):
    refused(NOT_FOUND, place.restore("nothing.db"))
    (place.folder / "folder").mkdir()
    refused(REFUSED, place.restore("folder"))
    os.mkfifo(place.folder / "pipe")
    where.own(place.folder / "pipe")
    refused(REFUSED, place.restore("pipe"))
    refused(REFUSED, run("db", "restore", place.store, store=place.store))
    assert names(place.store) == ["acme", "bolt"]


def test_no_room_for_a_restore(place):
    done(place.backup())
    before = place.state()
    refused(FAILED, place.restore(preexec_fn=small_files,
                                  restore_signals=False))
    assert place.state() == before


def test_a_folder_of_the_store_that_is_shut(place):
    done(place.backup())
    folder = os.path.dirname(place.store)
    before = place.state()
    os.chmod(folder, 0o555)
    try:
        refused(FAILED, place.restore())
        assert place.state() == before
    finally:
        os.chmod(folder, 0o755)


def test_a_store_in_use_is_left_alone(place, launch_here):
    """Whoever has it open would go on with the old file, and what he then
    answers be lost. Also when he does nothing at the moment."""
    done(place.backup())
    place.world.store.org("later")
    gate = gateway(launch_here, place)
    assert whoami(gate, place.world.a.admin.token) == 200
    for _ in range(2):
        said = refused(REFUSED, place.restore())
        assert "in use" in said and re.search(r"process \d+", said), said
        time.sleep(0.5)
    assert names(place.store) == ["acme", "bolt", "later"]
    gate.stop()
    done(place.restore())
    assert names(place.store) == ["acme", "bolt"]


@pytest.mark.parametrize("command", ("backup", "restore"))
def test_postgresql_has_its_own_tools(place, command):
    answer = run("--store", "pgsql:host=/nowhere", "db", command, "x.db")
    said = refused(REFUSED, answer)
    assert ("pg_dump" if command == "backup" else "pg_restore") in said


# ---- a server, and another file ----

def test_what_was_made_after_the_copy_is_unknown(place, launch_here):
    """And what was made before it works; in a server that was stopped for it
    as an operator does."""
    old = place.world.a.client()
    kept = place.world.a.key()
    done(place.backup())
    gate = gateway(launch_here, place)
    new, token = place.world.a.client(), gate.token(old)
    fresh = gate.token(new)
    place.world.store.ctl("org", "api-keys", "revoke", kept.id)
    wait_for(lambda: whoami(gate, kept.token) == 401)
    gate.stop()
    done(place.restore())
    gate.start()
    assert whoami(gate, token) == 200
    assert gate.token(old)
    assert whoami(gate, fresh) == 401
    assert whoami(gate, kept.token) == 200  # revoked after the copy was made


def test_a_file_that_is_gone_is_a_store_that_is_away(place, launch_here):
    """Who has the file open could go on with it, and lose what he does; and
    SQLite makes an empty file, in which every credential is unknown. 503,
    neither 200 nor 401, from every child; and no new file with tables of
    ours. A restore mends it while the server runs."""
    client, key = place.world.a.client(), place.world.a.key()
    done(place.backup())
    gate = gateway(launch_here, place)
    gate.token(client)
    folder = os.path.dirname(place.store)
    os.unlink(place.store)
    gate.allow_log("RS0101", "RS0010", "RS0031", "RS0090", "RS0014", "RS0120")
    wires = Crowd(gate).wires
    for wire in wires * 2:
        answer = wire.post("/api/oauth/token", form={
            "grant_type": "client_credentials", "client_id": client.id,
            "client_secret": client.secret})
        assert answer.status == 503, answer
        assert wire.get("/api/whoami", token=key.token).status == 503
    if os.path.exists(place.store):
        assert os.path.getsize(place.store) == 0
    done(place.restore())
    wait_for(lambda: whoami(gate, key.token) == 200)
    token = gate.token(client)
    for wire in wires:
        assert wire.get("/api/whoami", token=token).status == 200
        wire.close()
    gate.stop()
    verified(place.store)
    jti = read(token)[1]["jti"]
    events = place.world.a.events()
    assert any(jti in json.dumps(e["details"]) for e in events)
    assert sorted(n for n in os.listdir(folder) if "replaced" not in n) == [
        "store.db"]


def test_an_empty_file_in_its_place_is_no_store(place, launch_here):
    key = place.world.a.key()
    gate = gateway(launch_here, place)
    assert whoami(gate, key.token) == 200
    empty = place.store + ".empty"
    open(empty, "xb").close()
    where.own(empty, 0o600)
    os.replace(empty, place.store)
    gate.allow_log("RS0101", "RS0010", "RS0031", "RS0090", "RS0120")
    other = place.world.b.admin
    for _ in range(16):
        assert whoami(gate, other.token) in (200, 503)
        answer = gate.post("/api/oauth/token", form={
            "grant_type": "client_credentials", "client_id": "m2m_" + "0" * 32,
            "client_secret": "m2ms_" + "0" * 64})
        assert answer.status == 503, answer
    tables = sqlite3.connect(f"file:{place.store}?mode=ro", uri=True).execute(
        "SELECT COUNT(*) FROM sqlite_master").fetchone()
    assert tables == (0,)


def restored(place, key, other):
    """A file from before the key was made."""
    done(run("db", "restore", place.folder / "copy.db", store=other))


def altered(place, key, other):
    """A file whose change sequence is the same, and yet has other changes."""
    done(place.backup("now.db"))
    shutil.move(place.folder / "now.db", other)
    sql(other, f"UPDATE rensei_keys SET revoked_at=1 WHERE id='{key.id}'")


@pytest.mark.parametrize("make", (restored, altered))
def test_a_file_replaced_under_a_server_is_taken_up(place, launch_here, make):
    """By whatever means. What it knew before is not trusted for longer than
    the poll takes; what it writes goes to the new file."""
    client = place.world.a.client()
    done(place.backup())
    gate = gateway(launch_here, place)
    late = place.world.a.key()
    wires = Crowd(gate).wires
    time.sleep(0.6)  # the poll has seen the new key: what is cached stays so
    for wire in wires:
        assert wire.get("/api/whoami", token=late.token).status == 200
    gate.allow_log("RS0101", "RS0010", "RS0031", "RS0014")
    other = os.path.join(os.path.dirname(place.store), "other.db")
    make(place, late, other)
    for rest in ("-wal", "-shm", ""):
        os.rename(place.store + rest, other + ".old" + rest)
    os.rename(other, place.store)
    gate.expect_log("RS0120")
    with Within(3) as limit:
        for wire in wires:
            limit.until(lambda: wire.get("/api/whoami",
                                         token=late.token).status == 401)
    issued = set()
    for wire in wires:
        answer = wire.post("/api/oauth/token", form={
            "grant_type": "client_credentials", "client_id": client.id,
            "client_secret": client.secret})
        assert answer.status == 200, answer
        issued.add(read(answer.json["access_token"])[1]["jti"])
        wire.close()
    gate.stop()
    verified(place.store)
    events = json.dumps(place.world.a.events())
    assert all(jti in events for jti in issued)
