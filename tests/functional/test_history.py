"""What happened is on disk, for longer than arbiter and daemon live; and why it happened is told from there."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Daemon, Refused
from tests.functional.evidence import arbiter_of, python, sh

SLEEP = ["sleep", "1000"]
EATER = python("x = []\nwhile True: x.append(bytearray(b'x' * (1 << 20)))")


def kill_arbiter(running: Daemon) -> None:
    pid = until(lambda: arbiter_of(running.pid), why="an arbiter")
    os.kill(pid, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (pid, None), why="the next arbiter")
    running.wait_answering()


def restart(running: Daemon) -> None:
    assert running.terminate() == 0
    running.process = None
    running.start().wait_answering()


def file_of(running: Daemon) -> Path:
    return running.directory / "state" / running.name / "history.sqlite"


def kinds(running: Daemon, *options: str) -> list[str]:
    return [event["kind"] for event in running.ctl("history", *options)["events"]]


def chains(running: Daemon, who: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = running.ctl("why", who)["chains"]
    return found


def kill_worker(running: Daemon, watcher: str) -> None:
    (row,) = running.wait_phase(watcher)
    os.kill(row["pid"], signal.SIGKILL)
    until(lambda: row["pid"] not in [one["pid"] for one in running.wait_phase(watcher)], why="the next life")


def test_events_outlive_arbiter_and_daemon_in_a_private_file(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}, "other": {"cmd": SLEEP}})
    kill_worker(running, "w")
    assert kinds(running, "-w", "w") == ["start", "ready", "exit", "backoff", "ready"]
    until(lambda: kinds(running, "-w", "other") == ["start", "ready"])
    for name in ("history.sqlite", "history.sqlite-wal", "history.sqlite-shm"):
        assert stat.S_IMODE((file_of(running).parent / name).stat().st_mode) == 0o600
    kill_arbiter(running)
    kill_worker(running, "w")
    assert kinds(running, "-w", "w")[3:] == ["backoff", "ready", "exit", "backoff", "ready"]
    restart(running)
    running.wait_phase("w")
    assert kinds(running, "-w", "w").count("exit") == 3, "two were killed, one was stopped with the daemon"
    assert kinds(running, "-w", "w", "-k", "exit", "--limit", "2") == ["exit", "exit"]
    assert kinds(running, "-w", "w", "--since", "1ms") == []
    assert len(kinds(running, "--since", "1h")) == len(kinds(running))
    with pytest.raises(Refused, match="did you mean exit"):
        running.ctl("history", "-k", "exot")


def test_an_out_of_memory_kill_is_explained_with_the_limit_and_what_came_of_it(daemon: StartDaemon) -> None:
    watcher = {"cmd": EATER, "limits": {"memory_max": "32M", "memory_swap_max": 0}, "backoff": {"initial": 30}}
    running = daemon(on_missing="warn", watchers={"w": watcher})
    (chain,) = until(lambda: chains(running, "w.1"), why="a chain")
    assert (chain["what"], chain["who"]) == ("pending", "w.1")
    texts = [line["text"] for line in chain["lines"]]
    assert "OOM-killed at its own limit" in texts[0] and f"memory_max {32 << 20}" in texts[0]
    assert texts[1].startswith("backoff: restart in")
    assert chain["events"][0]["exit"]["reason"] == "oom"
    shown = running.command("why", "w").stdout
    assert "w.1  pending" in shown and "OOM-killed at its own limit" in shown


def test_what_operators_asked_for_begins_the_chain_and_what_was_refused_is_one(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP, "numprocesses": 2}, "one": {"cmd": SLEEP, "singleton": True}})
    running.wait_phase("w", count=2)
    running.ctl("restart", "w")
    (chain,) = [chain for chain in chains(running, "w") if chain["what"] == "command"]
    assert [event["kind"] for event in chain["events"] if event["wid"] == 2] == ["stopping", "exit", "ready"]
    assert chain["lines"][0]["text"] == "asked: restart by local"
    with pytest.raises(Refused):
        running.ctl("incr", "one")
    (refused,) = [chain for chain in chains(running, "one") if chain["what"] == "refused"]
    assert "incr 1 by local" in refused["lines"][0]["text"] and "it is a singleton" in refused["lines"][0]["text"]
    kill_worker(running, "one")
    last = chains(running, "one")[-1]
    assert (last["what"], last["who"]) == ("restart", "one.1"), "a death that nobody asked for is nobody's"


def test_a_graceful_stop_that_ends_in_a_kill_stays_in_the_chain_of_who_asked(daemon: StartDaemon) -> None:
    """The kill comes from a timer, long after the command."""
    running = daemon(watchers={"w": {"cmd": sh("trap '' TERM; while :; do sleep 0.1; done"), "graceful_timeout": 0.3}})
    running.wait_phase("w")
    running.ctl("stop", "w")
    (chain,) = [chain for chain in chains(running, "w.1") if chain["what"] == "command"]
    assert [event["kind"] for event in chain["events"]] == ["asked", "stop", "stopping", "exit", "stopped"]
    assert chain["events"][3]["exit"]["reason"] == "killed"


def test_what_policies_decide_begins_the_chain_of_what_came_of_it(daemon: StartDaemon) -> None:
    """A worker that outgrows its rule is replaced: before, beside and after are one chain, with the inputs."""
    holder = python("x = bytearray(b'x' * (30 << 20)); import signal; signal.pause()")
    policy = {"restart_above": "10M", "restart_after": "1s"}
    running = daemon(watchers={"w": {"cmd": holder, "memory_policy": policy, "singleton": True}})

    def decided() -> list[dict[str, Any]]:
        found = [chain for chain in chains(running, "w") if chain["what"] == "decision"]
        return [chain for chain in found if chain["events"][-1]["kind"] == "ready"]

    chain = until(lambda: next(iter(decided()), None), 30, "a replacement by the policy")
    assert chain is not None
    kinds_ = [event["kind"] for event in chain["events"]]
    assert kinds_[0] == "decision" and kinds_.index("stopping") < kinds_.index("exit") < kinds_.index("ready")
    assert "decided replace: used" in chain["lines"][0]["text"] and "rule restart_above" in chain["lines"][0]["text"]
    (exit_,) = [event for event in chain["events"] if event["kind"] == "exit"]
    assert exit_["exit"]["reason"] == "memory"


def test_the_chain_of_a_restart_outlives_arbiter_daemon_and_watcher(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}, "stays": {"cmd": SLEEP}})
    kill_worker(running, "w")
    (before,) = [chain for chain in chains(running, "w") if chain["what"] == "restart"]
    kill_arbiter(running)
    assert before in chains(running, "w")
    running.write_config({"watchers": {"stays": {"cmd": SLEEP}}})
    restart(running)
    assert before in chains(running, "w.1"), "of a watcher that is not configured any more"
    with pytest.raises(Refused, match="not found"):
        running.ctl("why", "nothing")


def test_a_broken_history_is_put_aside_and_told_and_costs_nothing_else(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.wait_phase("w")
    assert kinds(running)
    pid = arbiter_of(running.pid)
    os.kill(running.pid, signal.SIGSTOP)  # no next arbiter yet
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    for side in ("-wal", "-shm"):
        Path(f"{file_of(running)}{side}").unlink(missing_ok=True)
    file_of(running).write_bytes(b"broken" * 5000)
    os.kill(running.pid, signal.SIGCONT)
    until(lambda: arbiter_of(running.pid) not in (pid, None), why="the next arbiter")
    running.wait_answering()
    kill_worker(running, "w")
    assert kinds(running, "-w", "w")[:1] == ["exit"], "a new one began"
    assert list(file_of(running).parent.glob("history.sqlite.broken-*"))
    assert "cannot use the history of before" in running.output


def test_it_is_bounded_and_ends_and_begins_with_the_configuration(daemon: StartDaemon) -> None:
    configuration = {"history": {"age": 0}, "watchers": {"w": {"cmd": SLEEP}}}
    running = daemon(**configuration)
    running.wait_phase("w")
    assert not file_of(running).exists()
    with pytest.raises(Refused, match=r"history\.age is 0"):
        running.ctl("history")
    kill_worker(running, "w")
    assert [chain["what"] for chain in chains(running, "w")] == ["restart"], "as far as it is in memory"
    running.write_config({**configuration, "history": {"age": "1h"}})
    running.ctl("reloadconfig")
    assert "exit" in kinds(running)
    with closing(sqlite3.connect(file_of(running))) as db:
        db.execute("UPDATE events SET at = at - 7200")
        db.commit()
    restart(running)
    until(lambda: kinds(running, "-k", "exit") == ["exit"], why="old events to go; the daemon's end is new")


def test_what_watchers_used_is_kept(daemon: StartDaemon) -> None:
    burner = sh("while :; do :; done")
    running = daemon(history={"usage": "200ms"}, watchers={"w": {"cmd": burner, "limits": {"cpu_max": 0.1}}})
    running.wait_phase("w")
    rows = until(lambda: running.ctl("history", "--usage")["usage"][3:], why="samples")
    for row in rows:
        assert row["watcher"] == "w" and row["workers"] == 1 and 0.1 < row["span"] < 5
        assert 0.01 < row["cpu"] < 0.3 and row["memory"] > 0
    assert any(row["throttled"] > 0 for row in rows)
    assert "MEMORY PSI" in running.command("history", "--usage").stdout
