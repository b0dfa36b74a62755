"""Named protocols: what exactly is measured when a figure is said to be "of 3DPW". docs/protocols.md has the traps."""

from dataclasses import dataclass, replace
from typing import Literal

from pose_rft.body.skeleton import NUM_JOINTS
from pose_rft.errors import UserError

Regressor = Literal["body model", "J_regressor_h36m.npy"]
PELVIS = (0,)  # of the Human3.6M regressor and of body models alike
HIPS = (1, 2)  # of SMPL: their middle
SMPL_24 = tuple(range(24))
# Rows of the Human3.6M regressor in the order of LSP (right ankle to left ankle, right wrist to left wrist, neck, top
# of the head), and three joints more. Source: H36M_TO_J17 of SPIN's constants.py (github.com/nkolot/SPIN).
H36M_17 = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10, 0, 7, 9)
H36M_14 = H36M_17[:14]


@dataclass(frozen=True, slots=True)
class PoseProtocol:
    """How far an estimated pose is from the true one.

    Attributes:
        name: what ``pose-rft evaluate --protocol`` takes.
        benchmark: whose protocol it is; published figures of the same benchmark stand beside ours.
        split: which frames.
        body: "SMPL", whose models the user has, or "any": the bundled body or a model of the SMPL family.
        regressor: where joints come from: "body model" takes the model's own, a file regresses them from its vertices.
        joints: which rows of these are compared.
        root: rows whose mean is laid on the origin before MPJPE and PVE.
        scale: whether PA-MPJPE may scale the estimate.
        truth: "smpl" is a pose with shape and gender, "joints" are recorded positions that no body model made.
        gender: of the true body: "annotated" is the one that the data name, "neutral" ignores it. An estimate is
            always neutral and of the mean shape, as a policy answers with a pose alone.
        crop: how the person's place in the picture is known.
        source: the code or paper that the above was read from.
    """

    name: str
    benchmark: str
    split: str
    body: Literal["any", "SMPL"]
    regressor: Regressor
    joints: tuple[int, ...]
    root: tuple[int, ...]
    truth: Literal["smpl", "joints"]
    gender: Literal["annotated", "neutral"]
    crop: str
    source: str
    scale: bool = True


@dataclass(frozen=True, slots=True)
class RetrievalProtocol:
    """How often a text finds its pose.

    Attributes:
        name, benchmark, split, source: as for ``PoseProtocol``.
        gallery: among how many items.
        ks: the K of R@K that papers print.
        mean_of: the K over which, both ways, a mean recall is taken.
    """

    name: str
    benchmark: str
    split: str
    gallery: str
    ks: tuple[int, ...]
    mean_of: tuple[int, ...]
    source: str


Protocol = PoseProtocol | RetrievalProtocol

ANNOTATED_BOX = "a box around the annotated person"
SPIN = "SPIN (Kolotouros et al., ICCV 2019), eval.py and constants.py of github.com/nkolot/SPIN"
H36M_P1 = PoseProtocol(
    name="h36m-p1",
    benchmark="Human3.6M",
    split="subjects 9 and 11, all cameras",
    body="SMPL",
    regressor="J_regressor_h36m.npy",
    joints=H36M_14,
    root=PELVIS,
    truth="joints",
    gender="neutral",
    crop=ANNOTATED_BOX,
    source=SPIN,
)
REGISTRY: tuple[Protocol, ...] = (
    PoseProtocol(
        name="own-22",
        benchmark="one's own data",
        split="lines of split test",
        body="any",
        regressor="body model",
        joints=tuple(range(NUM_JOINTS)),
        root=PELVIS,
        truth="smpl",
        gender="neutral",
        crop="the line's box, or the person whom the detector finds",
        source="this project: joints of one body of the mean shape",
    ),
    PoseProtocol(
        name="3dpw-14",
        benchmark="3DPW",
        split="test",
        body="SMPL",
        regressor="J_regressor_h36m.npy",
        joints=H36M_14,
        root=PELVIS,
        truth="smpl",
        gender="annotated",
        crop=ANNOTATED_BOX,
        source=SPIN,
    ),
    PoseProtocol(
        name="3dpw-24",
        benchmark="3DPW",
        split="test",
        body="SMPL",
        regressor="body model",
        joints=SMPL_24,
        root=HIPS,
        truth="smpl",
        gender="annotated",
        crop=ANNOTATED_BOX,
        source="the 3DPW challenge (ECCV 2020), github.com/aymenmir1/3dpw-eval, as the code of EMDB has taken it over",
    ),
    PoseProtocol(
        name="emdb1-24",
        benchmark="EMDB 1",
        split="sequences marked emdb1",
        body="SMPL",
        regressor="body model",
        joints=SMPL_24,
        root=HIPS,
        truth="smpl",
        gender="annotated",
        crop=ANNOTATED_BOX,
        source="EMDB (Kaufmann et al., ICCV 2023), evaluation_metrics.py of github.com/eth-ait/emdb",
    ),
    H36M_P1,
    replace(H36M_P1, name="h36m-p2", split="subjects 9 and 11, the frontal camera"),
    replace(H36M_P1, name="mpi-inf-3dhp-17", benchmark="MPI-INF-3DHP", split="test", joints=H36M_17),
    RetrievalProtocol(
        name="posescript-full",
        benchmark="PoseScript, text to pose, full gallery",
        split="test of PoseScript-H2",
        gallery="the whole test set",
        ks=(5, 10, 20),
        mean_of=(1, 5, 10),
        source="PoseScript (Delmas et al., ECCV 2022); the K are those of UniPose and Pose-RFT",
    ),
    RetrievalProtocol(
        name="posescript-pool",
        benchmark="PoseScript, text to pose, random pool",
        split="test of PoseScript-H2",
        gallery="random pools",
        ks=(5, 10, 20),
        mean_of=(1, 5, 10),
        source="UniPose (Li et al., CVPR 2025) and Pose-RFT; how large their pools are is not known here",
    ),
)


def find_protocol(name: str) -> Protocol:
    """The protocol of a name.

    Raises:
        UserError: there is none.
    """
    for protocol in REGISTRY:
        if protocol.name == name:
            return protocol
    names = ", ".join(protocol.name for protocol in REGISTRY)
    raise UserError(f"--protocol {name}: there is none of that name; there are {names} (docs/protocols.md)")
