# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""Pieces of configuration that several test modules use."""

TOKEN = """
<Location "/api/oauth/token">
  SetHandler rensei-token
</Location>
"""

WHOAMI = """
<Location "/api/whoami">
  SetHandler rensei-whoami
  AuthType Bearer
  RenseiAccept m2m key worker
  Require valid-user
</Location>
"""

ADMIN = """
<LocationMatch "^/api/(admin|org)/">
  SetHandler rensei-admin
  AuthType Bearer
  RenseiAccept m2m key
  Require valid-user
</LocationMatch>
"""

OAUTH = """
<LocationMatch "^/api/oauth/(introspect|revoke)$">
  SetHandler rensei-token
</LocationMatch>
"""

WELL_KNOWN = r"""
<LocationMatch "^/\.well-known/(jwks\.json$|oauth-authorization-server(/|$))">
  SetHandler rensei-token
</LocationMatch>
"""

WORKERS = """
<Location "/v1/daemon/register">
  SetHandler rensei-token
</Location>
<Location "/api/workers/register">
  SetHandler rensei-token
  AuthType Bearer
  RenseiAccept registration
  Require rensei-key-type worker_registration
</Location>
<LocationMatch "^/api/workers/[^/]+/refresh-token$">
  SetHandler rensei-token
  AuthType Bearer
  RenseiAccept worker
  Require valid-user
</LocationMatch>
"""

API = TOKEN + WHOAMI + ADMIN

# All that an issuer has.
ISSUER = API + OAUTH + WELL_KNOWN

# What stands behind a gateway: every method is answered 200 by the backend.
PROXY = """
ProxyPass "/r/" "http://127.0.0.1:@BACKEND@/r/"
"""


def protected(path, *lines, tag="Location"):
    """A location behind AuthType Bearer. No Require line among `lines`: any
    good credential will do."""
    if not any("Require" in line for line in lines):
        lines += ("Require valid-user",)
    body = "\n  ".join(("AuthType Bearer",) + lines)
    return f'<{tag} "{path}">\n  {body}\n</{tag}>\n'
