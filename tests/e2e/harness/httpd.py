# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""The distribution's httpd with our modules, one server a test module."""

import contextlib
import fcntl
import functools
import itertools
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import http, known_secrets, where

START_TIMEOUT = 60 * where.SLOWNESS  # seconds
CHILDREN_TIMEOUT = 5 * where.SLOWNESS
SECRET = "M2M_JWT_SECRET"
OURS = ("rensei_auth", "rensei_token", "rensei_admin")

# mod_access_compat is there for Satisfy, mod_info for what it must not show.
STOCK = """authn_core authn_file authz_core authz_host authz_user
auth_basic access_compat alias rewrite headers env setenvif dir mime actions
cgid proxy proxy_http unique_id status info""".split()

BASE = """\
ServerRoot "@DIR@"
DefaultRuntimeDir "@DIR@"
PidFile "@DIR@/httpd.pid"
ScriptSock "@DIR@/cgid.sock"
ServerName localhost
Listen 127.0.0.1:@PORT@
<IfModule unixd_module>
  User @USER@
  Group @GROUP@
</IfModule>
ErrorLog "@DIR@/error.log"
LogLevel info
@LOGLEVEL@
LogFormat "%h %l %u %t \\"%r\\" %>s %b %{UNIQUE_ID}e %P %{RENSEI_SUB}e" test
CustomLog "@DIR@/access.log" test
TraceEnable Off
StartServers @CHILDREN@
ServerLimit @SLOTS@
<IfModule mpm_prefork_module>
  MinSpareServers @CHILDREN@
  MaxSpareServers @CHILDREN@
  MaxRequestWorkers @SLOTS@
</IfModule>
<IfModule !mpm_prefork_module>
  ThreadsPerChild 25
  MinSpareThreads @SPARE@
  MaxRequestWorkers @WORKERS@
  MaxSpareThreads 1000
</IfModule>
MaxConnectionsPerChild 0
KeepAlive On
KeepAliveTimeout 120
MaxKeepAliveRequests 0
Timeout 20
GracefulShutdownTimeout 5
TypesConfig /dev/null
DocumentRoot "@DIR@/htdocs"
<Directory "/">
  Options FollowSymLinks
  AllowOverride None
  Require all denied
</Directory>
<Directory "@DIR@/htdocs">
  Require all granted
</Directory>
"""

# A denial is half of what these tests ask for, and mod_authz_core reports
# each one at error level: "authorization failure" and "client denied".
DENIALS = ("AH01631", "AH01630")

# "within MinSpareThreads of MaxRequestWorkers": a child's worth of threads was
# at work, or still writing the access log, when httpd looked, once a second.
BUSY = {"AH10159"}

LINE = re.compile(r"^\[[^]]+\] \[([^]:]*):(emerg|alert|crit|error)\]")
CRASH = re.compile(r"exit signal|AddressSanitizer|runtime error:|"
                   r"double free|stack smashing|Assertion .* failed")


UP = "resuming normal operations"
# states in /proc/net/tcp
OPEN = ("01", "08")  # established, closed by the client
LISTENS = ("0A",)
LOGS = ("error.log", "access.log", "console.log")


def secrets_in(texts):
    """The lines of logs (name to text) that show a secret."""
    out = []
    for name, text in texts.items():
        for secret in known_secrets.found_in(text):
            line = next(x for x in text.splitlines() if secret in x)
            out.append(f"a secret in {name}: {line}")
    return out


def load_lines(modules, stock=STOCK):
    out = []
    folder = where.modules_dir()
    for name in stock:
        path = os.path.join(folder, f"mod_{name}.so")
        if os.path.exists(path):  # else it is built in
            out.append(f'<IfModule !{name}_module>\n'
                       f'LoadModule {name}_module "{path}"\n</IfModule>')
    for name in modules:
        out.append(f'LoadModule {name}_module "{where.BUILD}/mod_{name}.so"')
    return "\n".join(out) + "\n"


RUNS = 32  # of the tests, at the same time, that have ports of their own


