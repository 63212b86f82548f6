# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""What the servers are asked about: 10,000 clients and keys in a store of
ours, the same credentials for the peers, and tokens that our issuer made.

A store is filled by SQL: renseictl makes one client at a time, durably, and
a million would take the night. What is in it is what renseictl would have
written; the gate before each measurement shows that it is accepted."""

import base64
import fcntl
import hashlib
import hmac
import json
import os
import shutil
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import servers
from clients import Wire
from servers import DATA, WORK, as_user, own, session

COUNT = 10_000
SIGNED = ("hs256", "es256", "rs256", "eddsa")
ISSUER, AUDIENCE = "rensei-platform", "rensei-api"
SCOPES = "sessions:read workers:read"
FORM = "application/x-www-form-urlencoded"
GRANT = "grant_type=client_credentials"
STALE = 8 * 3600  # tokens live for a day
BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def _hex(kind, i):
    """Not secret, not random: so that nothing has to be kept of a
    million."""
    return hashlib.sha256(f"bench {kind} {i}".encode()).hexdigest()


def _ulid(kind, i, ms):
    """As rensei_id_new_at makes it: 48 bits of time, 80 of chance."""
    n = ms << 80 | int(_hex(kind, i)[:20], 16)
    return "".join(BASE32[n >> 5 * k & 31] for k in range(25, -1, -1))


def client_id(i):
    return "m2m_" + _hex("client", i)[:32]


def client_secret(i):
    return "m2ms_" + _hex("secret", i)


def api_key(i):
    return "rsk_live_" + _hex("key", i)


def basic(user, password):
    pair = f"{user}:{password}".encode()
    return "Basic " + base64.b64encode(pair).decode()


def client_basic(i):
    return basic(client_id(i), client_secret(i))


def digest(secret):
    """As rensei_digest stores it."""
    return "sha256$" + hashlib.sha256(secret.encode()).hexdigest()


def _part(value):
    text = json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=")


def token(i, secret=None, **other):
    """A token for a client, as our issuer would make it, with other claims
    in place of the right ones."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": client_id(i),
              "org_id": "org_" + _ulid("org", 0, 0), "iat": now,
              "exp": now + 3600, "scopes": SCOPES.split(),
              "jti": "tok_" + _ulid("token", i, now * 1000), **other}
    text = _part({"alg": "HS256", "typ": "JWT"}) + b"." + _part(claims)
    secret = secret or (DATA / "secret").read_text().strip()
    mac = hmac.digest(secret.encode(), text, "sha256")
    mac = base64.urlsafe_b64encode(mac).rstrip(b"=")
    return (text + b"." + mac).decode()


# ---- stores ------------------------------------------------------------

def ctl(*args):
    done = subprocess.run([session() / "build" / "renseictl", *args],
                          text=True, capture_output=True, cwd="/", **as_user())
    if done.returncode:
        raise SystemExit(f"renseictl {' '.join(args)}: {done.stderr}")


def make_store(path, clients, keys, orgs=1):
    """A store with so many clients and keys, spread over orgs organisations
    of one workspace each, and an org key with all scopes in each (admin_key).
    """
    ctl("db", "init", "--store", f"sqlite3:{path}")
    now = int(time.time() * 1000) - clients - 1000
    db = sqlite3.connect(path, isolation_level=None)
    mode = db.execute("PRAGMA journal_mode").fetchone()[0]
    db.execute("PRAGMA synchronous=OFF")
    db.execute("BEGIN")
    names = [("org_" + _ulid("org", i, now), "ws_" + _ulid("ws", i, now))
             for i in range(orgs)]
    insert(db, "rensei_orgs", "id name status created_at updated_at",
           ((org, f"bench-{i}", "active", now, now)
            for i, (org, _) in enumerate(names)))
    insert(db, "rensei_workspaces", "id org_id name created_at",
           ((ws, org, "main", now) for org, ws in names))
    insert(db, "rensei_clients", "id org_id workspace_id name scopes status "
           "secret_digest secret_last4 created_at updated_at created_by",
           (client_row(i, names, now) for i in range(clients)))
    insert(db, "rensei_keys", "id org_id workspace_id name type owner scopes "
           "digest prefix created_at created_by uses",
           (key_row(i, names, now) for i in range(keys)))
    insert(db, "rensei_keys", "id org_id name type owner scopes digest prefix "
           "created_at created_by uses",
           (admin_row(i, org, now) for i, (org, _) in enumerate(names)))
    db.execute("COMMIT")
    if mode == "wal":
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    for name in (path, f"{path}-wal", f"{path}-shm"):
        if os.path.exists(name):
            own(name, 0o600)
    return names


