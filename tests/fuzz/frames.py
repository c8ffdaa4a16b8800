"""Requests that are right, nearly right and not at all, from a seed; and what a stranger may say to the port."""

from __future__ import annotations

import json
import random
from typing import Any

from circus_cg.arbiter.commands import COMMANDS

Frames = list[bytes]

LEFT_OUT = {"incr", "decr", "wait"}  # a hundred thousand workers, and waits that last
NAMES: list[Any] = [
    "web",
    "web-2",
    "db",
    "deaf",
    "*",
    "w*",
    "",
    "\0",
    "é" * 40,
    "../x",
    "new",
    ["web", "db"],
    [],
    None,
    7,
]
VALUES: list[Any] = [
    *(None, True, 0, -1, 1.5, 2**63, 2**70, "x", "x" * 1000, "[", "TERM", "64M", [], {}, ["a"], {"a": [1]}),
    *("web", "db", {"uid": "root"}, {"env.A": "b"}, {"cmd": "id"}, {"numprocesses": 3}, "sh -c id", ["id"]),
]
GREETING = bytes.fromhex("ff00000000000000017f0300") + b"CURVE".ljust(20, b"\0") + b"\0" + b"\0" * 31
HELLO = bytes.fromhex("04c8") + b"\x05HELLO" + b"\x01\x00" + b"\0" * 72 + b"k" * 32 + b"n" * 8 + b"s" * 80


def request(chance: random.Random) -> bytes:
    """Mostly one that is right: then it goes deep."""
    command = chance.choice(sorted(COMMANDS.keys() - LEFT_OUT))
    properties: dict[str, Any] = {}
    for field in COMMANDS[command].asks.__struct_fields__:
        if field == "name" and chance.random() < 0.9:
            properties[field] = chance.choice(NAMES)
        elif field != "waiting" and chance.random() < 0.4:
            properties[field] = chance.choice(VALUES)
    body: dict[str, Any] = {"id": "f", "command": command, "properties": properties}
    if chance.random() < 0.05:
        body["msg_type"] = chance.choice(["cast", "call", "", 1])
    return json.dumps(body).encode()


def mutated(chance: random.Random, body: bytes) -> bytes:
    data = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        where = chance.randrange(len(data) + 1)
        match chance.randrange(5):
            case 0:
                data[where : where + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[where : where + chance.randint(1, 20)]
            case 2:
                data[where:where] = data[: chance.randint(0, 60)]
            case 3:
                data[where:where] = chance.choice([b"[", b"{", b'"', b"\0", b"\xff", b"\\u0000", b"[" * 100, b"1e999"])
            case _:
                data[where:where] = chance.randbytes(chance.randint(1, 30))
    return bytes(data)


def message(chance: random.Random) -> Frames:
    """The parts of one message as a client sends them."""
    kind = chance.random()
    if kind < 0.4:
        return [request(chance)]
    if kind < 0.8:
        return [mutated(chance, request(chance))]
    if kind < 0.9:
        return [chance.randbytes(chance.choice([0, 1, 7, 64, 1000, 20_000]))]
    if kind < 0.9999:  # one that ends the connection loses all that is on its way
        return [*(chance.randbytes(chance.randint(0, 3)) for _ in range(chance.randint(1, 6))), request(chance)]
    return [b"p"] * chance.randint(8, 3000)


def stranger(chance: random.Random) -> bytes:
    """What somebody says who is no ZeroMQ client, or stops being one in the middle."""
    kind = chance.randrange(4)
    if kind == 0:
        return chance.randbytes(chance.randint(0, 300))
    if kind == 1:
        return mutated(chance, GREETING)
    talk = GREETING + (HELLO if kind == 2 else mutated(chance, HELLO))
    return talk[: chance.randint(0, len(talk))]
