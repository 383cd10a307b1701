"""Which tokens begin, end and fill up a text: as a model's files say, or as their names do.

Both answers are in the files' words: `bos_token_id`, `eos_token_id` and `pad_token_id` of
config.json, each an id or a list of ids, and `bos_token`, `cls_token` and so on of
tokenizer_config.json, each a name; what is not said is absent. So is `chat_template`, the form in
which a conversation is put to the model, which is kept and not read.
"""

from collections.abc import Mapping
from pathlib import Path

from transformer.pretrained.files import complaints_of, read_json
from transformer.tokenizers import Tokenizer
from transformer.tokenizers.byte import to_bytes

# The names of a role's tokens: of those that are there the first is taken, and of ends all.
STARTS = ("<s>", "<|begin_of_text|>", "<bos>", "<|endoftext|>")
ENDS = ("<|endoftext|>", "</s>", "<|im_end|>", "<|end_of_text|>", "<|eot_id|>", "<eos>")
PADDING = ("[PAD]", "<pad>", "<|pad|>")
OTHERS = {
    "unk_token": ("[UNK]", "<unk>"),
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "mask_token": ("[MASK]", "<mask>"),
}
IDS = ("bos_token_id", "eos_token_id", "pad_token_id")
CHAT_TEMPLATE = "chat_template"
ROLES = ("bos_token", "eos_token", "pad_token", *OTHERS)
Special = Mapping[str, int | list[int] | str]
Ids = dict[str, int | list[int]]


def special_of_folder(folder: Path) -> Special:
    """Return what a folder in Hugging Face's layout says.

    Raises what `read_json` raises, and ValueError for an id that is no number, nor a list of them.
    """
    found: dict[str, int | list[int] | str] = {}
    for file in ("config.json", "generation_config.json"):  # the second is what `generate` reads
        content = read_json(folder / file) if (folder / file).is_file() else {}
        for setting in (setting for setting in IDS if content.get(setting) is not None):
            given = content[setting]
            for number in given if isinstance(given, list) else [given]:
                if not isinstance(number, int) or isinstance(number, bool):
                    raise ValueError(
                        f"{folder / file} has {setting} = {given!r}: no token's number, nor a list"
                    )
            found[setting] = given
    file = "tokenizer_config.json"
    content = read_json(folder / file) if (folder / file).is_file() else {}
    for role in ROLES:
        name = content.get(role)
        name = name.get("content") if isinstance(name, Mapping) else name
        if isinstance(name, str):
            found[role] = name
    template = content.get(CHAT_TEMPLATE)
    file_of_its_own = folder / f"{CHAT_TEMPLATE}.jinja"
    if file_of_its_own.is_file():  # it goes before that of tokenizer_config.json
        with complaints_of(file_of_its_own):
            template = file_of_its_own.read_text(encoding="utf-8")
    if isinstance(template, str):
        found[CHAT_TEMPLATE] = template
    return found


def ends_of(said: Special, tokenizer: Tokenizer) -> frozenset[int]:
    """Return the tokens at which a text ends: those that were said, and those so named."""
    given = said.get("eos_token_id", [])
    numbers = given if isinstance(given, list) else [given]
    name, special = said.get("eos_token"), tokenizer.special_tokens
    named = token_named(tokenizer, name) if isinstance(name, str) else None
    ends = {*numbers, named, *(special.get(usual) for usual in ENDS)}
    return frozenset(end for end in ends if isinstance(end, int))


def token_named(tokenizer: Tokenizer, name: str) -> int | None:
    """Return the token of this name, a special one or one with that text; None where none is."""
    if name in tokenizer.special_tokens:
        return tokenizer.special_tokens[name]
    for spelled in (name, to_bytes(name)):
        if spelled in tokenizer.vocabulary:
            return tokenizer.vocabulary.index(spelled)
    return None


def ids_of(said: Special, tokenizer: Tokenizer | None) -> Ids:
    """Return the ids that were said, else those of the names said, else those so named."""
    found: Ids = {}
    there = {} if tokenizer is None else tokenizer.special_tokens
    for setting, usual in zip(IDS, (STARTS, ENDS, PADDING), strict=True):
        named = _token_said(said, setting.removesuffix("_id"), tokenizer)
        ids = [there[name] for name in usual if name in there]
        if setting in said:
            found[setting] = said[setting]  # type: ignore[assignment]
        elif named is not None:
            found[setting] = named
        elif ids:
            found[setting] = ids if usual is ENDS and len(ids) > 1 else ids[0]
    return found


def _token_said(said: Special, role: str, tokenizer: Tokenizer | None) -> int | None:
    """Return the token whose name was said for the role, special or not; None where none is."""
    name = said.get(role)
    return None if tokenizer is None or not isinstance(name, str) else token_named(tokenizer, name)


def names_of(said: Special, ids: Ids, tokenizer: Tokenizer) -> dict[str, str]:
    """Return the names said of its tokens, else those of its special ones by `ids`, or usual."""
    there, found = tokenizer.special_tokens, {}
    of_id = {i: name for name, i in there.items()}
    for role in ROLES:
        usual = [name for name in OTHERS.get(role, ()) if name in there]
        setting = ids.get(f"{role}_id")
        first = next(iter(setting), None) if isinstance(setting, list) else setting
        if _token_said(said, role, tokenizer) is not None:
            found[role] = str(said[role])
        elif first in of_id:
            found[role] = of_id[first]
        elif usual:
            found[role] = usual[0]
    return found
