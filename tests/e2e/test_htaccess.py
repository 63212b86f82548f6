# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Our directives in .htaccess files, which are read while requests are
served."""

import pytest

from harness import conf

pytestmark = pytest.mark.only("sqlite", "where directives may stand")

READ = "sessions:read"


@pytest.fixture(scope="module")
def gate(launch, world):
    server = launch.httpd(conf.API + """
        <Directory "@DIR@/htdocs">
          AllowOverride AuthConfig
        </Directory>""", store=world.store, children=1, start=False)
    for name, lines in (
            ("read", "RenseiAccept m2m\nRequire rensei-scope sessions:read\n"),
            ("typo", "Require rensei-scope sessions:raed\n"),
            ("many", "RenseiAccept m2m key\n"
                     + "Require rensei-scope sessions:read\n" * 200)):
        server.file(f"htdocs/{name}-page.html", name)
        (server.dir / "htdocs" / name).mkdir()
        server.file(f"htdocs/{name}/page.html", name)
        server.file(f"htdocs/{name}/.htaccess", "AuthType Bearer\n" + lines)
    return server.start()


def test_it_protects(gate, world):
    reader, other = world.a.client(READ), world.a.client("agents:read")
    page = "/read/page.html"
    assert gate.get(page).status == 401
    assert gate.get(page, token=gate.token(other)).error == (
        403, "insufficient_scope")
    assert gate.get(page, token=gate.token(reader)).status == 200
    assert gate.get(page, token=world.a.admin.token).status == 401


def test_a_scope_that_is_none(gate, world):
    """configtest does not see these files: httpd's answer to what is wrong in
    one is 500, and a line that says what."""
    gate.expect_log("sessions:raed")
    token = gate.token(world.a.client(READ))
    assert gate.get("/typo/page.html", token=token).status == 500


def memory(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status
                    if line.startswith("VmRSS"))


def test_it_costs_no_memory(gate, world):
    """Each request reads the file anew; what is kept of it must go with the
    request, or anybody can fill the machine."""
    token = gate.token(world.a.client(READ))

    def ask(n):
        with gate.connection() as wire:
            for _ in range(n):
                wire.request("GET", "/many/page.html", token=token)
    ask(300)
    [pid] = gate.workers()
    before = memory(pid)
    ask(600)
    assert memory(pid) - before < 20000, "kilobytes, of 100 a request if kept"
