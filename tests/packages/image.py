"""Runs the steps of the container file in a directory, and what they make as the image would: `make image`.

Not shown by this: the base image, the user, and that the root may be read-only.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.delivery.support import unused_port

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "build" / "image"
NO_COOKIE = "nodes-that-are-not-there"


def instructions() -> list[tuple[str, str]]:
    """Name and arguments of each instruction, continued lines joined."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def inside(command: str) -> str:
    """A command with the image's own paths moved into its directory."""
    return re.sub(r"(?<![\w.])/(opt|wheel|var)\b", rf"{IMAGE}/\1", command)


def build() -> dict[str, str]:
    """Do each step; returns the last instruction of each name."""
    shutil.rmtree(IMAGE, ignore_errors=True)
    source = IMAGE / "src"
    source.mkdir(parents=True)
    for name, rest in instructions():
        if name == "RUN":
            print(f"RUN {rest}", flush=True)
            command = re.sub(r"^python ", f"{shlex.quote(sys.executable)} ", inside(rest))
            subprocess.run(["bash", "-ec", command], cwd=source, check=True, stdout=subprocess.DEVNULL)
        elif name == "COPY" and not rest.startswith("--from="):
            *copied, to = rest.split()
            for each in copied:
                place = source / to / (Path(each).name if to.endswith("/") else "")
                place.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if (ROOT / each).is_dir() else shutil.copy)(ROOT / each, place)
    return dict(instructions())


def try_out(last: dict[str, str]) -> None:
    """Start what the image starts, with its variables, and ask it as the image's health check does."""
    port = unused_port()
    environ = dict(each.split("=", 1) for each in shlex.split(inside(last["ENV"]).replace("$PATH", "/usr/bin:/bin")))
    state = inside(json.loads(last["VOLUME"])[0])
    environ |= {"MONGOOSEIM_BRIDGE_HEALTH_PORT": str(port), "MONGOOSEIM_BRIDGE_STATE_DIR": state}
    environ["MONGOOSEIM_BRIDGE_COOKIE"] = NO_COOKIE
    program = [*json.loads(last["ENTRYPOINT"]), *json.loads(last["CMD"])]
    program[0] = str(Path(environ["PATH"].split(":")[0]) / program[0])
    asked = json.loads(last["HEALTHCHECK"].partition(" CMD ")[2].replace("9180", str(port)))
    asked[0] = str(Path(program[0]).with_name(asked[0]))
    with subprocess.Popen(program, env=environ, cwd="/") as service:
        try:
            deadline = time.monotonic() + 30
            while subprocess.run(asked, env=environ, stderr=subprocess.DEVNULL, check=False).returncode:
                if service.poll() is not None or time.monotonic() > deadline:
                    sys.exit("the health check of the image does not pass")
                time.sleep(0.2)
        finally:
            service.terminate()
    print(f"the image's command runs, is healthy, and ends with {service.returncode}")


if __name__ == "__main__":
    try_out(build())
