"""The same GPT-2 in our and in other hands: each maker returns one update as a function.

An update takes tokens, `batch x (n_ctx + 1)`, and returns its loss in nats: n_ctx forecasts a row.
"""

import copy
import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from transformer.models.gpt import GPT
from transformer.training.config import PrecisionName
from transformer.training.machine.compiling import compiled
from transformer.training.machine.device import autocast, pick_precision, set_float32_products
from transformer.training.objective import NEXT_TOKEN
from transformer.training.optimizer import make_adamw
from transformer.training.update import pick_objective, pick_update

Update = Callable[[Tensor], float]
LR, WEIGHT_DECAY, BETAS, CLIP = 1e-3, 0.1, (0.9, 0.99), 1.0


def ours(model: GPT, device: torch.device, precision: PrecisionName, *, compile: bool) -> Update:
    """Return the update that `transformer train` makes by itself.

    How float32 is multiplied is set for the whole process, as a run does it.
    """
    path = "fused" if device.type == "cuda" else model.config.attention_path
    mine = GPT(replace(model.config, attention_path=path))
    mine.load_state_dict(model.state_dict())
    mine.to(device).train()
    optimizer = make_adamw(mine, learning_rate=LR, weight_decay=WEIGHT_DECAY, betas=BETAS)
    dtype = pick_precision(device, precision)
    set_float32_products(device, precision)
    fast = compiled(mine, device) if compile else mine
    update = pick_update(pick_objective(NEXT_TOKEN, mine.config.d_vocab), None)
    return lambda tokens: update(
        fast, optimizer, tokens, clip_norm=CLIP, precision=dtype
    ).loss.item()


