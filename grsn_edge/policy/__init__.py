"""A policy: observation encoder → step program → action decoder."""

from grsn_edge.policy.decoder import Decoder
from grsn_edge.policy.encoder import Encoder
from grsn_edge.policy.network import Network, assemble, assemble_cells, make_decoder
from grsn_edge.policy.policy import ACTION, OBSERVATION, Channel, Golden, Policy

__all__ = [
    "ACTION",
    "OBSERVATION",
    "Channel",
    "Decoder",
    "Encoder",
    "Golden",
    "Network",
    "Policy",
    "assemble",
    "assemble_cells",
    "make_decoder",
]
