"""Daemons on other hosts: the small file that names them, or options that describe one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import click

from circus_cg.rpc import keyring
from circus_cg.rpc.keys import public_key, read_public
from circus_cg.rpc.remote_client import Away

FILE = "hosts.toml"
ENDPOINT = re.compile(r"tcp://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):[0-9]{1,5}")
FIELDS = ("endpoint", "server_key", "client_key")


def find(host: str | None, endpoint: str | None, server_key: str | None, client_key: str | None) -> Away:
    """An option goes before what the file says. Raises KeyFileError, click.UsageError."""
    known = {} if host is None else _entry(host)
    said = {"endpoint": endpoint, "server_key": server_key, "client_key": client_key}
    known |= {field: value for field, value in said.items() if value is not None}
    if missing := [field for field in FIELDS if field not in known]:
        options = ", ".join(f"--{field.replace('_', '-')}" for field in missing)
        raise click.UsageError(f"cannot reach another host: {options} missing; or write them into {_path()}")
    if not ENDPOINT.fullmatch(known["endpoint"]):
        raise click.UsageError(
            f"{known['endpoint'][:80]!r} is no endpoint; expected such as tcp://shop.example.org:7777"
        )
    return Away(
        known["endpoint"],
        _server_key(known["server_key"]),
        keyring.read_key(_beside_the_file(known["client_key"])),
    )


def names() -> list[str]:
    """For completion."""
    return sorted(_hosts())


def _path() -> Path:
    return keyring.client_directory() / FILE


def _hosts() -> dict[str, Any]:
    path = _path()
    text = keyring.trusted_text(path, "`circus-cg ctl --help` says what stands in it", secret=True)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise keyring.KeyFileError(f"cannot read {path}: {wrong}") from wrong


def _entry(host: str) -> dict[str, str]:
    hosts = _hosts()
    entry = hosts.get(host)
    if not isinstance(entry, dict):
        known = ", ".join(sorted(hosts)) or "none"
        raise keyring.KeyFileError(f"cannot find host {host[:64]!r} in {_path()}; hosts there: {known}")
    for field, value in entry.items():
        if field not in FIELDS or not isinstance(value, str):
            raise keyring.KeyFileError(
                f"cannot use host {host!r} in {_path()}: {field!r} is wrong; expected the texts {', '.join(FIELDS)}"
            )
    return dict(entry)


def _server_key(text: str) -> str:
    """The key itself, or the file it stands in."""
    try:
        return public_key(text)
    except ValueError:
        path = _beside_the_file(text)
    remedy = "expected the server's public key, 64 hexadecimal digits, or a file with it"
    try:
        return read_public(keyring.trusted_text(path, remedy, secret=False))
    except ValueError as wrong:
        raise keyring.KeyFileError(f"cannot use {path}: {wrong}; {remedy}") from wrong


def _beside_the_file(text: str) -> Path:
    """A path as it is typed; a plain name is a file of the user's own keys."""
    return Path(text).expanduser() if "/" in text else keyring.client_directory() / text
