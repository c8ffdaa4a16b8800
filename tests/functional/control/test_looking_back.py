"""History, causes and the live table from another host: the same as here, of the watchers that the key sees."""

from __future__ import annotations

import json
import subprocess

from tests.conftest import SLOWNESS, until
from tests.functional.control.conftest import StartAfar
from tests.functional.daemon import PROGRAM


def test_a_key_of_some_watchers_looks_back_at_these_alone(afar: StartAfar) -> None:
    running = afar()
    running.daemon.ctl("restart", "db")
    running.daemon.ctl("restart", "web")
    with running.client(running.key("k", "observe", "web*")) as peer:
        events = until(lambda: peer.ask("history")["events"], why="events on disk")
        assert {event["watcher"] for event in events} == {"web", "web-2"}
        assert peer.ask("history", name="db")["events"] == []
        assert peer.ask("history", name=".*", match="regex")["events"] == events
        assert "command" in {chain["what"] for chain in peer.ask("why", name="web")["chains"]}
        for name in ("db", "db.1"):
            assert "not found" in peer.ask("why", name=name)["reason"]
        assert {watcher["name"] for watcher in peer.ask("top")["watchers"]} == {"web", "web-2"}
        for command in ("set", "revert"):
            assert ", this needs admin" in peer.ask(command, name="web", options={})["reason"]
    assert {line["key"] for line in running.audit if line["command"] == "history"} == {"k"}


def test_who_asked_from_afar_is_named_in_the_chain_and_so_is_what_was_refused(afar: StartAfar) -> None:
    running = afar()
    with running.client(running.key("ops", "operate")) as peer:
        assert peer.ask("restart", name="web", waiting=True)["status"] == "ok"
        assert peer.ask("kill", name="web", wid=77)["status"] == "error"
    chains = running.daemon.ctl("why", "web")["chains"]
    texts = [chain["lines"][0]["text"] for chain in chains if chain["what"] in ("command", "refused")]
    assert texts[0] == "asked: restart by ops"
    assert texts[1].startswith("refused: kill 77 by ops: cannot kill 'web': no worker 77 is running")


def test_top_shows_another_hosts_daemon(afar: StartAfar) -> None:
    running = afar()
    key = running.own_key("laptop", "observe")
    command = [PROGRAM, "top", *running.where(key), "--once", "--json"]
    done = subprocess.run(
        command, env=running.daemon.environment, capture_output=True, text=True, timeout=60 * SLOWNESS, check=True
    )
    assert {row["name"] for row in json.loads(done.stdout)["watchers"]} == {"web", "web-2", "db"}
