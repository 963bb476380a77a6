"""The modules of MongooseIM's sources: `python -m tests.mongooseim.known_modules CHECKOUT` compares them with ours.

A module counts as MongooseIM's own when its source has behaviour gen_mod or mongoose_module_metrics. Those of each
release that was looked at are in known_modules.tsv, with the first and the last release that has them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from bridge.mongooseim.wall import MODULES

BEHAVIOURS = ("gen_mod", "mongoose_module_metrics")
_MODULE = re.compile(r"^-module\s*\(\s*(\w+)\s*\)", re.MULTILINE)
_BEHAVIOUR = re.compile(rf"^-behaviou?r\s*\(\s*(?:{'|'.join(BEHAVIOURS)})\s*\)", re.MULTILINE)


def modules_of(checkout: Path) -> frozenset[str]:
    """The modules in the sources below `src`, as their `-module` has them."""
    texts = (path.read_text(encoding="utf-8") for path in sorted((checkout / "src").rglob("*.erl")))
    return frozenset(found[1] for text in texts if _BEHAVIOUR.search(text) and (found := _MODULE.search(text)))


def main(checkout: Path) -> int:
    """Print what differs; 1 where the checkout has a module that the wall does not know."""
    found = modules_of(checkout)
    if not found:
        print(f"there are no modules of MongooseIM below {checkout / 'src'}")
        return 2
    for name in sorted(found - MODULES):
        print(f"unknown to the wall: {name}")
    for name in sorted(MODULES - found):
        print(f"of another release: {name}")
    print(f"{len(found)} modules, of which the wall knows {len(found & MODULES)}")
    return 1 if found - MODULES else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
