"""Profiling: power meters, their emulators, and modelled energy."""
