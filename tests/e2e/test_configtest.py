# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""What is wrong in the configuration is refused by `apache2 -t`, in a
sentence that an administrator who does not know us understands."""

import os
import subprocess

import pytest

from harness import conf, where

pytestmark = pytest.mark.only(
    "sqlite", "what a configuration says, before there is a store")

DBD = 'DBDriver sqlite3\nDBDParams "@DIR@/store.db"\n'
BEARER = conf.protected("/x")
LITERAL = "4e1c0b7a-this-is-a-literal-secret-of-an-admin"


@pytest.fixture(scope="module")
def check(launch):
    """Runs configtest on some configuration."""
    def run(text, dbd=DBD, env=None, **more):
        server = launch.httpd(text, start=False, dbd=dbd, env=env, **more)
        server.file("store.db", "", 0o600)
        server.file("good", "a secret that is long enough to be one, really",
                    0o600, owner=not where.AS_ROOT)
        return server, *server.configtest()
    return run


@pytest.fixture(scope="module")
def accepted(check):
    def run(text, **more):
        _, ok, said = check(text, **more)
        assert ok, said
        assert "Syntax OK" in said
        return said
    return run


@pytest.fixture(scope="module")
def refused(check):
    """It is refused, and what is said has all the words."""
    def run(text, *words, **more):
        server, ok, said = check(text, **more)
        assert not ok, f"accepted: {text}"
        for word in words:
            assert word.lower() in said.lower(), f"no {word!r} in: {said}"
        # httpd starts with where it is, or the module that says it; then a
        # sentence, not a word
        assert len(said.split()) > 8, said
        return said
    return run


# -- what is right ------------------------------------------------------------


def test_everything_said_well(accepted):
    accepted("""
        RenseiSecret file:@DIR@/good env:M2M_JWT_SECRET
        RenseiIssuer https://gateway.example
        RenseiAudience urn:api
        RenseiClockSkew 0
        RenseiScopes m2m jobs:run jobs:read
        RenseiScopes key jobs:read org:read org:write
        RenseiRevocation immediate
        RenseiMaxStaleness 5
        RenseiCacheSize 1048576
        RenseiThrottle 5/10
        RenseiTokenLifetime 300
        """ + conf.API + conf.protected(
            "/x", 'AuthName "jobs"', "RenseiAccept m2m key worker",
            "RenseiForward On", "Require rensei-scope jobs:run jobs:read",
            "Require rensei-org org_1 org_2",
            "Require rensei-workspace ws_1", "Require rensei-client m2m_1",
            "Require rensei-key-type user worker_registration org",
            "Require rensei-kind m2m key worker",
            "Require rensei-claim tier:gold",
            "Require rensei-org %{env:MATCH_ORG}",
            "Require rensei-scope %{env:MATCH_SCOPE}"))


def test_the_least_that_works(accepted):
    accepted(BEARER)


def test_without_any_of_our_directives(accepted):
    """The modules loaded, but not used: nothing to complain about, no secret
    and no store needed."""
    accepted("", dbd="", env={"M2M_JWT_SECRET": None})


def test_a_place_that_is_open_again(accepted):
    """Require all granted inside a protected tree needs no AuthType; and
    words of ours inside <If> are under an AuthType of the same section."""
    accepted(BEARER + """
        <Location "/x/open">
          Require all granted
        </Location>
        <Location "/y">
          <If "%{HTTP:Authorization} =~ /^Basic /i">
            AuthType Basic
            AuthName "people"
            Require valid-user
          </If>
          <Else>
            AuthType Bearer
            Require rensei-scope sessions:read
          </Else>
        </Location>""")


def test_a_provider_below_an_auth_type_that_is_inherited(accepted):
    """AuthType Bearer for a tree, Require lines further down."""
    accepted(BEARER + """
        <Location "/x/deeper">
          Require rensei-scope sessions:write
        </Location>""")


@pytest.mark.parametrize("order", [
    ("rensei_auth", "rensei_token", "rensei_admin"),
    ("rensei_admin", "rensei_token", "rensei_auth"),
    ("rensei_token", "rensei_auth", "rensei_admin")])
def test_modules_in_any_order(accepted, order):
    accepted(conf.API, modules=order)


# -- secrets ------------------------------------------------------------------


def test_no_secret(refused):
    refused(BEARER, "M2M_JWT_SECRET", env={"M2M_JWT_SECRET": None})
    refused(conf.TOKEN, "M2M_JWT_SECRET", env={"M2M_JWT_SECRET": None})
    refused("RenseiSecret env:NO_SUCH_NAME\n" + BEARER, "RenseiSecret",
            "NO_SUCH_NAME")


def test_an_empty_secret(refused):
    refused(BEARER, "M2M_JWT_SECRET", env={"M2M_JWT_SECRET": ""})


@pytest.mark.parametrize("secret", ["x", "short", "x" * 31])
def test_a_short_secret(refused, secret):
    """RFC 7518 3.2: 32 bytes at least. The sentence says how many are
    wanted, and how to make one."""
    said = refused(BEARER, "M2M_JWT_SECRET", "32",
                   env={"M2M_JWT_SECRET": secret})
    assert "renseictl secret new" in said or "openssl rand" in said, said
    if len(secret) > 5:
        assert secret not in said


def test_a_secret_of_just_32_bytes(accepted):
    accepted(BEARER, env={"M2M_JWT_SECRET": "x7" * 16})


def test_a_literal_secret(refused):
    """It would be in the file, in /server-info and in every backup. The
    sentence says what to write instead, and does not repeat it."""
    said = refused(f"RenseiSecret {LITERAL}\n" + BEARER, "RenseiSecret",
                   "env:", "file:", "exec:")
    assert LITERAL not in said


@pytest.mark.parametrize("source", ["env:", "file:", "exec:", "http://x/",
                                    "ENV", ":x", "file:relative/path"])
def test_a_source_that_is_none(refused, source):
    refused(f'RenseiSecret "{source}"\n' + BEARER, "RenseiSecret")


def test_a_previous_secret_that_is_not_there(refused):
    refused("RenseiSecret env:M2M_JWT_SECRET env:GONE\n" + BEARER,
            "RenseiSecret", "GONE")


def spoil(server, how):
    path = server.dir / "secret"
    text = "a secret that is long enough to be one, really"
    own = not where.AS_ROOT
    if how == "short":
        server.file("secret", "short", 0o600, owner=own)
    elif how == "empty":
        server.file("secret", "", 0o600, owner=own)
    elif how == "folder":
        path.mkdir()
    elif how == "symlink":
        path.symlink_to(server.dir / "good")
    elif how == "fifo":
        os.mkfifo(path, 0o600)
    elif how == "of another":
        server.file("secret", text, 0o600, owner=True)
    elif how != "missing":
        server.file("secret", text, int(how, 8), owner=own)


@pytest.mark.parametrize("how, words", [
    ("missing", ["no such file"]), ("644", ["600"]), ("640", ["600"]),
    ("604", ["600"]), ("660", ["600"]), ("short", ["32"]),
    ("empty", ["32"]), ("folder", ["file"]), ("symlink", ["link"]),
    ("fifo", ["file"])]
    + ([("of another", ["owner", "chown"])] if where.AS_ROOT else []))
def test_a_file_that_cannot_be_trusted(launch_here, how, words):
    server = launch_here.httpd("RenseiSecret file:@DIR@/secret\n" + BEARER,
                               start=False, dbd=DBD)
    server.file("good", "a secret that is long enough to be one, really",
                0o600, owner=not where.AS_ROOT)
    spoil(server, how)
    ok, said = server.configtest()
    assert not ok
    for word in words + ["RenseiSecret", "/secret"]:
        assert word.lower() in said.lower(), said
    assert "a secret that is" not in said


def test_a_program_that_is_not_there(refused):
    refused("RenseiSecret exec:/nonexistent/program\n" + BEARER,
            "RenseiSecret", "/nonexistent/program")


# -- words --------------------------------------------------------------------


def test_an_unknown_scope(refused):
    """A misspelt scope that is accepted locks everybody out, or, negated,
    lets everybody in."""
    refused(conf.protected("/x", "Require rensei-scope sessions:raed"),
            "rensei-scope", "sessions:raed", "RenseiScopes")
    refused(conf.protected("/x", "<RequireAll>", "Require valid-user",
                           "Require not rensei-scope sessions:raed",
                           "</RequireAll>"), "sessions:raed")
    refused("RenseiScopes m2m jobs:run\n" + conf.protected(
        "/x", "Require rensei-scope workers:read"), "workers:read")


def test_a_scope_of_a_vocabulary_of_ones_own(accepted):
    accepted("RenseiScopes m2m jobs:run\n" + conf.protected(
        "/x", "Require rensei-scope jobs:run"))


def test_a_virtual_hosts_scope_counts_there(accepted, refused):
    vhost = """
        <VirtualHost *:@PORT@>
          ServerName jobs.example
          RenseiScopes m2m jobs:run
          %s
        </VirtualHost>"""
    location = conf.protected("/x", "Require rensei-scope jobs:run")
    accepted(vhost % location)
    # what the main server's vocabulary has is none there
    refused(vhost % conf.protected("/x", "Require rensei-scope agents:read"),
            "agents:read", "RenseiScopes")


def test_a_star_is_not_asked_for(refused):
    refused(conf.protected("/x", "Require rensei-scope *"), "rensei-scope",
            "*")


def test_an_unknown_resource(refused):
    refused(conf.protected("/x", "Require rensei-resource sesions"),
            "sesions")


@pytest.mark.parametrize("line, words", [
    ("RenseiAccept m2m robots", ["RenseiAccept", "robots", "m2m", "key",
                                 "worker"]),
    ("RenseiAccept", ["RenseiAccept"]),
    ("RenseiForward maybe", ["RenseiForward"]),
    ("Require rensei-kind robot", ["rensei-kind", "robot", "m2m", "key",
                                   "worker"]),
    ("Require rensei-key-type admin", ["rensei-key-type", "admin", "user",
                                       "worker_registration", "org"]),
    ("Require rensei-claim tier", ["rensei-claim", "tier", "name:value"]),
    ("Require rensei-claim :gold", ["rensei-claim"]),
    ("Require rensei-scope", ["rensei-scope"]),
    ("Require rensei-org", ["rensei-org"]),
    ("Require rensei-workspace", ["rensei-workspace"]),
    ("Require rensei-client", ["rensei-client"]),
    ("Require rensei-key-type", ["rensei-key-type"]),
    ("Require rensei-kind", ["rensei-kind"]),
    ("Require rensei-claim", ["rensei-claim"]),
    ("Require rensei-resource", ["rensei-resource"]),
    ('Require rensei-org "%{env:"', ["rensei-org", "%{env:"]),
    ("Require rensei-org %{nonsense:x}", ["rensei-org", "nonsense"]),
    ("Require rensei-robot x", ["rensei-robot"])])
def test_an_unknown_word(refused, line, words):
    refused(conf.protected("/x", line), *words)


@pytest.mark.parametrize("line, words", [
    ("RenseiRevocation sometimes", ["RenseiRevocation", "immediate",
                                    "expiry"]),
    ("RenseiScopes robot a:b", ["RenseiScopes", "robot", "m2m", "key"]),
    ("RenseiScopes m2m", ["RenseiScopes"]),
    ("RenseiScopes m2m *", ["RenseiScopes", "*"]),
    ('RenseiScopes m2m "a\\"b"', ["RenseiScopes"]),
    ("RenseiScopes m2m " + "x" * 65, ["RenseiScopes"]),
    ("RenseiThrottle 10", ["RenseiThrottle"]),
    ("RenseiThrottle x/60", ["RenseiThrottle"]),
    ("RenseiThrottle 0/60", ["RenseiThrottle"]),
    ("RenseiThrottle 10/0", ["RenseiThrottle"]),
    ("RenseiThrottle -1/60", ["RenseiThrottle"]),
    ("RenseiThrottle 10/60/1", ["RenseiThrottle"]),
    ("RenseiThrottle 10/1e9", ["RenseiThrottle"]),
    ('RenseiIssuer ""', ["RenseiIssuer"]),
    ('RenseiAudience ""', ["RenseiAudience"])])
def test_a_server_directive_with_an_unknown_word(refused, line, words):
    refused(line + "\n" + BEARER, *words)


# -- numbers ------------------------------------------------------------------


@pytest.mark.parametrize("directive", [
    "RenseiClockSkew", "RenseiMaxStaleness", "RenseiCacheSize",
    "RenseiStoreTimeout", "RenseiStoreWaiters", "RenseiTokenLifetime"])
@pytest.mark.parametrize("value", ["-1", "ten", "10x", "1e3", "1.5", '""',
                                   "0x10", "99999999999999999999", "' 5'"])
def test_a_number_that_is_none(refused, directive, value):
    """atoi() takes the first, reads the second as 0, the third as 10."""
    refused(f"{directive} {value}\n" + BEARER, directive)


@pytest.mark.parametrize("line", [
    "RenseiTokenLifetime 0", "RenseiClockSkew 86400", "RenseiMaxStaleness 0",
    "RenseiCacheSize 1"])
def test_a_number_that_makes_no_sense(check, line):
    """Either it is refused, with its directive named, or it is a legal way
    to say "none"; a crash or silence about a lifetime of 0 is neither."""
    _, ok, said = check(line + "\n" + BEARER)
    if line.startswith("RenseiTokenLifetime"):
        assert not ok
    assert ok or line.split()[0] in said


@pytest.mark.parametrize("value", ["abc", "-5", "0", "10 minutes"])
def test_a_lifetime_in_the_environment(refused, value):
    refused(conf.API, "M2M_TOKEN_LIFETIME",
            env={"M2M_TOKEN_LIFETIME": value})


def test_an_empty_lifetime_in_the_environment(accepted):
    """What a container file passes on for a variable that is not set."""
    accepted(conf.API, env={"M2M_TOKEN_LIFETIME": ""})


# -- where things belong ------------------------------------------------------


def test_a_provider_without_auth_type(refused):
    """Without AuthType Bearer nobody is ever authenticated, and every
    request is refused with 500."""
    refused("""<Location "/x">
          Require rensei-scope sessions:read
        </Location>""", "rensei-scope", "AuthType Bearer")
    refused("""<Location "/x">
          AuthType Basic
          AuthName "x"
          Require rensei-kind m2m
        </Location>""", "rensei-kind", "AuthType Bearer")


def test_the_cache_is_the_main_servers(refused):
    refused("""<VirtualHost *:@PORT@>
          RenseiCacheSize 1048576
        </VirtualHost>""", "RenseiCacheSize", dbd=DBD)


@pytest.mark.parametrize("line", [
    "RenseiIssuer x", "RenseiSecret env:X", "RenseiSigningKey env:X",
    "RenseiBaseURL https://x", "RenseiClockSkew 5",
    "RenseiScopes m2m a:b", "RenseiRevocation expiry",
    "RenseiMaxStaleness 5", "RenseiThrottle 5/5",
    "RenseiExpiryNotice 14d",
    "RenseiTokenLifetime 60"])
def test_a_server_directive_in_a_location(refused, line):
    refused(conf.protected("/x", line), line.split()[0], "not allowed")


@pytest.mark.parametrize("value", ["soon", "0", "0d", "-1d", "2w", "1.5d",
                                   "3651d", '""', "99999999999999999999d"])
def test_a_notice_that_is_no_time(refused, value):
    refused(f"RenseiExpiryNotice {value}\n" + conf.TOKEN,
            "RenseiExpiryNotice", "14d")


def test_notices_and_their_header(accepted, refused):
    for value in ("14d", "12h", "30m", "90s", "3600", "off", "Off"):
        accepted(f"RenseiExpiryNotice {value}\n" + conf.TOKEN)
    accepted(conf.protected("/x", "RenseiExpiryHeader On"))
    refused(conf.protected("/x", "RenseiExpiryHeader maybe"),
            "RenseiExpiryHeader")
    refused("RenseiExpiryHeader On\n" + conf.TOKEN, "RenseiExpiryHeader",
            "not allowed")


def test_no_store(refused):
    """Immediate revocation, keys and the token service need one."""
    refused(BEARER, "DBDriver", dbd="")
    refused(conf.TOKEN, "DBDriver", dbd="")
    refused(conf.ADMIN, "DBDriver", dbd="")
    refused(BEARER, "DBDriver", dbd="DBDMin 1\n")
    refused(BEARER, "DBDParams", dbd="DBDriver sqlite3\n")


def test_no_store_where_none_is_needed(accepted):
    accepted("RenseiRevocation expiry\n" + conf.protected(
        "/x", "RenseiAccept m2m"), dbd="", modules=("rensei_auth",))


def test_expiry_with_keys_but_no_store(refused):
    """Keys cannot be checked without a store, so every key would be 503."""
    refused("RenseiRevocation expiry\n" + conf.protected(
        "/x", "RenseiAccept m2m key"), "RenseiAccept", "key", dbd="",
        modules=("rensei_auth",))


@pytest.mark.parametrize("module, text", [
    ("rensei_token", conf.TOKEN),
    ("rensei_admin", '<Location "/api/admin">\nSetHandler rensei-admin\n'
                     "</Location>\n")])
def test_without_mod_rensei_auth(refused, module, text):
    refused(text, "mod_rensei_auth", modules=(module,))


def test_a_handler_whose_module_is_not_there(refused):
    """A directive of a module that is not loaded: httpd's own words."""
    refused("RenseiTokenLifetime 60\n", "RenseiTokenLifetime",
            modules=("rensei_auth",))


