"""A photograph to try things on: two people, credited in NOTICE."""

from pathlib import Path

# A man jumping with his arms up on the left, a woman walking on the right. A frame of the demonstration video of
# Sports2D (BSD-3-Clause), 1280 x 720 pixels.
TWO_PEOPLE = Path(__file__).parent / "two_people.jpg"
