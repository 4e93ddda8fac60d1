"""Devices: the link to them, boards real and emulated, and how firmware is built."""

from grsn_edge.device.client import Device, DeviceInfo, Profile
from grsn_edge.device.policy import DevicePolicy, DeviceRunner

__all__ = ["Device", "DeviceInfo", "DevicePolicy", "DeviceRunner", "Profile"]
