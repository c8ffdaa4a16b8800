"""One guest: Vagrant brings it up, plain ssh (one connection, reused) does the rest."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from vagrant.bundle import PROJECT, Infrastructure, run, say

SNAPSHOT = "clean"
BOOT = 900.0  # seconds; a loaded machine that emulates the CPU
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
LOST = 255  # ssh's own status


class Guest:
    def __init__(self, layout: str, box: Path, state: Path) -> None:
        self.layout = layout
        self._state = state
        self._config = state / "ssh-config"
        self._environment = {
            **os.environ,
            "VAGRANT_HOME": str(box / "home"),
            "VAGRANT_DOTFILE_PATH": str(state / "dotfile"),
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            "VAGRANT_DEFAULT_PROVIDER": "libvirt",
            "CIRCUS_CG_BOX": str(box),
            "CIRCUS_CG_VM_CONSOLE": str(state / "console"),
        }

    @property
    def kept(self) -> bool:
        return (self._state / "snapshot").exists()

    def up(self) -> None:
        began = time.monotonic()
        self._vagrant("up", self.layout, "--no-provision")
        with self._config.open("w") as config:
            self._vagrant("ssh-config", self.layout, output=config)
        self.wait_reachable()
        how = "emulated: KVM does not work here" if self.is_emulated() else "KVM"
        say(f"{self.layout} is up after {time.monotonic() - began:.0f} s ({how})")

    def resume(self) -> None:
        began = time.monotonic()
        run(["virsh", "-q", "-c", "qemu:///system", "net-start", "circus-cg"], "start the guests' network")
        self._vagrant("snapshot", "restore", self.layout, SNAPSHOT, "--no-provision")
        self.wait_reachable()
        self.root(f"date -s @{time.time():.0f} >/dev/null", "set the clock")
        say(f"{self.layout} is back after {time.monotonic() - began:.0f} s")

    def keep(self) -> None:
        self.root("sync", "sync")
        self._vagrant("snapshot", "save", self.layout, SNAPSHOT)
        (self._state / "snapshot").touch()
        self.wait_reachable()

    def destroy(self) -> None:
        self._run_quietly(self._virsh("destroy"))

    def power_cut(self) -> None:
        """QEMU is killed: what the guest had not written to its disk is lost."""
        run(self._virsh("destroy"), "cut the guest's power")
        run(self._virsh("start"), "start the guest again")
        self.wait_reachable()

    def reboot(self) -> None:
        before = self._ssh(BOOT_ID, seconds=60, capture=True).stdout
        self._ssh("sudo systemctl reboot", seconds=30, capture=True)
        self.disconnect()
        deadline = time.monotonic() + BOOT
        while time.monotonic() < deadline:
            done = self._ssh(BOOT_ID, seconds=30, capture=True)
            if done.returncode == 0 and done.stdout != before:
                return
            self.disconnect()
            time.sleep(1)
        raise Infrastructure(f"the {self.layout} guest did not come back from a reboot")

    def wait_reachable(self) -> None:
        deadline = time.monotonic() + BOOT
        self.disconnect()
        while self._ssh("true", seconds=60, capture=True).returncode != 0:
            if time.monotonic() > deadline:
                raise Infrastructure(f"cannot reach the {self.layout} guest by ssh within {BOOT:.0f} s")
            self.disconnect()
            time.sleep(0.5)

    def root(self, script: str, did: str, seconds: float = 600) -> str:
        done = self._ssh(f"sudo sh -c {shlex.quote(script)}", seconds=seconds, capture=True)
        if done.returncode != 0:
            text = done.stdout.decode(errors="replace")[-4000:]
            raise Infrastructure(f"cannot {did} in the {self.layout} guest: status {done.returncode}:\n{text}")
        return done.stdout.decode(errors="replace")

    def follow(self, script: str, seconds: float) -> int:
        """Run it as root, its output is ours; the exit status. Raises TimeoutExpired."""
        return self._ssh(f"sudo sh -c {shlex.quote(script)}", seconds=seconds, capture=False).returncode

    def send(self, directory: Path, target: str) -> None:
        """Replace `target` by the contents of `directory`."""
        script = f"rm -rf {target} && mkdir -p {target} && tar -C {target} --no-same-owner -xf -"
        tar = subprocess.Popen(["tar", "-C", str(directory), "-cf", "-", "."], stdout=subprocess.PIPE)
        done = self._ssh(f"sudo sh -c {shlex.quote(script)}", seconds=600, capture=True, stdin=tar.stdout)
        if tar.wait() != 0 or done.returncode != 0:
            raise Infrastructure(f"cannot copy {directory} into the guest: {done.stdout.decode(errors='replace')}")

    def fetch(self, source: str, directory: Path) -> None:
        command = f"sudo tar -C {source} -cf - ."
        untar = subprocess.Popen(["tar", "-C", str(directory), "--no-same-owner", "-xf", "-"], stdin=subprocess.PIPE)
        assert untar.stdin is not None
        try:
            run(self._ssh_command(command), f"fetch {source} from the {self.layout} guest", 600, untar.stdin)
        finally:
            untar.stdin.close()
            unpacked = untar.wait()
        if unpacked != 0:
            raise Infrastructure(f"cannot unpack what came from the {self.layout} guest: tar's status {unpacked}")

    def is_emulated(self) -> bool:
        return self._ssh("systemd-detect-virt", seconds=60, capture=True).stdout.strip() != b"kvm"

    def disconnect(self) -> None:
        self._run_quietly(["ssh", "-F", str(self._config), *self._shared(), "-O", "exit", self.layout])

    def _ssh(
        self, command: str, *, seconds: float, capture: bool, stdin: object = subprocess.DEVNULL
    ) -> subprocess.CompletedProcess[bytes]:
        out = subprocess.PIPE if capture else sys.stdout
        errors = subprocess.STDOUT if capture else sys.stderr
        try:
            return subprocess.run(  # type: ignore[call-overload, no-any-return]
                self._ssh_command(command), stdin=stdin, stdout=out, stderr=errors, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            if not capture:
                raise
            return subprocess.CompletedProcess(command, LOST, b"no answer in time")

    def _ssh_command(self, command: str) -> list[str]:
        alive = ["-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=30", "-o", "ServerAliveCountMax=20"]
        return ["ssh", "-q", "-F", str(self._config), *alive, *self._shared(), self.layout, command]

    def _shared(self) -> list[str]:
        return ["-o", "ControlMaster=auto", "-o", "ControlPath=/run/ssh-%C", "-o", "ControlPersist=yes"]

    def _vagrant(self, *arguments: str, output: IO[Any] | None = None) -> None:
        command = ["vagrant", *arguments]
        run(command, f"run {' '.join(command)}", output=output, cwd=PROJECT, env=self._environment)

    def _virsh(self, verb: str) -> list[str]:
        return ["virsh", "-q", "-c", "qemu:///system", verb, f"circus-cg_{self.layout}"]

    def _run_quietly(self, command: list[str]) -> None:
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
