# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""The store under test, made with renseictl as an operator would make it."""

import atexit
import contextlib
import functools
import json
import os
import shutil
import sqlite3
import subprocess
from collections import namedtuple

from . import known_secrets, where

Client = namedtuple("Client", "id secret")
Key = namedtuple("Key", "id token")


class CtlError(Exception):
    """renseictl said no."""


class Store:
    """What all kinds of store share. Subclasses say where it is, and how it
    is made to fail."""

    spec = None  # as renseictl --store takes it
    driver = params = None  # as DBDriver and DBDParams take them
    noise = ()  # what a server may log about it at present

    def dbd(self):
        """The lines that make it mod_dbd's."""
        return (f"DBDriver {self.driver}\n"
                f'DBDParams "{self.params}"\n'
                "DBDMin 1\nDBDKeep 4\nDBDMax 8\n")

    def copy(self):
        """Another store with all that is in this one, which nobody has open
        at the time."""
        raise NotImplementedError

    def connect(self):
        """Another program's connection to it; its execute() takes SQL that
        both kinds know, with ? for the arguments."""
        raise NotImplementedError

    def dump(self):
        """All that is in it, as text."""
        raise NotImplementedError

    def hold(self):
        """A context in which another program is writing, and does not come
        to an end: nobody else can write, all can read."""
        raise NotImplementedError

    def break_(self):
        """Makes every statement fail, on connections old and new, until
        mend()."""
        raise NotImplementedError

    def mend(self):
        raise NotImplementedError

    def check_log(self):
        """What is wrong with what the database logged since the last call."""
        return []

    def ctl(self, *args):
        """Runs renseictl --json as the server's account; its answer."""
        done = subprocess.run(
            [where.plain_tool(), "--json", "--store", self.spec, *args],
            text=True, capture_output=True, timeout=60, cwd="/",
            **where.as_server_user())
        if done.returncode != 0:
            raise CtlError(f"renseictl {' '.join(args)}: "
                           f"{done.returncode}: {done.stderr}")
        return known_secrets.learn(json.loads(done.stdout or "null"))

    def org(self, name):
        """A new organisation's id."""
        return self.ctl("org", "create", name)["orgId"]

    def workspace(self, org, name):
        return self.ctl("workspace", "create", name, "--org", org)["workspaceId"]

    def client(self, org, name, scopes, **more):
        """A new M2M client; more: further options of renseictl."""
        made = self.ctl("m2m-clients", "create", "--org", org, "--name", name,
                        "--scopes", scopes, *options(more))
        return Client(made["clientId"], made["clientSecret"])

    def key(self, org, name, scopes, **more):
        """A new org-wide key."""
        more.setdefault("owner", "ops@example.org")
        made = self.ctl("org", "api-keys", "create", "--org", org, "--name",
                        name, "--scopes", scopes, *options(more))
        return Key(made["keyId"], made["token"])


def options(named):
    out = []
    for name, value in named.items():
        out += ["--" + name.replace("_", "-"), str(value)]
    return out


class Sqlite(Store):
    driver = "sqlite3"

    def __init__(self, empty=False, like=None):
        self.folder = where.run_folder("store")
        self.params = str(self.folder / "store.db")
        self.spec = "sqlite3:" + self.params
        if like:
            like.ctl("db", "backup", self.params)
        elif empty:
            open(self.params, "xb").close()
            where.own(self.params)
        else:
            self.ctl("db", "init")
        os.chmod(self.params, 0o600)
        self._kept = None

    def copy(self):
        """Not of the file alone: a server that has stopped can leave a -wal.
        When two connections are closed at once, SQLite takes neither for the
        last one."""
        return Sqlite(like=self)

    def connect(self):
        """As root its -wal and -shm must not be the first: the server's
        children could not open them, so this is only for while a server
        runs."""
        wire = sqlite3.connect(self.params, isolation_level=None, timeout=10)
        wire.execute("PRAGMA busy_timeout=10000")
        return wire

    def dump(self):
        return "\n".join(self.connect().iterdump())

    @contextlib.contextmanager
    def hold(self):
        wire = self.connect()
        wire.execute("BEGIN IMMEDIATE")
        yield
        wire.execute("ROLLBACK")
        wire.close()

    def break_(self):
        """The schema's text becomes nonsense. (Removing the file would not
        do: an open connection goes on reading it.)"""
        wire = self.connect()
        self._kept = wire.execute(
            "SELECT rowid, sql FROM sqlite_master WHERE type='table'"
        ).fetchall()
        self._rewrite(wire, [("out of order", rowid)
                             for rowid, _ in self._kept])

    def mend(self):
        self._rewrite(self.connect(), [(sql, rowid)
                                       for rowid, sql in self._kept])
        self._kept = None

    def _rewrite(self, wire, rows):
        wire.execute("PRAGMA writable_schema=ON")
        wire.execute("BEGIN IMMEDIATE")
        wire.executemany("UPDATE sqlite_master SET sql=? WHERE rowid=?", rows)
        wire.execute("PRAGMA schema_version=%d" % (
            1 + wire.execute("PRAGMA schema_version").fetchone()[0]))
        wire.execute("COMMIT")
        wire.close()

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


