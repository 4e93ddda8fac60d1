"""The policy image: a step program as data for the virtual machine (``docs/SPEC.md`` §9)."""

from grsn_edge.backends._image.crc import crc32c
from grsn_edge.backends._image.sections import SUPERVISOR, Section
from grsn_edge.backends._image.writer import MAX_NODES, Order, image

__all__ = ["MAX_NODES", "SUPERVISOR", "Order", "Section", "crc32c", "image"]
