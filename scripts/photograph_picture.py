"""The photograph in the README: two people, and the poses that the default policy reads off them drawn over it.

python scripts/photograph_picture.py docs/images/photograph.jpg
"""

import sys

from PIL import Image

from pose_rft import PosePolicy
from pose_rft.body.overlay import draw_over
from pose_rft.data.photographs import TWO_PEOPLE

PART = (330, 10, 1150, 700)  # of the photograph, where the people are


def main() -> None:
    policy = PosePolicy.from_pretrained(sys.argv[2] if len(sys.argv) > 2 else "default")
    photograph = Image.open(TWO_PEOPLE).convert("RGB")
    drawn = photograph
    for side in ("left", "right"):
        prompt = f"What is the pose of the person on the {side}?"
        (answer,) = policy.generate([prompt], [photograph], temperature=0)[0]
        print(prompt, answer.text)
        drawn = draw_over(drawn, answer.pose.axis_angle(), answer.camera)
    parts = [image.crop(PART) for image in (photograph, drawn)]
    width, height = parts[0].size
    sheet = Image.new("RGB", (2 * width, height))
    for column, part in enumerate(parts):
        sheet.paste(part, (column * width, 0))
    sheet.save(sys.argv[1], quality=85, optimize=True)


if __name__ == "__main__":
    main()
