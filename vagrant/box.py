"""The box, built once for each recipe and cached: a disk image with its kernel, and Vagrant's record of it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from pathlib import Path

from vagrant.bundle import PROJECT, Infrastructure, cache, recipe_digest, run, say

RECIPE = [PROJECT / "vagrant/build-box.sh", PROJECT / "vagrant/provision.sh"]
# An interrupted build ends with all it started and mounted; only then may its directory be removed.
CONTAINED = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL"]
CONTAINED += ["--mount-proc", "--propagation=private"]
SIZE = 3  # GiB, as in the recipe


def ensure_box(wheels: Path) -> Path:
    """vmlinuz, initrd.img, and `home`, a VAGRANT_HOME that knows the box as circus-cg; `wheels` are installed in it."""
    if platform.machine() != "x86_64":
        raise Infrastructure(f"cannot build a box: its recipe is for x86_64, this machine is {platform.machine()}")
    box = cache() / f"box-{recipe_digest(wheels.name, *RECIPE)}"
    if box.exists():
        return box
    for left in cache().glob("building-*"):  # of a build that was killed
        shutil.rmtree(left, ignore_errors=True)
    say("building the box (a minute or two, once for each recipe and set of wheels)")
    with tempfile.TemporaryDirectory(dir=cache(), prefix="building-") as fresh:
        made = Path(fresh) / "box"
        run([*CONTAINED, str(RECIPE[0]), str(made), str(wheels)], "build the box", env={**os.environ, "TMPDIR": fresh})
        _add(made, Path(fresh))
        made.rename(box)
    for other in cache().glob("box-*"):  # an older recipe's
        if other != box:
            shutil.rmtree(other, ignore_errors=True)
    return box


def _add(made: Path, scratch: Path) -> None:
    metadata = {"provider": "libvirt", "format": "qcow2", "virtual_size": SIZE}
    (made / "metadata.json").write_text(json.dumps(metadata))
    (made / "Vagrantfile").write_text('Vagrant.configure("2") { |config| config.ssh.insert_key = false }\n')
    archive = scratch / "circus-cg.box"
    run(["tar", "-C", str(made), "-cf", str(archive), "metadata.json", "Vagrantfile", "box.img"], "pack the box")
    environment = {**os.environ, "VAGRANT_HOME": str(made / "home"), "VAGRANT_CHECKPOINT_DISABLE": "1"}
    command = ["vagrant", "box", "add", "--name", "circus-cg", "--provider", "libvirt", str(archive)]
    run(command, "add the box", env=environment, cwd=scratch)
    (made / "box.img").unlink()  # Vagrant has its copy
