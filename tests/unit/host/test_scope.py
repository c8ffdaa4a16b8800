"""Which unit a process is in, by the kernel's words in each layout."""

from __future__ import annotations

import pytest

from circus_cg.host.scope import Unit, unit_of

V1 = "9:memory:/user.slice\n3:cpu,cpuacct:/\n1:name=systemd:/user.slice/user-0.slice/session-2.scope\n"


@pytest.mark.parametrize(
    ("memberships", "unit"),
    [
        ("0::/user.slice/user-0.slice/session-1.scope\n", Unit("session-1.scope", False)),
        ("0::/system.slice/circus-cg-shop.service\n", Unit("circus-cg-shop.service", False)),
        (V1, Unit("session-2.scope", False)),
        (V1 + "0::/user.slice/user-0.slice/session-2.scope\n", Unit("session-2.scope", False)),
        ("0::/user.slice/user-7.slice/user@7.service/app.slice/x.scope\n", Unit("x.scope", True)),
        ("0::/user.slice/user-7.slice/user@7.service\n", Unit("user@7.service", False)),
        ("0::/\n", None),
        ("0::/init.scope\n", None),
        ("0::/system.slice/docker-1.scope/inner\n", None),
        ("0::/system.slice/x.service/circus-cg/shop/@daemon\n", None),
        ("4:memory:/x.service\n", None),
        ("", None),
    ],
)
def test_the_unit_is_the_last_part_of_systemds_own_path(memberships: str, unit: Unit | None) -> None:
    assert unit_of(memberships) == unit
