"""grsn-edge: recurrent spiking policies in integers, the same bits from the desk to the board.

Run a frozen policy::

    from grsn_edge import StreamingPolicy

    policy = StreamingPolicy.load("models/cartpole-p.grsn")
    action = policy.step(observation)

Everything public is listed in ``__all__`` and loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grsn_edge.device import Device as Device
    from grsn_edge.device import DevicePolicy as DevicePolicy
    from grsn_edge.errors import GrsnEdgeError as GrsnEdgeError
    from grsn_edge.neurons import Cell as Cell
    from grsn_edge.neurons import cell as cell
    from grsn_edge.policy import Network as Network
    from grsn_edge.policy import Policy as Policy
    from grsn_edge.policy import load as load
    from grsn_edge.policy import save as save
    from grsn_edge.program import Builder as Builder
    from grsn_edge.program import Program as Program
    from grsn_edge.runtime import Executor as Executor
    from grsn_edge.runtime import PolicyBatch as PolicyBatch
    from grsn_edge.runtime import PolicySpec as PolicySpec
    from grsn_edge.runtime import StreamingPolicy as StreamingPolicy

_HOME = {
    "Builder": "program",
    "Cell": "neurons",
    "Device": "device",
    "DevicePolicy": "device",
    "Executor": "runtime",
    "GrsnEdgeError": "errors",
    "Network": "policy",
    "Policy": "policy",
    "PolicyBatch": "runtime",
    "PolicySpec": "runtime",
    "Program": "program",
    "StreamingPolicy": "runtime",
    "cell": "neurons",
    "load": "policy",
    "save": "policy",
}

__all__ = [
    "Builder",
    "Cell",
    "Device",
    "DevicePolicy",
    "Executor",
    "GrsnEdgeError",
    "Network",
    "Policy",
    "PolicyBatch",
    "PolicySpec",
    "Program",
    "StreamingPolicy",
    "cell",
    "load",
    "save",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'grsn_edge' has no attribute '{name}'")
    return getattr(importlib.import_module(f"grsn_edge.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
