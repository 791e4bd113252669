"""Layers that need no pass of their own, put into the convolution beside them: for networks that are never
trained again.

A frozen batch norm is one scale and one shift per channel, so the convolution before it can carry both
(Jacob et al. 2018, arXiv:1712.05877, section 3.2). Zeros before a convolution of each channel by itself that
are uneven are even ones and a kernel that is wider by rows and columns of zeros. On a CPU either saves a pass
over the map, and another for the gradient.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeGuard

import torch
from torch import fx, nn
from torch.nn import functional
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
    _simplify(traced)
    return traced


def _simplify(traced: fx.GraphModule) -> None:
    """Put what can be put into convolutions there."""
    calls = Counter(node.target for node in traced.graph.nodes if node.op == "call_module")
    for put in (_fold_into, _pad_within):
        modules = dict(traced.named_modules())
        for node in [node for node in traced.graph.nodes if node.op == "call_module"]:
            put(node, traced, modules, calls)
    traced.recompile()
    traced.delete_all_unused_submodules()


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


def _fold_into(
    node: fx.Node, traced: fx.GraphModule, modules: dict[str, nn.Module], calls: Counter[object]
) -> None:
    """Put the batch norm of ``node`` into the convolution before it and drop ``node``, where it is one."""
    if not _follows_convolution(node, modules, calls):
        return
    before = node.args[0]
    assert isinstance(before, fx.Node)
    convolution, norm = modules[str(before.target)], modules[str(node.target)]
    assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    with torch.no_grad():
        fused = fuse_conv_bn_eval(convolution, norm)
    traced.set_submodule(str(before.target), fused)
    node.replace_all_uses_with(before)
    traced.graph.erase_node(node)


def _pad_within(
    node: fx.Node, traced: fx.GraphModule, modules: dict[str, nn.Module], calls: Counter[object]
) -> None:
    """Let the convolution behind ``node`` pad by itself, where ``node`` puts more zeros behind a map than
    before it and nothing but that convolution, of each channel by itself, reads them."""
    pad, after = modules[str(node.target)], next(iter(node.users), None)
    if not isinstance(pad, nn.ZeroPad2d) or len(node.users) != 1 or calls[after and after.target] != 1:
        return
    assert after is not None
    convolution, (left, right, top, bottom) = modules[str(after.target)], pad.padding
    before = node.args[0]
    if _is_by_channel(convolution) and left == top < right == bottom and isinstance(before, fx.Node):
        traced.set_submodule(str(after.target), _padded(convolution, right, right - left))
        node.replace_all_uses_with(before)
        traced.graph.erase_node(node)


def _is_by_channel(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Tell whether it is a convolution of each channel by itself, without zeros around the map or holes."""
    if type(module) is not nn.Conv2d or module.groups != module.in_channels:
        return False
    return tuple(module.padding) == (0, 0) and module.dilation == (1, 1)


def _padded(convolution: nn.Conv2d, padding: int, wider: int) -> nn.Conv2d:
    """Return a convolution with ``padding`` zeros on each side and ``wider`` rows and columns of zeros before
    its kernel."""
    weight = functional.pad(convolution.weight.detach(), (wider, 0, wider, 0))
    height, width = weight.shape[2:]
    padded = nn.Conv2d(
        convolution.in_channels, convolution.out_channels, (height, width),
        stride=(convolution.stride[0], convolution.stride[1]), padding=padding,
        groups=convolution.groups, bias=convolution.bias is not None, device="meta",
    )  # fmt: skip
    padded.weight = nn.Parameter(weight, convolution.weight.requires_grad)
    padded.bias = convolution.bias
    return padded.train(convolution.training)
