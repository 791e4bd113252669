"""``open_clip:ARCHITECTURE@PRETRAINED``: a CLIP of open_clip, whose classes are a person's own words.

Also ``open_clip:hf-hub:OWNER/REPO``, and ``open_clip:ARCHITECTURE`` with a file of weights; from the command
line ARCHITECTURE may be a JSON file of open_clip's kind. All go through open_clip's own loading. The image's
half, the texts' half and the vectors of the words are kept in files of their own, so that building a network
again needs the first and the last alone.
"""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import models
from errors import BadNetwork, BadSetting, FoolscopeError, UnknownName, WeightsError
from models.added import hub, shelf, tensors, words
from models.added.clip import KIND, Encoder, Texts, WordNetwork
from models.added.record import AddedModel, CheckResult, Facts, Plain, Request
from models.added.source import Draft, Source
from models.download import Progress

HUB, LOCAL = "hf-hub:", "local-dir:"
CONFIG, IMAGE, TEXT, WORDS = (
    "open_clip_config.json", "image.safetensors", "text.safetensors", "words.safetensors",
)  # fmt: skip
SAFE = "open_clip_model.safetensors"
VISUAL = "visual."
"""What the names of the image half's tensors begin with."""
LEARNT = ("logit_scale", "logit_bias")
KINDS_OF_FILES = (".safetensors", ".pt", ".pth", ".bin")
Config = dict[str, Any]


class OpenClip(Source):
    """Every CLIP of open_clip."""

    kind: ClassVar[str] = KIND
    title: ClassVar[str] = "CLIP, with your own words (open_clip)"
    example: ClassVar[str] = "open_clip:ViT-B-32@laion2b_s34b_b79k"
    help: ClassVar[str] = "A CLIP of open_clip; its classes are your own words, as --words or --labels."
    takes_words: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = (KIND, "huggingface_hub")

    def read(self, request: Request, folder: Path, progress: Progress) -> Draft:
        """Read the network; without a file its weights are fetched from a hub and verified."""
        own, notes = _words(request)
        published = _published(request)
        name, config = _config(request, published, folder)
        with _refusing(request.source), torch.random.fork_rng(devices=[]):
            network: Any = _loaded(request, name, published, progress).eval()
            preprocessing = {**_library().get_model_preprocess_cfg(network), **published.preprocessing}
            _keep(network, config, preprocessing, folder)
            _keep_tokenizer(name, folder)
            texts = Texts(*_learnt(network, _embedded(network, folder, tuple(map(words.text_of, own)))))
        _keep_words(texts, folder)
        facts, more = _facts(request, preprocessing, own)
        visual = Encoder(network.visual, several=_several(config))
        notes = (*notes, *more, *(published.repository.notes() if published.repository else ()))
        return Draft(WordNetwork(visual, texts), facts, _arguments(config), notes)

    def build(self, record: AddedModel, folder: Path) -> nn.Module:
        """Return the image's half and the vectors of the words, from what was kept."""
        config = json.loads((folder / CONFIG).read_text("utf-8"))["model_cfg"]
        with _refusing(record.source, WeightsError), torch.random.fork_rng(devices=[]):
            # The one name with an underscore: open_clip's other ways make the texts' half, too.
            tower = importlib.import_module("open_clip.model")._build_vision_tower
            visual = tower(config["embed_dim"], config["vision_cfg"], config.get("quick_gelu", False))
        tensors.put(tensors.read(folder / IMAGE), visual)
        values = tensors.read(folder / WORDS)
        texts = Texts(values["vectors"], float(values["scale"]), float(values["bias"]))
        return WordNetwork(Encoder(visual, several=_several(config)), texts).eval()

    def vectors(self, record: AddedModel, texts: tuple[str, ...]) -> Tensor:
        """Return the unit vectors ``(texts, d)`` of texts, by the texts' half that was kept.

        Raises `errors.WeightsError` when open_clip cannot read it again.
        """
        folder = shelf.folder() / record.name
        with _refusing(record.source, WeightsError):
            network = _library().create_model(f"{LOCAL}{folder}", load_weights=False, pretrained_text=False)
            missing, unknown = network.load_state_dict(tensors.read(folder / TEXT), strict=False)
            if unknown or any(not name.startswith((VISUAL, *LEARNT)) for name in missing):
                raise WeightsError("Expected {file} to hold the texts' half of the network.", file=TEXT)
            return _embedded(network.eval(), folder, texts)


def _library() -> Any:
    """Return open_clip, which takes seconds to import."""
    logging.getLogger().addFilter(_NOT_OF_OPEN_CLIP)
    return importlib.import_module(KIND)


