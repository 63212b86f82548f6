# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""What can befall a SQLite file under a running server: locked, no room, moved
away, damaged, read-only. While it lasts, what the cache knows goes on and the
rest is 503, never a wrong 200 or 401, and nobody waits for ever; what was
acknowledged is there afterwards; and when it is over, the server goes on by
itself. (A file that is removed, or replaced: test_backup.py.)"""

import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

from harness import where
from harness.admin import CLIENTS, READ
from harness.load import CHANGES, CONF, Load
from harness.oauth import TOKEN, WHOAMI
from harness.pace import cut_off
from harness.store import CtlError
from harness.world import World

pytestmark = pytest.mark.only("sqlite", "what happens to its file")

TROUBLE = ("RS0010", "RS0014", "RS0031", "RS0090", "RS0101", "RS0120")
PATIENCE = 20  # seconds, in which every request is answered
QUICK = 1.5  # what does not wait for the store, on a busy machine
THREADS = 25  # of the one child
CROWD = 40


class Place:
    """A server with a store of its own, and a load on it; a token and a key
    that its one child has seen, and a key that it has not."""

    def __init__(self, launch, kept=None):
        self.world = World(kept or launch.store())
        self.store, self.path = self.world.store, self.world.store.params
        self.gate = launch.httpd(CONF, store=self.store, children=1)
        self.client = self.world.a.client()
        self.key, self.unseen = self.world.a.key(), self.world.a.key()
        self.token = self.gate.token(self.client)
        self.passed()
        self.gate.allow_log(*TROUBLE)

    def get(self, credential):
        return self.gate.get(WHOAMI, token=credential).status

    def issue(self):
        return self.gate.post(TOKEN, form={
            "grant_type": "client_credentials", "client_id": self.client.id,
            "client_secret": self.client.secret}).status

    def known(self):
        return [self.get(self.token), self.get(self.key.token)]

    def passed(self):
        assert self.known() == [200, 200]

    def remembers(self):
        return self.known() == [200, 200]

    def load(self, **more):
        return Load(self.gate, self.world.a, CHANGES, may={503}, pause=0.01,
                    **more)

    def goes_on(self):
        """All of it, without a restart."""
        for _ in range(4):
            until(lambda: self.issue() == 200, "tokens")
            until(lambda: self.get(self.unseen.token) == 200, "a key")
            self.passed()


def until(ask, why, seconds=30):
    deadline = time.monotonic() + seconds * where.SLOWNESS
    while not ask():
        assert time.monotonic() < deadline, f"waited for {why}"
        time.sleep(0.05)


def answered(load):
    """The load was never wrong, and waited for no answer for long."""
    assert not load.ledger.wrong, load.ledger.wrong[:5]
    slow = {what: round(took, 1) for what, took in load.ledger.slowest.items()
            if took > PATIENCE}
    assert not slow, slow


@pytest.fixture
def place(launch_here):
    return Place(launch_here)


# -- locked -------------------------------------------------------------------


def test_locked_for_ten_seconds(place):
    """By a program that means to write and does not: changes wait for their
    turn, some of them until it is too late for them; reading goes on."""
    wire = place.store.connect()
    with place.load() as load:
        load.more(20)
        wire.execute("BEGIN EXCLUSIVE")
        end = time.monotonic() + 10
        while time.monotonic() < end:
            place.passed()
            assert place.get(place.unseen.token) in (200, 503)
            time.sleep(0.1)
        wire.execute("ROLLBACK")
        load.more(50)
    wire.close()
    assert load.ledger.count(503), load.ledger.answers
    answered(load)
    place.goes_on()
    load.settle()


# -- no room ------------------------------------------------------------------


class SmallDisk:
    """A file system of 3 MB where a store is to be."""

    def __init__(self, folder):
        self.folder, self.ballast = folder, folder / "ballast"
        uid = os.stat(folder).st_uid
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size=3m,mode=755,uid={uid}",
             "tmpfs", folder], text=True, capture_output=True)
        if done.returncode != 0:
            pytest.skip("no file system may be mounted: " + done.stderr)

    def fill(self, _gate):
        with open(self.ballast, "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass

    def empty(self):
        self.ballast.unlink()

    def close(self):
        subprocess.run(["umount", self.folder], check=True)


class SmallFiles:
    """Files of the server's children may not grow: for a program that looks
    much like a disk that fails."""

    def __init__(self, folder):
        self.folder, self.limited = folder, []

    def fill(self, gate):
        now = max(path.stat().st_size for path in self.folder.iterdir())
        # the log is a file, too
        assert now > 2 * (gate.dir / "error.log").stat().st_size
        self.limited = gate.workers()
        self._limit(now)

    def empty(self):
        self._limit("unlimited")

    def _limit(self, size):
        """As the children's account: even root may not always."""
        for pid in self.limited:
            subprocess.run(["prlimit", f"--pid={pid}", f"--fsize={size}:"],
                           check=True, **where.as_server_user())

    def close(self):
        pass


