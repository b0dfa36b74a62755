"""Model files of the SMPL family: random shapes and weights on the real joint trees, nothing of the licensed models."""

import numpy as np

from pose_rft.body.skeleton import PARENTS

VERTICES = 60
HAND = [0, 1, 2]  # a finger is a chain of three joints
TREES = {
    "SMPL": [*PARENTS, 20, 21],
    "SMPLH": [*PARENTS],
    "SMPLX": [*PARENTS, 15, 15, 15],
}
for family in ("SMPLH", "SMPLX"):
    for wrist in (20, 21):
        for _finger in range(5):
            first = len(TREES[family])
            TREES[family] += [wrist, first, first + 1]


def made_up_model(family: str, seed: int = 7) -> dict[str, np.ndarray]:
    """The arrays of a model file of ``SMPL``, ``SMPLH`` or ``SMPLX``, as its makers name and shape them."""
    rng = np.random.default_rng(seed)
    joints = len(TREES[family])
    weights = rng.random((VERTICES, joints)) ** 8
    regressor = rng.random((joints, VERTICES))
    landmarks = {
        "lmk_faces_idx": np.zeros(51, np.int64),
        "lmk_bary_coords": np.full((51, 3), 1 / 3),
        **{f"hands_components{side}": np.eye(45) for side in "lr"},
        **{f"hands_mean{side}": np.full(45, 0.3) for side in "lr"},
    }
    return {
        "v_template": rng.normal(size=(VERTICES, 3)),
        "shapedirs": 0.1 * rng.normal(size=(VERTICES, 3, 20 if family == "SMPLX" else 10)),
        "posedirs": 0.01 * rng.normal(size=(VERTICES, 3, 9 * (joints - 1))),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "weights": weights / weights.sum(1, keepdims=True),
        "kintree_table": np.array([[2**32 - 1, *TREES[family][1:]], range(joints)], np.int64),
        "f": rng.integers(0, VERTICES, (40, 3)).astype(np.uint32),
        **({} if family == "SMPL" else landmarks),
    }
