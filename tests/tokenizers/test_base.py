"""What all tokenizers share: padding, fingerprints, files."""

from transformer.tokenizers import ByteTokenizer, CharacterTokenizer, pad_batch


def test_a_batch_is_padded_on_the_right_and_the_mask_says_what_is_real() -> None:
    ids, mask = pad_batch([[5, 3], [], [7, 11, 2]], pad=13)
    assert ids == [[5, 3, 13], [13, 13, 13], [7, 11, 2]]
    assert mask == [[True, True, False], [False] * 3, [True] * 3]
    assert pad_batch([], pad=0) == ([], [])


def test_a_batch_is_encoded_text_by_text() -> None:
    assert ByteTokenizer().encode_batch(["ab", "", "c"]) == [[97, 98], [], [99]]


def test_fingerprints_tell_vocabularies_apart() -> None:
    one, other = CharacterTokenizer("ab"), CharacterTokenizer("ba")
    assert one.fingerprint() == CharacterTokenizer("ab").fingerprint()
    assert len({one.fingerprint(), other.fingerprint(), ByteTokenizer().fingerprint()}) == 3
