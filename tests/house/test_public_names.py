"""What `grsn_edge` promises by name."""

from __future__ import annotations

import subprocess
import sys

import grsn_edge


def test_all_is_sorted_and_every_name_is_there() -> None:
    assert grsn_edge.__all__ == sorted(grsn_edge.__all__)
    assert set(grsn_edge.__all__) == set(grsn_edge._HOME)
    for name in grsn_edge.__all__:
        assert getattr(grsn_edge, name).__name__ == name


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, grsn_edge; sys.exit(' '.join({'numpy', 'torch'} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
