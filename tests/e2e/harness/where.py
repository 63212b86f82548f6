# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Where things are on this machine, and whom the server runs as."""

import atexit
import functools
import grp
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("RENSEI_BUILD", ROOT / "build")).resolve()
HTTPD = shutil.which("apache2") or shutil.which("httpd") or "/usr/sbin/apache2"
# tests/watched.sh: what is in BUILD was made with sanitizers, whose library is
# PRELOAD; or httpd and renseictl are started by WRAPPER, a program that runs
# its arguments under valgrind.
PRELOAD = os.environ.get("RENSEI_E2E_PRELOAD")
WRAPPER = os.environ.get("RENSEI_E2E_WRAPPER")
WATCHED_BY = "asan" if PRELOAD else "valgrind" if WRAPPER else None
# How many times slower than usual is still no failure. All limits of how long
# a test waits for the gateway are multiplied by it, and how long the gateway
# waits for the store.
SLOWNESS = int(os.environ.get("RENSEI_E2E_SLOWNESS", 1))
AS_ROOT = os.geteuid() == 0
USER = "www-data" if AS_ROOT else pwd.getpwuid(os.geteuid()).pw_name
GROUP = "www-data" if AS_ROOT else grp.getgrgid(os.getegid()).gr_name


@functools.lru_cache(maxsize=None)
def modules_dir():
    """The folder of httpd's own modules."""
    return subprocess.run(["apxs", "-q", "LIBEXECDIR"], check=True, text=True,
                          capture_output=True).stdout.strip()


def own(path, mode=None):
    """Gives a file or folder to the account that the server's children run
    as: who opens a SQLite database must be able to write its folder."""
    if AS_ROOT:
        account = pwd.getpwnam(USER)
        os.chown(path, account.pw_uid, account.pw_gid)
    if mode is not None:
        os.chmod(path, mode)


def run_folder(prefix):
    """A new folder that the server's account can reach and write. Not one of
    pytest's: those are 0700 and root's."""
    path = Path(tempfile.mkdtemp(prefix=f"rensei-{prefix}-"))
    own(path, 0o755)
    return path


@functools.lru_cache(maxsize=None)
def plain_tool():
    """renseictl, where the server's account can run it: a checkout may be in
    a folder that only root may enter. For what a test needs, not for what it
    is about: valgrind does not watch it, which would double the time."""
    built = BUILD / "renseictl"
    assert built.exists(), f"{built} is not there: run make first"
    if not AS_ROOT:
        return built
    return Path(shutil.copy(built, _tool_folder()))


@functools.lru_cache(maxsize=None)
def tool():
    """The same, for tests of renseictl."""
    if not WRAPPER:
        return plain_tool()
    wrapped = _tool_folder() / "watched-renseictl"
    wrapped.write_text(f'#!/bin/sh\nexec "{WRAPPER}" "{plain_tool()}" "$@"\n')
    wrapped.chmod(0o755)
    return wrapped


@functools.lru_cache(maxsize=None)
def _tool_folder():
    folder = run_folder("tool")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def as_server_user():
    """Arguments that make subprocess.run do it as the server's account. A -wal
    file that root made would shut the server's children out."""
    if not AS_ROOT:
        return {}
    account = pwd.getpwnam(USER)
    return {"user": account.pw_uid, "group": account.pw_gid,
            "extra_groups": []}
