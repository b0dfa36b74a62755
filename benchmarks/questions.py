"""How balanced the questions about poses are, and how fast they are asked; prints what docs/data.md quotes.

python -m benchmarks.questions [--questions N]
"""

import argparse
import time
from collections import Counter, defaultdict

import numpy as np
import torch

from benchmarks.command_line import add_recordings
from pose_rft.body import load_body
from pose_rft.data.mocap.clips import drawing_weights, read_mocap, train_test_split
from pose_rft.data.questions.questions import ask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_recordings(parser)
    parser.add_argument("--questions", type=int, default=4000)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    held_out = train_test_split(read_mocap(chosen.poses))[1]
    rows = np.random.default_rng(0).choice(len(held_out), size=chosen.questions, p=drawing_weights(held_out))
    points = load_body().points(torch.from_numpy(held_out.pose[rows]))
    start = time.process_time()
    questions = ask(points, seed=0)
    spent = time.process_time() - start
    print(f"{chosen.questions} questions, {chosen.questions / spent:.0f} per CPU second")
    print("truths:", dict(Counter(question.truth or "description" for question in questions).most_common()))
    about: dict[str, Counter[str]] = defaultdict(Counter)
    for question in questions:
        if question.truth:
            about[question.topic][question.truth] += 1
    asked = sum(sum(counts.values()) for counts in about.values())
    always = sum(max(counts.values()) for counts in about.values())
    print(
        f"{len(about)} different questions with a truth; always giving each one's commonest: {always / asked:.1%} right"
    )


if __name__ == "__main__":
    main()
