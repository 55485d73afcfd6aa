"""Checkpoints and the folders of runs: whole at every moment, and a killed move goes on."""

import os
from pathlib import Path

import pytest
import torch

from capsnet.records.files import write_json
from capsnet.training.checkpoints import MADE, AtomicCheckpoints, claim

OLD = {
    **{"seed": "7", "config": "c", "data": "d", "code": "e"},
    **{"steps": "60", "config_without_steps": "f"},
}


def test_a_checkpoint_is_never_written_into(tmp_path: Path) -> None:
    path, held = tmp_path / "last.ckpt", tmp_path / "held.ckpt"
    AtomicCheckpoints().save_checkpoint({"global_step": 1}, path)
    os.link(path, held)  # as a reader holds it
    AtomicCheckpoints().save_checkpoint({"global_step": 2}, path)
    steps = [torch.load(one, weights_only=True)["global_step"] for one in (held, path)]
    assert steps == [1, 2]


FILES = [one for one in MADE if one not in ("checkpoints", "logs", "wandb", "identity.json")]


@pytest.mark.parametrize("moves", range(1, len(FILES) + 1))
def test_a_move_that_is_killed_at_any_file_goes_on(
    moves: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in FILES:
        (tmp_path / name).write_text("of the old run")
    write_json(OLD, tmp_path / "identity.json")
    new = OLD | {"config": "other", "config_without_steps": "other"}
    replace, left = Path.replace, iter(range(moves))

    def killed(self: Path, target: Path) -> Path:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            claim(tmp_path, new, tmp_path / "record.json")
    claim(tmp_path, new, tmp_path / "record.json")
    kept = {path.name for path in (tmp_path / "superseded-1").iterdir()}
    assert kept == {*FILES, "identity.json"}
