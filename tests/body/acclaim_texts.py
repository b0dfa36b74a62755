"""A skeleton and motions as CMU publishes them, made up: what tests of their reader share."""

BONES = (  # parent, name, direction, axis, degrees of freedom: CMU's skeletons
    "root lhipjoint 0.65,-0.71,0.25 0,0,0 -", "lhipjoint lfemur 0.342,-0.94,0 0,0,20 rx,ry,rz",
    "lfemur ltibia 0.342,-0.94,0 0,0,20 rx", "ltibia lfoot 0.089,-0.244,0.966 -90,0,20 rx,rz",
    "lfoot ltoes 0,0,1 -90,0,20 rx", "root rhipjoint -0.65,-0.71,0.25 0,0,0 -",
    "rhipjoint rfemur -0.342,-0.94,0 0,0,-20 rx,ry,rz", "rfemur rtibia -0.342,-0.94,0 0,0,-20 rx",
    "rtibia rfoot -0.089,-0.244,0.966 -90,0,-20 rx,rz", "rfoot rtoes 0,0,1 -90,0,-20 rx",
    "root lowerback 0,1,0 0,0,0 rx,ry,rz", "lowerback upperback 0,1,0 0,0,0 rx,ry,rz",
    "upperback thorax 0,1,0 0,0,0 rx,ry,rz", "thorax lowerneck 0,1,0 0,0,0 rx,ry,rz",
    "lowerneck upperneck 0,1,0 0,0,0 rx,ry,rz", "upperneck head 0,1,0 0,0,0 rx,ry,rz",
    "thorax lclavicle 0.97,0.25,0 0,0,0 ry,rz", "lclavicle lhumerus 1,0,0 180,-30,-90 rx,ry,rz",
    "lhumerus lradius 1,0,0 180,-30,-90 rx", "lradius lwrist 1,0,0 0,90,90 ry", "lwrist lhand 1,0,0 0,90,90 rx,rz",
    "thorax rclavicle -0.97,0.25,0 0,0,0 ry,rz", "rclavicle rhumerus -1,0,0 180,30,90 rx,ry,rz",
    "rhumerus rradius -1,0,0 180,30,90 rx", "rradius rwrist -1,0,0 0,-90,-90 ry", "rwrist rhand -1,0,0 0,-90,-90 rx,rz",
)  # fmt: skip


def asf_text() -> str:
    bones = [bone.split() for bone in BONES]
    lines = [
        ":version 1.10",
        ":name VICON",
        ":units",
        "  length 0.45",
        "  angle deg",
        ":root",
        "   order TX TY TZ RX RY RZ",
    ]
    lines += ["   axis XYZ", "   position 0 0 0", "   orientation 0 0 0", ":bonedata"]
    for number, (_, name, direction, axis, dof) in enumerate(bones):
        moves = [f"    dof {dof.replace(',', ' ')}", "    limits (-60.0 90.0)"] if dof != "-" else []
        lines += [
            "  begin",
            f"     id {number + 1}",
            f"     name {name}",
            f"     direction {direction.replace(',', ' ')}",
        ]
        lines += ["     length 2.0", f"     axis {axis.replace(',', ' ')}  XYZ", *moves, "  end"]
    return "\n".join([*lines, ":hierarchy", "  begin", *[f"    {bone[0]} {bone[1]}" for bone in bones], "  end", ""])


def amc_text(frames: int, **angles: tuple[float, ...]) -> str:
    """A motion in which some bones have the same angles in every frame and all others none."""
    lines = ["#!OML:ASF 07.ASF", ":FULLY-SPECIFIED", ":DEGREES"]
    for frame in range(frames):
        lines += [str(frame + 1), "root " + " ".join(map(str, angles.get("root", (0,) * 6)))]
        for _, name, _, _, dof in map(str.split, BONES):
            if dof != "-":
                lines.append(f"{name} " + " ".join(map(str, angles.get(name, (0,) * len(dof.split(","))))))
    return "\n".join(lines) + "\n"
