"""The picture in the README: what the default policy answers to every twentieth test prompt of canonical, unchosen.

python scripts/readme_picture.py docs/images/prompts.png
"""

import sys

from pose_rft import PosePolicy
from pose_rft.body.render import render_answers
from pose_rft.data.canonical import canonical_prompts

ANSWERS, EVERY = 12, 20


def main() -> None:
    prompts = [sample.prompt for sample in canonical_prompts("test")][::EVERY][:ANSWERS]
    answers = PosePolicy.from_pretrained("default").generate(prompts)
    shown = [(group[0].pose.axis_angle(), p) for group, p in zip(answers, prompts, strict=True) if group[0].pose]
    poses, captions = zip(*shown, strict=True)
    render_answers(poses, captions, size=200, columns=4).save(sys.argv[1], optimize=True)


if __name__ == "__main__":
    main()
