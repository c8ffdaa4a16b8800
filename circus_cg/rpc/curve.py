"""Key pairs as libzmq makes them, and public keys as its tools write them."""

from __future__ import annotations

import zmq
from zmq.utils import z85

from circus_cg.rpc.keys import KeyPair


def fresh(name: str) -> KeyPair:
    public, secret = (z85.decode(key).hex() for key in zmq.curve_keypair())
    return KeyPair(name, public, secret)


def from_z85(text: str) -> str:
    """In hexadecimal. Raises ValueError."""
    try:
        decoded: bytes = z85.decode(text)
    except (KeyError, ValueError) as wrong:
        raise ValueError(f"{text[:40]!r} is no Z85") from wrong
    return decoded.hex()
