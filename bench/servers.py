# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Variants, and the servers that they become: started on a free port in a
folder of their own, measured as a tree of processes, stopped by their pid."""

import atexit
import glob
import hashlib
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("RENSEI_BUILD", HERE.parent / "build")).resolve()
HTTPD = shutil.which("apache2", path="/usr/sbin:/usr/bin") or "httpd"
NGINX = "/usr/sbin/nginx"
AS_ROOT = os.geteuid() == 0
USER = "www-data" if AS_ROOT else pwd.getpwuid(os.geteuid()).pw_name
TICK = os.sysconf("SC_CLK_TCK")
ROUNDING = 0.1  # seconds: what the ticks of a few processes may be wrong by

# One folder for each build under test, so that several can be compared at
# the same time.
WORK = Path(os.environ.get("BENCH_WORK") or os.path.join(
    tempfile.gettempdir(), "rensei-bench-%d-%s" % (
        os.geteuid(), hashlib.sha1(bytes(BUILD)).hexdigest()[:8])))
DATA = WORK / "data"


def own(path, mode=None):
    """Gives a file or folder to the account that all servers run as."""
    if AS_ROOT:
        account = pwd.getpwnam(USER)
        os.chown(path, account.pw_uid, account.pw_gid)
    if mode is not None:
        os.chmod(path, mode)
    return path


def as_user():
    """Arguments for subprocess: no server here needs root."""
    if not AS_ROOT:
        return {}
    account = pwd.getpwnam(USER)
    return {"user": account.pw_uid, "group": account.pw_gid,
            "extra_groups": []}


_session = None


def session():
    """This process's folder, with a copy of the build, so that somebody's
    make does not change what is measured half way."""
    global _session
    if _session is None:
        WORK.mkdir(exist_ok=True)
        own(WORK, 0o755)
        _session = Path(tempfile.mkdtemp(prefix="run-", dir=WORK))
        own(_session, 0o755)
        atexit.register(shutil.rmtree, _session, ignore_errors=True)
        (_session / "build").mkdir()
        for path in [*BUILD.glob("mod_rensei_*.so"), BUILD / "renseictl"]:
            if not path.exists():
                raise SystemExit(f"{path} is not there: run make first")
            shutil.copy(path, _session / "build")
    return _session


def mods():
    for path in ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules"):
        if os.path.isdir(path):
            return path
    return subprocess.run(["apxs", "-q", "LIBEXECDIR"], check=True, text=True,
                          capture_output=True).stdout.strip()


def glewlwyd():
    """The folder of glewlwyd's modules."""
    found = glob.glob("/usr/lib/*/glewlwyd/plugin")
    return os.path.dirname(found[0]) if found else "/usr/lib/glewlwyd"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fill_in(text, marks):
    """@NAME@ becomes marks["NAME"]."""
    return re.sub(r"@([A-Z_]+)@",
                  lambda m: str(marks.get(m.group(1), m.group(0))), text)


