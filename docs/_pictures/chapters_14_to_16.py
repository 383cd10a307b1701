"""Draw the pictures of chapters 14 to 16: `python docs/_pictures/chapters_14_to_16.py`.

What is learned is learned here, on seed 0, in about a minute.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float, Int
from svg import BLUE, GREEN, INK, ORANGE, PAGE, Picture
from torch import Tensor

from tests.circuits import test_induction_circuit as induction
from transformer.activations.interventions import ablated_heads
from transformer.activations.watching import Edit, watch
from transformer.circuits.heads import head_scores, strongest
from transformer.components.attention import project
from transformer.components.loss import next_token_loss
from transformer.components.mask import causal_mask, padding_mask
from transformer.config import TransformerConfig
from transformer.models.encoder_decoder import EncoderDecoder

FOLDER = Path(__file__).parent


def masked() -> None:
    """A text, what is read of it, and what is asked: one fate each."""
    picture = Picture(215)
    left, step = 98.0, 62.0
    rows = {
        "the text": ["the", "cat", "sat", "on", "the", "mat"],
        "read": ["the", "[MASK]", "sat", "dog", "the", "mat"],
        "asked": ["", "cat", "", "on", "", "mat"],
    }
    chosen = (1, 3, 5)
    for row, (title, words) in enumerate(rows.items()):
        y = 20.0 + 62 * row
        picture.text((8, y + 20), title, anchor="start", bold=True)
        for i, word in enumerate(words):
            x = left + i * step
            if not word:
                continue
            changed = row == 1 and word != rows["the text"][i]
            fill = ORANGE if changed else GREEN if row == 2 else BLUE if i in chosen else "none"
            picture.box((x - 2, y), (58, 30), word, fill=fill, opacity=0.3, text_size=14)
            if row < 2 and (row == 0 or i in chosen):
                picture.path([(x + 27, y + 33), (x + 27, y + 58)], width=1.5, arrow=True)
    fates = ((1, "hidden", "8 in 10"), (3, "at random", "1 in 10"), (5, "left", "1 in 10"))
    for i, fate, often in fates:
        picture.text((left + i * step + 27, 193), fate, size=13)
        picture.text((left + i * step + 27, 209), often, size=13)
    picture.write(FOLDER / "masked.svg")


def squares(
    picture: Picture,
    corner: tuple[float, float],
    seen: Float[Tensor, "query key"],
    *,
    side: float = 24.0,
    colour: str = BLUE,
    numbers: bool = False,
) -> None:
    """Draw who reads whom: a square for each query (down) and key (across), filled by weight."""
    for query, row in enumerate(seen.tolist()):
        for key, weight in enumerate(row):
            place = (corner[0] + key * side, corner[1] + query * side)
            picture.box(
                place,
                (side - 3, side - 3),
                f"{weight:.1f}".lstrip("0") if numbers and weight >= 0.05 else "",
                fill=colour,
                colour=INK if weight >= 0.05 else "none",
                opacity=0.75 * weight if weight >= 0.05 else 0.0,
                text_size=12,
            )


def who_reads_whom() -> None:
    """The masks of GPT, of BERT, and of BERT with two places of padding."""
    picture = Picture(205)
    n = 5
    real = torch.tensor([[True, True, True, False, False]])
    masks = {
        "GPT": causal_mask(n, n)[0, 0],
        "BERT": torch.ones(n, n).bool(),
        "BERT, padded": padding_mask(real)[0, 0].expand(n, n),
    }
    for i, (title, mask) in enumerate(masks.items()):
        left = 18.0 + 158 * i
        picture.text((left + 60, 20), title, bold=True, size=14)
        picture.text((left + 60, 43), "keys", size=13)
        squares(picture, (left, 53), mask.float(), colour=BLUE if i == 0 else ORANGE)
    picture.text((240, 198), "a row is a query; a square is drawn where it may look", size=13)
    picture.write(FOLDER / "who_reads_whom.svg")


def two_stacks() -> None:
    """Encoder and decoder, and the three attentions between their positions."""
    picture = Picture(310)
    source, target = ["c", "a", "b"], ["start", "b", "a"]
    step, foot, top = 62.0, 262.0, 62.0
    columns: list[list[float]] = []
    for left, title, words, colour in (
        (52.0, "encoder", source, BLUE),
        (292.0, "decoder", target, ORANGE),
    ):
        xs = [left + i * step for i in range(3)]
        columns.append(xs)
        picture.text((xs[1], 20), title, bold=True)
        for x, word in zip(xs, words, strict=True):
            picture.path([(x, foot), (x, top)], width=3, colour=colour, arrow=True)
            picture.text((x, foot + 20), word, mono=True)
    (a, b, c), (d, e, f) = columns
    for one, other in ((a, b), (b, c)):  # both ways
        picture.path([(one + 6, 222), (other - 6, 208)], width=1.5, colour=BLUE, arrow=True)
        picture.path([(other - 6, 222), (one + 6, 208)], width=1.5, colour=BLUE, arrow=True)
    for one, other in ((d, e), (e, f)):
        picture.path([(one + 6, 222), (other - 6, 208)], width=1.5, colour=ORANGE, arrow=True)
    for i, x in enumerate((a, b, c)):
        picture.path([(x + 6, top + 22), (f - 8, 120 + 12 * i)], width=1.5, arrow=True)
    picture.text((b, foot + 42), "the source", size=13)
    picture.text((e, foot + 42), "written so far", size=13)
    for x, word in zip((d, e, f), ("b", "a", "c"), strict=True):
        picture.text((x, top - 12), word, mono=True, colour=GREEN)
    picture.text((234, 170), "cross-attention", size=13)
    picture.write(FOLDER / "two_stacks.svg")


N_LETTERS, LENGTH, START = 7, 5, 7


def learned_pattern(
    answer: Callable[[Int[Tensor, "batch pos"]], Int[Tensor, "batch pos"]],
    row: Int[Tensor, "1 pos"],
) -> Float[Tensor, "query key"]:
    """Train one cross-attention head to write `answer`; return what it looks at for `row`."""
    torch.manual_seed(0)
    model = EncoderDecoder(
        TransformerConfig(
            d_vocab=N_LETTERS + 1, n_ctx=LENGTH + 1, d_model=32, n_layers=1, n_heads=1, d_head=32,
            d_mlp=64, activation="relu", norm_position="post", position="sinusoidal",
            init_std=32**-0.5,
        )
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)

    def targets(source: Int[Tensor, "batch pos"]) -> Int[Tensor, "batch pos"]:
        return torch.cat([torch.full((len(source), 1), START), answer(source)], dim=1)

    for _ in range(500):
        source = torch.randint(N_LETTERS, (64, LENGTH))
        loss = next_token_loss(model(source, targets(source)), targets(source))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad(), watch(model, "decoder.0.cross_attention.pattern") as seen:
        model(row, targets(row)[:, :-1])
    return seen["decoder.0.cross_attention.pattern"][0, 0]


def cross_patterns() -> None:
    """What a cross-attention that was trained looks at, to reverse and to sort one row."""
    picture = Picture(262)
    row = torch.tensor([[4, 2, 0, 6, 3]])
    for left, title, answer in (
        (80.0, "to reverse", lambda x: x.flip(1)),
        (310.0, "to sort", lambda x: x.sort(1).values),
    ):
        pattern, written = learned_pattern(answer, row), answer(row)[0].tolist()
        picture.text((left + 72, 20), title, bold=True)
        picture.text((left + 72, 42), "source", size=13)
        for key, token in enumerate(row[0].tolist()):
            picture.text((left + 14 + 30 * key, 62), "abcdefg"[token], mono=True)
        for query, token in enumerate(written):
            picture.text((left - 16, 89 + 30 * query), "abcdefg"[token], mono=True, colour=GREEN)
        squares(picture, (left, 70), pattern, side=30, colour=ORANGE, numbers=True)
    picture.text((8, 62), "to write", anchor="start", size=13, colour=GREEN)
    picture.text((240, 250), "a row: the weights with which one letter is looked up", size=13)
    picture.write(FOLDER / "cross_patterns.svg")


def induction_heads() -> None:
    """The two heads of the circuit, on the row that the chapter computes."""
    picture = Picture(285)
    tokens, left, step = "bdaecda", 84.0, 58.0
    xs = [left + step * i for i in range(7)]
    for x, token in zip(xs, tokens, strict=True):
        picture.path([(x, 222), (x, 50)], width=3, colour=BLUE, arrow=True)
        picture.text((x, 246), token, mono=True, size=18)
    picture.text((8, 188), "layer 0", anchor="start", size=13)
    picture.text((8, 108), "layer 1", anchor="start", size=13)
    picture.path([(xs[2] + 4, 200), (xs[3] - 6, 178)], width=2.5, colour=ORANGE, arrow=True)
    picture.box((xs[3] + 8, 160), (92, 24), "before me: a", fill=PAGE, opacity=1, text_size=13)
    picture.path([(xs[3] + 4, 140), (xs[6] - 6, 112)], width=2.5, colour=GREEN, arrow=True)
    picture.box(
        (xs[4] - 26, 78), (142, 24), "who has a before it?", fill=PAGE, opacity=1, text_size=13
    )
    picture.text((xs[6], 38), "e", mono=True, size=18, colour=GREEN)
    picture.text((xs[2] + 2, 270), "previous-token head", size=13, colour=ORANGE)
    picture.text((xs[5] + 10, 270), "induction head", size=13, colour=GREEN)
    picture.write(FOLDER / "induction_heads.svg")


@torch.no_grad()
def losses_without(model: induction.GPT) -> dict[str, float]:
    """Return the second half's loss in nats, of the model and with something taken from it."""
    found = head_scores(model, induction.TOKENS)
    before = strongest(found.previous_token)[1]
    with watch(model) as seen:
        model(induction.TOKENS)
    first, second = (model.get_submodule(f"blocks.{layer}.attention") for layer in range(2))
    wrote = seen["blocks.0.attention.z"][:, :, before] @ first.get_parameter("W_O")[before]
    without = seen["blocks.1.attention.x"] - wrote

    def loss(edits: dict[str, Edit] | None = None) -> float:
        return induction.losses_of_halves(model, edits)[1]

    def read(name: str) -> float:
        new = project(without, second.get_parameter(f"W_{name.upper()}"), None)
        return loss({f"blocks.1.attention.{name}": induction.instead(new)})

    return {
        "the whole model": loss(),
        "no induction heads": loss(ablated_heads([(1, 0), (1, 1)])),
        "no previous-token head": loss(ablated_heads([(0, before)])),
        "... in queries alone": read("q"),
        "... in keys alone": read("k"),
        "... in values alone": read("v"),
    }


def taken_away() -> None:
    """The second half's loss without heads, and without one head where another reads it."""
    picture = Picture(250)
    losses = losses_without(induction.trained(n_layers=2))
    left, scale = 185.0, 70.0
    for i, (words, loss) in enumerate(losses.items()):
        y = 22.0 + 33 * i
        colour = BLUE if i == 0 else ORANGE if i < 3 else GREEN
        picture.text((8, y + 16), words, anchor="start", size=14)
        picture.box((left, y), (max(scale * loss, 1), 22), fill=colour, colour=colour, opacity=0.5)
        picture.text((470, y + 16), f"{loss:.2f}", anchor="end", size=13)
        print(f"{words:25} {loss:.2f} nats")
    guess = left + scale * induction.UNIFORM
    picture.path([(guess, 12), (guess, 222)], dash="5 4", width=1.5)
    picture.text((guess, 242), "ln 23 = 3.14 nats", size=13)
    picture.write(FOLDER / "taken_away.svg")


def main() -> None:
    """Write every picture to its file."""
    for draw in (masked, who_reads_whom, two_stacks, cross_patterns, induction_heads, taken_away):
        draw()


if __name__ == "__main__":
    main()
