# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""POST /api/org/api-keys, as earlier programs know it, and how it says that
it ends (RFC 9745, RFC 8594)."""

import email.utils

import pytest

from harness import conf

PATH = "/api/org/api-keys"
BODY = {"name": "x", "keyType": "user", "userId": "u", "scopes": []}
DEPRECATED, SUNSET = "2026-03-01", "2027-01-31"
DEPRECATED_AT, SUNSET_AT = 1772323200, 1801353600


def vhost(name, lines):
    return (f"<VirtualHost *:@PORT@>\nServerName {name}\n{lines}\n"
            f"{conf.ADMIN}</VirtualHost>\n")


@pytest.fixture(scope="module")
def gate(launch, world):
    return launch.httpd(
        vhost("plain.test", "")
        + vhost("dated.test", f"RenseiLegacyDeprecation {DEPRECATED}\n"
                              f"RenseiLegacySunset {SUNSET}")
        + vhost("sunset.test", f"RenseiLegacySunset {SUNSET}\n"
                               'ErrorDocument 401 "no"\n'
                               "ErrorDocument 403 /api/whoami\n"),
        store=world.store, children=2)


def call(gate, host, org=None, body=BODY, method="POST", **more):
    if org:
        more["token"] = org.admin.token
    return gate.request(method, PATH, json=body, host=host, **more)


def says(answer, deprecation, sunset=None, org=None):
    """Exactly this, each of them once."""
    links = ([f'</api/org/{org.id}/keys>; rel="successor-version"']
             if org else None)
    assert answer.headers.get_all("Deprecation") == [deprecation], answer
    assert answer.headers.get_all("Sunset") == (
        [sunset] if sunset else None), answer
    assert answer.headers.get_all("Link") == links, answer


PLAIN = ("plain.test", "true", None)
DATED = ("dated.test", f"@{DEPRECATED_AT}", "Sun, 31 Jan 2027 00:00:00 GMT")
ENDING = ("sunset.test", "true", "Sun, 31 Jan 2027 00:00:00 GMT")
HOSTS = pytest.mark.parametrize("host, deprecation, sunset",
                                [PLAIN, DATED, ENDING])


def test_the_dates_mean_what_they_say():
    assert email.utils.parsedate_to_datetime(
        DATED[2]).timestamp() == SUNSET_AT
    assert SUNSET_AT > DEPRECATED_AT


@HOSTS
def test_a_key_is_made_for_the_callers_organisation(gate, world, host,
                                                    deprecation, sunset):
    for org in (world.a, world.b):
        answer = call(gate, host, org)
        assert answer.status == 201, answer
        assert answer.json["orgId"] == org.id
        assert answer.headers["Location"] == (
            f"/api/org/{org.id}/keys/{answer.json['keyId']}")
        says(answer, deprecation, sunset, org)


@HOSTS
def test_its_errors_say_it_as_well(gate, world, host, deprecation, sunset):
    """A program that only ever fails has to be found, too."""
    reader = world.a.key("org:read")
    for status, answer in (
            (400, call(gate, host, world.a, {})),
            (400, call(gate, host, world.a, {**BODY, "nmae": "x"})),
            (403, call(gate, host, token=reader.token)),
            (405, call(gate, host, world.a, method="PUT")),
            (415, gate.request("POST", PATH, host=host, body="x",
                               token=world.a.admin.token,
                               headers={"Content-Type": "text/plain"}))):
        assert answer.status == status, answer
        says(answer, deprecation, sunset, world.a)


@HOSTS
def test_so_do_refusals_before_it(gate, world, host, deprecation, sunset):
    """Who is not known has no organisation, so no successor is named."""
    for more in ({}, {"token": "rsk_live_" + "0" * 64}, {"token": "x"}):
        answer = call(gate, host, **more)
        assert answer.status == 401, answer
        says(answer, deprecation, sunset)


@pytest.mark.parametrize("more, link", [
    ("", True),
    # a page in place of the answer, which is another request to httpd
    ('ErrorDocument 403 "/denied.html"', False)])
def test_so_does_a_denial_by_require(launch_here, world, more, link):
    server = launch_here.httpd(conf.TOKEN + f"""
        RenseiLegacySunset {SUNSET}
        {more}
        <Location "/api/org/">
          SetHandler rensei-admin
          AuthType Bearer
          RenseiAccept m2m key
          Require rensei-key-type org
        </Location>""", store=world.store, children=1, start=False)
    server.file("htdocs/denied.html", "denied")
    server.start()
    user = world.b.key("*", type="user", user_id="u")
    answer = server.post(PATH, json=BODY, token=user.token)
    assert answer.status == 403
    assert (answer.body == b"denied") == (not link)
    says(answer, "true", ENDING[2], world.b if link else None)


@HOSTS
def test_nothing_else_says_it(gate, world, host, deprecation, sunset):
    keys = f"/api/org/{world.a.id}/keys"
    for method, path, body in (("POST", keys, BODY), ("GET", keys, None),
                               ("POST", keys, {}), ("POST", PATH + "/", BODY),
                               ("GET", "/api/org/" + world.a.id + "/audit",
                                None)):
        answer = gate.request(method, path, json=body, host=host,
                              token=world.a.admin.token)
        for name in ("Deprecation", "Sunset", "Link"):
            assert answer.headers[name] is None, (path, answer)


def test_nothing_where_the_module_does_not_serve_it(launch_here):
    server = launch_here.httpd(f"RenseiLegacySunset {SUNSET}\n", children=1)
    answer = server.get(PATH)
    assert answer.status == 404
    assert answer.headers["Deprecation"] is None
    assert answer.headers["Sunset"] is None


# -- configtest ---------------------------------------------------------------


@pytest.fixture(scope="module")
def checked(launch, world):
    return launch.httpd("", store=world.store, start=False).configtest


@pytest.mark.parametrize("directive", ["RenseiLegacyDeprecation",
                                       "RenseiLegacySunset"])
@pytest.mark.parametrize("value", [
    "tomorrow", "2027-1-31", "2027-02-30", "2027-13-01", "27-01-31",
    "2027-01-31T00:00:00Z", "1801353600", "2027-01-31Z", "0000-01-01",
    "1969-12-31"])
def test_a_day_that_is_none(checked, directive, value):
    accepted, said = checked(f"{directive} {value}\n")
    assert not accepted
    assert directive in said and "YYYY-MM-DD" in said and "2027-01-31" in said


def test_what_is_right(checked):
    for lines in (f"RenseiLegacyDeprecation {DEPRECATED}",
                  f"RenseiLegacySunset {SUNSET}",
                  f"RenseiLegacySunset {SUNSET}\n"
                  f"RenseiLegacyDeprecation {DEPRECATED}",
                  # the same day
                  f"RenseiLegacySunset {SUNSET}\n"
                  f"RenseiLegacyDeprecation {SUNSET}"):
        accepted, said = checked(lines + "\n" + conf.API)
        assert accepted, said


@pytest.mark.parametrize("text", [
    f"RenseiLegacyDeprecation {SUNSET}\nRenseiLegacySunset {DEPRECATED}\n",
    f"RenseiLegacySunset {DEPRECATED}\nRenseiLegacyDeprecation {SUNSET}\n",
    # inherited: the whole counts, not the lines of one section
    f"RenseiLegacyDeprecation {SUNSET}\n"
    + vhost("x.test", f"RenseiLegacySunset {DEPRECATED}"),
])
def test_an_end_before_the_beginning(checked, text):
    accepted, said = checked(text + conf.API)
    assert not accepted
    for part in ("RS0061", f"RenseiLegacySunset {DEPRECATED}",
                 f"RenseiLegacyDeprecation {SUNSET}", "later"):
        assert part in said, said
