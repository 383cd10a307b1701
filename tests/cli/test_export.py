"""`transformer export`: a run becomes a folder that the same argument loads again."""

from pathlib import Path

import pytest

from tests.pretrained.support import TOKENIZERS, assert_same, gpt2
from transformer.cli import main
from transformer.pretrained.load import load_model
from transformer.training.model_files import save_model_files


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
