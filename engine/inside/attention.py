"""What a network that passes patches on by attention looks at, over all its layers.

- Attention rollout: Abnar and Zuidema 2020, https://arxiv.org/abs/2005.00928: half of each layer's attention,
  the mean over its heads, and half of the identity for the residual connection, multiplied layer by layer. It
  knows no class.
- Gradient x attention: Chefer, Gur and Wolf 2021, https://arxiv.org/abs/2103.15679, equations 5 and 6: each
  layer's attention times the gradient of the class's logit, its part above 0, added up along the layers.

Both read the rows of the tokens from which the network takes its answer: the class token, or all patches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from errors import BadSetting

NO_ATTENTION = (
    "Attention rollout and gradient x attention have no meaning on this network: it passes nothing on by "
    "attention. Take Grad-CAM, integrated gradients or occlusion."
)
IN_PARTS = (
    "Attention rollout and gradient x attention have no meaning on this network: not every layer pays "
    "attention over the whole picture, in the same patches. Take integrated gradients or occlusion."
)
TOO_LARGE = "Expected attention of at most {most} million weights in a network's layers, got more."
MOST = 2**28
"""Weights of attention that are held at a time, a GiB in float32."""


class Attentions(TorchFunctionMode):
    """Notes the weights of attention of what is computed in this thread inside the ``with`` block.

    `torch.nn.functional.scaled_dot_product_attention` and `torch.nn.MultiheadAttention` are carried out step
    by step instead, so that gradients reach the weights; elsewhere a softmax over the last of three or four
    dimensions is taken for attention.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Tensor] = []
        """Of each layer ``(pictures, heads, queries, keys)``, or without the first, in order."""
        self.complete = True
        """Whether all attention was noted: none was masked, or of a kind that is not known here."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Carry out ``func``, and note the weights if it pays attention."""
        name, options = getattr(func, "__name__", "").partition(".")[0], kwargs or {}
        if name == "scaled_dot_product_attention":
            answer = self._scaled(*args, **options)
            return func(*args, **options) if answer is None else answer
        if name == "multi_head_attention_forward":
            answer = self._many_headed(*args, **options)
            return func(*args, **options) if answer is None else (answer, None)
        answer = func(*args, **options)
        if name in ("softmax", "_softmax"):
            dim = options.get("dim", args[1] if len(args) > 1 else None)
            if answer.dim() in (3, 4) and dim in (-1, answer.dim() - 1):
                return self._note(answer)
        return answer

    def _note(self, weights: Tensor) -> Tensor:
        if torch.is_grad_enabled() and not weights.requires_grad:  # they do not depend on the picture
            weights = weights.detach().requires_grad_()
        self.weights.append(weights)
        if sum(layer.numel() for layer in self.weights) > MOST:
            raise BadSetting(TOO_LARGE, most=MOST // 10**6)
        return weights

    def _scaled(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor | None:
        """Return what `torch.nn.functional.scaled_dot_product_attention` does; None where that is not done
        here."""
        if is_causal or enable_gqa or (attn_mask is not None and not attn_mask.is_floating_point()):
            self.complete = False
            return None
        factor = query.shape[-1] ** -0.5 if scale is None else scale
        scores = (query * factor) @ key.transpose(-2, -1)
        return self._note((scores if attn_mask is None else scores + attn_mask).softmax(-1)) @ value

    def _many_headed(self, *args: Any, **options: Any) -> Tensor | None:
        """Return the first answer of `torch.nn.functional.multi_head_attention_forward`; None as above."""
        inputs, (heads, weight, bias, *extra), (outwards, shift) = args[:3], args[4:10], args[11:13]
        extra += [options.get(name) for name in ("attn_mask", "key_padding_mask")]
        if weight is None or any(part is not None and part is not False for part in extra):
            self.complete = False
            return None
        shifts = (None,) * 3 if bias is None else bias.chunk(3)
        parts = [
            functional.linear(x, w, b).unflatten(-1, (heads, -1)).permute(1, 2, 0, 3)
            for x, w, b in zip(inputs, weight.chunk(3), shifts, strict=True)
        ]
        answer = self._scaled(*parts)
        if answer is None:
            return None
        return functional.linear(answer.permute(2, 0, 1, 3).flatten(2), outwards, shift)


@dataclass(frozen=True)
class Attended:
    """How a network got to the ``logit`` of a class for one picture: of each layer the ``weights`` of
    attention and the ``gradients`` of the logit by them, both ``(heads, queries, keys)``."""

    weights: tuple[Tensor, ...]
    gradients: tuple[Tensor, ...]
    logit: float

    @property
    def read(self) -> Tensor:
        """Return which rows of the last layer the logit depends on, ``(queries,)``."""
        rows = self.gradients[-1].abs().sum((0, 2)) > 0
        return rows if bool(rows.any()) else torch.ones_like(rows)


def attended(network: Callable[[Tensor], Tensor], picture: Tensor, label: int) -> Attended:
    """Return how ``network`` answers ``picture`` ``(c, size, size)``; raises `errors.BadSetting` where it
    pays no attention, or not over the whole picture in each layer."""
    with torch.enable_grad(), Attentions() as noted:
        logit = network(picture[None].clone().requires_grad_())[0, label]
    _check(noted)
    gradients = torch.autograd.grad(logit, noted.weights, allow_unused=True)
    known = [
        torch.zeros_like(weights) if gradient is None else gradient
        for weights, gradient in zip(noted.weights, gradients, strict=True)
    ]
    return Attended(
        tuple(_of_one(weights.detach()) for weights in noted.weights),
        tuple(_of_one(gradient) for gradient in known),
        float(logit.detach()),
    )


def _of_one(weights: Tensor) -> Tensor:
    """Return the weights of the only picture ``(heads, queries, keys)``."""
    return weights[0] if weights.dim() == 4 else weights


def has_meaning(network: Callable[[Tensor], Tensor], picture: Tensor) -> bool:
    """Say whether both methods mean something on a network that is asked about ``picture``."""
    try:
        with torch.no_grad(), Attentions() as noted:
            network(picture[None])
        _check(noted)
    except BadSetting:
        return False
    return True


def _check(noted: Attentions) -> None:
    """Refuse what cannot be multiplied: all but the last layer go from tokens to the same tokens."""
    if not noted.weights and noted.complete:
        raise BadSetting(NO_ATTENTION)
    shapes = [(1, *weights.shape)[-4:] for weights in noted.weights]
    square = bool(shapes) and all(shape[-2] == shape[-1] for shape in (shapes[0], *shapes[:-1]))
    tokens = {(shape[0], shape[-1]) for shape in shapes}
    if not noted.complete or not square or tokens != {(1, shapes[0][-1])} or shapes[0][-1] < 4:
        raise BadSetting(IN_PARTS)


def rollout(answer: Attended) -> Tensor:
    """Return which share of the answer rests on each patch, ``(side, side)``, by attention rollout."""
    layers = [weights.mean(0) for weights in answer.weights]
    return _patches(answer, [layer if _pools(layer) else (layer + _identity(layer)) / 2 for layer in layers])


def gradient_attention(answer: Attended) -> Tensor:
    """Return what speaks for the class in each patch, ``(side, side)``, never below 0, by gradient x
    attention."""
    pairs = zip(answer.weights, answer.gradients, strict=True)
    layers = [(weights * gradient).clamp(min=0).mean(0) for weights, gradient in pairs]
    whole = _patches(answer, [layer if _pools(layer) else layer + _identity(layer) for layer in layers])
    if _pools(layers[-1]):
        return whole
    return whole - _on_grid(_identity(layers[-1])[answer.read].mean(0))


def _patches(answer: Attended, layers: Sequence[Tensor]) -> Tensor:
    """Return the rows that are read of the product of ``layers``, the last one first: their mean over the
    patches."""
    row = layers[-1][answer.read].mean(0)
    for layer in reversed(layers[:-1]):
        row = row @ layer
    return _on_grid(row)


def _on_grid(row: Tensor) -> Tensor:
    """Return the values of patches ``(side, side)`` of those of tokens; tokens without a place come first."""
    side = math.isqrt(len(row))
    return row[len(row) - side**2 :].view(side, side)


def _pools(layer: Tensor) -> bool:
    """Say whether a layer goes from the tokens to others, as a head that gathers them by attention does."""
    return layer.shape[0] != layer.shape[1]


def _identity(layer: Tensor) -> Tensor:
    return torch.eye(len(layer), dtype=layer.dtype, device=layer.device)
