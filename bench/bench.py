#!/usr/bin/python3
# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""What it costs httpd to check credentials and to issue tokens, next to the
same httpd without, and to others who do it. See README.md."""

import argparse
import json
import resource
import time

import compare
import growth
import instr
import report
import servers
import world


def recorder(args):
    """A function that adds a record to the file of results."""
    began = []

    def record(fields, kind=args.command):
        if not began:
            began.append(True)
            record(report.machine(), "machine")
        with open(args.out, "a") as out:
            out.write(json.dumps({"kind": kind, **fields}) + "\n")
    return record


def everything(parse, args):
    """All that make bench does, one thing after the other."""
    run = ["--rounds", str(args.rounds)]
    instructions = ["--all"]
    grow = []
    if args.quick:
        run = ["--rounds", "1", "--duration", "3"]
        instructions = ["--modes", "one,new"]
        grow = ["--divide", "50"]
    ours = "bare-again.httpd,rensei-hs256.httpd,rensei-key.httpd"
    split = ["run", "--creds", "many", "--pin", "split", *run]
    for step in (["run", *run],
                 ["run", "--issue", *run],
                 ["run", "--issue", "--pin", "split", *run],
                 split,
                 [*split, "--variants", ours, "--conns", "1000"],
                 ["instr", *instructions],
                 ["growth", *grow]):
        print("== " + " ".join(step), flush=True)
        step = parse([*step, "--out", args.out])
        step.run(step, recorder(step))
    report.show([args.out])


def names(text):
    return text.split(",")


def parser_of():
    parser = argparse.ArgumentParser(description=__doc__)
    sub = parser.add_subparsers(dest="command", required=True)

    def command(name, run, text):
        s = sub.add_parser(name, help=text, description=text)
        s.set_defaults(run=run)
        s.add_argument("--out", help="the file that the records go into",
                       default=str(servers.HERE / "results" / time.strftime(
                           f"{name}-%Y%m%d-%H%M%S.jsonl")))
        return s

    s = command("all", lambda a, _: everything(parser.parse_args, a),
                "all of it, and the report")
    s.add_argument("--quick", action="store_true",
                   help="in minutes; not to be quoted")
    s.add_argument("--rounds", type=int, default=6)

    s = command("setup", lambda a, _: world.setup(a.force),
                "make the credentials")
    s.add_argument("--force", action="store_true",
                   help="though they are there")

    s = command("run", compare.run, "CPU, requests a second, latency")
    s.add_argument("--variants", type=names)
    s.add_argument("--creds", type=names, default=["one", "many"],
                   help="one repeated; many: 10,000 in turn")
    s.add_argument("--issue", action="store_true",
                   help="compare issuers of tokens instead")
    s.add_argument("--pin", choices=compare.PINS, default="same",
                   help="server and client on the same core, or split")
    s.add_argument("--conns", type=int, default=32)
    s.add_argument("--rounds", type=int, default=6)
    s.add_argument("--duration", type=int, default=8,
                   help="seconds a round asks")
    s.add_argument("--warmup", type=int, default=1)

    s = command("instr", instr.run, "instructions for each request")
    s.add_argument("--variants", type=names,
                   default=["rensei-hs256.httpd", "rensei-key.httpd"])
    s.add_argument("--all", action="store_const", const=None,
                   dest="variants", help="all variants of httpd")
    s.add_argument("--modes", type=names, default=list(instr.MODES),
                   help="of " + ",".join(instr.MODES))
    s.add_argument("--distinct", type=int, default=2000,
                   help="credentials in turn (mode seen)")
    s.add_argument("--profile", type=int, default=0, metavar="N",
                   help="show the N functions that took most")

    s = command("growth", growth.run, "what stays as it is")
    s.add_argument("--parts", type=names, default=growth.PARTS)
    s.add_argument("--divide", type=int, default=1,
                   help="by how much the numbers are made smaller")

    s = command("report", lambda a, _: report.show(a.files, a.doc),
                "tables of the records")
    s.add_argument("files", nargs="+")
    s.add_argument("--doc", help="write this document out of method.md")
    return parser


def main():
    args = parser_of().parse_args()
    (servers.HERE / "results").mkdir(exist_ok=True)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    args.run(args, recorder(args))


if __name__ == "__main__":
    main()
