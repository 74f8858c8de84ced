"""The benchmarks. They print what a request costs, and write the same as JSON to bench-results/.

  ./dev bench run         each operation on each store: requests/s, latencies, CPU of server and database, statements, memory
  ./dev bench start       from start to first answer on an existing store, idle memory of a worker
  ./dev bench tenants     the same token with one tenant and with 10,000 tenants and 100,000 clients
  ./dev bench burst       the token endpoint's latency, quiet and while people sign in
  ./dev bench profile OPS where the time of an operation goes
  ./dev bench inside      what an operation costs in the application alone: steady enough to compare two versions of the code
  ./dev bench guard       what the guard costs an API, beside a bare signature check and PyJWT
  ./dev bench verify      the verify address beside a plain answer of the same server
  ./dev bench ceiling     what uvicorn and this load generator cost without Gatewright

docs/benchmarks.md says how to read the figures.
"""

from __future__ import annotations

import argparse
import sys

from bench.commands import COMMANDS
from bench.operations import BY_NAME
from bench.rounds import Wrong
from bench.server import Trouble


def parser() -> argparse.ArgumentParser:
    """Return what the command line may say."""
    top = argparse.ArgumentParser(prog="./dev bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = top.add_subparsers(dest="command", required=True)
    for name in COMMANDS:
        one = kinds.add_parser(name)
        one.add_argument("--store", default="sqlite,postgres", help="sqlite, postgres, or both with a comma")
        one.add_argument("--workers", type=int, default=1)
        if name in ("run", "profile"):
            kind = str if name == "run" else int
            one.add_argument(
                "--fill", type=kind, default=kind(0), help="authorizations that are there already; `run` takes 0,1000000 as well"
            )
        if name in ("run", "inside"):
            one.add_argument("--ops", default="", help="operations with commas; all of them if not given")
        if name == "guard":
            one.add_argument("--batches", type=int, default=100, help="batches of a hundred of which the cheapest is told")
        if name == "inside":
            one.add_argument("--batches", type=int, default=60, help="batches of which the cheapest is told")
            one.add_argument("--rows", type=int, default=0, help="also profile, and show so many functions")
        if name == "run":
            one.add_argument("--connections", default="32,4", help="keep-alive connections, with commas")
            one.add_argument("--requests", type=int, default=2000, help="requests of one run")
            one.add_argument("--rounds", type=int, default=3, help="runs of which the median is told")
            one.add_argument("--tries", type=int, default=1, help="how often a run is repeated that others disturbed")
            one.add_argument("--quick", action="store_true", help="one short round with 32 connections")
        if name == "profile":
            one.add_argument("operations", help="with commas: " + ", ".join(BY_NAME))
            one.add_argument("--seconds", type=int, default=8)
            one.add_argument("--connections", type=int, default=32)
            one.add_argument("--py-spy", default="py-spy", help="the py-spy program")
    return top


def main() -> int:
    """Run what was asked for."""
    options = parser().parse_args()
    try:
        COMMANDS[options.command](options)
    except (Trouble, Wrong) as reason:
        print(reason, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
