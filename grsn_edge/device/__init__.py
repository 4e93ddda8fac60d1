"""Devices: the link to them, boards real and emulated, and how firmware is built."""

from grsn_edge.device.client import Device, DeviceInfo, Profile

__all__ = ["Device", "DeviceInfo", "Profile"]
