# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""The endpoints that there are, read from the modules' own tables of routes,
and the fields that they know, so that a test of each notices a new one."""

import re

from .where import ROOT

MACRO = re.compile(r'^#define ([A-Z_]+) ("[^"]*")', re.M)
ROW = re.compile(r"\{M_([A-Z]+), ([^,]+), (\w+)\}")
KNOWN = re.compile(r"const char \*const (?:known|names|fields|\w+_fields)"
                   r"\[\] = \{([^}]*)\}")
FIELD = re.compile(r'rensei_body_\w+\([^;"]*"(\w+)"')
PARAM = re.compile(r'admin_param\([^;"]*"(\w+)"')


def _sources(*patterns):
    paths = sorted({path for p in patterns for path in ROOT.glob(p)})
    assert paths, patterns
    return [path.read_text() for path in paths]


def of(module):
    """Those of a module, as "GET /api/org/{orgId}/keys"."""
    texts = _sources(f"mod_rensei_{module}/*.[ch]")
    macros = dict(m for text in texts for m in MACRO.findall(text))
    rows = [row for text in texts for row in ROW.findall(text)]
    assert rows, module
    out = []
    for method, pattern, _ in rows:
        parts = [macros.get(part, part) for part in pattern.split(" ")]
        out.append(method + " " + "".join(part.strip('"') for part in parts))
    return out


def fields():
    """The names of parameters and members that the admin API and the
    registration of workers look at."""
    handlers = _sources("mod_rensei_admin/admin_*.c")
    rules = _sources("lib/rensei_*.c")
    lists = [text for texts in (handlers, _sources("lib/rensei_*_spec.c"))
             for names in texts for text in KNOWN.findall(names)]
    return ({name for text in handlers for name in PARAM.findall(text)}
            | {name for text in handlers + rules
               for name in FIELD.findall(text)}
            | {name for text in lists
               for name in re.findall(r'"(\w+)"', text)})
