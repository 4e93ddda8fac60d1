"""The ``grsn-edge`` command: one file per verb, each parses and calls, nothing else.

A verb is a module here with ``SUMMARY``, ``EXAMPLE``, ``configure(parser)`` and
``run(args) -> Result``; its file name is its name.
"""
