"""The picture in the README: the default policy's mean poses for prompts that no training saw.

python scripts/readme_picture.py docs/images/prompts.png
"""

import sys

from pose_rft import PosePolicy
from pose_rft.body.render import render_answers

PROMPTS = (
    "Both arms are raised above the head and the left knee is bent.",
    "a boxer throwing a left jab",
    "hands on hips, one foot forward",
    "goalkeeper diving to the right",
    "a waiter carrying a tray in the right hand",
    "touching your toes with straight legs",
)


def main() -> None:
    policy = PosePolicy.from_pretrained("default")
    answers = policy.generate(PROMPTS, temperature=0)
    poses = [group[0].pose.axis_angle() for group in answers]
    render_answers(poses, PROMPTS, size=260, columns=3).save(sys.argv[1], optimize=True)


if __name__ == "__main__":
    main()
