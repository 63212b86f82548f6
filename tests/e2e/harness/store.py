# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""The store under test, made with renseictl as an operator would make it."""

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

    def dbd(self):
        """The lines that make it mod_dbd's."""
        return (f"DBDriver {self.driver}\n"
                f'DBDParams "{self.params}"\n'
                "DBDMin 1\nDBDKeep 4\nDBDMax 8\n")

    def ctl(self, *args):
        """Runs renseictl --json as the server's account; its answer."""
        done = subprocess.run(
            [where.tool(), "--json", "--store", self.spec, *args],
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

    def __init__(self):
        self.folder = where.run_folder("store")
        self.params = str(self.folder / "store.db")
        self.spec = "sqlite3:" + self.params
        self.ctl("db", "init")
        os.chmod(self.params, 0o600)
        self._kept = None

    def connect(self):
        """Another program's connection to the same file. As root its -wal and
        -shm must not be the first: the server's children could not open
        them, so this is only for while a server runs."""
        wire = sqlite3.connect(self.params, isolation_level=None, timeout=10)
        wire.execute("PRAGMA busy_timeout=10000")
        return wire

    def break_(self):
        """Makes every statement fail, on connections old and new, until
        mend(): the schema's text becomes nonsense. (Removing the file would
        not do: an open connection goes on reading it.)"""
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


KINDS = {"sqlite": Sqlite}


def new():
    """A new store of the kind that RENSEI_E2E_STORE names: the one place
    where it is chosen."""
    kind = os.environ.get("RENSEI_E2E_STORE", "sqlite")
    if kind not in KINDS:
        raise SystemExit(f"RENSEI_E2E_STORE={kind}: the kinds of store are "
                         + ", ".join(sorted(KINDS)))
    return KINDS[kind]()