@pytest.mark.parametrize("how", [SmallDisk, SmallFiles])
def test_no_room(launch_here, how):
    """A change that finds no room is 503 and leaves nothing behind."""
    store = launch_here.store(empty=True)
    os.unlink(store.params)
    disk = launch_here.kept(how(store.folder))
    store.ctl("db", "init")
    os.chmod(store.params, 0o600)
    place = Place(launch_here, store)
    with place.load() as load:
        load.more(20)
        disk.fill(place.gate)
        until(lambda: load.ledger.count(503) > 30, "no room")
        place.passed()
        assert place.get(place.unseen.token) == 200  # to read takes no room
        disk.empty()
        load.more(50)
    answered(load)
    place.goes_on()
    load.settle()


# -- away ---------------------------------------------------------------------


class Elsewhere:
    """The file with its -wal and -shm, which go together: whoever opens one
    without the others takes it for another database. So it is their folder
    that is moved, and an empty one put in its place."""

    def __init__(self, place):
        self.folder = place.store.folder
        self.away = self.folder.with_name(self.folder.name + "-away")

    def go(self):
        os.rename(self.folder, self.away)
        self.folder.mkdir()
        where.own(self.folder, 0o755)

    def come_back(self):
        made = self.folder.with_name(self.folder.name + "-made")
        os.rename(self.folder, made)
        os.rename(self.away, self.folder)
        shutil.rmtree(made, ignore_errors=True)


def test_moved_away_and_back(place):
    """Whoever has the file open could go on with it, and have his changes end
    up nowhere. So there are none while it is not where it should be."""
    file = Elsewhere(place)

    def cut():
        file.go()
        until(lambda: place.issue() == 503, "the file to be missed")

    with place.load() as load:
        load.more(20)
        cut_off(cut, file.come_back, place.remembers)
        before, refused = len(load.ledger.events), load.ledger.count(503)
        assert place.get(place.unseen.token) == 503
        until(lambda: load.ledger.count(503) > refused + 30, "503")
        assert len(load.ledger.events) <= before + len(load.workers)
        file.come_back()
        load.more(50)
    answered(load)
    place.goes_on()
    load.settle()


def test_moved_away_without_its_wal(place):
    """The file alone goes away, and a child that starts meanwhile, and opens
    whatever is there, finds an empty one that SQLite has made: it is no store
    of ours, its answers are 503, and the -wal with what was acknowledged last
    is not thrown away. When the file comes back, so does everything."""
    made = place.world.a.client()  # is in the -wal alone
    os.rename(place.path, place.path + ".aside")
    child, = place.gate.workers()
    os.kill(child, signal.SIGKILL)
    until(lambda: place.gate.workers() not in ([], [child]), "a new child")
    for _ in range(10):
        assert place.issue() == 503
        assert place.get(place.unseen.token) in (200, 503)
    os.rename(place.path + ".aside", place.path)
    until(lambda: place.issue() == 200, "the store to be back")
    for _ in range(20):
        place.passed()
        assert place.get(place.unseen.token) == 200
        assert place.gate.token(made)
    place.goes_on()


# -- stuck --------------------------------------------------------------------


def test_those_who_wait_are_bounded(place):
    """More would write than there are threads: those who find no place are
    answered at once, the others when their time is over; and the threads that
    are left serve whom the cache knows, as ever."""
    file, took = Elsewhere(place), []
    cut_off(file.go, file.come_back, place.remembers)
    file.come_back()
    place.goes_on()
    place.gate.allow_log("AH00484")  # that it was full
    wire = place.store.connect()

    def create():
        begun = time.monotonic()
        answer = place.gate.post(CLIENTS, token=place.world.a.admin.token,
                                 json={"name": "new", "scopes": [READ]})
        took.append((answer.status, time.monotonic() - begun))

    crowd = [threading.Thread(target=create) for _ in range(CROWD)]
    wire.execute("BEGIN EXCLUSIVE")
    for thread in crowd:
        thread.start()
    time.sleep(1.2)  # as long as one waits for a place
    while len(took) < CROWD - THREADS:
        for known in place.token, place.key.token:
            begun = time.monotonic()
            assert place.get(known) == 200
            assert time.monotonic() < begun + QUICK
    for thread in crowd:
        thread.join(PATIENCE)
    wire.execute("ROLLBACK")
    wire.close()
    assert {status for status, _ in took} == {503}
    assert len(took) == CROWD and max(took)[1] < PATIENCE, took
    assert len([s for _, s in took if s < 2 * QUICK]) >= CROWD - THREADS, took
    place.gate.wait_for_log("too many requests wait for the store")
    place.goes_on()