def insert(db, table, columns, rows):
    columns = columns.split()
    db.executemany("INSERT INTO %s (%s) VALUES (%s)" % (
        table, ", ".join(columns), ", ".join("?" * len(columns))), rows)


def client_row(i, names, now):
    org, ws = names[i % len(names)]
    secret = client_secret(i)
    return (client_id(i), org, ws, f"client {i}", SCOPES, "active",
            digest(secret), secret[-4:], now + i, now + i, "bench")


def key_row(i, names, now):
    org, ws = names[i % len(names)]
    key = api_key(i)
    return ("key_" + _ulid("key", i, now + i), org, ws, f"key {i}", "user",
            "bench", "sessions:read sessions:write", digest(key), key[:13],
            now + i, "bench", 0)


def admin_key(i=0):
    return "rsk_live_" + _hex("admin", i)


def admin_row(i, org, now):
    key = admin_key(i)
    return ("key_" + _ulid("admin", i, now), org, "admin", "org", "bench", "*",
            digest(key), key[:13], now, "bench", 0)


# ---- the world that the comparison is about -------------------------------

def write(name, lines, mode=0o644):
    path = DATA / name
    path.write_text("".join(line + "\n" for line in lines))
    return own(path, mode)


def make_keys():
    ctl("secret", "new", "--out", str(DATA / "secret"))
    for alg in ("ES256", "RS256", "EdDSA"):
        ctl("signing-key", "new", "--alg", alg, "--out",
            str(DATA / (alg.lower() + ".pem")))


def make_credentials():
    everybody = range(COUNT)
    write("client.txt", (client_basic(i) for i in everybody))
    write("basic.txt", (client_basic(i) for i in everybody))
    write("key.txt", (f"Bearer {api_key(i)}" for i in everybody))
    write("key.map", (f'"Bearer {api_key(i)}" 0;' for i in everybody))
    db = sqlite3.connect(DATA / "basic.db")
    db.execute("CREATE TABLE keys (id TEXT PRIMARY KEY, password TEXT) "
               "WITHOUT ROWID")
    insert(db, "keys", "id password", (
        (client_id(i), "{SHA}" + base64.b64encode(
            hashlib.sha1(client_secret(i).encode()).digest()).decode())
        for i in everybody))
    db.commit()
    db.close()
    own(DATA / "basic.db")


def issue(port, ids):
    """Authorization lines with tokens for these clients, as our issuer makes
    them."""
    out = []
    with Wire(port) as wire:
        for i in ids:
            status, _, body = wire.ask("/api/oauth/token", client_basic(i),
                                       GRANT, FORM)
            if status != 200:
                raise SystemExit(f"no token for a client: {status} {body}")
            out.append("Bearer " + json.loads(body)["access_token"])
    return out


def make_tokens():
    services = (servers.HERE / "variants/rensei-services.part").read_text()
    found = servers.load([f"rensei-{alg}.httpd" for alg in SIGNED])
    for alg in SIGNED:
        variant = found[f"rensei-{alg}.httpd"]
        with servers.Server(variant, {}, conf=services) as server, \
                ThreadPoolExecutor(8) as pool:
            parts = list(pool.map(lambda k: issue(
                server.port, range(k, COUNT, 8)), range(8)))
        write(alg + ".txt", (parts[i % 8][i // 8] for i in range(COUNT)))


def stale():
    stamp = DATA / "made"
    return (not stamp.exists()
            or time.time() - stamp.stat().st_mtime > STALE)


def setup(force=False):
    """Makes the world, where it is not there or its tokens are about to
    expire; one process at a time."""
    session()
    with open(WORK / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not force and not stale():
            return
        shutil.rmtree(DATA, ignore_errors=True)
        (DATA / "docroot").mkdir(parents=True)
        own(DATA, 0o755)
        own(DATA / "docroot", 0o755)
        body = json.dumps({"data": [{"id": f"ses_{i:03}", "state": "open",
                                     "total": 12} for i in range(5)]})
        write("docroot/hello.json", [body])
        make_keys()
        make_credentials()
        make_store(str(DATA / "store.db"), COUNT, COUNT)
        make_tokens()
        write("made", [str(int(time.time()))])


def creds(kind):
    """The file with the credentials of a kind, a header's value a line."""
    return DATA / f"{kind}.txt"


def lines(kind, count=COUNT):
    with open(creds(kind)) as listing:
        return [line.rstrip("\n") for _, line in zip(range(count), listing)]


def marks():
    """What variants' configuration says of the world."""
    token = lines("hs256", 1)[0].split()[1]
    head = token.split(".")[0]
    head = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    return {"ISS": ISSUER, "AUD": AUDIENCE, "KID": head["kid"],
            "SECRET": (DATA / "secret").read_text().strip(),
            "CLIENT": client_id(0), "CLIENT_SECRET": client_secret(0)}
