"""Models in Hugging Face's layout, loaded and saved; any model with its tokenizer by one name.

model = load_pretrained("gpt2")                  a folder, or a name on the hub
save_pretrained(model, "folder", tokenizer)      for transformers to read
model, tokenizer = load_model(where)             also a run of ours, or a GGUF file
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch.nn import Module

from transformer.models.bert import BERTConfig
from transformer.models.gpt import GPT
from transformer.pretrained.allocate import allocate
from transformer.pretrained.bert import BERT_FAMILY, ROBERTA_FAMILY
from transformer.pretrained.family import Family, config_of, sizes_of
from transformer.pretrained.files import SAFETENSORS, open_tensors, read_json
from transformer.pretrained.gguf import load_gguf, read_special
from transformer.pretrained.gpt2 import GPT2
from transformer.pretrained.hub import model_folder
from transformer.pretrained.llama import LLAMA
from transformer.pretrained.mapping import fill, to_theirs
from transformer.pretrained.special import (
    CHAT_TEMPLATE,
    Ids,
    Special,
    ids_of,
    names_of,
    special_of_folder,
)
from transformer.pretrained.tokenizer import read_tokenizer, tokenizer_files
from transformer.tokenizers import Tokenizer
from transformer.training.saved.load import is_run, load_trained
from transformer.training.saved.model_files import MODEL
from transformer.training.saved.run_folder import runs_within
from transformer.training.saved.tensor_file import tensor_file
from transformer.whole import whole_folder

FAMILIES = {family.model_type: family for family in (GPT2, LLAMA, BERT_FAMILY, ROBERTA_FAMILY)}


def load_pretrained(
    where: str | Path, *, architecture: str | None = None, dtype: torch.dtype = torch.float32
) -> Module:
    """Return the model of a folder or a name on the hub, in evaluation mode on the CPU.

    `architecture` names another of the family's models than config.json does: "BertModel" for
    BERT without the head that it was published with.

    OSError for what is not there, and ValueError for what cannot be read as one of ours, or has
    tensors that are missing, left over or of a wrong shape.
    """
    folder = model_folder(where)
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(
            f"{folder} is no model in Hugging Face's layout: no config.json{runs_within(folder)}"
        )
    settings = read_json(folder / "config.json")
    kind = settings.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise ValueError(f"{folder} holds a model of type {kind}; known: {', '.join(FAMILIES)}")
    family = FAMILIES[kind]
    if quantised := settings.get("quantization_config"):
        raise ValueError(
            f"{folder} holds quantised weights (quantization_config = {quantised!r:.60}); what can "
            "be read is float32, bfloat16 and their kin, or a GGUF file"
        )
    if architecture is None:
        architecture = _architecture(folder, settings, family)
    if architecture not in family.modules:
        known = ", ".join(family.modules)
        raise ValueError(f"{folder} holds a {architecture}; of type {kind} are known: {known}")
    try:
        config = family.read_config(settings)
        with torch.device("meta"):
            model = family.modules[architecture](config, settings)
    except KeyError as error:
        raise ValueError(f"{folder / 'config.json'} lacks {error}") from error
    except (TypeError, AttributeError) as error:
        raise ValueError(f"{folder / 'config.json'} is damaged: {error}") from error
    except ValueError as error:
        raise ValueError(f"{folder / 'config.json'}: {error}") from error
    tensors = open_tensors(folder)
    try:
        family.leave_out(tensors, model)
        allocate(model, dtype)
        tensors = family.of_model(tensors, model)
        fill(model, family.rows_of(model), tensors, sizes_of(model))
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error
    return model.eval()


def _architecture(folder: Path, settings: Mapping[str, Any], family: Family) -> str:
    """Return the first that config.json names, or the family's usual one where it names none."""
    given = settings.get("architectures") or [*family.modules]
    if not (isinstance(given, list) and isinstance(given[0], str)):
        raise ValueError(
            f"{folder / 'config.json'} has architectures = {given!r:.60}; expected a list of names"
        )
    return given[0]


def load_model(where: str | Path) -> tuple[Module, Tokenizer]:
    """Return a model in evaluation mode on the CPU, and its tokenizer.

    `where` is the folder of a run of ours or of a checkpoint of it, a folder in Hugging Face's
    layout, a name on the Hugging Face hub, or a GGUF file. Raises what `load_trained`,
    `load_pretrained` and `load_gguf` raise, and ValueError for a tokenizer that is none of
    ours, or of another model.
    """
    if str(where).endswith(".gguf"):
        return load_gguf(where)
    if _is_ours(where):
        return load_trained(where)
    folder = model_folder(where)
    model = load_pretrained(folder)
    try:
        tokenizer = read_tokenizer(folder)
    except FileNotFoundError as error:
        use = "" if isinstance(model, GPT) else ", which continues no text"
        raise FileNotFoundError(
            f"{folder} holds a {type(model).__name__}{use}, and no tokenizer: {error}"
        ) from error
    if tokenizer.d_vocab > (d_vocab := config_of(model).d_vocab):
        raise ValueError(f"{folder}: {tokenizer.d_vocab} tokens, but the model knows {d_vocab}")
    return model, tokenizer