@functools.lru_cache(maxsize=None)
def _ports():
    """This run's, in turn. None that a client gets for its end of a
    connection, or that another run uses: one of these, free now, would not
    always be so any more when a server starts."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as text:
        low, high = map(int, text.read().split())
    below, above = range(10240, low), range(high + 1, 65536)
    ports = below if len(below) > len(above) else above
    size = len(ports) // RUNS
    assert size > 10, "too few ports that are no client's"
    for n in range(RUNS):
        path = os.path.join(tempfile.gettempdir(), f"rensei-ports-{n}.lock")
        try:
            lock = open(path, "a")
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        return lock, itertools.cycle(ports[n * size:(n + 1) * size])
    raise AssertionError("too many runs of the tests at the same time")


def free_port():
    """For a server that starts soon."""
    _lock, ports = _ports()
    for port in itertools.islice(ports, 1000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass
    raise AssertionError("found no free port")


def sockets(ports, states):
    """The inodes of this machine's TCP sockets of those ports."""
    ends = tuple(f":{port:04X}" for port in ports)
    with open("/proc/net/tcp") as listing:
        rows = [line.split() for line in listing]
    return {row[9] for row in rows
            if row[1].endswith(ends) and row[3] in states}


def opened(pid, wanted):
    """The inodes of the sockets, or pipes, that a process has open."""
    found, folder = set(), f"/proc/{pid}/fd"
    try:
        for name in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):
                kind, _, rest = os.readlink(f"{folder}/{name}").partition(":")
                if kind == wanted:
                    found.add(rest.strip("[]"))
    except (FileNotFoundError, ProcessLookupError):
        pass  # it has ended
    return found


def _watched(env):
    """Modules made with -fsanitize=address need its library first in the
    process; tests/watched.sh names it, and says where it is to write."""
    if not where.PRELOAD:
        return env
    preload = [where.PRELOAD, env.get("LD_PRELOAD")]
    options = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
    return {**options, **env, "LD_PRELOAD": ":".join(filter(None, preload))}


class _Kept(http.Connection):
    """A connection to a server; all else is the server's."""

    def __init__(self, server):
        super().__init__(server.port)
        self._server = server

    def __getattr__(self, name):
        return getattr(self._server, name)