def test_what_is_refused_does_not_start(launch_here):
    """configtest and the start must agree."""
    server = launch_here.httpd(BEARER, start=False, dbd=DBD,
                               env={"M2M_JWT_SECRET": "short"})
    server.write()
    done = subprocess.run(server.command("-DFOREGROUND"), env=server.env,
                          text=True, capture_output=True, timeout=30)
    assert done.returncode != 0
    assert "M2M_JWT_SECRET" in done.stderr + server.log()


# -- the store's file ---------------------------------------------------------


@pytest.mark.parametrize("what, words", [
    ("missing", ["db init"]), ("a folder", ["db init"]),
    ("open to others", ["chmod 600"]), ("another's", ["belong"]),
    ("relative", ["absolute"]), ("in a closed folder", ["folder"])])
def test_a_store_that_cannot_serve(launch, what, words):
    """SQLite would make a missing file anew, empty, and every credential be
    unknown: a typo that looks like an attack."""
    if what == "another's" and not where.AS_ROOT:
        path = "/etc/hostname"
    else:
        path = {"relative": "store.db", "a folder": "@DIR@/folder",
                "in a closed folder": "@DIR@/closed/store.db"}.get(
                    what, "@DIR@/store.db")
    server = launch.httpd(BEARER, start=False,
                          dbd=f'DBDriver sqlite3\nDBDParams "{path}"\n')
    if what == "a folder":
        (server.dir / "folder").mkdir()
    elif what == "in a closed folder":
        server.file("closed/store.db", "", 0o600)
        (server.dir / "closed").chmod(0o555)
    elif what == "another's":
        server.file("store.db", "", 0o600, owner=False)
    elif what != "missing":
        server.file("store.db", "",
                    0o644 if what == "open to others" else 0o600)
    good, said = server.configtest()
    assert not good
    for word in ["store", *words]:
        assert word in said, said
    server.file("good.db", "", 0o600)
    server.dbd = 'DBDriver sqlite3\nDBDParams "@DIR@/good.db"\n'
    good, said = server.configtest()
    assert good, said


def test_trailers_that_become_headers(refused, accepted):
    refused(BEARER + "MergeTrailers On\n", "MergeTrailers")
    accepted(BEARER + "MergeTrailers Off\n")


def test_limit_does_not_limit_what_is_accepted(refused):
    """In <Limit> it would look as if it held for those methods alone."""
    refused(conf.protected("/x", "<Limit GET>", "RenseiAccept key",
                           "</Limit>", "Require valid-user"),
            "RenseiAccept", "Limit")
