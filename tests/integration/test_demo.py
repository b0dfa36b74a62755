"""The demo from its first answer to its report, with fewer prompts, steps and poses than it has."""

import dataclasses

import pytest
from rich.console import Console

from pose_rft import demo
from pose_rft.errors import UserError


@pytest.fixture
def short(monkeypatch):
    whole, prompts = demo.demo_config, demo.held_out_prompts

    def config(*given):
        run = whole(*given)
        phase = dataclasses.replace(run.pose_phase, steps=2, prompts_per_step=4)
        hygrpo = dataclasses.replace(run.hygrpo, prompts_per_step=2, poses_per_answer=8)
        return dataclasses.replace(run, prompts=16, pose_phase=phase, hygrpo=hygrpo)

    monkeypatch.setattr(demo, "demo_config", config)
    monkeypatch.setattr(demo, "held_out_prompts", lambda seed: prompts(seed, of_each=2))


def test_the_demo_answers_trains_judges_and_reports(tmp_path, short):
    console = Console(record=True, width=200)
    report = demo.run_demo(tmp_path / "demo", 1, 0, "cpu", console)
    said, page = console.export_text(), report.read_text()
    assert said.count("Checks met: mean pose") == 2
    for prompt in (*demo.PROMPTS, *demo.QUESTIONS):
        assert prompt in page
    for answers in ("before", "after"):
        assert len(list((tmp_path / "demo" / answers).glob("*/*.glb"))) == len(demo.PROMPTS)
    assert (tmp_path / "demo" / "rft" / "policy" / "policy.json").is_file()
    with pytest.raises(UserError, match="holds a demo already"):
        demo.run_demo(tmp_path / "demo", 1, 0, "cpu", console)
