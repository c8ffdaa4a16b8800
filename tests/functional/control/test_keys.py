"""Keys come and go while the daemon runs, and what it doesn't know gets no word out of it."""

from __future__ import annotations

import os
import shutil
import signal
from base64 import b64encode
from typing import Any

import pytest
import zmq

from circus_cg.rpc import curve
from tests.conftest import until
from tests.functional.control.afar import Afar, open_fds
from tests.functional.control.conftest import StartAfar
from tests.functional.evidence import arbiter_of


def answers(running: Afar, name: str) -> bool:
    with running.client(running.pairs[name], RECONNECT_IVL=-1) as peer:
        peer.send("list")
        poller = zmq.Poller()
        poller.register(peer.dealer, zmq.POLLIN)
        poller.register(peer.monitor, zmq.POLLIN)
        while (ready := dict(poller.poll(10_000))) and peer.dealer not in ready:
            event = int.from_bytes(peer.monitor.recv_multipart()[0][:2], "little")
            if event == zmq.EVENT_DISCONNECTED:
                return False
        return peer.dealer in ready


def end_the_deaf(running: Afar) -> None:
    running.daemon.ctl("signal", "deaf", "KILL")
    running.daemon.ctl("wait", "deaf", "--state", "down")


def test_a_key_is_let_in_and_shut_out_while_the_daemon_runs(afar: StartAfar) -> None:
    running = afar()
    running.key("alice", None)
    assert not answers(running, "alice")
    running.keys("authorize", running.pairs["alice"].public, "--name", "alice", "--role", "observe")
    until(lambda: answers(running, "alice"), why="the key to be let in")
    running.keys("revoke", "alice")
    until(lambda: not answers(running, "alice"), why="the key to be shut out")
    assert {line["result"] for line in running.audit if line["command"] is None} == {"unknown key"}


def test_a_revoked_keys_open_connection_ends_and_gets_nothing_more(afar: StartAfar) -> None:
    running = afar(deaf=True)
    running.daemon.ctl("stop", "deaf", "--no-wait")
    with running.client(running.key("alice", "admin"), RECONNECT_IVL=-1) as peer:
        assert peer.ask("list")["status"] == "ok"
        peer.send("wait", state="down", name="deaf")  # its answer will come after the revocation
        assert peer.is_silent()
        running.keys("revoke", "alice")
        peer.wait_event(zmq.EVENT_DISCONNECTED)
        end_the_deaf(running)
        assert peer.is_silent()
    assert ("wait", "nobody waited") in [(line["command"], line["result"]) for line in running.audit]


def test_a_request_sent_before_the_revocation_was_noticed_is_not_done(afar: StartAfar) -> None:
    """The arbiter is stopped while both happen, and then sees them together."""
    running = afar()
    with running.client(running.key("alice", "admin"), RECONNECT_IVL=-1) as peer:
        assert peer.ask("list")["status"] == "ok"
        arbiter = running.arbiter
        os.kill(arbiter, signal.SIGSTOP)
        try:
            running.keys("revoke", "alice")
        finally:
            os.kill(arbiter, signal.SIGCONT)
        peer.wait_event(zmq.EVENT_DISCONNECTED)
        peer.send("stop", name="web")
        assert peer.is_silent()
    assert running.daemon.ctl("status", "web")["statuses"] == {"web": "active"}


def test_the_servers_own_key_is_in_no_file_of_the_daemons_and_outlasts_its_arbiter(afar: StartAfar) -> None:
    running = afar()
    running.key("alice", "observe")
    running.daemon.ctl("reloadconfig")
    line = (running.keys_directory / "server.key").read_text()
    secret = next(bytes.fromhex(word) for word in line.split() if len(word) == 64 and word != running.server_key)
    forms = [secret, secret.hex().encode(), b64encode(secret)]
    kept = [path for path in (running.directory / "state").rglob("*") if path.is_file()]
    assert "configuration.json" in [path.name for path in kept]
    assert not [path for path in kept if any(form in path.read_bytes() for form in forms)]
    before = running.arbiter
    os.kill(before, signal.SIGKILL)
    until(lambda: arbiter_of(running.daemon.pid) not in (None, before), why="the next arbiter")
    until(lambda: answers(running, "alice"), why="the endpoint to be served again")


