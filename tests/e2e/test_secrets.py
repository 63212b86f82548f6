# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Where the signing secret must not be seen: the process table, the server's
own pages about itself, its logs."""

import re
import subprocess
import time

import pytest

from harness import conf, jwt, known_secrets, where

INFO = """
<Location "/server-info">
  SetHandler server-info
</Location>
<Location "/server-status">
  SetHandler server-status
</Location>
ExtendedStatus On
"""


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd(INFO + conf.API, store=world.store)


FILE_SECRET = known_secrets.add("a secret that lives in a file of root's own")
EXEC_SECRET = known_secrets.add("a secret that a program prints on demand...")
OLD_SECRET = known_secrets.add("the secret of last year, which still verifies")


# What /proc/PID/environ shows is the stack that the kernel made.
not_under_valgrind = pytest.mark.not_under(
    "valgrind", "valgrind gives its own copy of the environment to the program")


def environment(pid):
    """Nothing of a child that is just ending after a restart."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as listing:
            return listing.read()
    except (FileNotFoundError, ProcessLookupError):
        return b""


@not_under_valgrind
def test_the_environment_of_the_processes(gate, world):
    """Anyone of that account, and every crash report, reads
    /proc/PID/environ; a CGI would inherit it."""
    assert gate.get("/api/whoami", token=world.a.admin.token).status == 200
    pids = [gate.process.pid] + gate.children()
    assert len(pids) >= 3
    for pid in pids:
        assert gate.secret.encode() not in environment(pid), pid
    # it is read at all: what else was set there is seen
    assert b"PATH=" in environment(gate.process.pid)


@not_under_valgrind
def test_the_environment_after_a_graceful_restart(gate):
    gate.graceful()
    seen = [environment(pid) for pid in [gate.process.pid] + gate.children()]
    assert all(gate.secret.encode() not in text for text in seen)
    assert sum(bool(text) for text in seen) >= 2


def test_the_command_line(gate):
    for pid in [gate.process.pid] + gate.workers():
        with open(f"/proc/{pid}/cmdline", "rb") as listing:
            assert gate.secret.encode() not in listing.read()


def test_server_info(gate):
    """`${VAR}` in a directive would be shown here in full: that is why a
    secret is named by its source."""
    for page in ("/server-info", "/server-info?config", "/server-status",
                 "/server-info?list", "/server-info?server"):
        answer = gate.get(page)
        assert answer.status == 200, answer
        assert not known_secrets.found_in(answer.text), page
    assert "mod_rensei_auth" in gate.get("/server-info").text


@pytest.fixture
def sources(launch_here, world):
    """A server with a secret of each kind."""
    server = launch_here.httpd(
        'RenseiSecret "exec:@DIR@/secret.sh" file:@DIR@/secret '
        "env:OLD_SECRET\n" + INFO + conf.API, store=world.store, start=False,
        env={"M2M_JWT_SECRET": None, "OLD_SECRET": OLD_SECRET}, children=1)
    server.file("secret.sh", f"#!/bin/sh\necho '{EXEC_SECRET}'\n", 0o700,
                owner=not where.AS_ROOT)
    server.file("secret", FILE_SECRET + "\n", 0o600, owner=not where.AS_ROOT)
    return server


def test_a_dump_of_the_configuration(sources):
    sources.write()
    for dump in ("DUMP_CONFIG", "DUMP_RUN_CFG", "DUMP_VHOSTS",
                 "DUMP_MODULES"):
        done = subprocess.run(sources.command("-t", "-D", dump),
                              env=sources.env, text=True, timeout=30,
                              capture_output=True)
        assert done.returncode == 0, done.stderr
        said = done.stdout + done.stderr
        assert not known_secrets.found_in(said), dump
    done = subprocess.run(sources.command("-t", "-D", "DUMP_CONFIG"),
                          env=sources.env, text=True, capture_output=True)
    assert "RenseiSecret" in done.stdout


