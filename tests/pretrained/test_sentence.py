"""One vector a sentence: the mean over what is real; sentence-transformers' in test_real.py."""

from pathlib import Path

import pytest
import torch

from tests.pretrained.support import gpt2
from tests.support import randomise
from transformer.models.bert import BERT, BERTConfig, ClassifierBERT, MaskedLanguageBERT
from transformer.pretrained.load import load_pretrained, save_pretrained
from transformer.pretrained.sentence import mean_pool, sentence_embedding
from transformer.tokenizers import WordPieceTokenizer

TEXT = "the cat sat on the mat and the rat ran"


def test_the_mean_is_over_real_positions_and_has_the_length_1() -> None:
    resid = torch.tensor([[[3.0, 0.0], [3.0, 8.0], [9.0, 9.0]]])
    real = torch.tensor([[True, True, False]])
    torch.testing.assert_close(mean_pool(resid, real), torch.tensor([[0.6, 0.8]]))


TOKENIZER = WordPieceTokenizer.train(TEXT, d_vocab=61)
CONFIG = BERTConfig(
    d_vocab=TOKENIZER.d_vocab, n_ctx=17, d_model=6, n_layers=1, n_heads=2, d_head=3, d_mlp=7
)


def encoder() -> BERT:
    model = BERT(CONFIG).eval()
    randomise(model)
    return model


def test_a_sentence_has_one_vector_whoever_it_is_with_and_is_cut_where_it_is_too_long() -> None:
    model = encoder()
    sentences = ["the cat", TEXT, f"{TEXT} {TEXT}", f"{TEXT} {TEXT} the mat"]
    together = sentence_embedding(model, TOKENIZER, sentences, n_ctx=17)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(4))
    for i, sentence in enumerate(sentences):
        alone = sentence_embedding(model, TOKENIZER, [sentence], n_ctx=17)
        torch.testing.assert_close(alone[0], together[i])
    assert torch.equal(together[2], together[3])
    assert not torch.allclose(together[1], together[2])
    # The usual n_ctx is more than this model has.
    torch.testing.assert_close(sentence_embedding(model, TOKENIZER, sentences), together)
    assert not torch.allclose(sentence_embedding(model, TOKENIZER, sentences, n_ctx=5), together)


def test_what_has_no_vector_is_refused() -> None:
    with pytest.raises(ValueError, match="sentences are a list of texts, got the text 'the cat' a"):
        sentence_embedding(encoder(), TOKENIZER, "the cat")
    with pytest.raises(ValueError, match=r"n_ctx must be at least 3: .* got 2"):
        sentence_embedding(encoder(), TOKENIZER, ["the cat"], n_ctx=2)
    with pytest.raises(ValueError, match="alone, got a GPT: load one, MiniLM for one"):
        sentence_embedding(gpt2(), TOKENIZER, ["the"])


def test_a_model_with_a_head_is_refused_and_what_is_advised_works(tmp_path: Path) -> None:
    """Its file need not have the pooler that a BertModel has."""
    save_pretrained(MaskedLanguageBERT(CONFIG), tmp_path / "new")
    for model in (load_pretrained(tmp_path / "new"), ClassifierBERT(CONFIG, n_classes=3)):
        with pytest.raises(ValueError, match=r"BERT: pass its encoder, model\.bert"):
            sentence_embedding(model, TOKENIZER, ["the"])
        assert isinstance(model, MaskedLanguageBERT | ClassifierBERT)
        assert sentence_embedding(model.bert, TOKENIZER, ["the"]).shape == (1, CONFIG.d_model)