def test_a_key_whose_role_changes_has_its_new_one_at_once(afar: StartAfar) -> None:
    running = afar()
    pair = running.key("alice", "admin")
    with running.client(pair) as peer:
        assert peer.ask("set", name="web", options={"nice": 1})["status"] == "ok"
        path = running.keys_directory / "authorized"
        path.write_text(path.read_text().replace("admin    alice", "observe  alice"))  # by an editor
        peer.wait_event(zmq.EVENT_DISCONNECTED)
        peer.wait_event(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        assert "may observe" in peer.ask("set", name="web", options={"nice": 2})["reason"]


@pytest.mark.parametrize("harm", ["mode", "gone", "binary"])
def test_a_list_that_can_not_be_believed_lets_nobody_in(afar: StartAfar, harm: str) -> None:
    running = afar()
    running.key("alice", "admin")
    until(lambda: answers(running, "alice"))
    path = running.keys_directory / "authorized"
    text = path.read_text()
    match harm:
        case "mode":
            path.chmod(0o666)
        case "gone":
            path.unlink()
        case _:
            path.write_bytes(b"\xff\n" + text.encode())
    until(lambda: not answers(running, "alice"), why="nobody to be let in")
    path.write_text(text)
    path.chmod(0o600)
    until(lambda: answers(running, "alice"), why="the mended list to be believed")


@pytest.mark.parametrize("how", ["linked", "moved away"])
def test_another_directory_of_keys_in_the_place_of_the_one_holds_at_once(afar: StartAfar, how: str) -> None:
    running = afar()
    keys, other = running.keys_directory, running.directory / "other"
    running.key("alice", "admin")
    running.key("bob", None)
    until(lambda: answers(running, "alice"))
    shutil.copytree(keys, other)
    path = other / "authorized"
    path.write_text(path.read_text().replace(running.pairs["alice"].public, running.pairs["bob"].public))
    if how == "linked":
        keys.rename(running.directory / "first")
        keys.symlink_to("first")
        until(lambda: answers(running, "alice"), why="the link to be followed")
        (running.directory / "fresh").symlink_to("other")
        (running.directory / "fresh").replace(keys)
    else:
        keys.rename(running.directory / "keys.bak")
        until(lambda: not answers(running, "alice"), why="nobody to be let in")
        shutil.copytree(other, keys)
    until(lambda: not answers(running, "alice") and answers(running, "bob"), why="the other list to hold")


@pytest.mark.parametrize("how", ["null", "plain", "unknown", "as another"])
def test_who_has_no_key_gets_no_answer(afar: StartAfar, how: str) -> None:
    running = afar()
    alice = running.key("alice", "admin")
    options: dict[str, Any] = {"RECONNECT_IVL": -1}
    pair = None
    match how:
        case "plain":
            options |= {"PLAIN_USERNAME": b"alice", "PLAIN_PASSWORD": b"x"}
        case "unknown":
            pair = curve.fresh("alice")
        case "as another":  # the public key of one that is known, and a secret of one's own
            pair = alice._replace(secret=curve.fresh("eve").secret)
    with running.client(pair, **options) as peer:
        peer.send("stop")
        peer.wait_event(zmq.EVENT_DISCONNECTED)
        assert peer.is_silent()
    assert set(running.daemon.ctl("status")["statuses"].values()) == {"active"}
    assert "stop" not in [line["command"] for line in running.audit]


def test_nobody_takes_anothers_place_by_its_routing_id(afar: StartAfar) -> None:
    """The id is a client's own to choose; what counts is the key of the connection."""
    running = afar(deaf=True)
    running.daemon.ctl("stop", "deaf", "--no-wait")
    low, high = running.key("low", "observe"), running.key("high", "admin")
    with running.client(high, ROUTING_ID=b"same") as owner:
        assert owner.ask("list")["status"] == "ok"
        owner.send("wait", state="down", name="deaf")
        assert owner.is_silent()
        connected = open_fds(running.arbiter)
        owner.dealer.disable_monitor()
        owner.dealer.close(linger=0)
        until(lambda: open_fds(running.arbiter) < connected, why="its end to be seen: no id is another's before")
        with running.client(low, ROUTING_ID=b"same") as thief:
            assert "may observe" in thief.ask("stop", name="web")["reason"]
            end_the_deaf(running)
            assert thief.is_silent(), "it got an answer that was another's"


@pytest.mark.parametrize("address", ["::1", "127.0.0.1"])
def test_both_kinds_of_addresses_are_served(afar: StartAfar, address: str) -> None:
    running = afar(address)
    done = running.ctl(running.own_key("alice", "observe"), "list", "--json")
    assert done.returncode == 0, done.stderr
    assert until(lambda: running.audit, why="the look to be written")[-1]["address"] == address


def test_the_next_arbiter_serves_who_came_while_there_was_none(afar: StartAfar) -> None:
    running = afar()
    client_key = running.own_key("alice", "observe")
    assert running.ctl(client_key, "list").returncode == 0
    arbiter = running.arbiter
    os.kill(arbiter, signal.SIGKILL)
    done = running.ctl(client_key, "list")
    assert done.returncode == 0, done.stderr
    until(lambda: arbiter_of(running.daemon.pid) not in (None, arbiter))
