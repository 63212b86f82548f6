# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""A private PostgreSQL cluster in a temporary folder, on a unix socket alone.

fsync is off: these tests ask what our code does, not what a disk does, and
nothing here survives a power cut. Whatever asks that has to switch it on."""

import glob
import itertools
import os
import pwd
import re
import shutil
import signal
import subprocess
import time

import psycopg2

from . import where
from .pace import wait_for

PORT = 5432  # of the socket's name only: nothing listens on TCP
OPTIONS = {
    "listen_addresses": "''",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "400",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "log_line_prefix": "'%m [%p] db=%d '",
    "lc_messages": "C",
}

# What a server says of itself alone, and of clients that went away.
FINE = re.compile(r"terminating (connection|walreceiver|background)|"
                  r"the database system is (starting|shutting|in recovery)|"
                  r"is not currently accepting connections|"
                  r"canceling statement due to user request|"
                  r"could not (send|receive) data|"
                  r"connection to client lost")
BAD = re.compile(r" (ERROR|FATAL|PANIC):")


def binaries():
    """The folder of initdb and postgres; Debian keeps it off the PATH."""
    found = shutil.which("postgres")
    folders = [os.path.dirname(os.path.realpath(found))] if found else sorted(
        glob.glob("/usr/lib/postgresql/*/bin"),
        key=lambda path: int(path.split("/")[4]))
    if not folders:
        raise SystemExit("PostgreSQL is not there: apt-get install postgresql")
    return folders[-1]


def account():
    """Arguments that make subprocess.run do it as an account which is not
    root, because PostgreSQL refuses root."""
    if not where.AS_ROOT:
        return {}
    entry = pwd.getpwnam("postgres")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


class Cluster:
    """One server. Its superuser is `postgres`, for us; the stores are of
    `rensei`, who may do no more than an operator would let him."""

    def __init__(self, **options):
        self.folder = where.run_folder("postgres")
        self.options = {**OPTIONS, **options}
        self._numbers = itertools.count(1)
        self._log_seen = 0
        self._excused = set()
        if where.AS_ROOT:
            entry = pwd.getpwnam("postgres")
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        self.tool("initdb", "--pgdata", self._data(), "--auth", "trust",
                  "--username", "postgres", "--no-sync", "--locale", "C",
                  "--encoding", "UTF8")
        with open(self.folder / "data/postgresql.conf", "a") as conf:
            conf.write(f"unix_socket_directories = '{self.folder}'\n")
            for name, value in self.options.items():
                conf.write(f"{name} = {value}\n")
        self.start()
        self.execute("CREATE ROLE rensei LOGIN")

    def _data(self):
        return str(self.folder / "data")

    def tool(self, name, *args):
        done = subprocess.run(
            [os.path.join(binaries(), name), *args], text=True, cwd="/",
            stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
            env={**os.environ, "LC_ALL": "C"}, **account())
        if done.returncode != 0:
            raise RuntimeError(f"{name}: {done.stdout}{done.stderr}"
                               f"{self.log()[-2000:]}")

    # -- the server ----------------------------------------------------------

    def start(self):
        self.tool("pg_ctl", "--pgdata", self._data(), "--wait", "--timeout",
                  "60", "--log", str(self.folder / "log"), "start")

    def stop(self, mode="fast"):
        """mode: smart, fast, or immediate, which is a crash."""
        self.tool("pg_ctl", "--pgdata", self._data(), "--wait", "--timeout",
                  "60", "--mode", mode, "stop")

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def kill(self):
        """kill -9, of all of it: the processes that serve connections notice
        that they are alone, and end."""
        os.kill(self.pid(), signal.SIGKILL)
        wait_for(lambda: not any(map(self._is_ours, glob.glob("/proc/[0-9]*"))))
        # where nobody has asked how it ended, it still has its pid
        for lock in "data/postmaster.pid", f".s.PGSQL.{PORT}.lock":
            (self.folder / lock).unlink()

    def _is_ours(self, process):
        try:
            return os.readlink(process + "/cwd") == self._data()
        except OSError:
            return False

    def answers(self):
        """Is it there, and has recovered?"""
        try:
            self.execute("SELECT 1")
            return True
        except psycopg2.OperationalError:
            return False

    def pid(self):
        return int((self.folder / "data/postmaster.pid").read_text()
                   .splitlines()[0])

    def close(self):
        try:
            if (self.folder / "data/postmaster.pid").exists():
                self.stop("immediate")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    # -- what is in it -------------------------------------------------------

    def conninfo(self, database, user="rensei"):
        return (f"host={self.folder} port={PORT} dbname={database} "
                f"user={user}")

    def connect(self, database="postgres"):
        """As superuser, each statement its own transaction."""
        wire = psycopg2.connect(self.conninfo(database, "postgres"))
        wire.autocommit = True
        return wire

    def execute(self, sql, args=None, database="postgres"):
        """Runs a statement; its rows, if it has any."""
        wire = self.connect(database)
        try:
            with wire.cursor() as cursor:
                cursor.execute(sql, args)
                return cursor.fetchall() if cursor.description else None
        finally:
            wire.close()

    def create(self, like=None):
        """A new database of rensei's, empty or a copy; its name."""
        name = f"rensei_{next(self._numbers)}_{os.getpid()}"
        if like:
            self.wait_until_left(like)
        self.execute(f"CREATE DATABASE {name} OWNER rensei"
                     + (f" TEMPLATE {like}" if like else ""))
        return name

    def drop(self, name):
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def shut(self, name):
        """Throws everybody out of a database, and lets nobody in."""
        self._excused.add(name)
        self.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        for _ in "12":  # who was let in just before may not be seen at once
            self.throw_out(name)
            time.sleep(0.02)

    def throw_out(self, name):
        """Ends the connections that there are to a database; whoever was
        thrown out may be back at once."""
        self._excused.add(name)
        pids = [pid for pid, _ in self.execute(
            "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = %s", (name,))]
        wait_for(lambda: not self.execute(
            "SELECT 1 FROM pg_stat_activity WHERE pid = ANY(%s)", (pids,)))

    def wait_until_left(self, name):
        """Nobody is connected to a database."""
        wait_for(lambda: not self.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = %s", (name,)))

    def open(self, name):
        self.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    # -- its log -------------------------------------------------------------

    def log(self):
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def excuse(self, name):
        """A test makes statements on that database fail."""
        self._excused.add(name)

    def check_log(self):
        """The errors of statements since the last call, other than on
        databases where a test made them. A deadlock, or a statement that
        PostgreSQL does not know, is an answer 503 that nobody may look at."""
        text = self.log()
        fresh, self._log_seen = text[self._log_seen:], len(text)
        return [f"PostgreSQL: {line}" for line in fresh.splitlines()
                if BAD.search(line) and not FINE.search(line)
                and not any(f"db={name} " in line for name in self._excused)]
