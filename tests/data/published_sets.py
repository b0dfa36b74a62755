"""Small copies of published data sets, in the formats that their owners publish: what the readers' tests share."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import roma
import torch

STANDING_Z_UP = (np.pi / 2, 0.0, 0.0)  # the root of somebody upright in a z-up world; faces -y
NAMES = ("walk", "turn")


@dataclass(frozen=True)
class SmallSet:
    """How a copy is made and what is in it.

    Attributes:
        name: of the reader.
        write: makes the copy in a folder.
        rows: that it then has.
        splits: of them, train, dev, test and none.
        arrays: files with arrays -> those that are needed.
        files: others that are read when the folder is opened.
        task: of the first sample.
    """

    name: str
    write: Callable[[Path], None]
    rows: int
    splits: tuple[int, int, int, int]
    arrays: dict[str, tuple[str, ...]] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    task: str = "text_to_pose"


def save_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def save_npz(path: Path, **arrays: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)  # type: ignore[arg-type]


def rotvec(*turns: tuple[float, float, float]) -> np.ndarray:
    """Rotation vectors, the first applied last, as one."""
    return roma.rotvec_composition([torch.tensor(turn, dtype=torch.float64) for turn in turns]).numpy()


def bent(frames: int, joints: int, root: np.ndarray | tuple[float, float, float]) -> np.ndarray:
    """(frames, 3 joints) poses with a root; the left knee is bent by a tenth of a radian more in each frame."""
    poses = np.zeros((frames, joints, 3))
    poses[:, 0] = root
    poses[:, 4, 0] = np.arange(frames) / 10
    return poses.reshape(frames, -1)


# ---- AMASS, and what is said of it ----


def write_amass(folder: Path) -> None:
    """Two recordings of SMPL-H at 20 frames a second: two rows of each four frames; one faces another way."""
    for number, name in enumerate(NAMES):
        root = rotvec((0.0, 0.0, 1.2 * number), STANDING_Z_UP)
        poses, path = bent(4, 52, root), folder / "BMLrub" / "s1" / f"{name}_poses.npz"
        save_npz(path, poses=poses, trans=np.zeros((4, 3)), betas=np.zeros(16), gender="male", mocap_framerate=20.0)


def write_pose_places(folder: Path) -> None:
    """Four poses of AMASS by id: frames 0 and 3 of one recording, by its folder's old name, 1 and 2 of the other."""
    write_amass(folder / "AMASS" / "smplh")
    places = {
        "0": ["AMASS", "BioMotionLab_NTroje/s1/walk_poses.npz", 0],
        "7": ["AMASS", "BioMotionLab_NTroje/s1/walk_poses.npz", 3],
        "8": ["AMASS", "BMLrub/s1/turn_poses.npz", 1],
        "9": ["AMASS", "BMLrub/s1/turn_poses.npz", 2],
    }
    save_json(folder / "posescript_release" / "ids_2_dataset_sequence_and_frame_index_100k.json", places)


def write_posescript(folder: Path) -> None:
    write_pose_places(folder)
    release = folder / "posescript_release"
    save_json(release / "posescript_human_6293.json", {"7": ["Né à genoux.", "The left knee is bent."], "8": "Stands."})
    save_json(release / "posescript_auto_100k.json", {str(n): ["one", "two", "three"] for n in (0, 7, 8, 9)})
    for name, ids in (("train", [0, 7]), ("val", [8]), ("test", [9])):
        save_json(release / f"{name}_ids_100k.json", ids)


def write_posefix(folder: Path) -> None:
    write_pose_places(folder)
    release = folder / "posefix_release"
    save_json(release / "pair_id_2_pose_ids.json", [[0, 7], [7, 9]])
    save_json(release / "posefix_human_6157.json", {"0": ["Bend the left knee."], "1": ["Straighten it a bit."]})
    save_json(release / "posefix_paraphrases_4284.json", {"0": ["Flex your left knee.", "Bend it."]})
    save_json(release / "posefix_auto_135305.json", {"0": ["a", "b", "c"], "1": ["d"]})
    ids = {"train_in": [0], "train_out": [], "val_in": [], "val_out": [], "test_in": [], "test_out": [1]}
    for name, pairs in ids.items():
        save_json(release / f"{name}_sequence_pair_ids.json", pairs)


PLACES = "posescript_release/ids_2_dataset_sequence_and_frame_index_100k.json"
POSESCRIPT = (PLACES, "posescript_release/train_ids_100k.json", "posescript_release/test_ids_100k.json")
POSEFIX = (PLACES, "posefix_release/pair_id_2_pose_ids.json", "posefix_release/train_in_sequence_pair_ids.json")
SETS = [
    SmallSet("amass", write_amass, 4, (4, 0, 0, 0), {"BMLrub/s1/walk_poses.npz": ("poses",)}),
    SmallSet(
        "posescript",
        write_posescript,
        3,
        (2, 1, 0, 0),
        files=(*POSESCRIPT, "posescript_release/posescript_human_6293.json"),
    ),
    SmallSet(
        "posescript_auto", write_posescript, 12, (6, 3, 3, 0), files=("posescript_release/posescript_auto_100k.json",)
    ),
    SmallSet("posefix", write_posefix, 4, (3, 0, 1, 0), files=(*POSEFIX, "posefix_release/posefix_human_6157.json")),
    SmallSet("posefix_auto", write_posefix, 4, (3, 0, 1, 0), files=("posefix_release/posefix_auto_135305.json",)),
]