class _NotOfOpenClip(logging.Filter):
    """Leaves out what open_clip warns of: that a network has no weights yet, which it is given here."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a line goes into the log."""
        return KIND not in record.pathname or record.levelno >= logging.ERROR


_NOT_OF_OPEN_CLIP = _NotOfOpenClip()


@contextmanager
def _refusing(source: str, kind: type[FoolscopeError] = BadNetwork) -> Iterator[None]:
    """Put what open_clip raises into a sentence, raised as ``kind``."""
    try:
        yield
    except FoolscopeError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise kind(
            "open_clip could not read {source}: {reason}.", source=source, reason=lines[0][:200].rstrip(".")
        ) from error


def _words(request: Request) -> tuple[tuple[str, ...], tuple[CheckResult, ...]]:
    """Return the classes as words: those of the request, of its file, or those of the network of everyday
    photos, with a note."""
    if request.words:
        return words.checked(request.words), ()
    if request.labels:
        try:
            return words.checked(request.labels.read_text("utf-8-sig").splitlines()), ()
        except (OSError, UnicodeDecodeError) as error:
            problem = "Expected a text file with a label on every line, got {path}."
            raise BadNetwork(problem, path=request.labels) from error
    own = models.card("photos").labels
    note = "No words were given: its classes are the {n} of “everyday photos” until you type others."
    return own, (CheckResult("words", "note", note, {"n": len(own)}),)


@dataclass(frozen=True)
class Published:
    """What a hub has of a network: its ``repository``, how open_clip's file there describes it, and which
    mean, deviation and the like its weights want of images; all empty where a person gives a file."""

    repository: hub.Repository | None = None
    description: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    quick_gelu: bool = False


def _published(request: Request) -> Published:
    """Return what a hub has of the network that is asked for; raises `errors.FoolscopeError`."""
    if request.rest.startswith(HUB):
        source = hub.repository(request.rest.removeprefix(HUB))
        description = hub.document(source, CONFIG)
        if not isinstance(description.get("model_cfg"), dict):
            raise BadNetwork("Expected {name} to describe a CLIP, got something else.", name=CONFIG)
        return Published(source, description, _wanted(description.get("preprocess_cfg")))
    name, _, tag = request.rest.partition("@")
    if request.weights or not tag:
        return Published()
    return _tagged(name, tag)


def _tagged(name: str, tag: str) -> Published:
    """Return what a hub has of the weights that open_clip knows by ``tag``; raises `errors.UnknownName`."""
    library = _library()
    known = library.get_pretrained_cfg(name, tag) if name in library.list_models() else {}
    if not known:
        raise UnknownName.of("weights of open_clip", tag, library.list_pretrained_tags_by_model(name))
    repository = "/".join(str(known.get("hf_hub", "")).split("/")[:2])
    if not repository:
        words_ = "Nobody publishes safetensors of {name} that can be verified: give a file as --weights."
        raise BadNetwork(words_, name=f"{name}@{tag}")
    wanted, quick = _wanted(known), bool(known.get("quick_gelu"))
    return Published(hub.repository(repository), preprocessing=wanted, quick_gelu=quick)


def _wanted(known: object) -> dict[str, Any]:
    """Return of a description what says how images are prepared."""
    names = ("size", "mean", "std", "interpolation", "resize_mode")
    return {name: known[name] for name in names if known.get(name)} if isinstance(known, dict) else {}


def _config(request: Request, published: Published, folder: Path) -> tuple[str, Config]:
    """Return what open_clip calls the architecture, and how it describes it; raises `errors.UnknownName`."""
    library, name = _library(), request.rest.partition("@")[0]
    if published.description:
        (folder / CONFIG).write_text(json.dumps(published.description), encoding="utf-8")
        name = f"{LOCAL}{folder}"
    elif name.endswith(".json") and request.trusted:
        library.add_model_config(Path(name))
        name = Path(name).stem
    if not published.description and name not in library.list_models():
        raise UnknownName.of("architecture of open_clip", name, library.list_models())
    with _refusing(request.source):
        config: Config = library.get_model_config(name)
    for tower, argument in (("vision_cfg", "timm_model_pretrained"), ("text_cfg", "hf_model_pretrained")):
        config[tower] = {**config[tower], argument: False}
    config["quick_gelu"] = bool(config.get("quick_gelu") or published.quick_gelu)
    return name, config


