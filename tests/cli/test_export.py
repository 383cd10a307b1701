"""`transformer export`: a run becomes a folder that the same argument loads again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import Module

from tests.pretrained.support import TEXT, TOKENIZERS, assert_same, bert, gpt2, llama
from tests.pretrained.theirs import hugging_face
from tests.support import minimise, randomise
from transformer.cli import main
from transformer.components.loss import next_token_loss
from transformer.data.padding import pad
from transformer.models.bert import BERT, BERTConfig, ClassifierBERT
from transformer.models.gpt import GPT
from transformer.pretrained.load import load_model, save_pretrained, special_of
from transformer.sampling.options import Sampling
from transformer.sampling.text import complete
from transformer.tokenizers import FastByteBPETokenizer, Tokenizer, WordPieceTokenizer
from transformer.training.saved.model_files import save_model_files
from transformer.training.trained import TrainedModel


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    save_model_files(folder, gpt2(d_vocab=TOKENIZERS[0].d_vocab), TOKENIZERS[0])
    return folder


def test_a_run_is_exported_with_its_tokenizer(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["export", str(run), str(tmp_path / "new")])
    assert "AutoModelForCausalLM.from_pretrained" in capsys.readouterr().out
    model, tokenizer = load_model(str(tmp_path / "new"))
    original, same = load_model(run)
    assert_same(model, original)
    assert tokenizer.fingerprint() == same.fingerprint()


def test_what_is_wrong_is_said_in_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, said in (
        ([str(tmp_path / "none"), str(tmp_path / "new")], "there is no folder"),
        ([str(run), str(run)], "is there already: name a new folder"),
    ):
        with pytest.raises(SystemExit):
            main(["export", *arguments])
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1


# Oracle: transformers opens the folder, and computes and writes the same


def exported(folder: Path, model: TrainedModel, tokenizer: Tokenizer) -> Path:
    """Return the folder of the run of this model, exported by the command."""
    (folder / "run").mkdir()
    save_model_files(folder / "run", model, tokenizer)
    main(["export", str(folder / "run"), str(folder / "new")])
    return folder / "new"


def wordpiece() -> WordPieceTokenizer:
    tokenizer = TOKENIZERS[2]
    assert isinstance(tokenizer, WordPieceTokenizer)
    return tokenizer


SENTENCES = ["the cat sat", "on the mat; the rat sat on the cat", "the dog", "mat " * 30]


@pytest.mark.slow
def test_a_classifier_tells_the_same_classes_in_transformers(tmp_path: Path) -> None:
    """It reads [CLS], the text and [SEP], as it was trained to, and padding in a batch."""
    tokenizer, classes = wordpiece(), ("bad", "fair", "good")
    config = BERTConfig(
        d_vocab=tokenizer.d_vocab, n_ctx=17, d_model=35, n_layers=2, n_heads=5, d_head=7, d_mlp=53
    )
    model = ClassifierBERT(config, n_classes=3, classes=classes)
    randomise(model, std=0.3)
    folder = exported(tmp_path, model.eval(), tokenizer)
    classify = hugging_face().pipeline("text-classification", str(folder), top_k=None)
    expected = []
    for sentence in SENTENCES:
        row = [*tokenizer.with_ends(sentence)[:-1][:16], tokenizer.special_tokens["[SEP]"]]
        with torch.no_grad():
            chances = model(torch.tensor([row])).softmax(-1)[0].tolist()
        expected.append(pytest.approx(dict(zip(classes, chances, strict=True)), abs=1e-5))
    for batch_size in (1, len(SENTENCES)):
        found = classify(SENTENCES, batch_size=batch_size, truncation=True)
        assert [{one["label"]: one["score"] for one in each} for each in found] == expected


@pytest.mark.parametrize("pooler", [False, True])
def test_of_an_encoder_without_a_pooler_it_is_said_that_there_is_none(
    pooler: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = wordpiece()
    model = BERT(bert(d_vocab=tokenizer.d_vocab).config, pooler=pooler)
    save_pretrained(model, tmp_path / "encoder", tokenizer)
    main(["export", str(tmp_path / "encoder"), str(tmp_path / "again")])
    said = capsys.readouterr().out
    assert "transformers.AutoModel.from_pretrained" in said
    assert ("with add_pooling_layer=False" in said) != pooler


@pytest.mark.slow
def test_a_hidden_word_is_the_same_in_transformers(tmp_path: Path) -> None:
    tokenizer = wordpiece()
    model = bert(d_vocab=tokenizer.d_vocab)
    fill = hugging_face().pipeline("fill-mask", str(exported(tmp_path, model, tokenizer)), top_k=3)
    cut = [("the cat ", " on the mat"), ("", " rat"), ("the rat sat on the ", "")]
    start, end, mask = (tokenizer.special_tokens[name] for name in ("[CLS]", "[SEP]", "[MASK]"))
    rows = [
        [start, *tokenizer.encode(before), mask, *tokenizer.encode(after), end]
        for before, after in cut
    ]
    padded = pad(rows, pad_token=tokenizer.special_tokens["[PAD]"])
    with torch.no_grad():
        logits = model(padded.tokens, padded.real)[padded.tokens == mask]
    likeliest = logits.softmax(-1).topk(3)
    texts = [f"{before}[MASK]{after}" for before, after in cut]
    for batch_size in (1, len(texts)):
        found = fill(texts, batch_size=batch_size)
        for each, chances, ids in zip(found, *likeliest, strict=True):
            assert [one["token"] for one in each] == ids.tolist()
            assert [one["score"] for one in each] == pytest.approx(chances.tolist(), abs=1e-5)


DOCUMENTS = ["the cat sat on the mat", "a rat ran", "the dog ran to the cat and sat"]
END = "<|endoftext|>"


def trained_on_documents(make: Callable[..., GPT]) -> tuple[GPT, FastByteBPETokenizer]:
    """A model that knows three documents by heart, and where each ends."""
    tokenizer = FastByteBPETokenizer.train(TEXT, d_vocab=269, special_tokens=["<|pad|>", END])
    model = make(d_vocab=269 + 3, n_ctx=61, tied=False)
    text = END + END.join(DOCUMENTS) + END
    tokens = torch.tensor([tokenizer.encode(text, allowed_special="all")])
    minimise(lambda _: next_token_loss(model(tokens), tokens), model.parameters(), steps=60)
    return model.eval(), tokenizer


@pytest.mark.slow
@pytest.mark.parametrize("make", [gpt2, llama])
def test_transformers_writes_the_same_text_and_ends_it_where_ours_does(
    make: Callable[..., GPT], tmp_path: Path
) -> None:
    model, tokenizer = trained_on_documents(make)
    with torch.no_grad():
        if "unembedding.W_U" in dict(model.named_parameters()):
            # An id without a token, which ours never draws, is made likelier than any other.
            W_U = model.get_parameter("unembedding.W_U")
            W_U[:, 270] = 3 * W_U[:, tokenizer.encode(" cat")[-1]]
    folder = exported(tmp_path, model, tokenizer)
    library = hugging_face()
    theirs = library.AutoModelForCausalLM.from_pretrained(folder)
    their_tokenizer = library.AutoTokenizer.from_pretrained(folder)
    stops = Sampling(temperature=0, stop_tokens=frozenset([tokenizer.special_tokens[END]]))
    n_ended = 0
    for prompt in ("the cat", "a rat", "the dog ran"):
        [ours] = complete(model, tokenizer, [prompt], n_new=40, sampling=stops)
        ids = their_tokenizer(prompt, return_tensors="pt")
        written = theirs.generate(**ids, do_sample=False, max_new_tokens=40)[0]
        assert written[ids["input_ids"].shape[1] :].tolist() == ours.tokens
        assert their_tokenizer.decode(written, skip_special_tokens=True) == prompt + ours.text
        n_ended += written[-1] == tokenizer.special_tokens[END]
    assert n_ended > 0, "no text came to its end"


@pytest.mark.slow
def test_a_decoder_of_words_gets_no_ends_that_it_was_not_trained_with(tmp_path: Path) -> None:
    tokenizer = wordpiece()
    folder = exported(tmp_path, gpt2(d_vocab=tokenizer.d_vocab), tokenizer)
    theirs = hugging_face().AutoTokenizer.from_pretrained(folder)
    assert theirs(TEXT)["input_ids"] == tokenizer.encode(TEXT)


def their_byte_bpe(special: list[str], **roles: str) -> Any:
    """Return a tokenizer of theirs whose special tokens have the first ids, unlike GPT-2's."""
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=269,
        initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=special,
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    return hugging_face().PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles)