@functools.lru_cache(maxsize=None)
def cluster():
    """The PostgreSQL of this run of the tests."""
    from .postgres import Cluster
    made = Cluster()
    atexit.register(made.close)
    return made


class PgsqlWire:
    """What sqlite3.Connection has, as far as the tests use it."""

    def __init__(self, cluster_, database):
        self._wire = cluster_.connect(database)

    def execute(self, sql, args=()):
        cursor = self._wire.cursor()
        cursor.execute(sql.replace("%", "%%").replace("?", "%s"), args)
        return cursor

    def close(self):
        self._wire.close()


class Pgsql(Store):
    """A database of its own, in a cluster that the tests started."""

    driver = "pgsql"

    def __init__(self, empty=False, like=None):
        self.cluster = cluster()
        self.database = self.cluster.create(like and like.database)
        self.params = self.cluster.conninfo(self.database)
        self.spec = "pgsql:" + self.params
        if not empty and not like:
            self.ctl("db", "init")

    def copy(self):
        return Pgsql(like=self)

    def by_way_of(self, folder):
        """The lines that make it mod_dbd's, over the socket in another
        folder."""
        return self.dbd().replace(f"host={self.cluster.folder}",
                                  f"host={folder}")

    def connect(self):
        return PgsqlWire(self.cluster, self.database)

    def _tables(self, wire):
        return [name for name, in wire.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname='public'")]

    def dump(self):
        wire = self.connect()
        rows = [str(row) for name in self._tables(wire)
                for row in wire.execute(f"SELECT * FROM {name}")]
        wire.close()
        return "\n".join(rows)

    @contextlib.contextmanager
    def hold(self):
        self.cluster.excuse(self.database)
        wire = self.connect()
        wire.execute("BEGIN")
        wire.execute(f"LOCK TABLE {', '.join(self._tables(wire))} "
                     "IN EXCLUSIVE MODE")
        yield
        wire.execute("ROLLBACK")
        wire.close()

    # mod_dbd says so for each request that gets no connection, and in each
    # child that starts meanwhile (AH00636)
    CUT_OFF = ("AH00629", "AH00632", "AH00633", "AH00634", "AH00635",
               "AH00636", "AH00639", "AH02655")

    def break_(self):
        self.noise = self.CUT_OFF  # to the end: an old child may say so late
        self.cluster.shut(self.database)

    def mend(self):
        self.cluster.open(self.database)

    def check_log(self):
        return self.cluster.check_log()

    def close(self):
        self.cluster.drop(self.database)


KINDS = {"sqlite": Sqlite, "pgsql": Pgsql}


def kind():
    """The kind that RENSEI_E2E_STORE names."""
    named = os.environ.get("RENSEI_E2E_STORE", "sqlite")
    if named not in KINDS:
        raise SystemExit(f"RENSEI_E2E_STORE={named}: the kinds of store are "
                         + ", ".join(sorted(KINDS)))
    return named


def new(of=None, empty=False):
    """A new store, of the kind under test unless another is asked for: the
    one place where it is chosen. empty: without its tables, for the server
    to make."""
    return KINDS[of or kind()](empty)
