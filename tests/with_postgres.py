#!/usr/bin/python3
# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""with_postgres.py COMMAND...: runs it beside a private PostgreSQL that is
gone afterwards. RENSEI_TEST_PGSQL tells the command where that is."""

import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "e2e"))

from harness.postgres import Cluster  # noqa: E402


def main():
    cluster = Cluster()
    try:
        at = cluster.conninfo(cluster.create())
        return subprocess.run(
            sys.argv[1:], env={**os.environ, "RENSEI_TEST_PGSQL": at}
        ).returncode
    finally:
        cluster.close()


if __name__ == "__main__":
    sys.exit(main())
