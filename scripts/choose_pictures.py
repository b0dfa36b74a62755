"""Choose the pictures of the benchmark reasoned-poses; writes src/pose_rft/evaluation/reasoned_pictures.yaml.

python scripts/choose_pictures.py     # some minutes of one core

Beside the person who is meant stands somebody whose pose does not answer the prompt. A picture is taken if the detector
of the package finds both: who is meant is to be judged, not who is found.
"""

from pathlib import Path

import numpy as np
import torch
import yaml

from pose_rft.body import load_body
from pose_rft.data.rendering.renders import RenderSpec
from pose_rft.data.speculative import speculative_poses, speculative_prompts
from pose_rft.evaluation import reasoning_benchmark
from pose_rft.evaluation.reasoning_benchmark import SEED, SIZE, TABLE
from pose_rft.posescript.checks import satisfied
from pose_rft.vision.people import find_people

TRIES = 12  # pictures of a prompt


def main() -> None:
    """Go through the prompts in order, each with people and cameras of its own until both are found."""
    poses = speculative_poses()
    samples = speculative_prompts("all")
    points = load_body().points(torch.from_numpy(np.stack([poses[sample.prompt] for sample in samples])))
    rows = []
    for number, sample in enumerate(samples):
        answers = satisfied(sample.checks, points).all(dim=1).numpy()  # whose pose would answer as well
        rng = np.random.default_rng(number)
        for attempt in range(TRIES):
            beside = samples[int(rng.choice(np.flatnonzero(~answers)))].prompt
            place, index = int(rng.integers(2)), TRIES * number + attempt
            pair = [poses[beside], poses[sample.prompt]] if place else [poses[sample.prompt], poses[beside]]
            if len(find_people(RenderSpec(np.stack(pair), SEED, index, SIZE).image())) == 2:
                rows.append({"text": sample.prompt, "beside": beside, "index": index, "place": place})
                break
        print(f"{sample.prompt}: {attempt + 1} tries", flush=True)
    out = Path(reasoning_benchmark.__file__).with_name(TABLE)
    head = "# Written by scripts/choose_pictures.py: who stands beside whom (place 0: left of them), and the picture.\n"
    out.write_text(head + yaml.safe_dump(rows, sort_keys=False, width=200), encoding="utf-8")
    print(f"{len(rows)} of {len(samples)} prompts have a picture")


if __name__ == "__main__":
    main()
