"""SimBA beside ART: how many questions until the network is fooled."""

from __future__ import annotations

from torch import Tensor, nn

from attacks.contract import Criterion
from attacks.simba import SimBA
from attacks.toolkit import norms
from bench.parity import _peers as peers
from bench.parity import _queries as queries

LIMIT, STEP = 800, 0.2


def rows() -> list[dict[str, object]]:
    """Return the comparisons; a library that is not installed is left out."""
    name = peers.version("ART")
    if not name:
        return []
    found = []
    for ours, theirs in (("pixel", "px"), ("dct", "dct")):

        def run(net: nn.Module, x: Tensor, criterion: Criterion, basis: str = theirs) -> Tensor:
            # It compares probabilities, which ART expects the network to give.
            chances = nn.Sequential(net, nn.Softmax(1))
            options = {"attack": basis, "epsilon": STEP, "max_iter": LIMIT, "freq_dim": 16, "order": "random"}
            return peers.art("SimBA", chances, x, criterion, **options)

        what = f"{ours} basis, step {STEP}, untargeted, {LIMIT:,} queries"
        attack = SimBA(basis=ours, step_size=STEP, steps=LIMIT, low=1.0)
        seen = [queries.watch(each, norms.l2, LIMIT) for each in (queries.ours(attack), run)]
        found.append(queries.compare_counts(name, f"{what}, all frequencies in random order", *seen))
    return found
