"""Small copies of published data sets, in the formats that their owners publish: what the readers' tests share."""

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import roma
import torch
from PIL import Image

from pose_rft.body.bvh import write_bvh
from tests.body.acclaim_texts import amc_text, asf_text

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
        pickles: makes the files that the owners publish, where those are pickles.
    """

    name: str
    write: Callable[[Path], None]
    rows: int
    splits: tuple[int, int, int, int]
    arrays: dict[str, tuple[str, ...]] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    task: str = "text_to_pose"
    pickles: Callable[[Path], None] | None = None


def save_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def save_npz(path: Path, **arrays: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)  # type: ignore[arg-type]


def save_pickle(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(value))


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


# ---- pictures ----

FACING = (np.pi, 0.0, 0.0)  # the root of somebody upright who faces the camera, in OpenCV's frame


def save_picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (200, 300), "grey").save(path)


def spin_arrays(names: list[str], **others: object) -> dict[str, object]:
    """What SPIN's files hold of people around (100, 150) who are 120 pixels long."""
    count = len(names)
    square = {"center": np.tile([100.0, 150.0], (count, 1)), "scale": np.full(count, 120 * 1.2 / 200)}
    return {"imgname": np.array(names), **square, **others}


def write_h36m(folder: Path) -> None:
    names = [f"images/S1_Walking.54138969_{number:06d}.jpg" for number in (1, 6)]
    for name in names:
        save_picture(folder / name)
    save_npz(folder / "h36m_mosh_train.npz", **spin_arrays(names, pose=bent(2, 24, FACING), shape=np.ones((2, 10))))
    save_npz(folder / "h36m_valid_protocol2.npz", **spin_arrays(names[:1], pose=bent(1, 24, FACING)))


def write_mpi_inf_3dhp(folder: Path) -> None:
    """Three rows, of which the second has no fit."""
    names = [f"S1/Seq1/imageFrames/video_0/frame_{number:06d}.jpg" for number in (1, 11, 21)]
    for name in names:
        save_picture(folder / name)
    arrays = spin_arrays(names, pose=bent(3, 24, FACING), has_smpl=np.array([1, 0, 1]))
    save_npz(folder / "mpi_inf_3dhp_train.npz", **arrays)


def write_bedlam(folder: Path) -> None:
    """Two scenes, of which one lies on its side."""
    for scene in ("20221010_3_1000_batch01hand_6fps", "20221011_1_250_batch01hand_closeup_suburb_a_6fps"):
        names = [f"seq_000000/seq_000000_{number:04d}.png" for number in (0, 5)]
        for name in names:
            save_picture(folder / "images" / scene / "png" / name)
        save_npz(folder / "labels" / f"{scene}.npz", **spin_arrays(names, pose_cam=bent(2, 55, FACING)))


TURN = np.array((0.3, -0.8, 0.2))  # an axis-angle rotation between worlds and cameras
LOOKING = roma.rotvec_to_rotmat(
    torch.from_numpy(rotvec(FACING, tuple(-TURN)))
).numpy()  # a body turned by TURN faces us


def threedpw_sequence() -> dict[str, object]:
    """Two people in five frames; in the second one the camera is not known, in the third one nobody sees the first."""
    frames, people = 5, 2
    seen = np.stack([np.linspace(50, 150, 18), np.linspace(90, 210, 18), np.ones(18)])
    poses2d = [np.tile(seen, (frames, 1, 1)) for _ in range(people)]
    poses2d[0][2, 2] = 0
    cameras = np.tile(np.eye(4), (frames, 1, 1))
    cameras[:, :3, :3] = LOOKING
    return {
        "poses": [bent(frames, 24, TURN) for _ in range(people)],
        "betas": [np.linspace(-1, 1, 300) + person for person in range(people)],
        "cam_poses": cameras,
        "campose_valid": [np.array([1, 0, 1, 1, 1])] * people,
        "poses2d": poses2d,
        "sequence": "downtown_walk_00",
        "genders": ["m", "f"],
    }


def write_3dpw_pickles(folder: Path) -> None:
    for split in ("train", "validation", "test"):
        save_pickle(folder / "sequenceFiles" / split / f"{split}_walk_00.pkl", threedpw_sequence())


def write_3dpw(folder: Path) -> None:
    sequence = threedpw_sequence()
    kept = {name: np.array(sequence[name]) for name in ("poses", "cam_poses", "campose_valid", "poses2d", "genders")}
    kept["betas"] = np.array(sequence["betas"])[:, :10]
    for split in ("train", "validation", "test"):
        save_npz(folder / "sequenceFiles" / split / f"{split}_walk_00.npz", **kept)
        for frame in range(5):
            save_picture(folder / "imageFiles" / f"{split}_walk_00" / f"image_{frame:05d}.jpg")


