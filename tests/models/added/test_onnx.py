"""ONNX files: what other exporters and opsets write is read rightly, and what cannot be read is named."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx2torch
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from errors import BadNetwork
from models.added.record import AddedModel, InputFormat, OutputFormat, Request
from models.added.source import Draft
from models.added.sources.onnx import Onnx
from tests.support.exported import graph

HEAD = torch.linspace(-1, 1, 3 * 5).reshape(3, 5)
MEAN = helper.make_node("ReduceMean", ["x", "axes"], ["m"], keepdims=0, noop_with_empty_axes=0)
GEMM = helper.make_node("Gemm", ["m", "head"], ["y"])
AXES = torch.tensor([2, 3])


def read(folder: Path, model: onnx.ModelProto) -> Draft:
    onnx.save(model, folder / "a.onnx")
    return Onnx().read(Request("mine", f"onnx:{folder / 'a.onnx'}"), folder, lambda done, total: None)


def built(draft: Draft, folder: Path) -> nn.Module:
    """Return the network again, as it is when it is asked for later."""
    takes, gives = InputFormat(8, 8), OutputFormat()
    record = AddedModel("mine", "", "onnx:a", takes, gives, (), (), 0, arguments=draft.arguments)
    return Onnx().build(record, folder)


def expected(x: Tensor) -> Tensor:
    return x.mean((2, 3)) @ HEAD


def images(n: int = 3) -> Tensor:
    return torch.rand((n, 3, 8, 8), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("opset", [18, 20, 23])
def test_later_opsets_are_read_as_they_are_meant(tmp_path: Path, opset: int) -> None:
    model = graph(
        helper.make_node("Identity", ["head"], ["copy"]),
        MEAN,
        helper.make_node("Split", ["m"], ["a", "b", "c"], axis=1, num_outputs=3),
        helper.make_node("Concat", ["a", "b", "c"], ["again"], axis=1),
        helper.make_node("Reshape", ["again", "shape"], ["row"], allowzero=1),
        helper.make_node("Gemm", ["row", "copy"], ["y"]),
        opset=opset, head=HEAD, axes=AXES, shape=torch.tensor([-1, 3]),
    )  # fmt: skip
    draft = read(tmp_path, model)
    assert (draft.facts.height, draft.facts.width, draft.facts.channels) == (8, 8, 3)
    assert torch.allclose(draft.network(images()), expected(images()), atol=1e-6)


def test_it_has_gradients_and_is_built_again_from_what_was_kept(tmp_path: Path) -> None:
    draft = read(tmp_path, graph(MEAN, GEMM, head=HEAD, axes=AXES))
    (tmp_path / "a.onnx").unlink()
    x = images().requires_grad_()
    built(draft, tmp_path)(x)[:, 4].sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad, HEAD[:, 4].view(1, 3, 1, 1).expand_as(x) / 64, atol=1e-7)


def test_what_was_exported_for_one_image_takes_several(tmp_path: Path) -> None:
    flat = helper.make_node("Reshape", ["m", "shape"], ["row"])
    gemm = helper.make_node("Gemm", ["row", "head"], ["y"])
    one = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])]
    draft = read(
        tmp_path, graph(MEAN, flat, gemm, inputs=one, head=HEAD, axes=AXES, shape=torch.tensor([1, 3]))
    )
    assert "its shapes were changed to take several" in str(draft.notes[-1])
    assert torch.allclose(draft.network(images()), expected(images()), atol=1e-6)
    assert draft.arguments["one_by_one"] is False


def test_channels_last_are_taken_as_they_come_from_tensorflow(tmp_path: Path) -> None:
    last = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8, 6, 3])]
    draft = read(tmp_path, graph(MEAN, GEMM, inputs=last, head=HEAD, axes=torch.tensor([1, 2])))
    assert (draft.facts.height, draft.facts.width, draft.facts.channels) == (8, 6, 3)
    x = images()[..., :6]
    assert torch.allclose(draft.network(x), expected(x), atol=1e-6)
    assert torch.allclose(built(draft, tmp_path)(x), expected(x), atol=1e-6)


def test_of_several_outputs_a_row_for_each_image_is_taken(tmp_path: Path) -> None:
    model = graph(MEAN, GEMM, head=HEAD, axes=AXES)
    model.graph.output.insert(0, helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8]))
    draft = read(tmp_path, model)
    assert str(draft.notes[0]).startswith("It has 2 outputs; “y” was taken")
    assert torch.allclose(draft.network(images()), expected(images()), atol=1e-6)


def refused(folder: Path, model: onnx.ModelProto) -> str:
    with pytest.raises(BadNetwork) as caught:
        read(folder, model)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    def nodes(*kinds: str) -> onnx.ModelProto:
        made = [helper.make_node(kind, ["x"], [kind]) for kind in kinds]
        return graph(*made, MEAN, GEMM, head=HEAD, axes=AXES)

    words = "It has operators of opset 20 that onnx2torch cannot read: Gelu, Nonsense."
    assert refused(tmp_path, nodes("Nonsense", "Gelu", "Relu")) == words
    old = nodes("Trilu", "Relu")
    old.opset_import[0].version = 17
    assert refused(tmp_path, old) == "It has operators of opset 17 that onnx2torch cannot read: Trilu."
    new = nodes()
    new.opset_import[0].version = 99
    assert refused(tmp_path, new) == "Expected a file of opset 7 to 26, got 99."
    own = nodes("Relu")
    own.graph.node[0].domain = "com.acme"
    assert refused(tmp_path, own) == "It has operators of its own (com.acme), which cannot be read."


@pytest.mark.parametrize(
    ("shapes", "sentence"),
    [
        ([["n", 3, 8, 8], ["n", 4]], "one input, a batch of images; it has 2 (x, x1)"),
        ([["n", 8, 8, 4]], "1 or 3 channels; the file says ? x 8 x 8 x 4"),
        ([["n", 10]], "the file says ? x 10"),
    ],
)
def test_an_input_that_is_no_batch_of_images_is_refused(
    tmp_path: Path, shapes: list[list[str | int | None]], sentence: str
) -> None:
    inputs = [
        helper.make_tensor_value_info(f"x{i or ''}", TensorProto.FLOAT, shape)
        for i, shape in enumerate(shapes)
    ]
    assert sentence in refused(tmp_path, graph(MEAN, GEMM, inputs=inputs, head=HEAD, axes=AXES))


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    head = HEAD.clone()
    head[0, 0] = torch.nan
    assert "infinite or not numbers" in refused(tmp_path, graph(MEAN, GEMM, head=head, axes=AXES))


def test_a_node_with_code_for_a_name_does_not_run_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """onnx2torch writes names of nodes into code: this one runs when it is used alone."""
    monkeypatch.chdir(tmp_path)
    name = 'node_1"), getattr(__import__("os"), "mkdir")("was_run"), getattr(self, "node_1'
    model = graph(
        helper.make_node("GlobalAveragePool", ["x"], ["p"], name=name),
        helper.make_node("Flatten", ["p"], ["m"], name="node_1"),
        GEMM, opset=17, head=HEAD,
    )  # fmt: skip
    draft = read(tmp_path, model)
    assert torch.allclose(draft.network(images()), expected(images()), atol=1e-6)
    assert not (tmp_path / "was_run").exists()
    with pytest.raises(AttributeError, match="tuple"):
        onnx2torch.convert(model)(images())
    assert (tmp_path / "was_run").exists()
