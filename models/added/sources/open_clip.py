"""``open_clip:ARCHITECTURE@PRETRAINED``: a CLIP of open_clip, whose classes are a person's own words.

Also ``open_clip:hf-hub:OWNER/REPO``, and ``open_clip:ARCHITECTURE`` with a file of weights; from the command
line ARCHITECTURE may be a JSON file of open_clip's kind. All go through open_clip's own loading. The image's
half, the texts' half and the vectors of the words are kept in files of their own, so that building a network
again needs the first and the last alone.
"""

from __future__ import annotations

import importlib
import io
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import models
from errors import BadNetwork, BadSetting, FoolscopeError, UnknownName, WeightsError
from models.added import shelf, tensors, words
from models.added.clip import KIND, Encoder, Texts, WordNetwork
from models.added.record import AddedModel, CheckResult, Facts, Plain, Request
from models.added.source import Draft, Source
from models.download import Progress

HUB, LOCAL = "hf-hub:", "local-dir:"
CONFIG, IMAGE, TEXT, WORDS = (
    "open_clip_config.json", "image.safetensors", "text.safetensors", "words.safetensors",
)  # fmt: skip
VISUAL = "visual."
"""What the names of the image half's tensors begin with."""
LEARNT = ("logit_scale", "logit_bias")
KINDS_OF_FILES = (".safetensors", ".pt", ".pth", ".bin")
Config = dict[str, Any]


class OpenClip(Source):
    """Every CLIP of open_clip."""

    kind: ClassVar[str] = KIND
    example: ClassVar[str] = "open_clip:ViT-B-32@laion2b_s34b_b79k"
    help: ClassVar[str] = "A CLIP of open_clip; its classes are your own words, as --words or --labels."
    packages: ClassVar[tuple[str, ...]] = (KIND,)

    def read(self, request: Request, folder: Path, progress: Progress) -> Draft:
        """Read the network, its weights downloaded by open_clip unless a file is given."""
        own, notes = _words(request)
        name, config = _config(request)
        with _refusing(request.source), torch.random.fork_rng(devices=[]):
            network: Any = _loaded(request, name, config, progress).eval()
            preprocessing = _library().get_model_preprocess_cfg(network)
            _keep(network, config, preprocessing, folder)
            _keep_tokenizer(name, folder)
            texts = Texts(*_learnt(network, _embedded(network, folder, tuple(map(words.text_of, own)))))
        _keep_words(texts, folder)
        facts, more = _facts(request, preprocessing, own)
        visual = Encoder(network.visual, several=_several(config))
        return Draft(WordNetwork(visual, texts), facts, _arguments(config), (*notes, *more))

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


def _config(request: Request) -> tuple[str, Config]:
    """Return what open_clip calls the architecture, and how it describes it; raises `errors.UnknownName`."""
    library = _library()
    name = request.rest if request.rest.startswith(HUB) else request.rest.partition("@")[0]
    if name.endswith(".json") and request.trusted:
        library.add_model_config(Path(name))
        name = Path(name).stem
    if not name.startswith(HUB) and name not in library.list_models():
        raise UnknownName.of("architecture of open_clip", name, library.list_models())
    with _refusing(request.source):
        config: Config = library.get_model_config(name)
    for tower, argument in (("vision_cfg", "timm_model_pretrained"), ("text_cfg", "hf_model_pretrained")):
        config[tower] = {**config[tower], argument: False}
    return name, config


def _loaded(request: Request, name: str, config: Config, progress: Progress) -> nn.Module:
    """Return open_clip's network with its weights, float32; note in ``config`` what they want of it."""
    library, tag = _library(), request.rest.partition("@")[2]
    if request.weights:
        network: nn.Module = library.create_model(name, load_weights=False, pretrained_text=False)
        library.load_checkpoint(network, str(_checked(request.weights)), weights_only=True)
        return network
    if name.startswith(HUB):
        _fetch(name.removeprefix(HUB), "", progress)
        return _made(name, require_pretrained=True)
    known = library.get_pretrained_cfg(name, tag) if tag else {}
    if not known:
        tags = library.list_pretrained_tags_by_model(name)
        if tag:
            raise UnknownName.of("weights of open_clip", tag, tags)
        raise BadSetting(
            "Expected weights: {name}@PRETRAINED such as {hint}, or a file as --weights.",
            name=name,
            hint=f"{name}@{tags[0]}" if tags else "ViT-B-32@laion2b_s34b_b79k",
        )
    config["quick_gelu"] = bool(config.get("quick_gelu") or known.get("quick_gelu"))
    _fetch(*str(known.get("hf_hub", "")).rpartition("/")[::2], progress)
    return _made(name, pretrained=tag, force_quick_gelu=config["quick_gelu"], require_pretrained=True)


def _made(name: str, **options: Any) -> nn.Module:
    network: nn.Module = _library().create_model(name, pretrained_text=False, weights_only=True, **options)
    return network


def _checked(path: Path) -> Path:
    """Return a file of weights; raises `errors.FoolscopeError` for what could be more than tensors."""
    if not path.is_file() or path.suffix not in KINDS_OF_FILES:
        raise BadNetwork("Expected a file of weights as safetensors or .pth, got {path}.", path=path.name)
    tensors.load(path)  # headers before anything else, and nothing but tensors
    return path


def _fetch(repository: str, file: str, progress: Progress) -> None:
    """Fetch the weights that open_clip is going to look for, so that it is seen how far that is; what is not
    there is its own to tell."""
    if not repository:
        return
    hub = importlib.import_module("huggingface_hub")
    bar = _bar(progress)
    for name in [file] if file else ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]:
        try:
            hub.hf_hub_download(repository, name, tqdm_class=bar)
            return
        except (hub.errors.EntryNotFoundError, hub.errors.HfHubHTTPError, OSError, ValueError):
            continue


def _bar(progress: Progress) -> type:
    """Return a bar, as huggingface_hub wants one, that draws nothing and tells how far a download is."""
    tqdm: type = importlib.import_module("tqdm").tqdm

    class Bar(tqdm):  # type: ignore[misc]
        """Tells ``progress``."""

        def __init__(self, *values: Any, **options: Any) -> None:
            options.pop("name", None)
            super().__init__(*values, **{**options, "disable": False, "file": io.StringIO()})

        def display(self, *_: object, **__: object) -> None:
            progress(int(self.n), int(self.total or 0))

    return Bar


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
    return vectors, float(network.logit_scale.exp()), 0.0 if bias is None else float(bias)


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
