# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Two organisations that must never see each other, in a new store."""

import copy

from . import jwt


class Org:
    def __init__(self, store, name):
        self.store, self.name = store, name
        self.id = store.org(name)
        self.workspace = store.workspace(self.id, "main")
        self.admin = store.key(self.id, name + " admin", "*")
        self._made = 0

    def client(self, scopes="sessions:read", **more):
        self._made += 1
        return self.store.client(self.id, f"client {self._made}", scopes,
                                 **more)

    def key(self, scopes="sessions:read", **more):
        self._made += 1
        return self.store.key(self.id, f"key {self._made}", scopes, **more)

    def events(self, *args):
        """The audit trail, newest first, as an operator reads it."""
        return self.store.ctl("audit", "--org", self.id, "--limit", "500",
                              *args)["events"]

    def claims(self, client, scopes=("sessions:read",), **changes):
        return jwt.claims(client.id, self.id, scopes, **changes)


class World:
    def __init__(self, store):
        self.store = store
        self.a = Org(store, "acme")
        self.b = Org(store, "bolt")

    def over(self, store):
        """The same, in a copy of its store."""
        out = copy.copy(self)
        out.store, out.a, out.b = store, copy.copy(self.a), copy.copy(self.b)
        out.a.store = out.b.store = store
        return out