class Httpd:
    """A server of one's own. conf may use the marks @DIR@, @PORT@, @TLS@ (a
    second port, for it to listen on), @BACKEND@.

    store: a Store, or None for a server without mod_dbd. env: what is added
    to its environment; a value of None takes a name out. secret: what
    M2M_JWT_SECRET is to be (default: a new one)."""

    running = []  # looked at after each test

    def __init__(self, conf, store=None, backend=None, env=None, children=2,
                 modules=OURS, dbd=None, allowed=DENIALS, mpm=None):
        self.dir = where.run_folder("httpd")
        where.own(self._made("htdocs"), 0o755)
        self.conf, self.store, self.backend = conf, store, backend
        self.children_wanted, self.modules = children, modules
        mpm = mpm or os.environ.get("RENSEI_E2E_MPM", "event")
        self.stock = ["mpm_" + mpm, *STOCK]
        self.threads = 1 if mpm == "prefork" else 25
        self.dbd = dbd if dbd is not None else (store.dbd() if store else "")
        self.secret = known_secrets.add(secrets.token_hex(24))
        self.env = {"PATH": os.environ["PATH"], "LANG": "C",
                    SECRET: self.secret, **(env or {})}
        self.env = _watched({k: v for k, v in self.env.items()
                             if v is not None})
        self.port, self.tls = free_port(), free_port()
        self.process = None
        self._seen = {}
        self._allowed = set(allowed)
        if where.WRAPPER:  # a child took ten seconds to end, and was killed
            self._allowed.add("AH00046")
        self._expected, self._may = {}, set()

    def _made(self, name):
        path = self.dir / name
        path.mkdir()
        return path

    # -- the configuration ---------------------------------------------------

    def text(self, conf=None):
        """The whole configuration as httpd reads it."""
        out = load_lines(self.modules,
                         self.stock + (["dbd"] if self.dbd else []))
        out += BASE + self._patience() + self.dbd
        out += self.conf if conf is None else conf
        levels = " ".join(f"{name}:trace8" for name in self.modules)
        marks = {
            "DIR": self.dir, "PORT": self.port, "TLS": self.tls,
            "USER": where.USER, "GROUP": where.GROUP,
            "CHILDREN": self.children_wanted,
            "WORKERS": 25 * self.children_wanted,
            # old children keep theirs for a while after a graceful restart
            "SLOTS": 4 * self.children_wanted,
            # so many that a child which dies is replaced
            "SPARE": 25 * (self.children_wanted - 1) + 1,
            "LOGLEVEL": "LogLevel info " + levels if levels else "",
            "BACKEND": self.backend.port if self.backend else 9,
        }
        for name, value in marks.items():
            out = out.replace(f"@{name}@", str(value))
        return out

    def _patience(self):
        """All children open the store at their start, each for itself."""
        if where.SLOWNESS == 1 or "rensei_auth" not in self.modules:
            return ""
        return f"RenseiStoreTimeout {10 * where.SLOWNESS}\n"

    def write(self, conf=None):
        """Writes the configuration; with conf, that in place of ours from
        now on."""
        if conf is not None:
            self.conf = conf
        path = self.dir / "httpd.conf"
        path.write_text(self.text())
        return path

    def file(self, name, text, mode=0o644, owner=True):
        """A file beside the configuration; owner: give it to the server's
        account."""
        path = self.dir / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        if owner:
            where.own(path)
        path.chmod(mode)
        return path

    def command(self, *args):
        wrapper = [where.WRAPPER] if where.WRAPPER else []
        return [*wrapper, where.HTTPD, "-d", str(self.dir),
                "-f", str(self.dir / "httpd.conf"), *args]

    def configtest(self, conf=None, *args):
        """apache2 -t. (is it accepted, what was said)"""
        self.write(conf)
        done = subprocess.run(self.command("-t", *args), env=self.env,
                              text=True, capture_output=True,
                              timeout=START_TIMEOUT)
        self._no_secret_in(done.stdout + done.stderr, "what -t printed")
        return done.returncode == 0, done.stderr + done.stdout

    # -- the process ---------------------------------------------------------

    def start(self):
        self._require_build()
        for _ in range(5):
            self.write()
            self._spawn()
            if self._wait_until_up():
                Httpd.running.append(self)
                self._wait_for_children()
                return self
            # somebody else was quicker
            self.port, self.tls = free_port(), free_port()
        raise AssertionError("found no free port")

    def _require_build(self):
        for name in self.modules:
            path = where.BUILD / f"mod_{name}.so"
            assert path.exists(), f"{path} is not there: run make first"

    def _spawn(self):
        self._ups = self.log().count(UP)
        console = open(self.dir / "console.log", "ab")
        self.process = subprocess.Popen(
            self.command("-DFOREGROUND"), env=self.env, cwd="/",
            stdin=subprocess.DEVNULL, stdout=console, stderr=console,
            start_new_session=True)
        console.close()

    def _wait_until_up(self):
        """True when it serves, False when the port was taken. A port that
        takes connections is not enough: httpd listens before it has read
        all that it reads at its start."""
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                said = self.console() + self.log()
                if "Address already in use" in said:
                    return False
                raise AssertionError("httpd ended at once:\n" + said)
            if self.log().count(UP) > self._ups and self._answers():
                return True
            time.sleep(0.02)
        self._kill()
        raise AssertionError("httpd does not answer:\n" + self.log())

    def _wait_for_children(self):
        """All of them: a test that counts them, or restarts them, must not
        meet one that is just starting. Not for ever: they wait for a store
        that is away, and a test may be about that."""
        deadline = time.monotonic() + CHILDREN_TIMEOUT
        while (len(self.workers()) < self.children_wanted and
               time.monotonic() < deadline):
            time.sleep(0.01)

    def _answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def stop(self):
        if self in Httpd.running:
            Httpd.running.remove(self)
        if self.process and self.process.poll() is None:
            self._let_go()
            self.process.terminate()
            try:
                self.process.wait(START_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._kill()
                raise AssertionError("httpd did not stop:\n" + self.log()[-4000:])

    def _let_go(self):
        """The event MPM looks at its workers' sockets while it stops, and can
        crash over one that is just being closed, whatever modules are loaded:
        the last connection is let go first. A test may still have some."""
        deadline = time.monotonic() + 0.5
        while (sockets((self.port, self.tls), OPEN) and
               time.monotonic() < deadline):
            time.sleep(0.01)
        time.sleep(0.02)  # and then what httpd does about it

    def _kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def close(self):
        """Stops it, looks at the logs for the last time, drops the folder."""
        try:
            self.stop()
            problems = self.check_logs()
            # all of it once more: a secret may be known only later
            problems += secrets_in({name: self._read(name) for name in LOGS})
            assert not problems, "\n".join(problems)
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

    def graceful(self):
        """A graceful restart, awaited: whoever connects from now on is served
        by children that know the new configuration."""
        ups, pipes = self.log().count(UP), opened(self.process.pid, "pipe")
        self.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + START_TIMEOUT
        # twice: a list of children can lack one while another ends
        while self.log().count(UP) == ups or any(
                self._one_of_before_listens(pipes) for _ in "12"):
            assert self.process.poll() is None, (
                "the graceful restart ended the server:\n"
                + self.console() + self.log()[-4000:])
            assert time.monotonic() < deadline, self.log()[-4000:]
            time.sleep(0.02)

    def _one_of_before_listens(self, pipes):
        """Does a child of before still take connections? It may, a moment
        after httpd has said that it has restarted, and one may be just
        starting. Those of now have a pipe that httpd had not then: the one by
        which they are told to end is made anew in each restart."""
        listening = sockets((self.port,), LISTENS)
        assert listening, f"nobody listens on {self.port}"
        made = opened(self.process.pid, "pipe") - pipes
        assert made, "httpd has the pipes of before"
        return any(listening & opened(pid, "socket") and
                   not made & opened(pid, "pipe") for pid in self.children())

    def children(self):
        """The pids of its child processes."""
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with open(path) as listing:
            return [int(pid) for pid in listing.read().split()]

    def workers(self):
        """The pids of the children that serve requests, not cgid's daemon:
        it has one thread, they have more than those for requests."""
        out = []
        for pid in self.children():
            try:
                if len(os.listdir(f"/proc/{pid}/task")) > self.threads:
                    out.append(pid)
            except (FileNotFoundError, ProcessLookupError):
                pass  # it has ended
        return out

    # -- the logs ------------------------------------------------------------

    def _read(self, name):
        path = self.dir / name
        return path.read_text(errors="replace") if path.exists() else ""

    def log(self):
        return self._read("error.log")

    def access(self):
        return self._read("access.log")

    def wait_for_access(self, text, count, since=0):
        """The lines of the access log with that text, when there are so many:
        httpd writes them after the answer."""
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            lines = [line for line in self.access()[since:].splitlines()
                     if text in line]
            if len(lines) >= count:
                return lines
            assert time.monotonic() < deadline, self.access()[since:]
            time.sleep(0.02)

    def console(self):
        return self._read("console.log")

    def expect_log(self, number):
        """This test makes the line of that number (RS0012, AH01630): it must
        be there by the end of the test, whatever its level."""
        self._expected[number] = len(self.log())

    def allow_log(self, *numbers):
        """This test may make lines of those numbers."""
        self._may.update(numbers)

    def wait_for_log(self, text, since=0):
        deadline = time.monotonic() + START_TIMEOUT
        while text not in self.log()[since:]:
            assert time.monotonic() < deadline, (text, self.log()[since:])
            time.sleep(0.02)

    def check_logs(self):
        """What is wrong with what was logged since the last call."""
        log = self.log() if self._expected else ""
        fresh = {name: self._fresh(name) for name in LOGS}
        problems = [f"expected {number} in the error log"
                    for number, since in self._expected.items()
                    if number not in log[since:]]
        fine = BUSY | self._allowed | self._may | set(self._expected)
        fine |= set(self.store.noise) if self.store else set()
        for line in fresh["error.log"].splitlines():
            if any(number in line for number in fine):
                continue
            if CRASH.search(line):
                problems.append("crash: " + line)
            elif LINE.match(line):
                problems.append("unexpected: " + line)
        self._expected, self._may = {}, set()
        return problems + secrets_in(fresh)

    def _fresh(self, name):
        """What was written to a log since the last call, in whole lines."""
        path = self.dir / name
        if not path.exists():
            return ""
        with open(path, "rb") as log:
            log.seek(self._seen.get(name, 0))
            data = log.read()
        if self.process and self.process.poll() is None:
            data = data[:data.rfind(b"\n") + 1]
        self._seen[name] = self._seen.get(name, 0) + len(data)
        return data.decode(errors="replace")

    def _no_secret_in(self, text, name):
        found = known_secrets.found_in(text)
        assert not found, f"{name} shows a secret: {text}"

    # -- talking to it -------------------------------------------------------

    def connection(self, host="localhost"):
        return http.Connection(self.port, host)

    def request(self, method, path, **more):
        with self.connection() as wire:
            return wire.request(method, path, **more)

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, **more):
        return self.request("POST", path, **more)

    def kept(self):
        """The same server, all of whose requests come over one connection."""
        return _Kept(self)

    def raw(self, data, method="GET"):
        return http.raw(self.port, data, method)

    def token(self, client, scope=None, host="localhost"):
        """An access token of a client, from this server."""
        form = {"grant_type": "client_credentials", "client_id": client.id,
                "client_secret": client.secret}
        if scope is not None:
            form["scope"] = scope
        answer = self.post("/api/oauth/token", form=form, host=host)
        assert answer.status == 200, answer
        return answer.json["access_token"]
