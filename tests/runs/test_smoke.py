"""--smoke: the run of a config in seconds."""

import pytest

from pose_rft.errors import UserError
from pose_rft.runs.rft import RftConfig
from pose_rft.runs.smoke import smoke_run


def test_a_smoke_run_is_small_everywhere_and_leaves_the_folder_of_the_real_one(tmp_path):
    real = RftConfig(output_dir=str(tmp_path / "rft"))
    (tmp_path / "rft").mkdir()
    (tmp_path / "rft-smoke").mkdir()
    (tmp_path / "rft-smoke" / "old").touch()
    small = smoke_run(real, resume=False)
    assert small.output_dir == str(tmp_path / "rft-smoke")
    assert not (tmp_path / "rft-smoke").exists()
    assert (tmp_path / "rft").exists()
    assert (small.prompts, small.hygrpo.steps, small.hygrpo.prompts_per_step, small.data.concept_poses) == (16, 2, 2, 2)
    assert (small.pose_phase.steps, small.hygrpo.learning_rate) == (0, real.hygrpo.learning_rate)  # not made larger
    assert real.hygrpo.steps == 100


def test_a_smoke_run_is_not_resumed(tmp_path):
    with pytest.raises(UserError, match="begins anew"):
        smoke_run(RftConfig(output_dir=str(tmp_path)), resume=True)
