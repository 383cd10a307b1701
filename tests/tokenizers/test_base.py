"""What all tokenizers share: padding, fingerprints, files."""

from pathlib import Path

import pytest

from transformer.tokenizers import ByteTokenizer, CharacterTokenizer, pad_batch
from transformer.tokenizers.files import write_whole


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


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tokenizer.json"
    write_whole(file, "old")

    def full_disk(path: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write_whole(file, "new")
    assert file.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["tokenizer.json"]
