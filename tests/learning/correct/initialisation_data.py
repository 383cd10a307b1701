"""What writes, found by the end of its name, and divided behind autograd's back."""

from torch.nn import Module


def writes_to_stream(name: str) -> bool:
    return f".{name}".endswith((".W_O", ".W_out"))


def scale_residual_projections(blocks: Module, *, n_layers: int) -> None:
    for name, parameter in blocks.named_parameters():
        if writes_to_stream(name):
            parameter.data /= (2 * n_layers) ** 0.5