class Variant:
    """A file of variants/: lines "#: name: value", then configuration.

    label     what it is called in tables
    cred      what is shown to it: hs256 es256 rs256 eddsa key basic client
    baseline  the variant that it is compared with (default: bare of its kind)
    parts     files of configuration that come before its own
    needs     files without which it is skipped
    open      yes: lets everybody in, as bare does
    creds     one: it has no 10,000 credentials
    conns     connections at the most, for one so slow that a window would
              end before the first answers
    path, body, type           what is asked (default: GET /hello.json)
    setup, start, ready        commands of a server of another kind (.server):
                               before, itself, when it takes connections
    """

    def __init__(self, path):
        self.name, self.kind = path.name, path.suffix[1:]
        text = path.read_text()
        self.meta = dict(re.findall(r"^#: *(\w+): *(.*?) *$", text, re.M))
        self.text = re.sub(r"^#:.*\n", "", text, flags=re.M)
        self.text = "".join((path.parent / part).read_text() for part in
                            self.meta.get("parts", "").split()) + self.text
        self.label = self.meta["label"]
        self.cred = self.meta.get("cred")
        baseline = self.meta.get("baseline", "bare." + self.kind)
        self.baseline = None if baseline == "self" else baseline
        self.path = self.meta.get("path", "/hello.json")
        self.body = self.meta.get("body", "")
        self.type = self.meta.get("type", "")
        self.many = self.meta.get("creds") != "one"
        self.conns = int(self.meta.get("conns", 10_000))

    def is_open(self):
        return self.baseline is None or self.meta.get("open") == "yes"

    def missing(self):
        """What it needs and is not here, or None."""
        needs = self.meta.get("needs", "").split()
        needs += {"httpd": [HTTPD], "nginx": [NGINX]}.get(self.kind, [])
        for need in needs:
            path = Path(fill_in(need, {"MODS": mods(), "BENCH": HERE}))
            if not path.exists():
                return f"{path} is not here"
            if not all(p.stat().st_mode & 1 for p in path.parents):
                return f"{USER} cannot get to {path}"
        return None

    def configuration(self):
        if self.kind == "httpd":
            return (HERE / "httpd.conf").read_text() + self.text
        if self.kind == "server":
            return self.text
        parts = dict(re.findall(r"^%% (\w+)\n(.*?)(?=^%%|\Z)", self.text,
                                re.M | re.S))
        base = (HERE / "nginx.conf").read_text()
        return base.replace("@HTTP@", parts.get("HTTP", "")).replace(
            "@SERVER@", parts.get("SERVER", ""))

    def command(self, conf, marks):
        if self.kind == "server":
            return fill_in(self.meta["start"], marks).split()
        if self.kind == "httpd":
            return [HTTPD, "-f", str(conf), "-DFOREGROUND"]
        return [NGINX, "-c", str(conf), "-e", str(conf.parent / "error.log"),
                "-g", "daemon off;"]


def load(names=None):
    """The variants called so (default: all that are here), and what they are
    compared with; by name. Those that are not here are said."""
    found = {}
    for path in sorted((HERE / "variants").iterdir()):
        if path.suffix in (".httpd", ".nginx", ".server"):
            found[path.name] = Variant(path)
    for name in names or []:
        if name not in found:
            raise SystemExit(f"no variant {name}; there are: "
                             + ", ".join(found))
    wanted = [found[name] for name in names or found]
    out = {}
    for v in wanted:
        if v.missing():
            print(f"skipped: {v.name}: {v.missing()}", flush=True)
            continue
        if v.baseline:
            out.setdefault(v.baseline, found[v.baseline])
        out[v.name] = v
    return out


