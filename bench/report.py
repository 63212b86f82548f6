# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""The records as Markdown tables; and docs/performance.md out of method.md
and the tables."""

import json
import platform
import re
import statistics
import subprocess
import time

import servers

CREDS = {"one": "one credential repeated", "many": "10,000 in turn"}


# ---- where and of what -------------------------------------------------------

def first_line(*command):
    try:
        done = subprocess.run(command, text=True, capture_output=True)
        return (done.stdout or done.stderr).split("\n")[0].strip()
    except OSError:
        return "?"


def machine():
    """What a figure would not be the same without."""
    cpu = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())
    memory = re.search(r"MemTotal: *(\d+)", open("/proc/meminfo").read())
    git = ("git", "-C", str(servers.HERE.parent))
    changed = first_line(*git, "status", "--porcelain", "--untracked=no")
    packages = subprocess.run(
        ["dpkg-query", "-Wf", "${Package} ${Version}, ", "apache2-bin",
         "libssl3", "libsqlite3-0", "nginx-light", "glewlwyd",
         "libapache2-mod-auth-openidc", "libapache2-mod-oauth2"],
        text=True, capture_output=True).stdout.strip(", ")
    return {"date": time.strftime("%Y-%m-%d"),
            "cpu": cpu.group(1) if cpu else platform.machine(),
            "cores": servers.os.cpu_count(),
            "memory_gib": round(int(memory.group(1)) / 2 ** 20),
            "kernel": platform.release(), "packages": packages,
            "node": first_line("node", "--version"),
            "commit": first_line(*git, "rev-parse", "--short", "HEAD")
            + (" and changes" if changed else "")}


def heading(records):
    """A line a machine; with the commit, where what was measured is one."""
    out = []
    for m in (r for r in records if r["kind"] == "machine"):
        commit = "" if "changes" in m["commit"] else f" {m['commit']}"
        out.append(f"{m['date']}: {m['cpu']}, {m['cores']} cores, "
                   f"{m['memory_gib']} GiB; Linux {m['kernel']}; "
                   f"{m['packages']}, node {m['node']}; mod_rensei{commit}.")
    return "\n\n".join(dict.fromkeys(out))


# ---- numbers -----------------------------------------------------------------

def spread(values, form="%.2f"):
    """The median, and the quartiles (of less than four: the extremes)."""
    low, high = min(values), max(values)
    if len(values) >= 4:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{form} [{form}–{form}]" % (statistics.median(values), low, high)


def ratios(rounds, name, form="%.2f"):
    return spread([r["mine"][name] / max(r["bare"][name], 1e-9)
                   for r in rounds], form)


def middle(rounds, side, name):
    return statistics.median(r[side][name] for r in rounds)


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def grouped(records, *names):
    """{the values of these fields: the records that have them}, in the order
    of their first."""
    out = {}
    for r in records:
        out.setdefault(tuple(r[name] for name in names), []).append(r)
    return out


def quotable(rounds):
    return not any(r[side]["errors"] for r in rounds
                   for side in ("mine", "bare"))


# ---- the tables -----------------------------------------------------------

def ours_first(group):
    """The order of a table: bare, ours, the others."""
    label = group[0][0]
    return not label.startswith("bare"), not label.startswith("mod_rensei")


def rows_of(records, columns):
    """A row for each variant and kind of credentials; columns: functions of
    the rounds."""
    for (label, creds), rounds in sorted(
            grouped(records, "label", "creds").items(), key=ours_first):
        if quotable(rounds):
            yield [label, CREDS[creds], *(c(rounds) for c in columns)]
        else:
            errors = sum(r["mine"]["errors"] + r["bare"]["errors"]
                         for r in rounds)
            yield [label, CREDS[creds],
                   f"not quoted: {errors} requests failed",
                   *[""] * (len(columns) - 1)]


def cpu_table(records):
    return table(
        ["variant", "credentials", "CPU, ratio to bare", "µs a request",
         "bare", "RSS, MiB", "PSS, MiB", "bare PSS"],
        rows_of(records, [
            lambda x: ratios(x, "cpu_us"),
            lambda x: "%.1f" % middle(x, "mine", "cpu_us"),
            lambda x: "%.1f" % middle(x, "bare", "cpu_us"),
            lambda x: "%.1f" % (middle(x, "mine", "rss") / 1024),
            lambda x: "%.1f" % (middle(x, "mine", "pss") / 1024),
            lambda x: "%.1f" % (middle(x, "bare", "pss") / 1024)]))


def speed_table(records):
    return table(
        ["variant", "credentials", "requests/s, ratio to bare", "requests/s",
         "p99, ratio to bare", "p50, ms", "p99, ms", "bare p50, p99"],
        rows_of(records, [
            lambda x: ratios(x, "rps"),
            lambda x: "%.0f" % middle(x, "mine", "rps"),
            lambda x: ratios(x, "p99_us"),
            lambda x: "%.2f" % (middle(x, "mine", "p50_us") / 1e3),
            lambda x: "%.2f" % (middle(x, "mine", "p99_us") / 1e3),
            lambda x: "%.2f, %.2f" % (middle(x, "bare", "p50_us") / 1e3,
                                      middle(x, "bare", "p99_us") / 1e3)]))


def issue_cpu_table(records):
    return table(
        ["issuer", "credentials", "CPU, ratio to a bare POST", "µs a token",
         "tokens per CPU second", "PSS, MiB"],
        rows_of(records, [
            lambda x: ratios(x, "cpu_us"),
            lambda x: "%.0f" % middle(x, "mine", "cpu_us"),
            lambda x: "%.0f" % (1e6 / middle(x, "mine", "cpu_us")),
            lambda x: "%.1f" % (middle(x, "mine", "pss") / 1024)]))


def issue_speed_table(records):
    return table(
        ["issuer", "credentials", "tokens/s", "p50, ms", "p99, ms"],
        rows_of(records, [
            lambda x: spread([r["mine"]["rps"] for r in x], "%.0f"),
            lambda x: "%.2f" % (middle(x, "mine", "p50_us") / 1e3),
            lambda x: "%.2f" % (middle(x, "mine", "p99_us") / 1e3)]))


def noise(records):
    rounds = {len(x) for x in grouped(records, "label", "creds").values()}
    steal = [r[s]["steal"] for r in records for s in ("mine", "bare")]
    return ("%s rounds: median [quartiles]. The hypervisor took %.1f %% of a "
            "core (at worst %.1f %%)." % (
                "–".join(str(n) for n in sorted({min(rounds), max(rounds)})),
                statistics.median(steal) * 100, max(steal) * 100))


def comparisons(records):
    where = {"same": "server and client on one core",
             "split": "a core for the server, one for the client",
             "none": "not bound to cores"}
    runs = [r for r in records if r["kind"] == "run"]
    for (issue, pin, conns), rs in grouped(runs, "issue", "pin",
                                           "conns").items():
        if issue:
            make = issue_cpu_table if pin == "same" else issue_speed_table
        else:
            make = cpu_table if pin == "same" else speed_table
        yield (f"### {'Issuing' if issue else 'Checking'}: {where[pin]}, "
               f"{conns} connections\n\n{make(rs)}\n\n{noise(rs)}")


def instructions(records):
    rows = []
    for (label, mode), rs in grouped(
            (r for r in records if r["kind"] == "instr"),
            "label", "mode").items():
        n, bare = rs[-1]["instructions"], rs[-1]["bare"]
        rows.append([label, rs[-1]["meaning"], f"{n - bare:,.0f}",
                     f"{n:,.0f}", f"{bare:,.0f}"])
    if rows:
        yield "### Instructions in user space, a request\n\n" + table(
            ["variant", "credentials", "added", "in all", "bare"], rows)


def figure(value):
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else (
        f"{value:.1f}" if value >= 10 else f"{value:.2f}")


def grown(records):
    """A table for each part of the growth runs: a row a measure, a column a
    store or a kind of credentials."""
    titles = {"size": "Growing stores", "storm": "Revocations under load",
              "variety": "Different credentials, each once"}
    mine = [r for r in records if r["kind"] == "growth"]
    for (name,), rs in grouped(mine, "table").items():
        cells = {(r["row"], r.get("column", "")): r["value"] for r in rs}
        columns = list(dict.fromkeys(column for _, column in cells))
        rows = [[row, *(figure(cells[row, c]) if (row, c) in cells else ""
                        for c in columns)]
                for row in dict.fromkeys(row for row, _ in cells)]
        yield f"### {titles[name]}\n\n" + table(["", *columns], rows)


def text(records):
    parts = [heading(records), *comparisons(records),
             *instructions(records), *grown(records)]
    return "\n\n".join(part for part in parts if part) + "\n"


def show(files, doc=None):
    """Prints the tables, or writes them into a document."""
    records = []
    for path in files:
        with open(path) as f:
            records += [json.loads(line) for line in f]
    if doc:
        method = (servers.HERE / "method.md").read_text()
        with open(doc, "w") as f:
            f.write(method.replace("@RESULTS@\n", text(records)))
    else:
        print(text(records), end="")
