"""A small policy that uses every part of a ``.grsn`` file."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from grsn_edge.policy import Channel, Decoder, Encoder, Policy, record_golden
from grsn_edge.program import Builder, Program


def toy_program(bits: int = 8) -> Program:
    """Four spiking neurons on two channels, with weights of so many bits; three choices."""
    rng, most = np.random.default_rng(0), 2 ** (bits - 1) - 1
    b = Builder()
    x = b.input("observation", 2, lo=-127, hi=127)
    with b.scope("layer0"):
        u = b.state("u", 4, lo=-(2**15), hi=2**15 - 1)
        drive = b.matvec(rng.integers(-most, most + 1, (4, 2)), x, [9, -9, 300, 0], name="drive")
        now = ((u * 29491).shr(15) + drive).clip(-(2**15), 2**15 - 1)
        theta = b.const([4000, 5000, 6000, 7000], name="theta")
        spike = b.apply("ge", now, theta, name="spike")
        b.next(u, now - theta * spike)
    readout = b.matvec(rng.integers(-most, most + 1, (3, 4)), spike, name="readout")
    b.output("action", b.argmax(readout, name="action"))
    return b.build()


def toy_policy(bits: int = 8) -> Policy:
    """The program with its encoder, decoder, channels, provenance and 20 golden steps.

    Its file holds weights of so many bits.
    """
    policy = Policy(
        name="toy",
        program=toy_program(bits),
        encoder=Encoder(np.array([0.5, 0.0], np.float32), np.array([42.5, 10.0], np.float32)),
        decoder=Decoder("argmax", np.zeros(1, np.float32), np.ones(1, np.float32)),
        period_s=0.02,
        observations=(Channel("x", "m", -2.4, 2.4), Channel("v", "m/s", -math.inf, math.inf)),
        actions=tuple(Channel(name, "", 0.0, 1.0) for name in ("left", "wait", "right")),
        provenance={"seed": 3, "note": "µ “quoted”\n", "returns": [499.5, 1e-7], "none": None},
        weight_bits=bits,
    )
    observations = np.random.default_rng(1).normal(0.0, 2.0, (20, 2))
    return replace(policy, golden=record_golden(policy, observations))
