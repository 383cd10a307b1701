"""A transformer library to learn from: raw tensor operations, typed to the last tensor.

Names. The words are those of A Mathematical Framework for Transformer Circuits (Elhage et
al. 2021). An axis whose size is a field of `TransformerConfig` has that field's name, one
that varies from call to call is `batch`, `pos`, `query_pos` or `key_pos`.

    d_vocab    tokens in the vocabulary         n_ctx     positions a model is made for
    d_model    width of the residual stream     d_mlp     width of the MLP's hidden layer
    n_heads    attention heads in a block       d_head    width of one head
    n_layers   blocks                           n_kv_heads  heads of keys and values

    tokens           Int   batch pos                       ids from 0 to d_vocab - 1
    real             Bool  batch pos                       False at padding
    positions        Int   batch pos                       where each token stands
    resid            Float batch pos d_model               the residual stream; resid_pre,
                                                           resid_mid, resid_post in a block
    q, k, v, z       Float batch pos n_heads d_head        z: values mixed by the pattern
    mask             Bool  batch n_heads query_pos key_pos True where a query may look
    scores, pattern  Float batch n_heads query_pos key_pos pattern = softmax(scores)
    logits           Float batch pos d_vocab               at t they forecast token t + 1

    W_E              d_vocab d_model                       embedding
    W_pos            n_ctx d_model                         learned positions
    W_Q, W_K, W_V    n_heads d_model d_head                biases b_Q ...: n_heads d_head
                                                           (n_kv_heads in K and V, if grouped)
    W_O              n_heads d_head d_model                bias b_O: d_model
    W_in, W_gate     d_model d_mlp                         biases b_in, b_gate: d_mlp
    W_out            d_mlp d_model                         bias b_out: d_model
    W_U              d_model d_vocab                       unembedding; bias b_U: d_vocab

The names below are imported when first used: `import transformer` by itself loads no torch.
They are listed in `__init__.pyi`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