def _by_torch(
    forward: Callable[[Tensor, Tensor], Tensor],
    parameters: Iterable[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    device: torch.device,
    bf16: bool,
) -> Update:
    """Return the update around another library's forward pass, as nanoGPT's train.py makes it."""
    parameters = list(parameters)

    def update(tokens: Tensor) -> float:
        with autocast(device, torch.bfloat16 if bf16 else torch.float32):
            loss = forward(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return update


def _adamw(model: nn.Module, device: torch.device) -> torch.optim.Optimizer:
    """Return torch's AdamW with its defaults on this device, matrices decayed."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=LR, betas=BETAS, fused=device.type == "cuda" or None)


def flat(weight: Tensor) -> Tensor:
    """Return W_Q, W_K or W_V as one matrix, d_model x (n_heads d_head)."""
    return rearrange(weight, "heads d_model d_head -> d_model (heads d_head)")


def gpt2_weights(model: Any) -> dict[str, Tensor]:
    """Return the weights of our GPT under the names of GPT-2's checkpoint, in its layout (x W)."""
    weights = {
        "wte.weight": model.embedding.W_E,
        "wpe.weight": model.position.W_pos,
        "ln_f.weight": model.norm_final.scale,
        "ln_f.bias": model.norm_final.bias,
    }
    for number, block in enumerate(model.blocks):
        attention, mlp, at = block.attention, block.mlp, f"h.{number}."
        three = [flat(W) for W in (attention.W_Q, attention.W_K, attention.W_V)]
        biases = [b.flatten() for b in (attention.b_Q, attention.b_K, attention.b_V)]
        weights |= {
            f"{at}ln_1.weight": block.norm_attention.scale,
            f"{at}ln_1.bias": block.norm_attention.bias,
            f"{at}attn.c_attn.weight": torch.cat(three, dim=1),
            f"{at}attn.c_attn.bias": torch.cat(biases),
            f"{at}attn.c_proj.weight": attention.W_O.flatten(0, 1),
            f"{at}attn.c_proj.bias": attention.b_O,
            f"{at}ln_2.weight": block.norm_mlp.scale,
            f"{at}ln_2.bias": block.norm_mlp.bias,
            f"{at}mlp.c_fc.weight": mlp.W_in,
            f"{at}mlp.c_fc.bias": mlp.b_in,
            f"{at}mlp.c_proj.weight": mlp.W_out,
            f"{at}mlp.c_proj.bias": mlp.b_out,
        }
    return {name: tensor.detach() for name, tensor in weights.items()}


def _load(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Copy `weights` in, transposing the matrices where the module stores W^T."""
    own = module.state_dict()
    with torch.no_grad():
        for name, weight in weights.items():
            stored_transposed = (
                weight.dim() == 2 and name.startswith("h.") and _is_linear(module, name)
            )
            own[name].copy_(weight.T if stored_transposed else weight)


def _is_linear(module: nn.Module, name: str) -> bool:
    return isinstance(module.get_submodule(name.rpartition(".")[0]), nn.Linear)


def nanogpt(
    model: GPT, device: torch.device, checkout: Path, *, bf16: bool, compile: bool
) -> Update:
    """Return nanoGPT's update: its model and its own optimizer, with the tanh form of GELU."""
    spec = importlib.util.spec_from_file_location("nanogpt_model", checkout / "model.py")
    if spec is None or spec.loader is None or not (checkout / "model.py").is_file():
        raise SystemExit(f"{checkout} is no checkout of nanoGPT: it has no model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = model.config
    theirs = module.GPT(
        module.GPTConfig(
            block_size=config.n_ctx,
            vocab_size=config.d_vocab,
            n_layer=config.n_layers,
            n_head=config.n_heads,
            n_embd=config.d_model,
            dropout=0.0,
            bias=True,
        )
    )
    _load(theirs.transformer, gpt2_weights(model))
    for block in theirs.transformer.h:
        block.mlp.gelu = nn.GELU("tanh")  # else the loss curves could not agree
    theirs.to(device)
    optimizer = theirs.configure_optimizers(WEIGHT_DECAY, LR, BETAS, device.type)
    fast: Any = torch.compile(theirs) if compile else theirs
    return _by_torch(lambda x, y: fast(x, y)[1], theirs.parameters(), optimizer, device, bf16)


def hugging_face(model: GPT, device: torch.device, *, bf16: bool) -> Update:
    """Return the update of transformers' GPT-2, with its default attention (SDPA)."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = model.config
    theirs: Any = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=config.d_vocab,
            n_positions=config.n_ctx,
            n_embd=config.d_model,
            n_layer=config.n_layers,
            n_head=config.n_heads,
            n_inner=config.d_mlp,
            activation_function="gelu_pytorch_tanh",
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            use_cache=False,
        )
    )
    _load(theirs.transformer, gpt2_weights(model))
    theirs.to(device).train()

    def forward(x: Tensor, y: Tensor) -> Tensor:
        logits = theirs(x).logits
        return cross_entropy(logits.flatten(0, 1), y.flatten())

    return _by_torch(forward, theirs.parameters(), _adamw(theirs, device), device, bf16)


class EncoderGPT(nn.Module):
    """torch.nn.TransformerEncoder as a GPT: pre-norm, a causal mask, the embedding tied."""

    def __init__(self, model: GPT) -> None:
        super().__init__()
        config = model.config
        layer = nn.TransformerEncoderLayer(
            config.d_model,
            config.n_heads,
            config.d_mlp,
            dropout=0.0,
            activation=lambda x: nn.functional.gelu(x, approximate="tanh"),
            batch_first=True,
            norm_first=True,
        )
        self.embedding = nn.Embedding(config.d_vocab, config.d_model)
        self.position = nn.Embedding(config.n_ctx, config.d_model)
        self.encoder: Any = nn.TransformerEncoder(
            layer, config.n_layers, norm=nn.LayerNorm(config.d_model), enable_nested_tensor=False
        )
        self._copy(gpt2_weights(model))

    @torch.no_grad()
    def _copy(self, weights: dict[str, Tensor]) -> None:
        self.embedding.weight.copy_(weights["wte.weight"])
        self.position.weight.copy_(weights["wpe.weight"])
        self.encoder.norm.weight.copy_(weights["ln_f.weight"])
        self.encoder.norm.bias.copy_(weights["ln_f.bias"])
        names = {
            "ln_1": "norm1",
            "ln_2": "norm2",
            "attn.c_proj": "self_attn.out_proj",
            "mlp.c_fc": "linear1",
            "mlp.c_proj": "linear2",
        }
        for number, layer in enumerate(self.encoder.layers):
            own, at = layer.state_dict(), f"h.{number}."
            own["self_attn.in_proj_weight"].copy_(weights[f"{at}attn.c_attn.weight"].T)
            own["self_attn.in_proj_bias"].copy_(weights[f"{at}attn.c_attn.bias"])
            for theirs, torchs in names.items():
                weight = weights[f"{at}{theirs}.weight"]
                own[f"{torchs}.weight"].copy_(weight.T if weight.dim() == 2 else weight)
                own[f"{torchs}.bias"].copy_(weights[f"{at}{theirs}.bias"])

    def forward(self, tokens: Tensor) -> Tensor:
        n = tokens.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(n, device=tokens.device)
        x = self.embedding(tokens) + self.position.weight[:n]
        x = self.encoder(x, mask=mask, is_causal=True)
        logits: Tensor = x @ self.embedding.weight.T
        return logits


def torch_encoder(model: GPT, device: torch.device, *, bf16: bool) -> Update:
    """Return the update of a GPT made of torch.nn.TransformerEncoder."""
    theirs = EncoderGPT(copy.deepcopy(model)).to(device).train()

    def forward(x: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(theirs(x).flatten(0, 1), y.flatten())

    return _by_torch(forward, theirs.parameters(), _adamw(theirs, device), device, bf16)
