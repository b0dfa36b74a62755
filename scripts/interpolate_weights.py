"""Write the policy that lies between two others in its weights.

    python scripts/interpolate_weights.py runs/default_images/policy runs/default_images_rft/policy runs/between

Half way from a supervised policy to what HyGRPO made of it, poses that are sampled keep most of what they gained and
the mean pose loses nothing (docs/log.md). After Wortsman et al., "Robust fine-tuning of zero-shot models" (CVPR 2022).
"""

import argparse
import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

from pose_rft.storage import atomic_directory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("start", type=Path, help="a policy's folder")
    parser.add_argument("end", type=Path, help="the folder of another one, made from it")
    parser.add_argument("out", type=Path, help="the folder to write")
    parser.add_argument("--share", type=float, default=0.5, help="of the way from start to end")
    arguments = parser.parse_args()
    with atomic_directory(arguments.out) as part:
        for file in arguments.end.iterdir():
            if file.suffix != ".safetensors":
                shutil.copy(file, part)
                continue
            if not (arguments.start / file.name).is_file():
                parser.error(f"{arguments.start} has no {file.name}")
            start, end = load_file(arguments.start / file.name), load_file(file)
            if {k: v.shape for k, v in start.items()} != {k: v.shape for k, v in end.items()}:
                parser.error(f"{arguments.start} and {arguments.end} have other parts in {file.name}")
            mixed = {name: start[name].float().lerp(end[name].float(), arguments.share) for name in end}
            save_file(mixed, part / file.name)


if __name__ == "__main__":
    main()
