"""Run all benches, or those that are named."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

NAMES = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py") if path.stem != "paired")


def main() -> None:
    """Run what the arguments name, or everything."""
    wanted = sys.argv[1:] or NAMES
    if unknown := set(wanted) - set(NAMES):
        sys.exit(f"no bench {', '.join(sorted(unknown))}; there are: {', '.join(NAMES)}")
    for name in wanted:
        print(f"\n== {name}", flush=True)
        import_module(f"tests.bench.{name}").run()


if __name__ == "__main__":
    main()