def _is_ours(where: str | Path) -> bool:
    return is_run(where) or (Path(where) / MODEL).is_file()


def special_of(where: str | Path) -> Special:
    """Return which tokens begin, end and fill up a text, as a model's files say (`special.py`).

    `where` is what `load_model` takes; a run of ours says none, as their names tell.
    """
    if str(where).endswith(".gguf"):
        return read_special(where)
    return {} if _is_ours(where) else special_of_folder(model_folder(where))


def save_pretrained(
    model: Module,
    folder: str | Path,
    tokenizer: Tokenizer | None = None,
    *,
    special: Special | None = None,
) -> None:
    """Write the model in Hugging Face's layout, its tokenizer too where one is given.

    It is written which tokens begin, end and fill up a text, so that theirs stops where ours
    does: those that `special` says (`special_of` of what was loaded), else those that are so
    named. The weights are those that the model has: of a BERT for pre-training not the pooler
    and the head of next sentences, which loading passed over.

    FileExistsError for a folder that is there. ValueError for a model that no family there is
    like, with each family's reason, and for a tokenizer that cannot be written so.
    """
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} is there already: name a new folder")
    family, settings = _family_of(model)
    architecture = family.architecture[type(model)]
    files = _files_of(model, tokenizer, special or {}, settings)
    tensors = to_theirs(model, family.rows_of(model), sizes_of(model))
    if architecture in family.bare:
        tensors = {name.removeprefix(family.prefix): one for name, one in tensors.items()}
    dtype = next(iter(tensors.values())).dtype
    files["config.json"] = {
        "architectures": [architecture],
        "model_type": family.model_type,
        "torch_dtype": str(dtype).removeprefix("torch."),
        **settings,
        **files["config.json"],
    }
    with whole_folder(folder) as aside:
        for name, content in files.items():
            indent = None if name == "tokenizer.json" else 2  # it has a line for each token then
            text = json.dumps(content, indent=indent)
            (aside / name).write_text(text, encoding="utf-8")
        with tensor_file(aside / SAFETENSORS) as file:
            save_file(tensors, str(file), metadata={"format": "pt"})


def _files_of(
    model: Module, tokenizer: Tokenizer | None, said: Special, settings: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return what stands beside the weights, by file; of config.json the ids of special tokens.

    ValueError for a tokenizer that cannot be written, or that pads otherwise than the model.
    """
    config = config_of(model)
    files: dict[str, dict[str, Any]] = {}
    special = ids_of(said, tokenizer)
    if tokenizer is not None:
        n_segments = config.n_segments if isinstance(config, BERTConfig) else 0
        names = names_of(said, special, tokenizer)
        files = tokenizer_files(tokenizer, names=names, n_ctx=config.n_ctx, n_segments=n_segments)
        if CHAT_TEMPLATE in said:
            files["tokenizer_config.json"][CHAT_TEMPLATE] = said[CHAT_TEMPLATE]
    if isinstance(config, BERTConfig):
        special = {name: ids for name, ids in special.items() if name == "pad_token_id"}
        _require_padding(special, settings)
    else:
        generation: dict[str, Any] = {**special}
        n_tokens = config.d_vocab if tokenizer is None else tokenizer.d_vocab
        if unused := [*range(n_tokens, config.d_vocab)]:  # they have no text: ours never draws them
            generation["suppress_tokens"] = unused
        files["generation_config.json"] = generation
    return {**files, "config.json": {**special}}


def _require_padding(special: Ids, settings: Mapping[str, Any]) -> None:
    """Raise ValueError for a RoBERTa, whose positions are counted by what is no padding."""
    ours = special.get("pad_token_id")
    theirs = settings.get("pad_token_id", ours)
    if ours not in (None, theirs):
        raise ValueError(
            f"this tokenizer pads with token {ours}; a model whose position_offset is "
            f"{theirs + 1} pads with token {theirs} in the other library"
        )


def _family_of(model: Module) -> tuple[Family, dict[str, Any]]:
    """Return the first family that has a place for all of the model, and its settings."""
    reasons = []
    for family in FAMILIES.values():
        if type(model) in family.architecture:
            try:
                settings = family.write_config(model)
                _require_all(family, model, settings)
                return family, settings
            except ValueError as error:
                reasons.append(str(error))
    raise ValueError(
        f"no family in Hugging Face's library is like this {type(model).__name__}: "
        + "; ".join(reasons)
    )


def _require_all(family: Family, model: Module, settings: dict[str, Any]) -> None:
    """Raise ValueError for a model without parameters that the family's has.

    The other library would draw those anew, and say so in a warning at most. Not for a module
    that a file may lack, as an encoder's pooler, where the model is without all of it.
    """
    with torch.device("meta"):
        whole = family.modules[family.architecture[type(model)]](config_of(model), settings)
    for module in family.optional:
        if getattr(model, module, False) is None:
            setattr(whole, module, None)
    own = dict(model.named_parameters())
    if lacking := [name for name, _ in whole.named_parameters() if name not in own]:
        raise ValueError(
            f"{family.architecture[type(model)]} also has {', '.join(lacking[:3])}"
            + (f" and {len(lacking) - 3} more" if len(lacking) > 3 else "")
        )