EMDB_SEQUENCES = {"P0/00_walk/P0_00_walk_data": True, "P3/02_climb/P3_02_climb_data": False}  # which are of EMDB 1


def emdb_sequence(emdb1: bool) -> dict[str, object]:
    """Four frames; in the second one nobody is seen, in the third one the box is empty."""
    poses, extrinsics = bent(4, 24, TURN), np.tile(np.eye(4), (4, 1, 1))
    extrinsics[:, :3, :3] = LOOKING
    boxes = np.tile([40.0, 90.0, 160.0, 210.0], (4, 1))
    boxes[2] = 0
    return {
        "gender": "male",
        "name": "P0_00_walk",
        "emdb1": emdb1,
        "n_frames": 4,
        "good_frames_mask": np.array([True, False, True, True]),
        "camera": {"intrinsics": np.eye(3), "extrinsics": extrinsics, "width": 200, "height": 300},
        "smpl": {
            "poses_root": poses[:, :3],
            "poses_body": poses[:, 3:],
            "trans": np.zeros((4, 3)),
            "betas": np.linspace(-1, 1, 10),
        },
        "bboxes": {"bboxes": boxes, "invalid_idxs": np.array([1, 2])},
    }


def write_emdb_pickles(folder: Path) -> None:
    for name, emdb1 in EMDB_SEQUENCES.items():
        save_pickle(folder / f"{name}.pkl", emdb_sequence(emdb1))


def write_emdb(folder: Path) -> None:
    for name, emdb1 in EMDB_SEQUENCES.items():
        sequence, path = emdb_sequence(emdb1), folder / f"{name}.npz"
        arrays = {key: sequence["smpl"][key] for key in ("poses_root", "poses_body", "betas")}
        arrays |= {"extrinsics": sequence["camera"]["extrinsics"], "bboxes": sequence["bboxes"]["bboxes"]}
        arrays |= {key: np.array([sequence[key]]) for key in ("gender", "emdb1")}
        save_npz(path, good_frames_mask=sequence["good_frames_mask"], **arrays)
        for frame in range(4):
            save_picture(path.parent / "images" / f"{frame:05d}.jpg")


KEYS_4D = ("coco-train/COCO_1", "coco-train/COCO_2", "mpii-train/015")


def people_4d(number: int) -> list[dict[str, object]]:
    """What 4D-Humans says of a photograph: one person, in the first two; the second one has no fit."""
    pose, scale = bent(1, 24, FACING)[0], np.full(2, 120 * 1.2 / 200)
    one = {"center": np.array([100.0, 150.0]), "scale": scale, "body_pose": pose, "has_body_pose": np.array(1.0)}
    return [one] if number != 1 else [one, one | {"has_body_pose": np.array(0.0)}]


def write_4d_humans_pickles(folder: Path) -> None:
    for number, key in enumerate(KEYS_4D):
        save_pickle(folder / f"{key}.data.pyd", people_4d(number))


def write_4d_humans(folder: Path) -> None:
    names = [f"{key}.jpg" for number, key in enumerate(KEYS_4D) for _ in people_4d(number)]
    people = [person for number in range(3) for person in people_4d(number)]
    arrays = {name: np.stack([np.ravel(person[name]) for person in people]) for name in ("body_pose", "has_body_pose")}
    save_npz(folder / "labels.npz", **spin_arrays(names, **arrays))
    for name in names:
        save_picture(folder / name)


def write_rpe(folder: Path) -> None:
    picture = "3DPW/imageFiles/walk_00/image_00326.jpg"
    save_picture(folder / picture)
    asked = [
        {"from": "human", "value": "<image>\nHe sits down; what is his pose?"},
        {"from": "gpt", "value": "It is <POSE>."},
    ]
    truth = {"smpl_param": {"pose": bent(1, 24, FACING)[0].tolist()}, "bbox": [40.0, 90.0, 120.0, 120.0]}
    item = {"id": "000000", "image": "000000.png", "real_image": picture, "conversations": asked, "ground_truth": truth}
    save_json(folder / "RPE-refined" / "refine_vqa_pose_withGT.json", [item])


# ---- recordings of other kinds, and talk ----


def aistpp_motion() -> dict[str, object]:
    return {
        "smpl_poses": bent(12, 24, (0.0, 0.4, 0.0)),
        "smpl_scaling": np.array([90.0]),
        "smpl_trans": np.zeros((12, 3)),
    }


DANCES = ("gBR_sBM_cAll_d04_mBR0_ch01", "gBR_sBM_cAll_d04_mBR0_ch02", "gWA_sFM_cAll_d27_mWA2_ch21")


def write_aistpp_pickles(folder: Path) -> None:
    for name in DANCES:
        save_pickle(folder / "motions" / f"{name}.pkl", aistpp_motion())


