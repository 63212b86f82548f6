# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""renseictl, as an operator or his script runs it: what each command does, its
exit status, what is on stdout and what on stderr, and what it refuses."""

import json
import os
import pwd
import re
import shutil
import sqlite3
import stat
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from authlib.jose import JsonWebKey

from harness import where
from harness.oauth import public_jwk

pytestmark = pytest.mark.only(
    "sqlite", "the tool itself, on a file; all other tests use it on theirs")

TOOL = where.tool()
OK, FAILED, USAGE, NOT_FOUND, REFUSED = range(5)
KEY = re.compile(r"rsk_live_[0-9a-f]{64}")
SECRET = re.compile(r"m2ms_[0-9a-f]{64}")
needs_root = pytest.mark.skipif(not where.AS_ROOT, reason="only root may")


class Ctl:
    """renseictl on a store of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.file = folder / "store.db"

    def run(self, *args, env=None, stdout=subprocess.PIPE, **more):
        plain = {k: v for k, v in os.environ.items()
                 if k not in ("RENSEI_STORE", "SUDO_USER")}
        plain["RENSEI_STORE"] = f"sqlite3:{self.file}"
        plain.update(env or {})
        return subprocess.run([TOOL, *map(str, args)], text=True, env=plain,
                              stdout=stdout, stderr=subprocess.PIPE,
                              timeout=60, cwd=self.folder, **more)

    def json(self, *args, **more):
        done = self.run(*args, "--json", **more)
        assert done.returncode == OK, done.stderr
        assert done.stdout.count("\n") == 1
        return json.loads(done.stdout)

    def refused(self, status, *args, **more):
        """Runs what must fail; the sentence that says why."""
        done = self.run(*args, **more)
        assert done.returncode == status, (done.stdout, done.stderr)
        assert not done.stdout
        assert re.match(r"renseictl: \S.*\.", done.stderr), done.stderr
        return done.stderr

    def key(self, org, name="k", **options):
        options = {"owner": "ops", "scopes": "*", **options}
        return self.json("org", "api-keys", "create", "--org", org, "--name",
                         name, *words(options))

    def client(self, org, name="c", **options):
        options = {"scopes": "sessions:read", **options}
        return self.json("m2m-clients", "create", "--org", org, "--name", name,
                         *words(options))


def words(options):
    out = []
    for name, value in options.items():
        out += ["--" + name.replace("_", "-"), str(value)]
    return out


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def epoch_ms(iso):
    return int(time.mktime(time.strptime(iso[:19], "%Y-%m-%dT%H:%M:%S"))
               - time.timezone) * 1000


