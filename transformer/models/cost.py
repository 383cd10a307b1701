"""What a model costs, before it is made: parameters, bytes to train, FLOPs a token.

Parameters and activations are counted on the model itself, built on torch's meta device,
where tensors have shapes and no data: nothing here can drift from the code.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from transformer.components.loss import cross_entropy, next_token_loss
from transformer.config import TransformerConfig
from transformer.models.bert import BERTConfig, ClassifierBERT, MaskedLanguageBERT
from transformer.models.gpt import GPT

EMBEDDINGS = ("W_E", "W_pos", "W_U")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a model costs to hold and to train.

    Attributes:
        parameters: all of them, a tied matrix once.
        parameters_without_embeddings: without W_E, W_pos and W_U, as scaling laws count
            (Kaplan et al. 2020, section 2.1).
        state_bytes: weights, gradients and AdamW's two moments in float32.
        activation_bytes: what the backward pass of one window, which trains n_ctx positions,
            keeps in float32 and uncompiled. Of the fused attention it is what torch keeps where
            it has no kernel: the most, for its kernels hold no pattern. Compiled models keep less.
        flops_per_token: multiplications and additions to train on one token at full
            context: 6 N + 12 n_layers (n_heads d_head) n_ctx, N without the looked-up
            embeddings (Chowdhery et al. 2022, PaLM, appendix B). A third is the forward pass.
    """

    parameters: int
    parameters_without_embeddings: int
    state_bytes: int
    activation_bytes: int
    flops_per_token: int


def model_cost(config: TransformerConfig) -> Cost:
    """Return what GPT with this config costs; no weight is ever allocated.

    With BERT's config it is the masked language model, which has logits at every position.
    """
    with torch.device("meta"):
        model = MaskedLanguageBERT(config) if isinstance(config, BERTConfig) else GPT(config)
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    total = sum(sizes.values())
    embeddings = sum(size for name, size in sizes.items() if name.endswith(EMBEDDINGS))
    return Cost(
        parameters=total,
        parameters_without_embeddings=total - embeddings,
        state_bytes=4 * 4 * total,
        activation_bytes=_saved_bytes(model),
        flops_per_token=flops_per_token(model),
    )


def flops_per_token(model: GPT | MaskedLanguageBERT | ClassifierBERT) -> int:
    """Return the FLOPs of training `model` on one token, at full context; see `Cost`."""
    config = model.config
    multiplies_W_E = config.tied and not isinstance(model, ClassifierBERT)
    looked_up = ("W_pos", "segment.W_E" if multiplies_W_E else "W_E")
    multiplied = sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if not name.endswith(looked_up)
    )
    attended = config.n_layers * config.n_heads * config.d_head * config.n_ctx
    return 6 * multiplied + 12 * attended


def _saved_bytes(model: GPT | MaskedLanguageBERT) -> int:
    """Return the bytes autograd keeps for the backward pass of n_ctx positions, without weights."""
    n_ctx = model.config.n_ctx
    saved: dict[int, int] = {}

    def keep(tensor: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
        storage = tensor.untyped_storage()
        saved[storage._cdata] = storage.nbytes()  # views of one storage count once
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        if isinstance(model, GPT):
            tokens = torch.zeros(1, n_ctx + 1, dtype=torch.long, device="meta")  # the last a target
            loss = next_token_loss(model(tokens[:, :-1]), tokens)
        else:
            tokens = torch.zeros(1, n_ctx, dtype=torch.long, device="meta")
            loss = cross_entropy(model(tokens), tokens)
    for parameter in model.parameters():
        saved.pop(parameter.untyped_storage()._cdata, None)
    del loss
    return sum(saved.values())
