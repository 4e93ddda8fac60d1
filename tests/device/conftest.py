"""Devices for tests: the firmware as a process, with a policy compiled in or over images."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_policy import toy_policy

from grsn_edge.backends._c.compiler import why_not
from grsn_edge.device.linux_board import build_device
from grsn_edge.policy import Policy


@pytest.fixture(scope="session")
def toy() -> Policy:
    """The small policy."""
    return toy_policy()


@pytest.fixture(scope="session")
def machine() -> Path:
    """``grsn-device`` with the virtual machine."""
    return _built(None)


@pytest.fixture(scope="session")
def compiled(toy: Policy) -> Path:
    """``grsn-device`` with the small policy compiled in."""
    return _built(toy)


@pytest.fixture(scope="session")
def tiny() -> Path:
    """The smallest link: 64 bytes of payload, one request on its way."""
    return _built(None, "GRSN_LINK_PAYLOAD=64", "GRSN_LINK_WINDOW=1")


def _built(policy: Policy | None, *defines: str) -> Path:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    return build_device(policy, defines=defines)
