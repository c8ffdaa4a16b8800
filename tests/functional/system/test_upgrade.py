"""`systemctl reload` is an upgrade in place: the workers stay, whatever becomes of daemon and configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.functional.churn import Churn
from tests.functional.installation import Installation, earlier_package
from tests.functional.system.conftest import StartService
from tests.functional.system.service import Service, command, group_in_systemds_tree, in_guest_of_our_own

pytestmark = in_guest_of_our_own
SLEEP = ["sleep", "1000"]


def test_reload_keeps_the_workers_and_does_what_the_configuration_changes(service: StartService) -> None:
    running = service({"w": {"cmd": SLEEP, "numprocesses": 2}})
    keeper, arbiter = running.pid, running.arbiter()
    before = {row["wid"]: row["pid"] for row in running.workers(2)}
    running.write_config({"w": {"cmd": SLEEP, "numprocesses": 3}, "v": {"cmd": SLEEP}})
    running.systemctl("reload")
    assert running.arbiter() != arbiter
    assert (running.pid, running.show("ActiveState"), running.show("NRestarts")) == (keeper, "active", "0")
    assert running.show("StatusText").startswith(("supervising 2", "upgraded to"))
    assert before.items() <= {row["wid"]: row["pid"] for row in running.workers(3)}.items()
    (added,) = running.workers(1, "v")
    assert running.unit in group_in_systemds_tree(added["pid"])


def test_a_reload_of_a_wrong_configuration_fails_and_says_why(service: StartService) -> None:
    running = service({"w": {"cmd": SLEEP, "numprocesses": 2}})
    keeper, arbiter, before = running.pid, running.arbiter(), {row["pid"] for row in running.workers(2)}
    running.config.write_text("watchers: {w: {}}\n")
    with pytest.raises(AssertionError, match="status 1"):
        running.systemctl("reload")
    assert (running.pid, running.arbiter(), running.show("ActiveState")) == (keeper, arbiter, "active")
    assert {row["pid"] for row in running.workers(2)} == before
    assert f"{running.config}:1" in command("journalctl", "--no-pager", "--lines=30", "--unit", running.unit)


@pytest.mark.host_may_lack("a wheel of an earlier version that can be upgraded")
@pytest.mark.timeout(240)
def test_the_earlier_version_becomes_this_one_under_load(scratch_name: str, tmp_path: Path) -> None:
    """pip puts this version where the earlier one was, and the service is reloaded; and back, and again."""
    earlier = earlier_package(tmp_path / "earlier")
    if earlier is None or not (earlier / "cli/seal.py").exists():
        pytest.skip("no earlier version here, or one that could not be upgraded in place yet")
    installation = Installation(tmp_path / "installation", earlier)
    churn = Churn(tmp_path / "lives", 4)
    unit = Service(scratch_name, {"churn": churn.watcher, "w": {"cmd": SLEEP, "numprocesses": 3}})
    unit.program = str(installation.program)
    with unit as running:
        keeper, calm = running.pid, {row["wid"]: row["pid"] for row in running.workers(3)}
        compared = 0
        for package in (None, earlier, None):
            installation.install(*([] if package is None else [package]))
            running.systemctl("reload")
            compared += churn.statuses_arrived(running.ctl("ps", "churn")["workers"])
            assert {row["wid"]: row["pid"] for row in running.workers(3)} == calm
        assert (running.pid, running.show("NRestarts")) == (keeper, "0")
        assert compared > 3
        running.ctl("stop", "churn")
        churn.nothing_was_lost_or_doubled()
