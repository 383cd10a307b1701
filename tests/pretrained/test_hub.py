"""Where a model's folder comes from: here, or the hub, which the test stands in for."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.pretrained.support import assert_same, gpt2
from transformer.pretrained.hub import model_folder
from transformer.pretrained.load import load_pretrained, save_pretrained


def use_hub(monkeypatch: pytest.MonkeyPatch, hub: object) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)


def test_a_folder_that_is_here_is_taken_without_asking_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_hub(monkeypatch, None)
    assert model_folder(tmp_path) == tmp_path
    assert model_folder(str(tmp_path)) == tmp_path


def test_a_file_is_no_name_on_the_hub_and_the_hub_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_hub(monkeypatch, None)
    monkeypatch.chdir(tmp_path)
    Path("text.txt").touch()
    with pytest.raises(
        FileNotFoundError, match=r"text\.txt is a file; a model is a folder, a name"
    ):
        model_folder("text.txt")


def test_a_name_is_asked_for_on_the_hub_safetensors_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_pretrained(gpt2(), tmp_path / "copy")
    asked = []

    def snapshot_download(name: str, *, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns[-1]))
        assert {"*.json", "*.txt", "*.jinja"} <= {*allow_patterns}
        return str(tmp_path / "copy")

    use_hub(monkeypatch, SimpleNamespace(snapshot_download=snapshot_download))
    assert_same(load_pretrained("someone/small-gpt2"), gpt2())
    assert asked == [("someone/small-gpt2", "model*.safetensors")]

    (tmp_path / "copy" / "model.safetensors").unlink()
    model_folder("gpt2")
    assert asked[1:] == [("gpt2", "model*.safetensors"), ("gpt2", "pytorch_model*.bin")]


def test_without_the_hub_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(name: str, *, allow_patterns: list[str]) -> str:
        raise ConnectionError("no route to host\nand much more")

    use_hub(monkeypatch, SimpleNamespace(snapshot_download=offline))
    with pytest.raises(
        OSError,
        match=r"no route to host\)\. Put its files from https://huggingface.co/gpt2 into a folder",
    ):
        model_folder("gpt2")
    use_hub(monkeypatch, None)
    with pytest.raises(ValueError, match=r"no folder gpt2; .*: pip install huggingface_hub"):
        model_folder("gpt2")


@pytest.mark.parametrize("where", ["./nothing", "/no/such/folder", "a/b/c", Path("gpt2")])
def test_what_can_be_no_name_is_a_missing_folder(
    where: str | Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_hub(monkeypatch, None)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        model_folder(where)
