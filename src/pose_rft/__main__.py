"""``python -m pose_rft``: the command line, also under torchrun and accelerate launch."""

from pose_rft.cli import main

main()
