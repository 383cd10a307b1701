"""The exercises in the order of the curriculum: what is written, where ours stands, its tests."""

from dataclasses import dataclass
from pathlib import Path

from transformer.learning.words import nearest

CHAPTERS = {
    1: "Tensors and shapes",
    2: "Tokenizers",
    3: "Embedding, unembedding and bigrams",
    4: "The residual stream",
    5: "Positions",
    6: "Attention",
    7: "The MLP",
    8: "Layer norm",
    9: "The block and the model",
    10: "Loss and perplexity",
    11: "Training",
    12: "Sampling",
    13: "The key-value cache",
    14: "BERT",
    15: "Encoder and decoder",
    16: "Circuits and induction heads",
    17: "Precision, compile and several GPUs",
    18: "Scaling laws",
}


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One file of the package that a learner writes anew.

    Attributes:
        name: what the learner calls it; also the name of the file of misconceptions.
        chapter: the chapter that leads to it.
        module: our own solution, a module under `transformer`.
        writes: the public names that the learner writes, leaves first.
        tests: the tests of it, a path under `tests`.
        given: what the skeleton keeps as it is besides constructors.
    """

    name: str
    chapter: int
    module: str
    writes: tuple[str, ...]
    tests: str
    given: tuple[str, ...] = ()

    @property
    def required(self) -> tuple[str, ...]:
        """The names that make it whole: a class may do without the functions beside it."""
        classes = tuple(name for name in self.writes if name[0].isupper())
        return classes or self.writes

    @property
    def file(self) -> Path:
        """Our solution's file, relative to the package."""
        return Path(*self.module.split(".")).with_suffix(".py")

    @property
    def dotted(self) -> str:
        """Our solution's full module name."""
        return f"transformer.{self.module}"


def _component(name: str, chapter: int, *writes: str, given: tuple[str, ...] = ()) -> Exercise:
    return Exercise(
        name=name,
        chapter=chapter,
        module=f"components.{name}",
        writes=writes,
        tests=f"components/test_{name}.py",
        given=given,
    )


def _other(
    name: str, chapter: int, folder: str, *writes: str, given: tuple[str, ...] = ()
) -> Exercise:
    return Exercise(
        name=name,
        chapter=chapter,
        module=f"{folder}.{name}",
        writes=writes,
        tests=f"{folder}/test_{name}.py",
        given=given,
    )


EXERCISES: dict[str, Exercise] = {
    exercise.name: exercise
    for exercise in (
        _component("linear", 1, "linear", "Linear"),
        _component("softmax", 1, "softmax", "log_softmax"),
        _other(
            "character",
            2,
            "tokenizers",
            "CharacterTokenizer",
            given=("CharacterTokenizer.state", "CharacterTokenizer.from_state"),
        ),
        _other(
            "sennrich_bpe",
            2,
            "tokenizers",
            "build_vocab",
            "get_symbols",
            "get_stats",
            "merge_word",
            "merge_vocab",
            "learn_merges",
            "tokenize",
        ),
        _other(
            "byte_bpe",
            2,
            "tokenizers",
            "ByteBPETokenizer",
            given=(
                "ByteBPETokenizer.train",
                "ByteBPETokenizer.train_on_stream",
                "ByteBPETokenizer.merges_for",
                "ByteBPETokenizer.decode_stream",
                "ByteBPETokenizer.state",
                "ByteBPETokenizer.from_state",
            ),
        ),
        _component(
            "embedding", 3, "embed", "unembed", "Embedding", "Unembedding", "TiedUnembedding"
        ),
        _other("stream", 4, "circuits", "after_each", "gap", "logit_direction", "logit_terms"),
        _component("initialisation", 4, "writes_to_stream", "scale_residual_projections"),
        _component(
            "position",
            5,
            "angles",
            "sinusoidal",
            "rotate",
            "LearnedPosition",
            "SinusoidalPosition",
            "Rotary",
        ),
        _component("mask", 6, "causal_mask", "padding_mask", "combine_masks"),
        _component("dropout", 6, "dropout", "Dropout"),
        _component(
            "attention",
            6,
            "project",
            "attention_scores",
            "and_causal",
            "mix_values",
            "merge_heads",
            "Attention",
        ),
        _component("activations", 7, "relu", "gelu", "gelu_tanh", "silu"),
        _component("mlp", 7, "MLP", "GatedMLP"),
        _component("norm", 8, "layer_norm", "rms_norm", "LayerNorm", "RMSNorm"),
        _component("block", 9, "PreNormBlock", "PostNormBlock"),
        _other("gpt", 9, "models", "GPT"),
        _component("loss", 10, "cross_entropy", "next_token_loss"),
        _other("adamw", 11, "training", "adamw_update", "AdamW", given=("AdamW.add_param_group",)),
        _other("optimizer", 11, "training", "is_decayed", "clip_gradients"),
        _other("schedule", 11, "training", "warmup_cosine"),
        _other("step", 11, "training", "accumulate_gradients", "train_step"),
        _other("evaluate", 11, "training", "evaluate"),
        _other(
            "resume",
            11,
            "training",
            "optimizer_entries",
            "set_optimizer_entries",
            "random_states",
            "set_random_states",
        ),
        _other(
            "windows",
            11,
            "data",
            "TokenWindows",
            given=("TokenWindows.beginning",),
        ),
        _other("splits", 11, "data", "split_tokens"),
        _other("filters", 12, "sampling", "apply_temperature", "keep_top_k", "keep_top_p"),
        _other("generate", 12, "sampling", "draw", "generate"),
        _component("cache", 13, "KeyValueCache", given=("KeyValueCache.select",)),
        _other("masked_language", 14, "data", "mask_tokens"),
        _component("label_smoothing", 15, "smoothed_cross_entropy"),
        _component("decoder_block", 15, "PostNormDecoderBlock", "PreNormDecoderBlock"),
        _other(
            "heads",
            16,
            "circuits",
            "same_token",
            "mean_weight",
            "previous_token_score",
            "duplicate_token_score",
            "induction_score",
        ),
        _other("scaled_step", 17, "training", "scaled_train_step"),
        _other("scaling_law", 18, "training", "fit_factors", "fit_law", "compute_optimal"),
    )
}


def exercise(name: str) -> Exercise:
    """Return the exercise of this name.

    An unknown one is a ValueError with the one that may be meant, or else with all of them.
    """
    if name in EXERCISES:
        return EXERCISES[name]
    parts = {part: one.name for one in EXERCISES.values() for part in one.writes}
    if name in parts:
        raise ValueError(f"there is no exercise {name!r}; {name} is part of {parts[name]!r}")
    meant = nearest(name, [*EXERCISES, *parts])
    if meant is None:
        raise ValueError(f"there is no exercise {name!r}; there are: {', '.join(EXERCISES)}")
    raise ValueError(
        f"there is no exercise {name!r}; is it {parts.get(meant, meant)!r}? "
        "(`transformer exercise list` has them all)"
    )
