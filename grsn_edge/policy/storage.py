"""What a policy's weights take where it is kept, and where it runs."""

from __future__ import annotations

from dataclasses import dataclass

from grsn_edge.policy.policy import Policy

__all__ = ["WeightStorage", "weight_storage"]


@dataclass(frozen=True, slots=True)
class WeightStorage:
    """The synaptic weights of a policy.

    Args:
        bits: of each weight in the ``.grsn`` file: 8, 6 or 4.
        count: number of weights, zeros included.
        file_bytes: that they take in the file, each row filled to whole bytes (SPEC §6.9).
        memory_bytes: that they take in every backend, in C and in a device's flash: one each.
    """

    bits: int
    count: int
    file_bytes: int
    memory_bytes: int


def weight_storage(policy: Policy) -> WeightStorage:
    """Bytes of the weights of all products, without biases."""
    shapes = [node.attrs["weight"].shape for node in policy.program if node.op == "matvec"]
    count, bits = sum(rows * columns for rows, columns in shapes), policy.weight_bits
    packed = sum(rows * -(-columns * bits // 8) for rows, columns in shapes)
    return WeightStorage(bits, count, packed, count)
