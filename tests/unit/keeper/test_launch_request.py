"""What is asked of a launcher survives the way there, or is refused before it leaves."""

from __future__ import annotations

import errno
import os
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circus_cg.keeper.request import (
    ANSWER_SIZE,
    BODY_MAX,
    INLINE_MAX,
    Failed,
    Running,
    SpawnRequest,
    Started,
    decode,
    encode,
    explained,
)

HEADER = struct.Struct("=BBHIQ")
FIELD = struct.Struct("=II")
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


def request(**changes: Any) -> SpawnRequest:
    properties: dict[str, Any] = {"ident": 1, "argv": ["true"], "env": {}}
    return SpawnRequest(**(properties | changes))


def fields(body: bytes) -> dict[int, bytes]:
    """tag -> value, read as launcher.c reads them."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(body):
        tag, length = FIELD.unpack_from(body, at)
        at += FIELD.size
        found[tag] = body[at : at + length]
        at += length + -length % 8
    assert at == len(body)
    return found


@given(
    argv=st.lists(TEXT, min_size=1, max_size=5),
    env=st.dictionaries(TEXT.filter(lambda name: name and "=" not in name), TEXT, max_size=5),
    ident=st.integers(0, 2**64 - 1),
)
def test_arguments_and_environment_arrive_as_they_were_given(argv: list[str], env: dict[str, str], ident: int) -> None:
    header, body = encode(request(ident=ident, argv=argv, env=env))
    assert HEADER.unpack(header) == (2, 0, 0, len(body), ident)
    found = fields(body)
    assert found[1].decode().split("\0")[:-1] == argv
    assert dict(line.split("=", 1) for line in found[2].decode().split("\0")[:-1]) == env


def test_what_is_not_asked_for_is_not_mentioned() -> None:
    assert set(fields(encode(request())[1])) == {1, 2, 3}


def test_an_empty_list_of_groups_is_not_the_same_as_none() -> None:
    assert 11 in fields(encode(request(groups=[]))[1])


def test_every_property_has_a_field_of_its_own() -> None:
    everything = request(
        v2="/v2", v1=["/a", "/b"], umask=0o22, nice=-5, rlimits=[(7, 64, -1)], uid=1, gid=2, groups=[3, 4],
        oom_score_adj=-1, fds={1: 9, 5: 8}, scheduler=(1, 50), io_priority=2 << 13 | 4, cpus=[(0, 1), (64, 64)],
        bounding=1 << 40, ambient=1 << 10, no_new_privs=True,
    )  # fmt: skip
    found = fields(encode(everything)[1])
    assert (found[3], found[4], found[5]) == (b"/\0", b"/v2\0", b"/a\0/b\0")
    assert [struct.unpack("=i", found[tag])[0] for tag in (6, 7, 12)] == [0o22, -5, -1]
    assert struct.unpack("=qqq", found[8]) == (7, 64, -1)
    assert [struct.unpack("=I", found[tag])[0] for tag in (9, 10)] == [1, 2]
    assert struct.unpack("=2I", found[11]) == (3, 4)
    assert struct.unpack("=2i", found[13]) == (1, 5)
    assert struct.unpack("=2i", found[14]) == (1, 50) and struct.unpack("=i", found[15]) == (2 << 13 | 4,)
    assert struct.unpack("=2Q", found[16]) == (3, 1)
    assert [struct.unpack("=Q", found[tag])[0] for tag in (17, 18)] == [1 << 40, 1 << 10]
    assert found[19] == b""


def test_no_capability_at_all_is_not_the_same_as_none_asked_for() -> None:
    assert {17, 18} <= set(fields(encode(request(bounding=0, ambient=0))[1]))


@pytest.mark.parametrize(("last", "words"), [(0, 1), (63, 1), (64, 2), (65535, 1024)])
def test_a_mask_of_cpus_has_as_many_words_as_it_needs(last: int, words: int) -> None:
    assert len(fields(encode(request(cpus=[(last, last)]))[1])[16]) == 8 * words


def test_what_is_known_of_a_refusal_is_said_with_it() -> None:
    assert explained("rlimit", errno.EPERM).startswith("Operation not permitted: only CAP_SYS_RESOURCE")
    assert explained("exec", errno.ENOENT) == os.strerror(errno.ENOENT)


def test_a_body_too_large_for_a_packet_says_that_it_comes_by_memfd() -> None:
    header, body = encode(request(argv=["true", "x" * INLINE_MAX]))
    assert HEADER.unpack(header)[:4] == (2, 1, 0, len(body))


@pytest.mark.parametrize(
    "changes",
    [
        {"argv": []},
        {"argv": ["a\0b"]},
        {"env": {"A": "\0"}},
        {"env": {"": "x"}},
        {"env": {"A=B": "x"}},
        {"cwd": ""},
        {"v1": ["/a\0"]},
        {"v2": ""},
        {"uid": -1},
        {"gid": 1 << 32},
        {"umask": 1 << 40},
        {"cpus": []},
        {"cpus": [(3, 2)]},
        {"cpus": [(0, 65536)]},
        {"bounding": -1},
        {"ambient": 1 << 64},
        {"scheduler": (1 << 31, 0)},
        {"io_priority": 1 << 31},
        {"rlimits": [(7, 1 << 70, 0)]},
        {"fds": {-1: 0}},
        {"fds": {1 << 20: 0}},
        {"fds": dict.fromkeys(range(300), 0)},
        {"argv": ["x" * BODY_MAX]},
    ],
    ids=repr,
)
def test_what_the_kernel_would_not_take_is_refused_before_it_leaves(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cannot"):
        encode(request(**changes))


def test_answers_are_read_as_the_launcher_writes_them() -> None:
    record = struct.Struct("=BBBBiiIQ")
    assert record.size == ANSWER_SIZE
    assert decode(record.pack(1, 1, 0, 0, 77, 0, 0, 5)) == Started(5, 77)
    assert decode(record.pack(1, 2, 0, 0, 77, 0, 0, 5)) == Running(5)
    assert decode(record.pack(1, 3, 15, 0, 77, 2, 0, 5)) == Failed(5, "exec", 2, 77)
    assert decode(record.pack(1, 3, 1, 0, 0, 11, 0, 5)) == Failed(5, "clone", 11, None)
