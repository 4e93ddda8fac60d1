"""Writes snntorch.nir with snnTorch itself: ``pip install snntorch nirtorch nir`` and run this."""

from pathlib import Path

import nir
import snntorch as snn
import torch
from snntorch.export_nir import export_to_nir

if __name__ == "__main__":
    torch.manual_seed(0)
    hidden = 24
    leaky = snn.Leaky(
        beta=torch.full((hidden,), 0.9), threshold=torch.ones(hidden), init_hidden=True
    )
    net = torch.nn.Sequential(torch.nn.Linear(3, hidden), leaky, torch.nn.Linear(hidden, 2))
    with torch.no_grad():
        net[0].weight *= 2
    graph = export_to_nir(net, torch.zeros(3))
    nir.write(str(Path(__file__).with_name("snntorch.nir")), graph)
