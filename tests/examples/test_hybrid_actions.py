"""The example that shows HyGRPO beyond poses: the golfer learns clubs and strengths."""

import runpy
from pathlib import Path

import torch

SCRIPT = Path(__file__).parents[2] / "examples" / "hybrid_actions.py"


def test_the_golfer_learns_to_end_with_the_putter_near_the_hole():
    example = runpy.run_path(str(SCRIPT))
    torch.manual_seed(0)
    before, _ = example["measure"](example["Golfer"]())
    after, putts = example["measure"](example["train"]())
    assert before > 100
    assert after < 10
    assert putts > 0.6
