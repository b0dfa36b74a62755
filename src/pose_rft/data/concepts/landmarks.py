"""Places on and around the body where hands and feet go, each in the frame of the joint it moves with."""

from dataclasses import dataclass

from pose_rft.storage import package_table


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


LANDMARKS = {
    name: Landmark(**entry | {"offset": tuple(entry["offset"])})
    for name, entry in package_table(__package__, "landmarks.yaml").items()
}
