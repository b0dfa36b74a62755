"""Places on and around the body where hands and feet go, each in the frame of the joint it moves with."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Landmark:
    """A place.

    Attributes:
        joint: the joint in whose frame the offset is; "{side}_" is filled in, "floor" is the floor under the body.
        offset: metres in that frame: away from the midline (to the body's left for a place on it), up, forward.
        pole: where the elbow points (torso's frame) when a hand is here.
        gap: how far before the place the wrist stops, so that the palm and not the wrist is there, metres.
    """

    joint: str
    offset: tuple[float, float, float]
    pole: str = "down + 0.6 out"
    gap: float = 0.06

    @property
    def sided(self) -> bool:
        """Whether there are two of it."""
        return self.joint.startswith("{side}_") or self.joint in ("floor", "pelvis_side", "chest_side", "head_side")

    @property
    def of_arm(self) -> bool:
        """Whether it moves with an arm, so that the other arm is solved first."""
        return self.joint in ("{side}_shoulder", "{side}_elbow", "{side}_wrist")


def _on_head(out: float, up: float, forward: float, pole: str, gap: float = 0.06) -> Landmark:
    return Landmark("head_side" if out else "head", (out, up, forward), pole, gap)


LANDMARKS = {
    # head
    "head_top": Landmark("head", (0.0, 0.20, 0.0), "out + 0.3 forward"),
    "forehead": Landmark("head", (0.0, 0.14, 0.14), "out + 0.3 down + 0.3 forward"),
    "face": Landmark("head", (0.0, 0.08, 0.17), "down + 0.6 out"),
    "nose": Landmark("head", (0.0, 0.07, 0.16), "down + 0.5 out"),
    "mouth": Landmark("head", (0.0, 0.03, 0.15), "down + 0.5 out"),
    "chin": Landmark("head", (0.0, -0.03, 0.14), "down + 0.3 out"),
    "throat": Landmark("neck", (0.0, 0.0, 0.10), "down + 0.6 out"),
    "back_of_head": Landmark("head", (0.0, 0.10, -0.10), "out + 0.4 up + 0.2 forward"),
    "back_of_neck": Landmark("neck", (0.0, 0.05, -0.07), "out + 0.5 up + 0.3 forward"),
    "eye": _on_head(0.04, 0.10, 0.14, "down + 0.6 out"),
    "temple": _on_head(0.09, 0.12, 0.05, "out + 0.2 down"),
    "brow": _on_head(0.05, 0.13, 0.12, "out + 0.3 down"),
    "cheek": _on_head(0.06, 0.05, 0.08, "down + 0.4 out"),
    "ear": _on_head(0.10, 0.08, 0.02, "out + 0.5 down"),
    # trunk
    "shoulder": Landmark("chest_side", (0.16, 0.11, 0.11), "down + 0.5 forward + 0.3 out"),
    "chest": Landmark("spine3", (0.0, 0.04, 0.17), "down + out"),
    "chest_side": Landmark("chest_side", (0.10, 0.04, 0.17), "down + out"),
    "heart": Landmark("spine3", (0.05, 0.05, 0.17), "down + out"),
    "folded": Landmark("chest_side", (0.15, -0.07, 0.20), "down + 0.6 out", 0.03),
    "ribs": Landmark("chest_side", (0.16, -0.12, 0.10), "back + 0.6 out"),
    "belly": Landmark("spine1", (0.0, 0.03, 0.16), "out + 0.6 back"),
    "groin": Landmark("pelvis", (0.0, -0.08, 0.15), "out + 0.5 back"),
    "hip": Landmark("pelvis_side", (0.18, 0.03, 0.02), "out + 0.6 back", 0.03),
    "pocket": Landmark("pelvis_side", (0.20, -0.08, 0.05), "back + 0.5 out", 0.05),
    "buttock": Landmark("pelvis_side", (0.09, -0.07, -0.13), "back + 0.6 out"),
    "lower_back": Landmark("spine1", (0.0, -0.02, -0.13), "out + back", 0.05),
    "lower_back_side": Landmark("pelvis_side", (0.08, 0.08, -0.12), "out + back", 0.05),
    "upper_back": Landmark("spine3", (0.0, 0.10, -0.13), "up + 0.5 out"),
    # arms (of the other arm)
    "upper_arm": Landmark("{side}_shoulder", (0.14, 0.0, 0.04), "down + 0.5 out"),
    "elbow": Landmark("{side}_elbow", (0.0, -0.02, 0.0), "down + 0.5 out"),
    "forearm": Landmark("{side}_elbow", (0.14, 0.0, 0.03), "down + 0.6 out"),
    "wrist": Landmark("{side}_wrist", (0.0, 0.0, 0.0), "down + 0.6 out"),
    "hand": Landmark("{side}_wrist", (0.06, 0.0, 0.0), "down + 0.6 out"),
    # legs
    "thigh": Landmark("{side}_hip", (0.0, -0.22, 0.11), "back + 0.7 out"),
    "inner_thigh": Landmark("{side}_hip", (-0.05, -0.24, 0.0), "out"),
    "knee": Landmark("{side}_hip_end", (0.0, 0.02, 0.07), "down + 0.7 out + 0.3 back"),
    "inner_knee": Landmark("{side}_hip_end", (-0.06, -0.02, 0.0), "out"),
    "back_of_knee": Landmark("{side}_hip_end", (0.0, 0.0, -0.07), "out"),
    "shin": Landmark("{side}_knee", (0.0, -0.20, 0.06), "out"),
    "calf": Landmark("{side}_knee", (0.0, -0.15, -0.07), "out"),
    "inner_calf": Landmark("{side}_knee", (-0.05, -0.15, 0.0), "out"),
    "ankle": Landmark("{side}_knee_end", (0.03, 0.02, 0.02), "out"),
    "heel": Landmark("{side}_ankle", (0.0, -0.05, -0.06), "out"),
    "foot": Landmark("{side}_ankle", (0.0, -0.02, 0.09), "out"),
    "toes": Landmark("{side}_ankle", (0.0, -0.06, 0.19), "out", 0.07),
    # places in the air, relative to the chest
    "in_front_of_face": Landmark("neck", (0.0, 0.16, 0.35), "down + 0.5 out"),
    "in_front_of_chest": Landmark("spine3", (0.0, 0.03, 0.31), "out + 0.7 down"),
    "in_front_of_belly": Landmark("spine1", (0.0, 0.03, 0.28), "out + 0.5 down"),
    "in_front_of_groin": Landmark("pelvis", (0.0, -0.08, 0.20), "out + 0.5 back"),
    "above_head": Landmark("neck", (0.0, 0.46, 0.04), "out + 0.3 forward"),
    "behind_back": Landmark("pelvis", (0.0, 0.03, -0.20), "out + back"),
    "behind_hips": Landmark("pelvis", (0.0, -0.10, -0.22), "out + back"),
    "beside_head": Landmark("chest_side", (0.42, 0.35, 0.10), "down + 0.3 out"),
    "beside_shoulder": Landmark("chest_side", (0.30, 0.15, 0.18), "down + 0.3 out"),
    # places on the floor; offsets from the point under the named part, in the level frame
    "floor_below": Landmark("floor", (0.0, 0.07, 0.0), "back + 0.3 out", 0.0),  # under the shoulder
    "floor_front": Landmark("floor", (0.0, 0.07, 0.25), "back + 0.3 out", 0.0),  # before the shoulder
    "floor_side": Landmark("floor", (0.30, 0.07, 0.0), "out + back", 0.0),  # beside the shoulder
    "floor_behind": Landmark("floor", (0.08, 0.07, -0.30), "back + 0.3 out", 0.0),  # behind the shoulder
    "seat_side": Landmark("pelvis_side", (0.22, -0.06, 0.0), "back + 0.5 out", 0.0),  # seat or floor beside the hip
}