@pytest.fixture
def folder():
    path = Path(tempfile.mkdtemp(prefix="renseictl-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def bare(folder):
    """Where no store is yet."""
    return Ctl(folder)


@pytest.fixture
def ctl(bare):
    done = bare.run("db", "init")
    assert done.returncode == OK, done.stderr
    return bare


@pytest.fixture
def acme(ctl):
    return ctl.json("org", "create", "acme")["orgId"]


@pytest.fixture
def bolt(ctl):
    return ctl.json("org", "create", "bolt")["orgId"]


# ---- the command line ----

def commands():
    """The paths of all commands, out of the tool's own help."""
    text = subprocess.run([TOOL, "--help"], text=True, check=True,
                          capture_output=True).stdout
    listed = text.split("Commands:\n")[1].split("\n\n")[0]
    return [re.sub(r" [A-Z]+(\.\.\.)?$", "", line[2:32].rstrip()).split(" ")
            for line in listed.splitlines()]


def test_help_lists_every_command():
    assert [" ".join(c) for c in commands()] == [
        "org create", "org list", "org suspend", "org resume", "org delete",
        "org api-keys create", "org api-keys list", "org api-keys show",
        "org api-keys update", "org api-keys rotate", "org api-keys revoke",
        "workspace create", "workspace list", "workspace suspend",
        "workspace resume", "workspace delete",
        "m2m-clients create", "m2m-clients list", "m2m-clients show",
        "m2m-clients update", "m2m-clients revoke",
        "m2m-clients revoke-tokens", "m2m-clients rotate start",
        "m2m-clients rotate complete", "m2m-clients rotate cancel",
        "workers list", "workers show", "workers revoke",
        "credentials", "audit", "audit list", "audit verify",
        "audit export", "audit prune", "db init", "db migrate", "db check",
        "db backup", "db restore",
        "secret new", "signing-key new", "signing-key list"]


def test_every_command_has_help_with_an_example(bare):
    for command in commands():
        done = bare.run(*command, "--help")
        assert done.returncode == OK and not done.stderr
        assert done.stdout.startswith("usage: renseictl " + " ".join(command))
        assert re.search(r"Examples?:\n  \S", done.stdout), command
        assert "--store" in done.stdout and "--json" in done.stdout


@pytest.mark.parametrize("level, has, lacks", [
    (["org"], "org api-keys revoke", "m2m-clients"),
    (["org", "api-keys"], "org api-keys revoke", "org create"),
    (["db"], "db check", "org create"),
    (["m2m-clients"], "m2m-clients rotate cancel", "org create"),
    (["m2m-clients", "rotate"], "beside the old one", "m2m-clients list"),
])
def test_each_level_has_help_of_its_own(bare, level, has, lacks):
    done = bare.run(*level, "--help")
    assert done.returncode == OK
    assert has in done.stdout and lacks not in done.stdout


def test_help_needs_no_store_and_no_arguments(bare):
    assert bare.run("org", "api-keys", "create", "--help").returncode == OK


@pytest.mark.parametrize("words", [
    [], ["db"], ["org", "api-keys"], ["org", "delete"], ["org", "create", "x"]])
def test_help_is_a_word_too(bare, words):
    done = bare.run("help", *words)
    assert done.returncode == OK and done.stdout.startswith("usage: ")
    assert done.stdout == bare.run(*words, "--help").stdout


def test_help_is_a_name_where_a_name_is_due(ctl):
    assert "help" in ctl.run("org", "create", "help").stdout
    assert 'no command "org help"' in ctl.refused(USAGE, "org", "help")


@pytest.mark.parametrize("args, says", [
    ([], "Say what to do"),
    (["org"], "Say what to do with it"),
    (["org", "api-keys"], "Say what to do with it"),
    (["organisation"], 'no command "organisation"'),
    (["org", "creat", "x"], 'no command "org creat"'),
    (["org", "create"], "wants its argument, NAME"),
    (["org", "create", "a", "b"], "takes one argument"),
    (["org", "list", "a"], "takes no argument"),
    (["org", "create", "a", "--scopes", "b"], "no option --scopes"),
    (["org", "list", "-j"], "no option -j"),
    (["org", "list", "--jso"], "no option --jso"),
    (["org", "list", "--json", "--json"], "--json is given twice"),
    (["org", "list", "--json=yes"], "--json takes no value"),
    (["workspace", "list"], "wants --org"),
    (["workspace", "list", "--org"], "--org wants a value"),
    (["workspace", "list", "--org", "--json"], "--org wants a value"),
    (["audit", "--limit", "0"], "a number from 1 to 500"),
    (["audit", "--limit", "5x"], "a number from 1 to 500"),
    (["audit", "--since", "yesterday"], "--since wants a time"),
])
def test_what_makes_no_sense_is_refused_with_the_nearest_help(ctl, args, says):
    stderr = ctl.refused(USAGE, *args)
    assert says in stderr
    level = []
    for command in commands():
        for n in range(len(command), 0, -1):
            if args[:n] == command[:n] and n > len(level):
                level = command[:n]
    assert f"See: renseictl {' '.join(level + ['--help'])}\n" in stderr


def test_options_may_stand_anywhere(ctl):
    store = f"sqlite3:{ctl.file}"
    none = {"RENSEI_STORE": ""}
    for args in (["--json", "--store", store, "org", "create", "a"],
                 ["org", "create", "--json", "b", f"--store={store}"],
                 ["org", "--json", "create", "--store", store, "--", "c"],
                 ["org", "create", "--store", store, "--json", "--", "--d"]):
        done = ctl.run(*args, env=none)
        assert done.returncode == OK, done.stderr
    names = [o["name"] for o in ctl.json("org", "list")["orgs"]]
    assert sorted(names) == ["--d", "a", "b", "c"]


def test_a_result_that_cannot_be_written_is_a_failure(ctl, acme):
    with open("/dev/full", "w") as full:
        done = ctl.run("org", "list", "--json", stdout=full)
    assert done.returncode == FAILED
    assert "could not be written" in done.stderr


# ---- secrets stay out of sight ----

@pytest.mark.parametrize("secret", ["rsk_live_" + "a1" * 32,
                                    "m2ms_" + "b2" * 32])
@pytest.mark.parametrize("args", [
    ["org", "api-keys", "revoke", "{}"],
    ["audit", "--actor={}"],
    ["org", "create", "x", "--{}"],
])
def test_a_secret_as_an_argument_is_refused_and_not_repeated(ctl, secret, args):
    """Who pastes a key where its id belongs has it in the process list; the
    tool must not put it into a log as well."""
    stderr = ctl.refused(USAGE, *[a.format(secret) for a in args])
    assert "is a secret" in stderr
    assert secret[-20:] not in stderr


@pytest.mark.parametrize("conninfo", [
    "host=/nowhere password=hunter2-hunter2",
    "host=/nowhere PassWord = hunter2-hunter2",
    "host=/nowhere sslpassword=hunter2-hunter2",
    "postgresql://rensei:hunter2-hunter2@/db?host=/nowhere",
])
def test_a_database_password_belongs_in_no_argument(bare, conninfo):
    stderr = bare.refused(USAGE, "org", "list", "--store",
                          "pgsql:" + conninfo)
    assert "process list" in stderr and "hunter2" not in stderr
    # From the environment it is taken: it fails because nothing is there.
    stderr = bare.refused(FAILED, "org", "list",
                          env={"RENSEI_STORE": "pgsql:" + conninfo})
    assert "hunter2" not in stderr


def test_a_conninfo_without_password_is_taken(bare):
    for conninfo in ("host=/nowhere passfile=/nowhere/x",
                     "postgresql://rensei@/db?host=/nowhere"):
        bare.refused(FAILED, "org", "list", "--store", "pgsql:" + conninfo)


def test_no_secret_is_in_the_store(ctl, acme):
    token = ctl.key(acme)["token"]
    secret = ctl.client(acme)["clientSecret"]
    content = b"".join(p.read_bytes() for p in ctl.folder.iterdir())
    assert acme.encode() in content
    assert token[13:].encode() not in content
    assert secret[5:].encode() not in content


# ---- the store ----

def test_init_makes_a_file_for_its_owner_alone(bare):
    old = os.umask(0)
    try:
        done = bare.json("db", "init")
    finally:
        os.umask(old)
    assert done["store"] == f"sqlite3:{bare.file}"
    assert done["schemaVersion"] >= 1
    assert mode(bare.file) == 0o600
    assert [p.name for p in bare.folder.iterdir()] == ["store.db"]


def test_init_leaves_what_is_there(ctl, acme):
    before = ctl.file.read_bytes()
    assert "is there already" in ctl.refused(REFUSED, "db", "init")
    assert ctl.file.read_bytes() == before


def test_init_follows_no_link(bare):
    """A link in the store's folder would have root create a file wherever
    the folder's owner likes."""
    target = bare.folder / "elsewhere"
    bare.file.symlink_to(target)
    bare.refused(REFUSED, "db", "init")
    assert not target.exists()


def test_init_without_a_folder_fails(bare):
    bare.file = bare.folder / "none" / "store.db"
    assert "No such file" in bare.refused(FAILED, "db", "init")


def test_init_for_a_user_who_is_not_there(bare):
    bare.refused(NOT_FOUND, "db", "init", "--owner", "nobody-of-that-name")
    assert not bare.file.exists()


@needs_root
def test_only_root_makes_a_store_for_somebody_else(bare):
    nobody = pwd.getpwnam("nobody")
    os.chmod(bare.folder, 0o777)
    stderr = bare.refused(REFUSED, "db", "init", "--owner", "www-data",
                          user=nobody.pw_uid, group=nobody.pw_gid,
                          extra_groups=[])
    assert "only root" in stderr and not bare.file.exists()


@pytest.fixture
def theirs(bare):
    """As root: a store of the server's account, in a folder of its own."""
    where.own(bare.folder, 0o700)
    done = bare.run("db", "init", "--owner", where.USER)
    assert done.returncode == OK, done.stderr
    return bare


@needs_root
def test_root_makes_a_store_for_the_server(theirs):
    owner = pwd.getpwnam(where.USER)
    status = os.stat(theirs.file)
    assert (status.st_uid, status.st_gid) == (owner.pw_uid, owner.pw_gid)
    assert mode(theirs.file) == 0o600
    assert theirs.json("db", "check")["owner"] == where.USER


@needs_root
def test_root_says_so_when_the_store_is_roots(bare):
    assert "belongs to root" in bare.run("db", "init").stderr


@needs_root
def test_what_root_leaves_beside_a_store_is_its_owners(theirs):
    """A -wal or -shm of root's would shut the server out of its store. While
    a reader holds the store open, they stay."""
    reader = subprocess.Popen(
        ["/usr/bin/python3", "-c",
         "import sqlite3, sys\n"
         "wire = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
         "print('ready', flush=True)\n"
         "sys.stdin.readline()\n"
         "wire.execute('SELECT 1 FROM sqlite_master').fetchall()\n"
         "print('open', flush=True)\n"
         "sys.stdin.readline()\n", str(theirs.file)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert reader.stdout.readline() == "ready\n"
        reader.stdin.write("\n")
        reader.stdin.flush()
        assert reader.stdout.readline() == "open\n"
        theirs.json("org", "create", "acme")
        beside = list(theirs.folder.iterdir())
        assert {p.name for p in beside} == {"store.db", "store.db-shm",
                                            "store.db-wal"}
        assert {p.owner() for p in beside} == {where.USER}
    finally:
        reader.communicate("\n", timeout=10)


@needs_root
def test_root_works_as_the_stores_owner(theirs):
    """The server's account can write to the store, and to its folder: what it
    may have put there must not be read with root's rights. So root gets no
    further than that account does."""
    assert theirs.json("org", "create", "acme")["name"] == "acme"
    inner = theirs.folder / "inner"
    inner.mkdir(0o700)
    theirs.file.rename(inner / "store.db")
    theirs.file = inner / "store.db"
    theirs.refused(FAILED, "org", "list")
    where.own(inner)
    assert theirs.json("org", "list")["orgs"][0]["name"] == "acme"


@pytest.mark.parametrize("args", [
    ["org", "list"], ["db", "migrate"], ["db", "check"], ["audit"],
    ["m2m-clients", "revoke", "m2m_" + "0" * 32]])
def test_a_missing_store_is_not_made_by_accident(bare, args):
    """SQLite creates what is not there: a slip in the path would look like a
    store without any organisation."""
    assert "db init" in bare.refused(FAILED, *args)
    assert not any(bare.folder.iterdir())


def test_a_folder_is_no_store(bare):
    bare.file.mkdir()
    assert "is not a file" in bare.refused(FAILED, "org", "list")


def test_what_is_no_database_is_a_failure(bare):
    bare.file.write_text("not a database, " * 100)
    bare.refused(FAILED, "org", "list")


def test_an_old_schema_is_refused_until_it_is_migrated(bare):
    bare.file.touch(0o600)
    assert "renseictl db migrate" in bare.refused(FAILED, "org", "list")
    done = bare.run("db", "check", "--json")
    assert done.returncode == FAILED
    assert json.loads(done.stdout)["schemaVersion"] == 0
    assert "db migrate" in json.loads(done.stdout)["problems"][0]
    version = bare.json("db", "migrate")["schemaVersion"]
    assert version >= 1
    assert bare.json("db", "migrate")["schemaVersion"] == version
    assert bare.json("org", "list") == {"orgs": [], "nextCursor": None}


def test_a_newer_schema_is_refused(ctl):
    with sqlite3.connect(ctl.file) as wire:
        wire.execute("INSERT INTO rensei_schema (version, applied_at) "
                     "VALUES (9999, 0)")
    wire.close()
    for args in (["org", "list"], ["db", "migrate"], ["org", "create", "x"]):
        assert "9999" in ctl.refused(FAILED, *args)


def test_check_counts(ctl, acme, bolt):
    ctl.json("workspace", "create", "w", "--org", acme)
    ctl.client(acme)
    ctl.client(bolt)
    ctl.key(bolt)
    found = ctl.json("db", "check")
    assert found["problems"] == []
    assert (found["orgs"], found["workspaces"], found["clients"],
            found["keys"]) == (2, 1, 2, 1)
    assert found["events"] == 6
    assert found["owner"] == pwd.getpwuid(os.geteuid()).pw_name


def test_check_finds_a_store_that_others_can_read(ctl):
    ctl.file.chmod(0o640)
    done = ctl.run("db", "check", "--json")
    assert done.returncode == FAILED
    assert "chmod 600" in json.loads(done.stdout)["problems"][0]
    ctl.file.chmod(0o600)
    assert ctl.json("db", "check")["problems"] == []


def test_no_store_said(bare):
    stderr = bare.refused(USAGE, "org", "list", env={"RENSEI_STORE": ""})
    assert "RENSEI_STORE" in stderr
    for store in ("store.db", "mysql:x", "sqlite3:", ":x", "sqlite3"):
        bare.refused(USAGE, "org", "list", "--store", store)


# ---- organisations and workspaces ----

def test_org_create_and_list(ctl):
    made = ctl.json("org", "create", "acme")
    assert re.fullmatch(r"org_[0-9A-HJKMNP-TV-Z]{26}", made["orgId"])
    assert made["name"] == "acme" and made["status"] == "active"
    ctl.json("org", "create", "bolt")
    listed = ctl.json("org", "list")
    assert [o["name"] for o in listed["orgs"]] == ["acme", "bolt"]
    assert listed["orgs"][0] == made


def test_more_organisations_than_a_page(ctl):
    with sqlite3.connect(ctl.file) as wire:
        wire.executemany(
            "INSERT INTO rensei_orgs (id, name, status, created_at, "
            "updated_at) VALUES (?, ?, 'active', 0, 0)",
            [(f"org_{n:026d}", f"n{n:03d}") for n in range(401)])
    wire.close()
    names = [o["name"] for o in ctl.json("org", "list")["orgs"]]
    assert names == [f"n{n:03d}" for n in range(401)]
    assert ctl.json("db", "check")["orgs"] == 401


def test_org_names_are_unique(ctl, acme):
    assert "already" in ctl.refused(REFUSED, "org", "create", "acme")


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb", "a\x1b[2J"])
def test_org_names_that_are_refused(ctl, name):
    ctl.refused(REFUSED, "org", "create", name)


def test_org_suspend_and_resume(ctl, acme):
    assert ctl.json("org", "suspend", "acme")["status"] == "suspended"
    assert ctl.json("org", "suspend", acme)["status"] == "suspended"
    assert ctl.json("org", "list")["orgs"][0]["status"] == "suspended"
    assert ctl.json("org", "resume", acme)["status"] == "active"
    events = [e["event"] for e in ctl.json("audit", "--org", acme)["events"]]
    assert events == ["org.resumed", "org.suspended", "org.created"]


@pytest.mark.parametrize("args", [
    ["org", "suspend", "nobody"], ["org", "resume", "org_" + "0" * 26],
    ["workspace", "create", "w", "--org", "nobody"],
    ["workspace", "list", "--org", "nobody"],
    ["org", "api-keys", "list", "--org", "nobody"],
    ["m2m-clients", "list", "--org", "nobody"],
    ["audit", "--org", "nobody"]])
def test_an_organisation_that_is_not_there(ctl, acme, args):
    ctl.refused(NOT_FOUND, *args)


def test_workspaces_belong_to_their_organisation(ctl, acme, bolt):
    made = ctl.json("workspace", "create", "--org", "acme", "default")
    assert re.fullmatch(r"ws_[0-9A-HJKMNP-TV-Z]{26}", made["workspaceId"])
    assert made["orgId"] == acme
    ctl.refused(REFUSED, "workspace", "create", "default", "--org", acme)
    other = ctl.json("workspace", "create", "--org", "bolt", "default")
    assert other["workspaceId"] != made["workspaceId"]
    assert ctl.json("workspace", "list", "--org", acme)["workspaces"] == [made]


def test_what_was_deleted_is_counted_for_people(ctl, acme):
    ctl.json("workspace", "create", "--org", "acme", "main")
    ctl.json("workspace", "suspend", "--org", "acme", "main")
    table = ctl.run("workspace", "list", "--org", "acme").stdout
    assert "suspended" in table
    ctl.refused(USAGE, "workspace", "delete", "--org", "acme", "main")
    assert "--confirm" in ctl.refused(
        REFUSED, "workspace", "delete", "--org", "acme", "main", "--confirm",
        "other")
    said = ctl.run("workspace", "delete", "--org", "acme", "main",
                   "--confirm", "main").stdout
    assert re.search(r"(?m)^Clients +0$", said), said
    ctl.json("org", "suspend", "acme")
    said = ctl.run("org", "delete", "acme", "--confirm", "acme").stdout
    assert re.search(r"(?m)^Workspaces +0$", said), said
    ctl.refused(NOT_FOUND, "org", "delete", "acme", "--confirm", "acme")


def test_tables_are_for_people(ctl):
    ctl.json("org", "create", "Zürich")
    ctl.json("org", "create", "zwei")
    head, first, second = ctl.run("org", "list").stdout.splitlines()
    assert head.split() == ["ID", "Name", "Status", "Created"]
    assert head.index("Status") == first.index("active") \
        == second.index("active")


# ---- API keys ----

def test_key_create(ctl, acme):
    made = ctl.key(acme, "admin", owner="alice")
    assert KEY.fullmatch(made["token"])
    assert re.fullmatch(r"key_[0-9A-HJKMNP-TV-Z]{26}", made["keyId"])
    assert (made["name"], made["keyType"], made["scopes"], made["owner"],
            made["orgId"]) == ("admin", "org", ["*"], "alice", acme)
    assert made["expiresAt"] is None
    text = ctl.run("org", "api-keys", "create", "--org", "acme", "--name", "b",
                   "--scopes", "org:read", "--owner", "bob").stdout
    assert len(KEY.findall(text)) == 1


def test_key_types(ctl, acme):
    user = ctl.key(acme, type="user", scopes="sessions:read", user_id="u1")
    assert (user["keyType"], user["userId"]) == ("user", "u1")
    reg = ctl.key(acme, type="worker_registration", scopes="workers:register",
                  max_uses=3)
    assert (reg["keyType"], reg["maxUses"]) == ("worker_registration", 3)


@pytest.mark.parametrize("options, says", [
    ({"type": "org", "scopes": "*"}, "owner"),
    ({"type": "user", "scopes": "*"}, "--user-id"),
    ({"type": "admin", "scopes": "*", "owner": "o"}, "--type"),
    ({"scopes": "nothing:known", "owner": "o"}, "'nothing:known'"),
    ({"scopes": "workers:register", "owner": "o"}, "'workers:register'"),
    ({"type": "worker_registration", "scopes": "*"}, "'*'"),
    ({"type": "org", "scopes": "*", "owner": "o", "max-uses": 3},
     "--max-uses"),
    ({"scopes": "*", "owner": "o", "expires": "2001-01-01T00:00:00Z"},
     "--expires"),
    ({"scopes": "*", "owner": "o", "name": "n" * 101}, "name"),
])
def test_keys_against_the_rules(ctl, acme, options, says):
    options = {"org": acme, "name": "k", **options}
    stderr = ctl.refused(REFUSED, "org", "api-keys", "create",
                         *words(options))
    assert says in stderr
    assert ctl.json("org", "api-keys", "list", "--org", acme)["keys"] == []


def test_no_scopes_grant_nothing(ctl, acme):
    assert ctl.key(acme, scopes="")["scopes"] == []
    assert ctl.client(acme, scopes=" ")["scopes"] == []


def test_key_expiry_as_time_and_as_duration(ctl, acme):
    at = ctl.key(acme, expires="2090-01-31T12:00:00+02:00")["expiresAt"]
    assert at == "2090-01-31T10:00:00.000Z"
    day = epoch_ms(ctl.key(acme, expires="24h")["expiresAt"])
    assert abs(day - (time.time() + 86400) * 1000) < 60_000
    ctl.refused(USAGE, "org", "api-keys", "create", "--org", acme, "--name",
                "k", "--scopes", "*", "--owner", "o", "--expires", "soon")


def test_key_in_a_workspace(ctl, acme, bolt):
    ws = ctl.json("workspace", "create", "main", "--org", acme)["workspaceId"]
    assert ctl.key(acme, workspace="main")["workspaceId"] == ws
    assert ctl.key(acme, workspace=ws)["workspaceId"] == ws
    ctl.refused(NOT_FOUND, "org", "api-keys", "create", "--org", bolt,
                "--name", "k", "--scopes", "*", "--owner", "o",
                "--workspace", ws)


def test_a_vocabulary_of_the_servers_own(ctl, acme):
    made = ctl.key(acme, scopes="orders:read",
                   vocabulary="orders:read orders:write")
    assert made["scopes"] == ["orders:read"]
    ctl.refused(REFUSED, "org", "api-keys", "create", "--org", acme, "--name",
                "k", "--owner", "o", "--scopes", "sessions:read",
                "--vocabulary", "orders:read")
    ctl.refused(REFUSED, "org", "api-keys", "create", "--org", acme, "--name",
                "k", "--owner", "o", "--scopes", "*", "--vocabulary", "a *")


def test_keys_are_listed_without_what_they_are(ctl, acme, bolt):
    made = ctl.key(acme, "one")
    other = ctl.key(bolt, "two")
    for args in (["--json"], []):
        text = ctl.run("org", "api-keys", "list", "--org", acme, *args).stdout
        assert made["keyId"] in text and other["keyId"] not in text
        assert made["token"][13:] not in text and "sha256" not in text


def test_key_revoke(ctl, acme, bolt):
    made = ctl.key(acme)
    ctl.refused(NOT_FOUND, "org", "api-keys", "revoke", made["keyId"], "--org",
                bolt)
    gone = ctl.json("org", "api-keys", "revoke", made["keyId"], "--org", acme,
                    "--reason", "in a build log")
    assert gone["keyId"] == made["keyId"] and gone["revokedAt"]
    again = ctl.json("org", "api-keys", "revoke", made["keyId"])
    assert again == gone
    events = ctl.json("audit", "--org", acme, "--event", "api_key.revoked")
    assert [e["target"] for e in events["events"]] == [made["keyId"]]
    assert events["events"][0]["details"]["reason"] == "in a build log"
    keys = ctl.json("org", "api-keys", "list", "--org", acme, "--status",
                    "revoked")["keys"]
    assert [k["keyId"] for k in keys] == [made["keyId"]]
    active = ctl.json("org", "api-keys", "list", "--org", acme, "--status",
                      "active")["keys"]
    assert active == []


def test_key_show(ctl, acme, bolt):
    made = ctl.key(acme, "one")
    show = ("org", "api-keys", "show", made["keyId"])
    ctl.refused(NOT_FOUND, *show, "--org", bolt)
    for args in ((), ("--org", acme)):
        shown = ctl.json(*show, *args)
        assert (shown["keyId"], shown["name"], shown["owner"],
                shown["status"], shown["usageCount"]) == (
                    made["keyId"], "one", "ops", "active", 0)
        assert "token" not in shown
    assert made["keyId"] in ctl.run(*show).stdout
    ctl.json("org", "api-keys", "revoke", made["keyId"])
    assert ctl.json(*show)["status"] == "revoked"


def test_key_update(ctl, acme, bolt):
    made = ctl.key(acme)
    update = ("org", "api-keys", "update", made["keyId"])
    ctl.refused(NOT_FOUND, *update, "--name", "x", "--org", bolt)
    new = ctl.json(*update, "--name", "new", "--owner", "bob", "--scopes",
                   "org:read")
    assert (new["name"], new["owner"], new["scopes"]) == (
        "new", "bob", ["org:read"])
    assert "token" not in new
    ctl.refused(REFUSED, *update, "--no-owner")
    ctl.refused(REFUSED, *update, "--scopes", "no:such")
    for args in ((), ("--owner", "x", "--no-owner")):
        ctl.refused(USAGE, *update, *args)
    ctl.json("org", "api-keys", "revoke", made["keyId"])
    ctl.refused(REFUSED, *update, "--name", "x")
    events = ctl.json("audit", "--org", acme, "--event", "api_key.updated")
    assert [e["details"]["fields"] for e in events["events"]] == [
        ["name", "owner", "scopes"]]


def test_key_rotate(ctl, acme, bolt):
    made = ctl.key(acme)
    rotate = ("org", "api-keys", "rotate", made["keyId"])
    ctl.refused(NOT_FOUND, *rotate, "--grace", "0", "--org", bolt)
    for grace in ("31d", "-1", "soon", "", "1w", "0s"):
        ctl.refused(USAGE, *rotate, "--grace", grace)
    ctl.refused(USAGE, *rotate)
    path = ctl.folder / "new.key"
    new = ctl.json(*rotate, "--grace", "7d", "--secret-file", path)
    assert "token" not in new and KEY.fullmatch(path.read_text())
    assert path.read_text() != made["token"]
    assert new["previousEndsAt"] and new["keyId"] == made["keyId"]
    # the file goes again where no key was made for it
    path.unlink()
    assert "grace" in ctl.refused(REFUSED, *rotate, "--grace", "1h",
                                  "--secret-file", path)
    assert not path.exists()
    text = ctl.run(*rotate, "--grace", "0").stdout
    assert KEY.search(text) and "Old one ends" in text
    events = ctl.json("audit", "--org", acme, "--event", "api_key.rotated")
    assert [e["details"]["graceSeconds"] for e in events["events"]] == [
        0, 604800]


def test_a_key_is_found_without_its_organisation(ctl, acme, bolt):
    made = ctl.key(bolt)
    assert ctl.json("org", "api-keys", "revoke",
                    made["keyId"])["keyId"] == made["keyId"]
    ctl.refused(NOT_FOUND, "org", "api-keys", "revoke", "key_" + "0" * 26)


# ---- the file for a secret ----

@pytest.mark.parametrize("what", ["key", "client"])
def test_secret_file(ctl, acme, what):
    made = getattr(ctl, what)(acme, secret_file="my.secret")
    path = ctl.folder / "my.secret"
    assert mode(path) == 0o600
    assert (KEY if what == "key" else SECRET).fullmatch(path.read_text())
    assert "token" not in made and "clientSecret" not in made
    assert made["secretFile"] == "my.secret"
    assert path.read_text()[13:] not in json.dumps(made)


def test_secret_file_that_is_there_makes_no_key(ctl, acme):
    path = ctl.folder / "my.secret"
    path.write_text("precious")
    ctl.refused(REFUSED, "org", "api-keys", "create", "--org", acme, "--name",
                "k", "--scopes", "*", "--owner", "o", "--secret-file", path)
    assert path.read_text() == "precious"
    assert ctl.json("org", "api-keys", "list", "--org", acme)["keys"] == []


def test_secret_file_follows_no_link(ctl, acme):
    path, target = ctl.folder / "my.secret", ctl.folder / "target"
    path.symlink_to(target)
    ctl.refused(REFUSED, "m2m-clients", "create", "--org", acme, "--name", "k",
                "--scopes", "*", "--secret-file", path)
    assert not target.exists()


def test_secret_file_goes_when_nothing_was_made(ctl, acme):
    path = ctl.folder / "my.secret"
    ctl.refused(REFUSED, "m2m-clients", "create", "--org", acme, "--name", "k",
                "--scopes", "nothing:known", "--secret-file", path)
    assert not path.exists()


@needs_root
def test_secret_file_of_root_beside_a_store_of_the_servers(theirs):
    """Root works as the store's owner, yet the secret is root's to keep."""
    theirs.json("org", "create", "acme")
    place = Path(tempfile.mkdtemp(prefix="renseictl-root-"))
    try:
        theirs.client("acme", secret_file=place / "secret")
        assert (place / "secret").owner() == "root"
        theirs.refused(REFUSED, "m2m-clients", "create", "--org", "acme",
                       "--name", "k", "--scopes", "nothing:known",
                       "--secret-file", place / "none")
        assert not (place / "none").exists()
    finally:
        shutil.rmtree(place)


# ---- M2M clients ----

def test_client_create(ctl, acme):
    made = ctl.client(acme, "ci", scopes="sessions:read sessions:write",
                      description="builds", owner="team", lifetime=120)
    assert re.fullmatch(r"m2m_[0-9a-f]{32}", made["clientId"])
    assert SECRET.fullmatch(made["clientSecret"])
    assert (made["name"], made["orgId"], made["scopes"],
            made["description"], made["owner"], made["tokenLifetime"]) == (
        "ci", acme, ["sessions:read", "sessions:write"], "builds", "team", 120)
    text = ctl.run("m2m-clients", "create", "--org", "acme", "--name", "b",
                   "--scopes", "*").stdout
    assert len(SECRET.findall(text)) == 1
    assert re.search(r"^Created +\d{4}-\d\d-\d\dT", text, re.M)


def test_client_whose_secret_ends(ctl, acme):
    made = ctl.client(acme, secret_expires="2090-01-31T12:00:00Z")
    assert made["secretExpiresAt"] == 3789547200000
    assert made["expiresAt"] is None
    made = ctl.client(acme, secret_expires="90d")
    assert abs(made["secretExpiresAt"]
               - (time.time() + 90 * 86400) * 1000) < 60_000
    create = ["m2m-clients", "create", "--org", acme, "--name", "c",
              "--scopes", "*", "--secret-expires"]
    assert re.search(r"^Secret expires +2090-01-31T12:00:00",
                     ctl.run(*create, "2090-01-31T12:00:00Z").stdout, re.M)
    jwks = ctl.folder / "ends.jwks"
    jwks.write_text(json.dumps({"keys": [{
        "kty": "OKP", "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}))
    for more in (["2001-01-01T00:00:00Z"],
                 ["90d", "--auth-method", "private_key_jwt", "--jwks", jwks]):
        assert "--secret-expires: " in ctl.refused(REFUSED, *create, *more)
    ctl.refused(USAGE, *create, "soon")


@pytest.mark.parametrize("status, options", [
    (REFUSED, {"scopes": "org:read"}),
    (REFUSED, {"scopes": "workers:register"}),
    (REFUSED, {"name": ""}),
    (REFUSED, {"expires": "2001-01-01T00:00:00Z"}),
    (USAGE, {"lifetime": 59}),
    (USAGE, {"lifetime": 86401}),
    (NOT_FOUND, {"workspace": "nowhere"}),
])
def test_clients_against_the_rules(ctl, acme, status, options):
    options = {"org": acme, "name": "c", "scopes": "*", **options}
    ctl.refused(status, "m2m-clients", "create", *words(options))
    assert ctl.json("m2m-clients", "list", "--org", acme)["clients"] == []


def test_clients_of_one_organisation(ctl, acme, bolt):
    made, other = ctl.client(acme), ctl.client(bolt)
    listed = ctl.json("m2m-clients", "list", "--org", acme)
    assert [c["clientId"] for c in listed["clients"]] == [made["clientId"]]
    assert listed["nextCursor"] is None
    text = json.dumps(listed)
    assert made["clientSecret"][5:-4] not in text and "sha256" not in text
    ctl.refused(NOT_FOUND, "m2m-clients", "revoke", other["clientId"], "--org",
                acme)
    assert ctl.json("m2m-clients", "list", "--org",
                    bolt)["clients"][0]["status"] == "active"


def test_client_show(ctl, acme, bolt):
    made = ctl.client(acme)
    show = ("m2m-clients", "show", made["clientId"])
    ctl.refused(NOT_FOUND, *show, "--org", bolt)
    shown = ctl.json(*show)
    assert shown == ctl.json(*show, "--org", acme)
    assert {n: shown[n] for n in ("clientId", "name", "scopes")} == {
        n: made[n] for n in ("clientId", "name", "scopes")}
    assert (shown["status"], shown["secretLast4"]) == (
        "active", made["clientSecret"][-4:])
    text = ctl.run(*show).stdout
    assert made["clientId"] in text and made["clientSecret"] not in text
    ctl.refused(NOT_FOUND, "m2m-clients", "show", "m2m_" + "0" * 32)


def test_client_update(ctl, acme, bolt):
    made = ctl.client(acme)
    update = ("m2m-clients", "update", made["clientId"])
    ctl.refused(NOT_FOUND, *update, "--name", "x", "--org", bolt)
    facts = json_file(ctl, "facts.json", {"tier": 1})
    new = ctl.json(*update, "--name", "new", "--owner", "bob", "--scopes",
                   "sessions:read", "--lifetime", "900", "--expires", "9d",
                   "--description", "d", "--metadata", facts, "--audience",
                   "https://a.example/", "--audience", "https://b.example/")
    assert {n: new[n] for n in ("name", "owner", "scopes", "tokenLifetime",
                                "description", "trustedMetadata",
                                "audiences")} == {
        "name": "new", "owner": "bob", "scopes": ["sessions:read"],
        "tokenLifetime": 900, "description": "d",
        "trustedMetadata": {"tier": 1},
        "audiences": ["https://a.example/", "https://b.example/"]}
    assert abs(new["expiresAt"] - (time.time() + 9 * 86400) * 1000) < 60_000
    kept = ctl.json(*update, "--no-owner", "--no-description", "--no-expires",
                    "--no-lifetime", "--no-metadata", "--no-secret-expires")
    for name in ("owner", "description", "expiresAt", "tokenLifetime",
                 "trustedMetadata", "secretExpiresAt"):
        assert kept[name] is None, name
    assert (kept["name"], kept["scopes"]) == ("new", ["sessions:read"])
    assert ctl.json(*update, "--status", "inactive")["status"] == "inactive"
    assert ctl.json(*update, "--status", "active")["status"] == "active"
    for args in ((), ("--owner", "x", "--no-owner"), ("--lifetime", "0")):
        ctl.refused(USAGE, *update, *args)
    for args in (("--scopes", "no:such"), ("--status", "asleep")):
        ctl.refused(REFUSED, *update, *args)
    events = ctl.json("audit", "--org", acme, "--event", "m2m.client_updated")
    assert [e["details"]["fields"] for e in events["events"]][:2] == [
        ["status"], ["status"]]
    assert len(events["events"]) == 4
    ctl.json("m2m-clients", "revoke", made["clientId"])
    ctl.refused(REFUSED, *update, "--name", "x")


def test_client_revoke(ctl, acme):
    made = ctl.client(acme)
    gone = ctl.json("m2m-clients", "revoke", made["clientId"], "--reason",
                    "left")
    assert gone["clientId"] == made["clientId"]
    assert abs(gone["revokedAt"] - time.time() * 1000) < 60_000
    assert ctl.json("m2m-clients", "revoke", made["clientId"], "--org",
                    "acme") == gone
    assert ctl.json("m2m-clients", "list", "--org", acme, "--status",
                    "active")["clients"] == []
    ctl.refused(NOT_FOUND, "m2m-clients", "revoke", "m2m_" + "0" * 32)


# RFC 8037 A.1, A.2: a key pair
ED = {"kty": "OKP", "crv": "Ed25519",
      "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
ED_PRIVATE = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"


def json_file(ctl, name, value):
    path = ctl.folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_client_with_a_key(ctl, acme):
    """It has no secret, so none is printed and none goes to a file."""
    jwks = json_file(ctl, "c.jwks", {"keys": [ED]})
    made = ctl.client(acme, auth_method="private_key_jwt", jwks=jwks)
    assert made["tokenEndpointAuthMethod"] == "private_key_jwt"
    assert made["jwks"] == {"keys": [ED]}
    assert made["secretLast4"] is None and "clientSecret" not in made
    text = ctl.run("m2m-clients", "create", "--org", "acme", "--name", "d",
                   "--scopes", "*", "--auth-method", "private_key_jwt",
                   "--jwks", jwks).stdout
    assert "private_key_jwt" in text and "ecret" not in text
    path = ctl.folder / "none.secret"
    assert "--secret-file" in ctl.refused(
        REFUSED, "m2m-clients", "create", "--org", "acme", "--name", "e",
        "--scopes", "*", "--auth-method", "private_key_jwt", "--jwks", jwks,
        "--secret-file", path)
    assert not path.exists()
    assert "private_key_jwt" in ctl.refused(
        REFUSED, "m2m-clients", "rotate", "start", made["clientId"])
    assert len(ctl.json("m2m-clients", "list", "--org", acme)["clients"]) == 2


def test_client_with_audiences_metadata_and_a_method(ctl, acme):
    facts = json_file(ctl, "facts.json", {"plan": {"tier": "gold"}, "n": [1]})
    made = ctl.json("m2m-clients", "create", "--org", acme, "--name", "c",
                    "--scopes", "*", "--audience", "https://api.example/",
                    "--audience=billing", "--metadata", facts,
                    "--auth-method", "client_secret_post", "--lifetime", 300)
    assert made["audiences"] == ["https://api.example/", "billing"]
    assert made["trustedMetadata"] == {"plan": {"tier": "gold"}, "n": [1]}
    assert made["tokenEndpointAuthMethod"] == "client_secret_post"
    assert made["tokenLifetime"] == 300
    row, = ctl.json("m2m-clients", "list", "--org", acme)["clients"]
    assert row["audiences"] == made["audiences"]
    assert row["trustedMetadata"] == made["trustedMetadata"]


@pytest.mark.parametrize("options, says", [
    ({"auth-method": "none"}, "--auth-method"),
    ({"auth-method": "private_key_jwt"}, "--jwks"),
    ({"jwks": {"keys": [ED]}}, "--jwks"),
    ({"auth-method": "private_key_jwt", "jwks": {"keys": []}}, "--jwks"),
    ({"auth-method": "private_key_jwt",
      "jwks": {"keys": [{**ED, "d": ED_PRIVATE}]}}, "--jwks"),
    ({"auth-method": "private_key_jwt", "jwks": "no JSON"}, "line 1"),
    ({"auth-method": "private_key_jwt", "jwks": "[]"}, "an object"),
    ({"auth-method": "private_key_jwt", "jwks": ""}, "--jwks"),
    ({"metadata": "[]"}, "an object"),
    ({"metadata": '{"a":1,"a":2}'}, "--metadata"),
    ({"metadata": {"a": "x" * 5000}}, "--metadata"),
    ({"metadata": " " * 65537}, "larger than 65536 bytes"),
    ({"audience": "a b"}, "--audience"),
    ({"audience": ""}, "--audience"),
])
def test_how_a_client_authenticates_against_the_rules(ctl, acme, options,
                                                      says):
    options = dict(options)
    for name in ("jwks", "metadata"):
        if name in options:
            options[name] = json_file(ctl, name, options[name])
    stderr = ctl.refused(REFUSED, "m2m-clients", "create", "--org", acme,
                         "--name", "c", "--scopes", "*", *words(options))
    assert says in stderr
    assert ED_PRIVATE not in stderr
    assert ctl.json("m2m-clients", "list", "--org", acme)["clients"] == []


@pytest.mark.parametrize("option", ["jwks", "metadata"])
def test_a_file_that_cannot_be_read(ctl, acme, option):
    for path, why in ((ctl.folder / "none", "No such file"),
                      (ctl.folder, "Is a directory")):
        assert why in ctl.refused(
            FAILED, "m2m-clients", "create", "--org", acme, "--name", "c",
            "--scopes", "*", f"--{option}", path)


@needs_root
def test_files_are_read_as_who_runs_it(theirs):
    """As root on a store of the server's: root's file is root's to read."""
    theirs.json("org", "create", "acme")
    place = Path(tempfile.mkdtemp(prefix="renseictl-root-"))
    try:
        facts = place / "facts.json"
        facts.write_text('{"tier": "gold"}')
        facts.chmod(0o600)
        made = theirs.client("acme", metadata=facts)
        assert made["trustedMetadata"] == {"tier": "gold"}
    finally:
        shutil.rmtree(place)


# ---- rotation ----

def rotate(ctl, step, client, *args):
    return ctl.json("m2m-clients", "rotate", step, client, *args)


def test_rotation(ctl, acme):
    made = ctl.client(acme)
    client, old = made["clientId"], made["clientSecret"]
    started = rotate(ctl, "start", client)
    assert set(started) == {"clientId", "nextClientSecret", "nextSecretLast4",
                            "secretLast4", "secretExpiresAt"}
    assert started["clientId"] == client
    assert SECRET.fullmatch(started["nextClientSecret"])
    assert started["nextSecretLast4"] == started["nextClientSecret"][-4:]
    assert started["secretLast4"] == old[-4:]
    assert started["secretExpiresAt"] is None
    row, = ctl.json("m2m-clients", "list", "--org", acme)["clients"]
    assert row["nextSecretLast4"] == started["nextSecretLast4"]
    assert "under way" in ctl.refused(REFUSED, "m2m-clients", "rotate",
                                      "start", client)
    cancelled = rotate(ctl, "cancel", client, "--org", "acme")
    assert (cancelled["secretLast4"], cancelled["nextSecretLast4"]) == (
        old[-4:], None)
    for step in ("cancel", "complete"):
        assert "No rotation" in ctl.refused(REFUSED, "m2m-clients", "rotate",
                                            step, client)
    again = rotate(ctl, "start", client, "--org", acme)
    assert again["nextClientSecret"] != started["nextClientSecret"]
    completed = rotate(ctl, "complete", client)
    assert (completed["secretLast4"], completed["nextSecretLast4"]) == (
        again["nextSecretLast4"], None)
    assert "clientSecret" not in completed
    events = [e["event"] for e in ctl.json("audit", "--target", client,
                                           "--org", acme)["events"]]
    assert events == ["m2m.secret_rotation_completed",
                      "m2m.secret_rotation_started",
                      "m2m.secret_rotation_cancelled",
                      "m2m.secret_rotation_started", "m2m.client_created"]


def test_rotation_for_people(ctl, acme):
    client = ctl.client(acme)["clientId"]
    text = ctl.run("m2m-clients", "rotate", "start", client, "--expires",
                   "7d").stdout
    secret, = SECRET.findall(text)
    assert re.search(r"^New secret +m2ms_", text, re.M)
    assert re.search(r"^The old one expires +\d{4}-\d\d-\d\dT", text, re.M)
    text = ctl.run("m2m-clients", "rotate", "complete", client).stdout
    assert re.search(rf"^Its secret ends in +{secret[-4:]}$", text, re.M)
    assert secret not in text


def test_rotation_with_an_end(ctl, acme):
    client = ctl.client(acme)["clientId"]
    assert "--expires" in ctl.refused(
        REFUSED, "m2m-clients", "rotate", "start", client, "--expires",
        "2001-01-01T00:00:00Z")
    for when in ("0s", "soon", "7200"):
        ctl.refused(USAGE, "m2m-clients", "rotate", "start", client,
                    "--expires", when)
    started = rotate(ctl, "start", client, "--expires", "2h")
    assert abs(started["secretExpiresAt"]
               - (time.time() + 7200) * 1000) < 60_000
    for step in ("complete", "cancel"):
        assert "no option --expires" in ctl.refused(
            USAGE, "m2m-clients", "rotate", step, client, "--expires", "2h")
    assert rotate(ctl, "cancel", client)["secretExpiresAt"] is None


def test_rotation_with_a_secret_file(ctl, acme):
    client = ctl.client(acme)["clientId"]
    path = ctl.folder / "next.secret"
    path.write_text("precious")
    ctl.refused(REFUSED, "m2m-clients", "rotate", "start", client,
                "--secret-file", path)
    assert path.read_text() == "precious"
    path.unlink()
    started = rotate(ctl, "start", client, "--secret-file", path)
    assert started["secretFile"] == str(path)
    assert "nextClientSecret" not in started
    assert mode(path) == 0o600
    assert SECRET.fullmatch(path.read_text())
    assert path.read_text()[-4:] == started["nextSecretLast4"]
    # a second one is refused, and leaves no file
    other = ctl.folder / "other.secret"
    ctl.refused(REFUSED, "m2m-clients", "rotate", "start", client,
                "--secret-file", other)
    assert not other.exists()


def test_rotation_of_what_is_not_there(ctl, acme, bolt):
    other = ctl.client(bolt)["clientId"]
    for step in ("start", "complete", "cancel"):
        for args in (["m2m_" + "0" * 32], ["x"], [other, "--org", acme]):
            ctl.refused(NOT_FOUND, "m2m-clients", "rotate", step, *args)
    ctl.json("m2m-clients", "revoke", other)
    for step in ("start", "complete", "cancel"):
        ctl.refused(REFUSED, "m2m-clients", "rotate", step, other)


# ---- tokens ----

def test_revoke_tokens(ctl, acme, bolt):
    client = ctl.client(acme)["clientId"]
    done = ctl.json("m2m-clients", "revoke-tokens", client)
    assert done["clientId"] == client
    assert abs(done["tokensRevokedAt"] - time.time() * 1000) < 60_000
    again = ctl.json("m2m-clients", "revoke-tokens", client, "--org", "acme")
    assert again["tokensRevokedAt"] >= done["tokensRevokedAt"]
    event = ctl.json("audit", "--org", acme, "--limit", 1)["events"][0]
    assert (event["event"], event["target"]) == ("m2m.token_revoked", client)
    assert event["details"] == {"all": True}
    text = ctl.run("m2m-clients", "revoke-tokens", client).stdout
    assert re.search(r"^Tokens revoked +\d{4}-\d\d-\d\dT", text, re.M)
    for args in (["m2m_" + "0" * 32], [client, "--org", bolt]):
        ctl.refused(NOT_FOUND, "m2m-clients", "revoke-tokens", *args)
    ctl.json("m2m-clients", "revoke", client)
    ctl.refused(REFUSED, "m2m-clients", "revoke-tokens", client)


# ---- the audit trail ----

def test_audit_names_the_operator(ctl, acme):
    event, = ctl.json("audit", "--org", "acme")["events"]
    assert event["event"] == "org.created" and event["target"] == acme
    assert event["actor"] == pwd.getpwuid(os.getuid()).pw_name
    assert event["actorType"] == "operator"
    assert event["ip"] is None


@needs_root
def test_audit_names_who_used_sudo(ctl):
    made = ctl.json("org", "create", "x", env={"SUDO_USER": "alice"})
    event, = ctl.json("audit", "--org", made["orgId"])["events"]
    assert event["actor"] == "alice"


@needs_root
def test_only_root_speaks_for_another(bare):
    """Anybody can set SUDO_USER; as an ordinary user it is not believed."""
    nobody = pwd.getpwnam("nobody")
    os.chown(bare.folder, nobody.pw_uid, nobody.pw_gid)
    as_nobody = {"user": nobody.pw_uid, "group": nobody.pw_gid,
                 "extra_groups": []}
    assert bare.run("db", "init", **as_nobody).returncode == OK
    bare.json("org", "create", "x", env={"SUDO_USER": "alice"}, **as_nobody)
    event, = bare.json("audit", "--org", "x", **as_nobody)["events"]
    assert event["actor"] == "nobody"


def test_audit_filters_and_pages(ctl, acme, bolt):
    made = ctl.client(acme)["clientId"]
    ctl.json("m2m-clients", "revoke", made)

    def events(*args):
        return ctl.json("audit", "--org", acme, *args)["events"]

    assert [e["event"] for e in events()] == [
        "m2m.client_revoked", "m2m.client_created", "org.created"]
    assert {e["orgId"] for e in events()} == {acme}
    assert len(events("--target", made)) == 2
    assert len(events("--event", "org.created")) == 1
    assert events("--actor", "somebody") == []
    assert len(events("--since", "1h")) == 3
    assert events("--until", "1h") == []
    middle = events()[1]["at"]
    assert len(events("--since", middle)) + len(events("--until", middle)) == 3

    page = ctl.json("audit", "--org", acme, "--limit", "2")
    assert len(page["events"]) == 2
    rest = ctl.json("audit", "--org", acme, "--cursor", page["nextCursor"])
    assert page["events"] + rest["events"] == events()
    assert rest["nextCursor"] is None
    stderr = ctl.run("audit", "--org", acme, "--limit", "2").stderr
    assert f"--cursor {page['nextCursor']}" in stderr
    ctl.refused(REFUSED, "audit", "--org", acme, "--cursor", "nonsense!")


def test_audit_without_an_organisation_is_what_belongs_to_none(ctl, acme):
    assert ctl.json("audit") == {"events": [], "nextCursor": None}
    with sqlite3.connect(ctl.file) as wire:
        wire.execute("UPDATE rensei_audit SET org_id = ''")
        wire.execute("UPDATE rensei_audit_heads SET org_id = ''")
    wire.close()
    assert [e["event"] for e in ctl.json("audit")["events"]] == ["org.created"]


# ---- secrets ----

def test_secret_new(bare):
    first, second = bare.run("secret", "new"), bare.run("secret", "new")
    assert re.fullmatch(r"[0-9a-f]{64}\n", first.stdout)
    assert first.stdout != second.stdout
    assert re.fullmatch(r"[0-9a-f]{64}", bare.json("secret", "new")["secret"])


def test_secret_new_to_a_file(bare):
    path = bare.folder / "jwt.secret"
    done = bare.run("secret", "new", "--out", path)
    secret = path.read_text()
    assert done.returncode == OK and secret not in done.stdout
    assert re.fullmatch(r"[0-9a-f]{64}", secret)
    assert mode(path) == 0o600
    bare.refused(REFUSED, "secret", "new", "--out", path)
    assert path.read_text() == secret
    bare.refused(FAILED, "secret", "new", "--out", bare.folder / "no" / "x")


# ---- signing keys ----

ALGS = {"ES256": ("P-256", 256), "ES384": ("P-384", 384),
        "EdDSA": ("Ed25519", 256), "RS256": ("RSA", 2048),
        "PS256": ("RSA", 2048)}


def new_key(bare, alg, *args, name=None):
    path = bare.folder / (name or f"{alg}.pem")
    return path, bare.json("signing-key", "new", "--alg", alg, "--out", path,
                           *args)


@pytest.mark.parametrize("alg", ALGS)
def test_signing_key_new(bare, alg):
    path, made = new_key(bare, alg)
    pem = path.read_text()
    assert mode(path) == 0o600
    assert pem.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert made == {
        "kid": public_jwk(pem)["kid"], "alg": alg, "type": ALGS[alg][0],
        "bits": ALGS[alg][1], "file": str(path),
        "directive": f"RenseiSigningKey file:{path}"
                     + (" alg=PS256" if alg == "PS256" else "")}


def test_signing_key_says_nothing_of_the_key(bare):
    path = bare.folder / "key.pem"
    done = bare.run("signing-key", "new", "--alg", "ES256", "--out", path)
    assert done.returncode == OK and not done.stderr
    for line in path.read_text().splitlines()[1:-1]:
        assert line not in done.stdout
    d = JsonWebKey.import_key(path.read_text()).as_dict(is_private=True)["d"]
    assert d not in done.stdout


def test_signing_key_is_new_each_time(bare):
    assert new_key(bare, "EdDSA", name="a")[1]["kid"] \
        != new_key(bare, "EdDSA", name="b")[1]["kid"]


def test_signing_key_leaves_what_is_there(bare):
    path, target = bare.folder / "key.pem", bare.folder / "target"
    path.write_text("precious")
    args = ["signing-key", "new", "--alg", "ES256", "--out"]
    bare.refused(REFUSED, *args, path)
    assert path.read_text() == "precious"
    link = bare.folder / "link.pem"
    link.symlink_to(target)
    bare.refused(REFUSED, *args, link)
    assert not target.exists()
    bare.refused(FAILED, *args, bare.folder / "no" / "key.pem")


def test_signing_key_directive_is_one_that_httpd_takes(bare):
    """RenseiSigningKey takes an absolute path, quoted where it has blanks."""
    made = bare.json("signing-key", "new", "--alg", "ES256", "--out", "k.pem")
    assert made["directive"] == f"RenseiSigningKey file:{bare.folder}/k.pem"
    made = bare.json("signing-key", "new", "--alg", "PS256", "--out", "./a b")
    assert made["directive"] \
        == f'RenseiSigningKey "file:{bare.folder}/a b" alg=PS256'


def test_signing_key_bits(bare):
    path, made = new_key(bare, "PS256", "--bits", "3072")
    assert made["bits"] == 3072
    text = subprocess.run(["openssl", "pkey", "-in", path, "-noout", "-text"],
                          text=True, check=True, capture_output=True).stdout
    assert "3072 bit" in text


@pytest.mark.parametrize("args, says", [
    (["--alg", "ES256"], "--out"),
    (["--out", "x"], "--alg"),
    (["--alg", "HS256", "--out", "x"], "ES256, ES384"),
    (["--alg", "es256", "--out", "x"], "ES256, ES384"),
    (["--alg", "none", "--out", "x"], "ES256, ES384"),
    (["--alg", "RS256", "--out", "x", "--bits", "1024"], "--bits"),
    (["--alg", "RS256", "--out", "x", "--bits", "8192"], "--bits"),
    (["--alg", "ES256", "--out", "x", "--bits", "2048"], "--bits"),
])
def test_signing_key_new_not_understood(bare, args, says):
    assert says in bare.refused(USAGE, "signing-key", "new", *args)
    assert not (bare.folder / "x").exists()


def test_signing_key_list(bare):
    made = {alg: new_key(bare, alg)[1] for alg in ("ES256", "RS256")}
    public = bare.folder / "public.pem"
    subprocess.run(["openssl", "pkey", "-in", bare.folder / "ES256.pem",
                    "-pubout", "-out", public], check=True)
    text = bare.run("signing-key", "list", "ES256.pem", "RS256.pem",
                    "public.pem").stdout
    head, *rows = text.splitlines()
    assert head.split() == ["Key", "id", "Algorithm", "Type", "Bits",
                            "Private", "File"]
    assert [row.split() for row in rows] == [
        [made["ES256"]["kid"], "ES256", "P-256", "256", "yes", "ES256.pem"],
        [made["RS256"]["kid"], "RS256", "RSA", "2048", "yes", "RS256.pem"],
        [made["ES256"]["kid"], "ES256", "P-256", "256", "no", "public.pem"]]


def test_signing_key_list_as_jwks(bare):
    files = [new_key(bare, alg)[0] for alg in ALGS if alg != "PS256"]
    jwks = bare.json("signing-key", "list", *files, files[0])
    assert [key["alg"] for key in jwks["keys"]] == ["ES256", "ES384", "EdDSA",
                                                    "RS256"]
    for path, key in zip(files, jwks["keys"]):
        assert key == {**public_jwk(path.read_text()), "alg": key["alg"],
                       "use": "sig"}
    assert list(jwks) == ["keys"]


def test_signing_key_list_with_the_alg_of_the_directive(bare):
    path, made = new_key(bare, "PS256")
    key, = bare.json("signing-key", "list", path, "--alg", "PS256")["keys"]
    assert (key["alg"], key["kid"]) == ("PS256", made["kid"])
    assert "does not fit" in bare.refused(
        REFUSED, "signing-key", "list", path, "--alg", "ES256")


def test_signing_key_list_of_what_is_no_key(bare):
    path, _ = new_key(bare, "ES256")
    other = bare.folder / "other.pem"
    other.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n"
                     "-----END CERTIFICATE-----\n")
    stderr = bare.refused(REFUSED, "signing-key", "list", path, other)
    assert "other.pem: The PEM text has something else" in stderr
    other.write_text("")
    assert "no key in it" in bare.refused(REFUSED, "signing-key", "list", other)
    bare.refused(FAILED, "signing-key", "list", bare.folder / "nothing.pem")
    bare.refused(USAGE, "signing-key", "list")