def write_aistpp(folder: Path) -> None:
    """Three dances, of which one is badly fitted; one is for tests."""
    for name in DANCES:
        save_npz(folder / "motions" / f"{name}.npz", smpl_poses=aistpp_motion()["smpl_poses"])
    (folder / "splits").mkdir()
    for word, names in (("train", DANCES[:1]), ("val", ()), ("test", DANCES[1:])):
        (folder / "splits" / f"crossmodal_{word}.txt").write_text("\n".join(names) + "\n")
    (folder / "ignore_list.txt").write_text(DANCES[2] + "\n")


def write_cmu(folder: Path) -> None:
    """Subject 7, for training, and 2, for tests: 25 frames at 120 a second each, with a left knee at a right angle."""
    for subject in ("07", "02"):
        own = folder / subject
        own.mkdir(parents=True)
        (own / f"{subject}.asf").write_text(asf_text())
        (own / f"{subject}_01.amc").write_text(amc_text(25, ltibia=(90.0,)))


def write_bvh_files(folder: Path) -> None:
    """Six frames at 20 a second, of which the first is the rest pose: three rows."""
    write_bvh(folder / "07_01.bvh", bent(6, 22, (0.0, 0.0, 0.0)).reshape(6, 22, 3), fps=20.0)


def write_llava(folder: Path) -> None:
    save_picture(folder / "train2017" / "000000033471.jpg")
    said = ["<image>\nWhat colour is the bus?", "White and red.", "Is it café-sized?", "No."]
    turns = [{"from": ("human", "gpt")[number % 2], "value": text} for number, text in enumerate(said)]
    pictured = {"id": "000000033471", "image": "000000033471.jpg", "conversations": turns}
    save_json(folder / "llava_instruct_150k.json", [pictured, {"id": "x", "conversations": turns[2:]}])


PLACES = "posescript_release/ids_2_dataset_sequence_and_frame_index_100k.json"
POSESCRIPT = (PLACES, "posescript_release/train_ids_100k.json", "posescript_release/test_ids_100k.json")
POSEFIX = (PLACES, "posefix_release/pair_id_2_pose_ids.json", "posefix_release/train_in_sequence_pair_ids.json")
IMAGE = "image_to_pose"
THREEDPW = ("poses", "cam_poses", "campose_valid", "poses2d", "betas", "genders")
EMDB = ("poses_root", "poses_body", "extrinsics", "bboxes", "good_frames_mask", "betas", "gender", "emdb1")
SPIN = ("imgname", "center", "scale", "pose")
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
    SmallSet(
        "3dpw", write_3dpw, 21, (7, 7, 7, 0),
        {"sequenceFiles/train/train_walk_00.npz": THREEDPW},
        task=IMAGE, pickles=write_3dpw_pickles,
    ),
    SmallSet("h36m", write_h36m, 3, (2, 1, 0, 0), {"h36m_mosh_train.npz": SPIN}, task=IMAGE),
    SmallSet("mpi_inf_3dhp", write_mpi_inf_3dhp, 2, (2, 0, 0, 0), {"mpi_inf_3dhp_train.npz": SPIN}, task=IMAGE),
    SmallSet(
        "4d_humans", write_4d_humans, 3, (0, 0, 0, 3), {"labels.npz": ("imgname", "center", "scale", "body_pose")},
        task=IMAGE, pickles=write_4d_humans_pickles,
    ),
    SmallSet(
        "emdb", write_emdb, 4, (0, 2, 2, 0), {"P0/00_walk/P0_00_walk_data.npz": EMDB},
        task=IMAGE, pickles=write_emdb_pickles,
    ),
    SmallSet(
        "bedlam", write_bedlam, 2, (0, 0, 0, 2),
        {"labels/20221010_3_1000_batch01hand_6fps.npz": ("imgname", "pose_cam")}, task=IMAGE,
    ),
    SmallSet(
        "aist++", write_aistpp, 4, (2, 0, 2, 0), {f"motions/{DANCES[0]}.npz": ("smpl_poses",)},
        pickles=write_aistpp_pickles,
    ),
    SmallSet("cmu", write_cmu, 6, (3, 0, 3, 0), files=("07/07.asf", "07/07_01.amc")),
    SmallSet("bvh", write_bvh_files, 3, (3, 0, 0, 0), files=("07_01.bvh",)),
    SmallSet("llava", write_llava, 2, (0, 0, 0, 2), files=("llava_instruct_150k.json",), task="image_question"),
    SmallSet("rpe", write_rpe, 1, (0, 0, 1, 0), files=("RPE-refined/refine_vqa_pose_withGT.json",), task=IMAGE),
]  # fmt: skip
