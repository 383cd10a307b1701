"""One vector a sentence: the mean over what is real; sentence-transformers' in test_real.py."""

import torch

from tests.support import randomise
from transformer.models.bert import BERT, BERTConfig
from transformer.pretrained.sentence import mean_pool, sentence_embedding
from transformer.tokenizers import WordPieceTokenizer

TEXT = "the cat sat on the mat and the rat ran"


def test_the_mean_is_over_real_positions_and_has_the_length_1() -> None:
    resid = torch.tensor([[[3.0, 0.0], [3.0, 8.0], [9.0, 9.0]]])
    real = torch.tensor([[True, True, False]])
    torch.testing.assert_close(mean_pool(resid, real), torch.tensor([[0.6, 0.8]]))


def test_a_sentence_has_one_vector_whoever_it_is_with_and_is_cut_where_it_is_too_long() -> None:
    tokenizer = WordPieceTokenizer.train(TEXT, d_vocab=61)
    model = BERT(
        BERTConfig(
            d_vocab=tokenizer.d_vocab, n_ctx=17, d_model=6, n_layers=1, n_heads=2, d_head=3, d_mlp=7
        )
    ).eval()
    randomise(model)
    sentences = ["the cat", TEXT, f"{TEXT} {TEXT}", f"{TEXT} {TEXT} the mat"]
    together = sentence_embedding(model, tokenizer, sentences, n_ctx=17)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(4))
    for i, sentence in enumerate(sentences):
        alone = sentence_embedding(model, tokenizer, [sentence], n_ctx=17)
        torch.testing.assert_close(alone[0], together[i])
    assert torch.equal(together[2], together[3])
    assert not torch.allclose(together[1], together[2])
