"""`python -m circus_cg.arbiter.reread`: the configuration read again, in a process that ends with it.

The arbiter imports no parser and opens no configuration file. What is wrong costs this process, and is its answer.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from circus_cg.arbiter.boot import Reread, Source
from circus_cg.arbiter.ground import survey
from circus_cg.config import loader
from circus_cg.errors import CircusCgError


def read(source: Source) -> Reread:
    try:
        spec = loader.override(loader.load(Path(source.path)), name=source.name, cgroup_root=source.cgroup_root)
        ground = survey(spec)
    except CircusCgError as wrong:
        return Reread(wrong=str(wrong), code=wrong.code)
    return Reread(spec=ground.spec, identities=ground.identities, warnings=ground.warnings)


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(read(msgspec.json.decode(sys.argv[1], type=Source))))