def make_folder(folder: Path, model: Module, tokenizer: Any) -> Path:
    """Return a folder in Hugging Face's layout with a tokenizer that they wrote."""
    save_pretrained(model, folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_a_folder_of_theirs_keeps_its_tokenizer_and_its_end(tmp_path: Path) -> None:
    library = hugging_face()
    theirs = their_byte_bpe(["<|stop|>", "<|pad|>"], eos_token="<|stop|>", pad_token="<|pad|>")
    folder = make_folder(tmp_path / "theirs", gpt2(d_vocab=len(theirs), n_ctx=41), theirs)
    model = library.AutoModelForCausalLM.from_pretrained(folder)
    model.config.eos_token_id = model.generation_config.eos_token_id = 0
    model.save_pretrained(folder)

    main(["export", str(folder), str(tmp_path / "new")])
    again = library.AutoTokenizer.from_pretrained(tmp_path / "new")
    assert again.eos_token == "<|stop|>"
    assert again.pad_token == "<|pad|>"
    for text in (TEXT, "<|stop|>the cat <|pad|> 17 naïve"):
        assert again(text)["input_ids"] == theirs(text)["input_ids"]
    ids = {"eos_token_id": 0, "pad_token_id": 1}
    assert special_of(tmp_path / "new").items() >= ids.items()
    back = library.AutoModelForCausalLM.from_pretrained(tmp_path / "new")
    assert back.generation_config.eos_token_id == 0


@pytest.mark.slow
def test_a_roberta_keeps_its_ends_and_the_space_before_a_hidden_word(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    theirs = their_byte_bpe(
        ["<s>", "<pad>", "</s>", "<unk>"],
        **{"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"},
        **{"cls_token": "<s>", "sep_token": "</s>"},
    )
    theirs.add_special_tokens({"mask_token": tokenizers.AddedToken("<mask>", lstrip=True)})
    ends = tokenizers.processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    theirs.backend_tokenizer.post_processor = ends
    model = bert(d_vocab=len(theirs), n_ctx=29, position_offset=2)
    make_folder(tmp_path / "theirs", model, theirs)
    main(["export", str(tmp_path / "theirs"), str(tmp_path / "new")])
    again = hugging_face().AutoTokenizer.from_pretrained(tmp_path / "new")
    assert again.mask_token_id == theirs.mask_token_id
    for text in ("the cat", "the cat <mask> on the mat", ["the rat", "the cat sat"]):
        assert again(text, padding=True)["input_ids"] == theirs(text, padding=True)["input_ids"]
    assert again("the cat", "a rat")["input_ids"] == theirs("the cat", "a rat")["input_ids"]