def _loaded(request: Request, name: str, published: Published, progress: Progress) -> nn.Module:
    """Return open_clip's network with its weights, float32."""
    library = _library()
    if request.weights:
        path = _checked(request.weights)
    elif published.repository:
        (path,) = hub.fetch_all(published.repository, _file(published.repository), progress)
    else:
        tags = library.list_pretrained_tags_by_model(name)
        raise BadSetting(
            "Expected weights: {name}@PRETRAINED such as {hint}, or a file as --weights.",
            name=name,
            hint=f"{name}@{tags[0]}" if tags else "ViT-B-32@laion2b_s34b_b79k",
        )
    options = {"load_weights": False, "pretrained_text": False, "force_quick_gelu": published.quick_gelu}
    network: nn.Module = library.create_model(name, **options)
    library.load_checkpoint(network, str(path), weights_only=True)
    return network


def _file(source: hub.Repository) -> tuple[hub.HubFile, ...]:
    """Return the file with a repository's tensors under open_clip's names, which may lie beside another with
    timm's; raises `errors.BadNetwork` when none is safe to read."""
    return tuple(file for file in source.files if file.name == SAFE) or hub.weights(source)[:1]


def _checked(path: Path) -> Path:
    """Return a file of weights; raises `errors.FoolscopeError` for what could be more than tensors."""
    if not path.is_file() or path.suffix not in KINDS_OF_FILES:
        raise BadNetwork("Expected a file of weights as safetensors or .pth, got {path}.", path=path.name)
    tensors.load(path)  # headers before anything else, and nothing but tensors
    return path


def _several(config: Config) -> bool:
    """Say whether the image's half gives its tokens, too, as CoCa's does."""
    return bool(config["vision_cfg"].get("output_tokens"))


def _keep(network: nn.Module, config: Config, preprocessing: Mapping[str, Any], folder: Path) -> None:
    """Write the two halves and what describes them into ``folder``."""
    text = json.dumps({"model_cfg": config, "preprocess_cfg": preprocessing})
    (folder / CONFIG).write_text(text, encoding="utf-8")
    halves: dict[str, dict[str, Tensor]] = {IMAGE: {}, TEXT: {}}
    for name, tensor in network.state_dict().items():
        if name not in LEARNT:
            half = halves[IMAGE if name.startswith(VISUAL) else TEXT]
            half[name.removeprefix(VISUAL)] = tensor.contiguous().clone()
    for file, half in halves.items():
        save_file(half, folder / file)


def _keep_tokenizer(name: str, folder: Path) -> None:
    """Write a tokenizer that is not open_clip's own into ``folder``, so that it is there without a hub."""
    tokenizer = _library().get_tokenizer(name)
    if hasattr(tokenizer, "save_pretrained"):
        tokenizer.save_pretrained(folder)


def _keep_words(texts: Texts, folder: Path) -> None:
    values = {"vectors": texts.vectors, "scale": torch.tensor(texts.scale), "bias": torch.tensor(texts.bias)}
    save_file(values, folder / WORDS)


def _embedded(network: nn.Module, folder: Path, texts: tuple[str, ...]) -> Tensor:
    """Return the unit vectors ``(texts, d)`` by a network and the tokenizer that belongs to it."""
    tokens = _library().get_tokenizer(f"{LOCAL}{folder}")(list(texts))
    encode: Any = network.encode_text
    with torch.no_grad():
        return torch.cat([encode(part, normalize=True) for part in tokens.split(16)]).float().contiguous()


def _learnt(network: Any, vectors: Tensor) -> tuple[Tensor, float, float]:
    bias = getattr(network, "logit_bias", None)
    scale = float(network.logit_scale.detach().exp())
    return vectors, scale, 0.0 if bias is None else float(bias.detach())


def _facts(
    request: Request, preprocessing: Mapping[str, Any], own: tuple[str, ...]
) -> tuple[Facts, tuple[CheckResult, ...]]:
    """Return what open_clip says of the images that the network takes, and what is worth knowing of it."""
    size = preprocessing["size"]
    height, width = (size, size) if isinstance(size, int) else size
    if height != width:
        raise BadNetwork(
            "Expected a CLIP for square images, got {height} x {width}.", height=height, width=width
        )
    facts = Facts(
        title=f"CLIP {Path(request.rest).name.removesuffix('.json')}"[:80],
        height=height,
        width=width,
        channels=len(preprocessing["mean"]),
        mean=tuple(preprocessing["mean"]),
        std=tuple(preprocessing["std"]),
        resize=height,
        interpolation=preprocessing["interpolation"],
        labels=own,
        paper="https://arxiv.org/abs/2103.00020",
        training_set="images with texts from the web",
    )
    if preprocessing.get("resize_mode", "shortest") == "shortest":
        return facts, ()
    words_ = "It learnt from images that were squeezed or padded to a square; here the middle is cut out."
    return facts, (CheckResult("input", "note", words_),)


def _arguments(config: Config) -> dict[str, Plain]:
    return {"embed_dim": int(config["embed_dim"])}
