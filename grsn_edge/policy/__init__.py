"""A policy: observation encoder → step program → action decoder; and its ``.grsn`` file."""

from grsn_edge.policy.atomic import write_atomically
from grsn_edge.policy.container import dumps, load, loads, model_hash, save
from grsn_edge.policy.decoder import Decoder
from grsn_edge.policy.encoder import Encoder
from grsn_edge.policy.golden import MAX_GOLDEN, record_golden, verify_golden
from grsn_edge.policy.limits import (
    ActionChoices,
    ActionLimit,
    SupervisorConfig,
    robot_id,
    supervisor_section,
)
from grsn_edge.policy.network import Network, assemble, assemble_cells, make_decoder
from grsn_edge.policy.policy import ACTION, OBSERVATION, Channel, Golden, Policy
from grsn_edge.policy.storage import WeightStorage, weight_storage

__all__ = [
    "ACTION",
    "MAX_GOLDEN",
    "OBSERVATION",
    "ActionChoices",
    "ActionLimit",
    "Channel",
    "Decoder",
    "Encoder",
    "Golden",
    "Network",
    "Policy",
    "SupervisorConfig",
    "WeightStorage",
    "assemble",
    "assemble_cells",
    "dumps",
    "load",
    "loads",
    "make_decoder",
    "model_hash",
    "record_golden",
    "robot_id",
    "save",
    "supervisor_section",
    "verify_golden",
    "weight_storage",
    "write_atomically",
]
