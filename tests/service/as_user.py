"""The program as another user: `python -m tests.service.as_user UID GID ARGUMENT...`, started by root.

Interpreter and checkout may lie where that user may not look, as below /root. All that the program may come to need of
them is therefore read before it becomes that user.
"""

from __future__ import annotations

import codecs
import os
import pkgutil
import sys
from importlib import import_module

import bridge
from bridge.cli.main import main
from bridge.mongooseim.probes import call_arguments

if __name__ == "__main__":
    for module in pkgutil.walk_packages(bridge.__path__, "bridge."):
        if not module.name.endswith(".__main__"):
            import_module(module.name)
    import_module("anyio._backends._asyncio")
    for codec in ("ascii", "idna", "latin-1", "utf-8-sig"):
        codecs.lookup(codec)
    call_arguments(1.0)
    user, group, *arguments = sys.argv[1:]
    os.setgroups([])
    os.setgid(int(group))
    os.setuid(int(user))
    main(arguments)