# -- damaged ------------------------------------------------------------------

PAGE = 4096


def overwrite(path, begin, end):
    """With what no page begins with. Not by way of SQLite."""
    with open(path, "r+b") as file:
        end = end or os.fstat(file.fileno()).st_size
        file.seek(begin)
        file.write(b"\xa5" * (end - begin))


PARTS = {"header": (0, 100), "first page": (0, PAGE), "middle": (PAGE, None)}


def checkpointed(place):
    """All is in the file itself, nothing in its -wal."""
    wire = place.store.connect()
    until(lambda: wire.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
          == 0, "a checkpoint")
    wire.close()


def is_damaged(place):
    wire = place.store.connect()
    try:
        return wire.execute("PRAGMA quick_check").fetchall() != [("ok",)]
    except sqlite3.DatabaseError:
        return True
    finally:
        wire.close()


def damage(place, part):
    """Once more where the server wrote that page between the two: then it is
    in the -wal, and whole."""
    def done():
        checkpointed(place)
        overwrite(place.path, *PARTS[part])
        return is_damaged(place)

    until(done, "the damage")


def put_back(place, copy, part):
    """Under the running server, where that cannot open the file at all; else
    it has it in use, and has to be stopped."""
    if part == "middle":
        place.gate.stop()
        place.store.ctl("db", "restore", copy)
        place.gate.start()
        return

    def restored():
        try:
            return place.store.ctl("db", "restore", copy)
        except CtlError as busy:  # by a child that ends
            assert "in use" in str(busy)
            return None

    until(restored, "the file to be let go")


@pytest.mark.parametrize("part", PARTS)
def test_damaged(place, part):
    """Each answer is right or 503, from connections that are open and from
    new ones, and the log says what is wrong. A backup mends it."""
    copy = place.path + ".copy"
    hit = place.load(threads=4)
    with place.load() as load:
        load.more(30)
    place.store.ctl("db", "backup", copy)
    damage(place, part)
    place.gate.allow_log("RS0008")
    with hit:
        place.gate.graceful()
        until(lambda: hit.ledger.count(503) > 10, "503")
        assert place.get(place.unseen.token) == 503
    answered(hit)
    said = [line for line in place.gate.log().splitlines() if "RS0101" in line]
    assert any("malformed" in line or "not a database" in line
               for line in said), said
    put_back(place, copy, part)
    place.goes_on()
    load.settle()


def test_damaged_before_the_start(launch_here):
    """An operator is told where he looks."""
    server = launch_here.httpd(CONF, store=launch_here.store(), start=False)
    assert server.configtest()[0]
    overwrite(server.store.params, *PARTS["header"])
    good, said = server.configtest()
    assert not good
    assert "RS0008" in said and "not a SQLite database" in said, said


# -- read-only ----------------------------------------------------------------


def set_modes(path, folder, file):
    for rest in ("", "-wal", "-shm"):
        if os.path.exists(path + rest):
            os.chmod(path + rest, file)
    os.chmod(os.path.dirname(path), folder)


def test_read_only(place):
    """Who has the files open is not stopped by it; a child that is new is.
    Keys and tokens pass all the time."""
    with place.load() as load:
        load.more(20)
        place.gate.allow_log("RS0008")
        set_modes(place.path, 0o555, 0o400)
        place.gate.graceful()
        until(lambda: load.ledger.count(503) > 30, "503")
        until(lambda: place.issue() == 503, "503")
        assert place.get(place.token) in (200, 503)
        set_modes(place.path, 0o755, 0o600)
        load.more(50)
    answered(load)
    place.goes_on()
    load.settle()


def test_the_folder_alone_is_read_only(place):
    """The files are there, and may be written to: it all goes on, in a child
    that is new, too."""
    with place.load() as load:
        load.more(20)
        place.gate.allow_log("RS0008")
        set_modes(place.path, 0o555, 0o600)
        load.more(50)
        place.gate.graceful()
        load.more(50)
        assert place.get(place.unseen.token) == 200
        set_modes(place.path, 0o755, 0o600)
    answered(load)
    place.goes_on()
    load.settle()
