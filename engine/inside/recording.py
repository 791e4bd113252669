"""What passes through a network's layers while it answers, noted by hooks that are gone afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn

from models.core import Classifier
from models.ensemble import Ensemble, LeastFooled

Take = Callable[[str, tuple[Any, ...], Any], Any]
"""Gets a layer's name, what it was given and what it gave; may return what is passed on in its place."""
TOKEN_LAYERS = 2
"""A network is of tokens when more linear layers than these take ``(n, tokens, width)``."""


@contextmanager
def recording(layers: Mapping[str, nn.Module], take: Take) -> Iterator[None]:
    """Call ``take`` whenever one of ``layers`` has answered, in this thread, inside the ``with`` block.

    Others may ask a shared network in other threads meanwhile, which is not noted.
    """
    own = threading.get_ident()

    def note(name: str, layer: nn.Module, given: tuple[Any, ...], answer: Any) -> Any:
        return take(name, given, answer) if threading.get_ident() == own else None

    hooks = [layer.register_forward_hook(partial(note, name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def single(network: Classifier) -> Classifier:
    """Return the network whose layers are looked at: of several as one the first, whose pictures and classes
    have the same size and order."""
    if isinstance(network, LeastFooled):
        network = network.networks
    return network.parts[0] if isinstance(network, Ensemble) else network


def pays_attention(network: nn.Module) -> bool:
    """Say whether a network passes on tokens by attention, as far as its parts are named so."""
    if any("attention" in type(module).__name__.lower() for module in network.modules()):
        return True
    graphs = [module.graph for module in network.modules() if isinstance(module, fx.GraphModule)]
    return any("attention" in str(node.target).lower() for graph in graphs for node in graph.nodes)


def last_convolution(network: Classifier, picture: Tensor) -> str:
    """Return the name of the last convolution that still has places, "" where there is none, or where the
    picture ``(c, size, size)`` goes on as tokens."""
    calls: list[tuple[str, bool]] = []

    def note(name: str, given: tuple[Any, ...], answer: Any) -> None:
        convolution = isinstance(answer, Tensor) and answer.dim() == 4
        if convolution and answer.shape[-1] > 1 and answer.shape[-2] > 1:
            calls.append((name, True))
        elif given and isinstance(given[0], Tensor) and given[0].dim() == 3:
            calls.append((name, False))

    kinds = (nn.Conv2d, nn.Linear)
    layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, kinds)}
    convolutions = {name: layer for name, layer in layers.items() if isinstance(layer, nn.Conv2d)}
    with recording(layers, note), torch.no_grad():
        network(picture[None])
    places = [index for index, (name, whole) in enumerate(calls) if whole and name in convolutions]
    if not places or pays_attention(network):
        return ""
    tokens = sum(not whole for _, whole in calls[places[-1] :])
    return "" if tokens > TOKEN_LAYERS else calls[places[-1]][0]
