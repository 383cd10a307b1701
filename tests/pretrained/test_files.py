"""Files of tensors: damaged, foreign and dangerous ones are refused."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.support import MakesFolder
from transformer.pretrained.files import open_tensors


def test_nothing_in_a_file_of_torchs_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    torch.save({"W": MakesFolder(mark)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="is damaged or no file of tensors alone"):
        open_tensors(tmp_path)
    assert not mark.exists()


@pytest.mark.parametrize("old_format", [False, True])
def test_a_file_of_torchs_cut_off_anywhere_is_refused_without_unsafe_advice(
    tmp_path: Path, old_format: bool
) -> None:
    file = tmp_path / "pytorch_model.bin"
    torch.save({"W": torch.ones(53)}, file, _use_new_zipfile_serialization=not old_format)
    whole = file.read_bytes()
    n_cuts = 23
    for i in range(n_cuts):
        file.write_bytes(whole[: len(whole) * i // n_cuts])
        with pytest.raises(ValueError, match="is damaged or no file of tensors alone") as caught:
            open_tensors(tmp_path)
        assert "weights_only" not in str(caught.value)


def test_what_is_no_mapping_of_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"W": [1, 2]}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="does not hold tensors by name"):
        open_tensors(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no such thing")
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged"):
        open_tensors(tmp_path)


@pytest.mark.parametrize(
    ("weight_map", "error", "said"),
    [
        ({"W": "../elsewhere.safetensors"}, ValueError, "outside of its folder"),
        ({"W": "gone.safetensors"}, FileNotFoundError, "lacks gone.safetensors, which its index"),
        ({}, ValueError, "no weight_map"),
        ({"W": "part.safetensors", "V": "part.safetensors"}, ValueError, "same tensors, see V"),
    ],
    ids=str,
)
def test_an_index_that_is_not_that_of_its_parts_is_refused(
    tmp_path: Path, weight_map: dict[str, str], error: type[Exception], said: str
) -> None:
    save_file({"W": torch.zeros(3)}, tmp_path / "part.safetensors")
    content = {"weight_map": weight_map} if weight_map else {}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(content))
    with pytest.raises(error, match=said):
        open_tensors(tmp_path)


def test_a_tensor_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    save_file({"W": torch.ones(3), "V": torch.zeros(2)}, tmp_path / "model.safetensors")
    tensors = open_tensors(tmp_path)
    assert sorted(tensors) == ["V", "W"]
    renamed = tensors.renamed(lambda name: {"W": "theirs"}.get(name))
    assert [*renamed] == ["theirs"]
    assert torch.equal(renamed["theirs"], torch.ones(3))
    assert "W" not in renamed
