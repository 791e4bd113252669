"""Batch norm folded into the convolution before it, for networks that are never trained again.

A frozen batch norm is one scale and one shift per channel, so the convolution can carry both
(Jacob et al. 2018, arXiv:1712.05877, section 3.2). On a CPU that saves a pass over every map.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

log = logging.getLogger("foolscope")
_tracing = threading.Lock()


class Tracer(fx.Tracer):
    """Traces what its own thread calls, one at a time.

    While it traces, `torch.fx` stands between every module of the process and its callers; a network that
    answers in another thread meanwhile must be let through.
    """

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Note the call, or let another thread's through."""
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """Note what is read, or let another thread read."""
        if threading.get_ident() != self._thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)


def fold(network: nn.Module) -> nn.Module:
    """Return a network with the same logits (to about 1e-5) and fewer layers.

    Expects evaluation mode. A network without batch norm, or one whose forward pass depends on its
    input so that it cannot be traced, is returned as it is.
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        return network
    try:
        with _tracing:
            traced = fx.GraphModule(network, Tracer().trace(network))
    except Exception as error:  # what a network's own code raises for a stand-in of its input is its own
        log.warning("batch norm of %s was not folded: %s", type(network).__name__, error)
        return network
    modules = dict(traced.named_modules())
    calls = Counter(node.target for node in traced.graph.nodes if node.op == "call_module")
    for node in list(traced.graph.nodes):
        if node.op == "call_module" and _follows_convolution(node, modules, calls):
            _fold_into(node.args[0], node, traced, modules)
    traced.recompile()
    traced.delete_all_unused_submodules()
    return traced


def _follows_convolution(node: fx.Node, modules: dict[str, nn.Module], calls: Counter[object]) -> bool:
    """Tell whether ``node`` is a batch norm and the sole reader of a convolution."""
    before = node.args[0] if node.args else None
    return (
        isinstance(modules[str(node.target)], nn.BatchNorm2d)
        and isinstance(before, fx.Node)
        and before.op == "call_module"
        and type(modules[str(before.target)]) is nn.Conv2d
        and len(before.users) == 1
        and calls[node.target] == calls[before.target] == 1
    )


def _fold_into(before: fx.Node, node: fx.Node, traced: fx.GraphModule, modules: dict[str, nn.Module]) -> None:
    """Put the batch norm of ``node`` into the convolution of ``before`` and drop ``node``."""
    convolution, norm = modules[str(before.target)], modules[str(node.target)]
    assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    with torch.no_grad():
        fused = fuse_conv_bn_eval(convolution, norm)
    traced.set_submodule(str(before.target), fused)
    node.replace_all_uses_with(before)
    traced.graph.erase_node(node)
