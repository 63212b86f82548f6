# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""A dump of PostgreSQL, put back as docs/backup.md says, under a gateway that
nobody stopped."""

import pytest

from harness import conf, where
from harness.load import check_store
from harness.oauth import WHOAMI
from harness.pace import wait_for
from harness.world import World

pytestmark = pytest.mark.only("pgsql", "SQLite: test_backup.py")

LEAP = "UPDATE rensei_sequence SET value = value + 1000000000"
# it may ask just while the tables are dropped and made anew
MEANWHILE = ("RS0010", "RS0014", "RS0031", "RS0101")


@pytest.fixture
def kept(launch_here):
    store = launch_here.store()
    store.cluster.excuse(store.database)
    return store


def tool(store, name, *args):
    store.cluster.tool(name, "--host", str(store.cluster.folder),
                       "--username", "postgres", *args)


def test_a_dump_is_put_back(launch_here, kept):
    """What was made after it is unknown, though the gateway had it in its
    cache; what was revoked after it is good again; all else as ever."""
    world = World(kept)
    gate = launch_here.httpd(conf.ISSUER, store=kept)
    gate.allow_log(*MEANWHILE)

    def says(key):
        return gate.get(WHOAMI, token=key.token).status

    old, revoked, client = world.a.key(), world.a.key(), world.a.client()
    token = gate.token(client)
    dump = str(kept.cluster.folder / f"{kept.database}.dump")
    tool(kept, "pg_dump", "--format=custom", "--file=" + dump, kept.database)

    later = world.a.key()
    kept.ctl("org", "api-keys", "revoke", revoked.id)
    wait_for(lambda: says(revoked) == 401)
    for _ in range(4 * 2):  # each child has it
        assert says(later) == says(old) == 200

    tool(kept, "pg_restore", "--clean", "--if-exists", "--single-transaction",
         "--dbname=" + kept.database, dump)
    kept.cluster.execute(LEAP, database=kept.database)
    wait_for(lambda: says(later) == 401, seconds=where.SLOWNESS)
    assert says(old) == says(revoked) == 200
    assert gate.get(WHOAMI, token=token).status == 200
    assert gate.get(WHOAMI, token=gate.token(client)).status == 200
    assert says(world.a.key()) == 200
    check_store(kept)
