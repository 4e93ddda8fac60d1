"""What holds for every test."""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background: children would inherit that Ctrl-C is ignored, which tests send.
    signal.signal(signal.SIGINT, signal.default_int_handler)