@not_under_valgrind
def test_every_source(sources, world):
    """The first signs, all verify; a line's end after the secret is not part
    of it; and none shows."""
    sources.start()
    client = world.a.client()
    token = sources.token(client)
    jwt.verified(token, EXEC_SECRET)
    assert sources.get("/api/whoami", token=token).status == 200
    for secret in (EXEC_SECRET, FILE_SECRET, OLD_SECRET):
        made = jwt.mint(secret, world.a.claims(client))
        assert sources.get("/api/whoami", token=made).status == 200, secret
    other = jwt.mint(FILE_SECRET + "\n", world.a.claims(client))
    assert sources.get("/api/whoami", token=other).status == 401
    for pid in [sources.process.pid] + sources.children():
        assert not known_secrets.found_in(environment(pid).decode("latin-1"))
    for page in ("/server-info", "/server-status"):
        assert not known_secrets.found_in(sources.get(page).text)


def test_the_file_is_read_before_privileges_are_dropped(sources):
    """The server's account cannot read it, and need not."""
    sources.start()
    if where.AS_ROOT:
        stat = (sources.dir / "secret").stat()
        assert (stat.st_uid, stat.st_mode & 0o777) == (0, 0o600)
        done = subprocess.run(["cat", sources.dir / "secret"],
                              capture_output=True, **where.as_server_user())
        assert done.returncode != 0
    token = jwt.mint(FILE_SECRET, jwt.claims("m2m_" + "a" * 32, "org_x", []))
    answer = sources.get("/api/whoami", token=token)
    assert answer.error == (401, "invalid_token")
    assert "signature" not in answer.challenge.error_description


def test_what_exec_runs_gets_a_fixed_environment(launch_here):
    """Whatever was in the environment of apachectl, other secrets too, is not
    handed to the program; and it ends within a time limit."""
    server = launch_here.httpd(
        'RenseiSecret "exec:@DIR@/secret.sh"\nRenseiRevocation expiry\n'
        + conf.protected("/x", "SetHandler rensei-whoami",
                         "RenseiAccept m2m"),
        start=False, env={"TELLTALE": "1"})
    server.file("secret.sh", "#!/bin/sh\nenv > \"$(dirname \"$0\")/seen\"\n"
                f"echo '{EXEC_SECRET}'\n", 0o700, owner=not where.AS_ROOT)
    server.start()
    seen = (server.dir / "seen").read_text()
    assert "TELLTALE" not in seen
    assert server.secret not in seen


def test_a_program_that_hangs_or_fails(launch_here):
    server = launch_here.httpd(
        'RenseiSecret "exec:@DIR@/secret.sh"\nRenseiRevocation expiry\n'
        + conf.protected("/x", "SetHandler rensei-whoami",
                         "RenseiAccept m2m"), start=False)
    for script, what in (("exit 3", "fails"), ("echo short", "is short"),
                         ("exec sleep 60", "hangs"), ("yes", "never ends")):
        server.file("secret.sh", f"#!/bin/sh\n{script}\n", 0o700,
                    owner=not where.AS_ROOT)
        since = time.monotonic()
        server.write()
        # Not to a pipe: what the script left running would hold it open.
        with open(server.dir / "said", "w") as said:
            done = subprocess.run(server.command("-DFOREGROUND"),
                                  env=server.env, stdout=said, stderr=said,
                                  timeout=60)
        assert done.returncode != 0, what
        assert "RenseiSecret" in (server.dir / "said").read_text(), what
        assert time.monotonic() - since < 30, what


def test_tokens_and_keys_are_not_in_the_store(gate, world):
    """Only digests: who reads the database, or a backup of it, has no
    credential."""
    client, key = world.a.client(), world.a.key()
    token = gate.token(client)
    assert gate.get("/api/whoami", token=token).status == 200
    assert gate.get("/api/whoami", token=key.token).status == 200
    dump = world.store.dump()
    assert key.id in dump and client.id in dump
    shown = [secret for secret in known_secrets.found_in(dump)]
    assert not shown


def test_an_answer_shows_next_to_nothing_of_a_secret(gate, world):
    """The last four characters, or a stored prefix: never eight in a row."""
    admin = world.a.admin.token
    client, key = world.a.client(), world.a.key()
    for path, secret in ((f"/api/admin/m2m-clients/{client.id}",
                          client.secret),
                         (f"/api/org/{world.a.id}/keys/{key.id}", key.token)):
        answer = gate.get(path, token=admin)
        assert answer.status == 200, answer
        digits = re.sub(r"^(m2ms_|rsk_live_)", "", secret)
        assert len(digits) == 64
        for at in range(len(digits) - 8):
            assert digits[at:at + 8] not in answer.text
        assert "sha256" not in answer.text