class Server:
    """A running variant. cpu: the core it is bound to, or None. wrap: what
    the command is to be run by (valgrind). store: the file it gets a copy
    of."""

    def __init__(self, variant, marks, cpu=None, wrap=(), single=False,
                 store=None, conf="", limit=60, threads=64):
        self.variant, self.port = variant, free_port()
        self.run = Path(tempfile.mkdtemp(prefix=variant.name + "-",
                                         dir=session()))
        own(self.run, 0o755)
        if "@RUN@/store.db" in variant.text:
            self.copy_store(store or DATA / "store.db")
        self.marks = dict(marks, RUN=self.run, PORT=self.port, DATA=DATA,
                          MODS=mods(), BUILD=session() / "build", BENCH=HERE,
                          GLEWLWYD=glewlwyd(), THREADS=threads,
                          WORKERS=2 * threads)
        path = self.run / "server.conf"
        path.write_text(fill_in(variant.configuration() + conf, self.marks))
        self.step("setup")
        self.start([*wrap, *variant.command(path, self.marks),
                    *(["-X"] if single else [])], cpu, limit)
        try:
            self.step("ready")
        except BaseException:
            self.stop()
            raise

    def step(self, name):
        """Runs a command that its file names, if it does."""
        if name in self.variant.meta:
            subprocess.run(fill_in(self.variant.meta[name],
                                   self.marks).split(),
                           check=True, cwd=self.run, **as_user())

    def copy_store(self, source):
        for suffix in ("", "-wal"):
            if os.path.exists(f"{source}{suffix}"):
                own(shutil.copy(f"{source}{suffix}",
                                self.run / f"store.db{suffix}"), 0o600)

    def start(self, command, cpu, limit):
        if cpu is not None:
            command = ["taskset", "-c", str(cpu), *command]
        with open(self.run / "console.log", "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, cwd=self.run, **as_user())
        self.pid = self.process.pid
        self.began = time.monotonic()
        while not self.accepts():
            if (self.process.poll() is not None
                    or time.monotonic() - self.began > limit):
                said = self.said()
                self.stop()
                raise SystemExit(f"{self.variant.name} did not start:\n{said}")
            time.sleep(0.005)
        self.up = time.monotonic()

    def accepts(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def said(self):
        return "".join(path.read_text(errors="replace")[-3000:]
                       for path in sorted(self.run.glob("*.log")))

    def log_bytes(self):
        log = self.run / "error.log"
        return log.stat().st_size if log.exists() else 0

    def process_of(self, port):
        """The pid of its process that has the connection from that port."""
        mine, theirs = f":{self.port:04X}", f":{port:04X}"
        rows = (line.split() for line in open("/proc/net/tcp"))
        inode = next(row[9] for row in rows
                     if row[1].endswith(mine) and row[2].endswith(theirs))
        for pid in tree(self.pid):
            for fd in glob.glob(f"/proc/{pid}/fd/*"):
                try:
                    if os.readlink(fd) == f"socket:[{inode}]":
                        return pid
                except OSError:
                    pass
        return None

    def stop(self, keep=False):
        pids = tree(self.pid)
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        end_all(pids[1:])
        if not keep:
            shutil.rmtree(self.run, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def end_all(pids):
    """Waits for children that outlive their parent for a moment; ends those
    that stay."""
    for pid in pids:
        for _ in range(250):
            if not os.path.exists(f"/proc/{pid}"):
                break
            time.sleep(0.02)
        else:
            os.kill(pid, 9)


# ---- what a tree of processes uses ----------------------------------------

def tree(root):
    """The pids of a process and of all that came from it."""
    pids = [root]
    for pid in pids:
        for task in _tasks(pid):
            try:
                path = f"/proc/{pid}/task/{task}/children"
                pids += [int(x) for x in open(path).read().split()]
            except OSError:
                pass
    return pids


def _tasks(pid):
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def cpu_of(root):
    """({thread: ns}, seconds): the first is exact, of the threads that there
    are; the second counts ticks, those of threads that are gone, too."""
    threads, ticks = {}, 0
    for pid in tree(root):
        try:
            stat = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
            ticks += sum(int(x) for x in stat[11:15])
            for task in _tasks(pid):
                path = f"/proc/{pid}/task/{task}/schedstat"
                threads[task] = int(open(path).read().split()[0])
        except (OSError, IndexError):
            threads[pid] = None
    return threads, ticks / TICK


def cpu_between(a, b):
    """Seconds of CPU between two results of cpu_of. A thread for each
    connection may have come and gone between them, in neither."""
    (before, s0), (after, s1) = a, b
    if (before.keys() == after.keys() and None not in before.values()
            and None not in after.values()):
        exact = (sum(after.values()) - sum(before.values())) / 1e9
        if abs(s1 - s0 - exact) < ROUNDING:
            return exact
    return s1 - s0


def memory_of(root):
    """KiB of the tree: RSS counts a shared page for each process, PSS
    once."""
    out = {"rss": 0, "pss": 0}
    for pid in tree(root):
        try:
            for line in open(f"/proc/{pid}/smaps_rollup"):
                name = line.split(":")[0].lower()
                if name in out:
                    out[name] += int(line.split()[1])
        except OSError:
            pass
    return out


def stolen():
    """Seconds of CPU that the hypervisor gave to others."""
    return int(open("/proc/stat").readline().split()[8]) / TICK
