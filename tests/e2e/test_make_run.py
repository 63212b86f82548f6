# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""`make run`, `make start`, `make stop`, `make install`: what somebody types
who has just cloned this, and what it leaves on his machine."""

import fcntl
import json
import os
import pty
import pwd
import re
import shutil
import signal
import stat
import struct
import subprocess
import tempfile
import termios
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from harness import where
from harness.httpd import free_port
from harness.pace import wait_for

pytestmark = pytest.mark.only("sqlite", "make run has a SQLite store")

needs_root = pytest.mark.skipif(not where.AS_ROOT, reason="only root may")
SETTINGS = ("RUN_DIR", "PORT", "CONF", "BUILD", "M2M_JWT_SECRET",
            "M2M_TOKEN_LIFETIME", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")


def environment(**more):
    plain = {k: v for k, v in os.environ.items() if k not in SETTINGS}
    return {**plain, **{k: str(v) for k, v in more.items()}}


def make(*args, **env):
    return subprocess.run(
        ["make", "-s", f"BUILD={os.path.relpath(where.BUILD, where.ROOT)}",
         *args], cwd=where.ROOT, env=environment(**env), text=True,
        capture_output=True, timeout=300)


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


class Gateway:
    """One RUN_DIR, and the port it is on."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()

    def make(self, verb, **env):
        return make(verb, **{"RUN_DIR": self.folder, "PORT": self.port, **env})

    def start(self, **env):
        done = self.make("start", **env)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def stop(self):
        done = self.make("stop")
        assert done.returncode == 0, done.stderr
        return done.stderr

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def request(self, path, token=None, method="GET", body=None):
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        wanted = urllib.request.Request(self.url(path), data, headers,
                                        method=method)
        try:
            with urllib.request.urlopen(wanted, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read().decode()

    def is_up(self):
        try:
            return self.request("/api/whoami")[0] == 401
        except OSError:
            return False

    def admin(self):
        return (self.folder / "admin.key").read_text().strip()

    def new_client(self, name="c", scopes=("sessions:read",)):
        status, text = self.request(
            "/api/admin/m2m-clients", self.admin(), "POST",
            {"name": name, "scopes": list(scopes)})
        assert status == 201, text
        return json.loads(text)["client"]

    def token(self, client):
        status, text = self.request("/api/oauth/token", None, "POST", {
            "grant_type": "client_credentials",
            "client_id": client["clientId"],
            "client_secret": client["clientSecret"]})
        assert status == 200, text
        return json.loads(text)

    def pid(self):
        return int((self.folder / "httpd.pid").read_text())


@pytest.fixture
def gateway():
    """Not started; stopped and removed after the test."""
    g = Gateway(Path(tempfile.mkdtemp(prefix="rensei-run-")))
    yield g
    g.stop()
    shutil.rmtree(g.folder)


@pytest.fixture(scope="module")
def running():
    g = Gateway(Path(tempfile.mkdtemp(prefix="rensei-run-")))
    g.said = g.start()
    yield g
    g.stop()
    shutil.rmtree(g.folder)


# ---- make start ----

def test_the_three_lines_it_prints_work_as_pasted(running):
    lines = running.said.split("in another terminal:")[1].strip()
    assert lines.count("\n") == 2
    done = subprocess.run(["sh", "-eu", "-c", lines], text=True, timeout=30,
                          capture_output=True, cwd="/")
    assert done.returncode == 0 and not done.stderr
    client, token, whoami = done.stdout.splitlines()
    client_id = json.loads(client)["client"]["clientId"]
    assert token.count(".") == 2
    assert json.loads(whoami)["sub"] == client_id
    assert json.loads(whoami)["scopes"] == ["sessions:read"]


def test_the_demo_resources(running):
    client = running.new_client()
    token, org = running.token(client)["access_token"], client["orgId"]
    sessions, projects = "/api/public/sessions", "/api/org/{}/projects"
    assert running.request(sessions, token)[0] == 200
    assert running.request(sessions, token, "POST", {})[0] == 403
    assert running.request(projects.format(org), token)[0] == 200
    assert running.request(projects.format("org_" + "0" * 26), token)[0] == 403
    assert running.request(projects.format(org))[0] == 401
    writer = running.token(running.new_client("w", ["sessions:write"]))
    assert running.request(projects.format(org),
                           writer["access_token"])[0] == 403
    assert running.request(sessions, writer["access_token"], "POST",
                           {})[0] == 200


def test_the_admin_api_wants_an_org_key(running):
    client = running.new_client()
    token, org = running.token(client)["access_token"], client["orgId"]
    for path in ("/api/admin/m2m-clients", f"/api/org/{org}/keys",
                 f"/api/org/{org}/audit"):
        assert running.request(path, running.admin())[0] == 200
        assert running.request(path, token)[0] == 401
        assert running.request(path)[0] == 401
    status, text = running.request("/api/org/api-keys", running.admin(), "POST", {
        "name": "reader", "keyType": "user", "userId": "u",
        "scopes": ["sessions:read"]})
    assert status == 201
    user = json.loads(text)["token"]
    assert running.request("/api/admin/m2m-clients", user)[0] == 403


def test_all_else_is_closed(running):
    for path in ("/", "/index.html", "/api", "/api/org", "/server-status",
                 "/api/oauth", "/api/organisation"):
        assert running.request(path, running.admin())[0] == 403, path
    assert running.request("/api/whoami", method="TRACE")[0] == 405


def test_what_it_writes_is_private(running):
    for name in ("admin.key", "jwt.secret", "data/store.db"):
        assert mode(running.folder / name) == 0o600, name
    for name in ("data", "logs"):
        assert mode(running.folder / name) == 0o700, name
    assert re.fullmatch(r"rsk_live_[0-9a-f]{64}", running.admin())
    conf = (running.folder / "httpd.conf").read_text()
    assert (running.folder / "jwt.secret").read_text() not in conf
    assert "@" not in re.sub(r"(?m)^#.*", "", conf)


@needs_root
def test_as_root_only_the_store_is_the_servers(running):
    """Who may write to a folder where root writes can put a link there, and
    have root write elsewhere."""
    owners = {name: (running.folder / name).owner() for name in
              (".", "logs", "data", "data/store.db", "httpd.conf",
               "jwt.secret", "admin.key")}
    assert {n for n, o in owners.items() if o != "root"} == {
        "data", "data/store.db"}
    assert owners["data"] == "www-data"

    def children():
        return set(subprocess.run(
            ["ps", "-o", "user=", "--ppid", str(running.pid())], text=True,
            capture_output=True, check=True).stdout.split())
    # root's for a moment, each of them, when it starts
    wait_for(lambda: children() == {"www-data"}, children)


def test_a_second_start_says_so(running):
    before = running.pid()
    done = running.make("start")
    assert done.returncode == 0
    assert f"runs already (pid {before})" in done.stderr
    done = running.make("run")
    assert done.returncode != 0 and "make stop" in done.stderr
    assert running.pid() == before and running.is_up()


def test_a_port_that_is_taken(running, gateway):
    done = gateway.make("start", PORT=running.port)
    assert done.returncode != 0
    assert f"port {running.port} is taken" in done.stderr
    assert f"make start PORT={running.port + 1}" in done.stderr
    assert not any(gateway.folder.iterdir())
    assert running.is_up()


@pytest.mark.parametrize("port", ["", "abc", "0", "65536", "123456", "80 81"])
def test_a_port_that_is_none(gateway, port):
    if port == "":
        port = "''"
    done = gateway.make("start", PORT=port)
    assert done.returncode != 0 and "is not a port" in done.stderr


def test_a_restart_keeps_everything(gateway):
    gateway.start()
    client, key = gateway.new_client("kept"), gateway.admin()
    token = gateway.token(client)["access_token"]
    assert gateway.stop() == "Stopped.\n"
    assert not gateway.is_up()
    gateway.start()
    assert gateway.admin() == key
    assert gateway.request("/api/whoami", token)[0] == 200
    listed = json.loads(gateway.request("/api/admin/m2m-clients", key)[1])
    assert [c["name"] for c in listed["clients"]] == ["kept"]


def test_an_interrupted_first_start_is_taken_up(gateway):
    gateway.start()
    gateway.stop()
    (gateway.folder / "admin.key").unlink()
    (gateway.folder / "jwt.secret").unlink()
    gateway.start()
    assert gateway.request("/api/whoami", gateway.admin())[0] == 200


def test_a_new_store_has_a_new_key(gateway):
    gateway.start()
    gateway.stop()
    shutil.rmtree(gateway.folder / "data")
    gateway.start()
    assert gateway.request("/api/whoami", gateway.admin())[0] == 200


def assert_secret_is_nowhere(gateway, secret):
    files = [p for p in gateway.folder.rglob("*") if p.is_file()]
    assert gateway.folder / "httpd.conf" in files
    assert gateway.folder / "jwt.secret" not in files
    for path in files:
        assert secret.encode() not in path.read_bytes(), path
    for what in ("cmdline", "environ"):
        shown = Path(f"/proc/{gateway.pid()}/{what}").read_bytes()
        assert shown and secret.encode() not in shown, what


def test_secret_and_lifetime_come_from_the_environment(gateway):
    secret = "a-secret-of-the-administrators-own-0123456789"
    gateway.start(M2M_JWT_SECRET=secret, M2M_TOKEN_LIFETIME=120)
    token = gateway.token(gateway.new_client())
    assert token["expires_in"] == 120
    assert gateway.request("/api/whoami", token["access_token"])[0] == 200
    assert_secret_is_nowhere(gateway, secret)


def test_a_secret_on_makes_command_line_goes_no_further(gateway):
    """make hands its command line on, in MAKEFLAGS, to all that it starts."""
    secret = "a-secret-of-the-administrators-own-0123456789"
    done = make("start", f"M2M_JWT_SECRET={secret}", f"PORT={gateway.port}",
                f"RUN_DIR={gateway.folder}")
    assert done.returncode == 0, done.stderr
    assert secret not in done.stdout + done.stderr
    assert_secret_is_nowhere(gateway, secret)


def test_why_it_does_not_start_is_said(gateway):
    done = gateway.make("start", M2M_JWT_SECRET="short")
    assert done.returncode != 0
    assert "M2M_JWT_SECRET has 5 bytes" in done.stderr
    assert "httpd did not start" in done.stderr
    assert not gateway.is_up()


def test_a_configuration_of_ones_own_is_read_last(gateway):
    mine = gateway.folder / "mine.conf"
    mine.write_text('<Location "/api/whoami">\nRequire all denied\n'
                    "</Location>\nRenseiTokenLifetime 61\n")
    os.chmod(gateway.folder, 0o711)
    gateway.start(CONF=mine)
    assert gateway.token(gateway.new_client())["expires_in"] == 61
    gateway.stop()
    mine.write_text("RenseiNonsense On\n")
    done = gateway.make("start", CONF=mine)
    assert done.returncode != 0 and "RenseiNonsense" in done.stderr
    done = gateway.make("start", CONF=gateway.folder / "none.conf")
    assert done.returncode != 0 and "cannot be read" in done.stderr


def test_a_path_that_would_end_the_quotes_is_refused(gateway):
    done = gateway.make("start", RUN_DIR=f'{gateway.folder}/a"\nListen 1')
    assert done.returncode != 0 and "only letters" in done.stderr
    assert not any(gateway.folder.iterdir())


# ---- make stop ----

def test_stop_when_nothing_runs(gateway):
    assert gateway.stop() == "It does not run.\n"


def test_a_pid_file_that_is_out_of_date_stops_nobody_else(gateway):
    """The number in the file may be another process's by now."""
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        (gateway.folder / "httpd.pid").write_text(f"{bystander.pid}\n")
        assert gateway.stop() == "It does not run.\n"
        assert not (gateway.folder / "httpd.pid").exists()
        (gateway.folder / "httpd.pid").write_text(f"{bystander.pid}\n")
        os.mkdir(gateway.folder / "data", 0o700)
        gateway.start()
        assert gateway.pid() != bystander.pid and gateway.is_up()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


# ---- make run ----

def not_ignored():
    """What is ignored when the tests start, as nohup leaves SIGHUP, and a
    script SIGINT in what it starts in the background, stays ignored in all
    that they start; and no shell can change that."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """`make run` in a terminal of its own."""

    def __init__(self, gateway):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            not_ignored()
            os.chdir(where.ROOT)
            build = os.path.relpath(where.BUILD, where.ROOT)
            os.execvpe("make", ["make", "-s", f"BUILD={build}", "run"],
                       environment(RUN_DIR=gateway.folder, PORT=gateway.port))

    def wait_until(self, condition):
        """Reads what is said meanwhile: a terminal that is full stops who
        writes to it."""
        said = bytearray()

        def now():
            said.extend(self.read())
            return condition()
        wait_for(now, lambda: said.decode(errors="replace"), 120)

    def read(self):
        flags = fcntl.fcntl(self.fd, fcntl.F_GETFL)
        fcntl.fcntl(self.fd, fcntl.F_SETFL, flags | os.O_NONBLOCK)
        try:
            return os.read(self.fd, 65536)
        except OSError:
            return b""

    def has_ended(self):
        return os.waitpid(self.pid, os.WNOHANG)[0] == self.pid


def test_run_ends_with_ctrl_c_and_not_with_a_resized_terminal(gateway):
    """A resize sends SIGWINCH to what is in the foreground; to httpd, that
    means to stop."""
    terminal = Terminal(gateway)
    terminal.wait_until(gateway.is_up)
    for rows in (40, 41, 42):
        fcntl.ioctl(terminal.fd, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, 100, 0, 0))
        time.sleep(0.3)
    assert gateway.is_up()
    pid = gateway.pid()
    os.write(terminal.fd, b"\x03")
    terminal.wait_until(terminal.has_ended)
    assert not Path(f"/proc/{pid}").exists() and not gateway.is_up()
    assert "caught SIGTERM" in (gateway.folder
                                / "logs/error.log").read_text()


@pytest.mark.parametrize("send, number", [
    (os.kill, signal.SIGTERM),      # a supervisor, to make alone
    (os.killpg, signal.SIGHUP)])    # a terminal that closes, to all in it
def test_run_ends_with_whoever_started_it(gateway, send, number):
    build = os.path.relpath(where.BUILD, where.ROOT)
    started = subprocess.Popen(
        ["make", "-s", f"BUILD={build}", "run"], cwd=where.ROOT,
        env=environment(RUN_DIR=gateway.folder, PORT=gateway.port),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True, preexec_fn=not_ignored)
    wait_for(gateway.is_up, seconds=120)
    pid = gateway.pid()
    send(started.pid, number)
    started.wait(timeout=120)
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), seconds=60)


# ---- whoever starts it ----

@needs_root
def test_where_the_server_cannot_get_to(gateway):
    """A checkout in a folder of root's own: the server's account could not
    open its store there."""
    closed = Path(tempfile.mkdtemp(prefix="rensei-closed-"))
    gateway.folder, kept = closed / "run", gateway.folder
    try:
        done = gateway.make("start")
        assert done.returncode == 0, done.stderr
        target = Path(os.readlink(gateway.folder))
        assert target.parent == Path("/var/tmp") and closed.name in target.name
        assert f"is a link to {target}" in done.stderr
        assert mode(closed) == 0o700
        assert gateway.request("/api/whoami", gateway.admin())[0] == 200
        gateway.stop()
        assert "is a link" not in gateway.make("start").stderr
        gateway.stop()
        shutil.rmtree(target)
        gateway.start()
        gateway.stop()
        shutil.rmtree(target)
        # Somebody else was there first.
        target.mkdir()
        os.chown(target, pwd.getpwnam("nobody").pw_uid, -1)
        os.unlink(gateway.folder)
        done = gateway.make("start")
        assert done.returncode != 0 and "not a folder of root's" in done.stderr
        target.rmdir()
    finally:
        gateway.stop()
        shutil.rmtree(closed)
        gateway.folder = kept


@needs_root
def test_a_folder_with_other_things_is_not_opened(gateway):
    (gateway.folder / "diary").write_text("dear diary")
    done = gateway.make("start")
    assert done.returncode != 0 and "other things" in done.stderr
    assert mode(gateway.folder) == 0o700


@pytest.fixture
def nobodys(gateway):
    """A copy of what run.sh needs, that belongs to an ordinary user."""
    nobody = pwd.getpwnam("nobody")
    tree = Path(tempfile.mkdtemp(prefix="rensei-tree-"))
    for name in ("conf.d", "support"):
        shutil.copytree(where.ROOT / name, tree / name)
    (tree / "build").mkdir()
    for name in ("renseictl", "mod_rensei_auth.so", "mod_rensei_token.so",
                 "mod_rensei_admin.so"):
        shutil.copy(where.BUILD / name, tree / "build")
    for path in [tree, *tree.rglob("*")]:
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    os.chmod(tree, 0o755)

    def run(verb, **env):
        return subprocess.run(
            ["sh", tree / "support/run.sh", verb], text=True, cwd="/",
            capture_output=True, timeout=60, user=nobody.pw_uid,
            group=nobody.pw_gid, extra_groups=[],
            env=environment(**{"PORT": gateway.port, **env}))

    gateway.folder, kept = tree / "run", gateway.folder
    yield run
    run("stop")
    gateway.folder = kept
    shutil.rmtree(tree)


@needs_root
def test_as_an_ordinary_user(gateway, nobodys):
    done = nobodys("start")
    assert done.returncode == 0, done.stderr
    assert gateway.request("/api/whoami", gateway.admin())[0] == 200
    assert {p.owner() for p in gateway.folder.rglob("*")} == {"nobody"}
    assert Path(f"/proc/{gateway.pid()}").owner() == "nobody"
    assert "User " not in (gateway.folder / "httpd.conf").read_text()
    # Root does not take over what an ordinary user has made.
    done = gateway.make("start")
    assert done.returncode == 0 and "runs already" in done.stderr
    done = gateway.make("start", PORT=free_port())
    assert done.returncode != 0 and "another port" in done.stderr
    assert nobodys("stop").stderr == "Stopped.\n"
    done = gateway.make("start")
    assert done.returncode != 0 and "belongs to nobody" in done.stderr


@needs_root
def test_an_ordinary_user_where_root_was(running, nobodys):
    done = nobodys("start", RUN_DIR=running.folder, PORT=running.port)
    assert done.returncode == 0 and "runs already" in done.stderr
    done = nobodys("stop", RUN_DIR=running.folder)
    assert done.returncode != 0 and "cannot be stopped by you" in done.stderr
    assert running.is_up()
    roots = Path(tempfile.mkdtemp(prefix="rensei-roots-"))
    roots.chmod(0o755)
    done = nobodys("start", RUN_DIR=roots)
    assert done.returncode != 0 and "you cannot write to" in done.stderr
    roots.rmdir()


# ---- packages ----

@pytest.fixture
def machine():
    """A PATH where some packages are missing, and apt-get notes what it was
    asked for."""
    folder = Path(tempfile.mkdtemp(prefix="rensei-path-"))

    def tool(name, text):
        (folder / name).write_text("#!/bin/sh\n" + text + "\n")
        (folder / name).chmod(0o755)

    tool("dpkg-query", 'for last; do :; done\n'
         'case " libjansson-dev libssl-dev " in\n'
         f'*" $last "*) [ -e {folder}/installed ] || exit 1 ;;\nesac\n'
         "echo installed")
    tool("apt-get", f'echo "$@" >>{folder}/asked; touch {folder}/installed')
    tool("id", "echo 1000")
    tool("sudo", 'exit 1')

    def run(*args):
        return subprocess.run(
            ["sh", where.ROOT / "support/packages.sh", *args], text=True,
            capture_output=True, timeout=30,
            env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})

    run.folder, run.tool = folder, tool
    yield run
    shutil.rmtree(folder)


def test_packages_that_are_there(machine):
    (machine.folder / "installed").touch()
    stamp = machine.folder / "sub" / "stamp"
    done = machine("--install", "--stamp", stamp, "build", "run", "test",
                   "lint")
    assert done.returncode == 0 and not done.stdout + done.stderr
    assert stamp.exists() and not (machine.folder / "asked").exists()


def test_packages_that_are_missing_are_named(machine):
    for args in (["build"], ["--install", "build", "run"]):
        done = machine(*args)
        assert done.returncode == 1
        assert "  sudo apt-get install libjansson-dev libssl-dev\n" \
            in done.stderr
    assert not (machine.folder / "asked").exists()


def test_packages_are_installed_where_sudo_does_not_ask(machine):
    machine.tool("sudo", '[ "$1" = -n ] || exit 1\nshift\nexec "$@"')
    assert machine("build").returncode == 1
    stamp = machine.folder / "stamp"
    stamp.touch()
    os.utime(stamp, (1, 1))
    done = machine("--install", "--stamp", stamp, "build")
    assert done.returncode == 0, done.stderr
    assert (machine.folder / "asked").read_text() == (
        "install -y --no-install-recommends libjansson-dev libssl-dev\n")
    assert stamp.stat().st_mtime > 1


def test_packages_for_no_purpose(machine):
    assert machine("fun").returncode == 2


# ---- make install ----

def test_install(gateway):
    dest = gateway.folder / "dest"
    modules = where.modules_dir()
    done = make("install", DESTDIR=dest, PREFIX="/usr")
    assert done.returncode == 0, done.stderr
    for name in ("auth", "token", "admin"):
        assert (dest / f"{modules[1:]}/mod_rensei_{name}.so").is_file()
    assert os.access(dest / "usr/bin/renseictl", os.X_OK)
    conf, = dest.rglob("rensei.conf")
    shipped = (where.ROOT / "conf.d/rensei.conf").read_text()
    assert conf.read_text() == shipped
    conf.write_text("# mine\n")
    assert "is left" in make("install", DESTDIR=dest).stdout
    assert conf.read_text() == "# mine\n"
    assert conf.with_name("rensei.conf.new").read_text() == shipped


@pytest.mark.skipif(not shutil.which("a2enmod"), reason="this is not Debian")
def test_install_is_switched_on_as_debian_does(gateway):
    """a2enmod follows `# Depends:`; httpd then takes the configuration as it
    is installed."""
    dest, modules = gateway.folder / "dest", where.modules_dir()
    assert make("install", DESTDIR=dest).returncode == 0
    etc = dest / "etc/apache2"
    for name in ("mods-enabled", "conf-enabled"):
        (etc / name).mkdir()
    for path in Path("/etc/apache2/mods-available").iterdir():
        shutil.copy(path, etc / "mods-available")
    env = environment(APACHE_CONFDIR=etc, APACHE_STATEDIR=gateway.folder)
    for tool, what in (("a2enmod", ["mpm_event", "rensei_token",
                                    "rensei_admin"]),
                       ("a2enconf", ["rensei"])):
        done = subprocess.run([tool, "-q", *what], env=env, text=True,
                              capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr
    enabled = {p.name for p in (etc / "mods-enabled").iterdir()}
    assert {"dbd.load", "rensei_auth.load", "authn_core.load",
            "authz_user.load"} <= enabled
    for path in (etc / "mods-available").glob("rensei_*.load"):
        path.write_text(path.read_text().replace(modules, f"{dest}{modules}"))
    secret = gateway.folder / "secret"
    secret.write_text("5ec2e7" * 12)
    secret.chmod(0o600)
    (gateway.folder / "data").mkdir()
    store = gateway.folder / "data" / "store.db"
    store.touch(0o600)
    where.own(store.parent)
    where.own(store)
    main = gateway.folder / "test.conf"
    main.write_text(
        f'ServerRoot "{gateway.folder}"\nListen 127.0.0.1:{gateway.port}\n'
        f"ServerName localhost\nErrorLog {gateway.folder}/error.log\n"
        f"PidFile {gateway.folder}/pid\n"
        f"Include {etc}/mods-enabled/*.load\n"
        f"Include {etc}/conf-enabled/*.conf\n"
        f"RenseiSecret file:{secret}\n"
        f"DBDParams {store}\n"
        + (f"User {where.USER}\nGroup {where.USER}\n" if where.AS_ROOT
           else ""))
    done = subprocess.run([where.HTTPD, "-t", "-f", main], text=True,
                          capture_output=True)
    assert done.returncode == 0 and "Syntax OK" in done.stderr, done.stderr
