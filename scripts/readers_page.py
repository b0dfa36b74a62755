"""Write docs/readers.md: the published data sets that can be read, from their readers. Run it after changing one.

python scripts/readers_page.py
"""

from pathlib import Path

from pose_rft.data.readers.registry import READERS

PAGE = Path(__file__).parents[1] / "docs" / "readers.md"
HEADER = """# Published data sets

`scripts/readers_page.py` writes this page. The field's data sets are read from the files that their owners publish,
once you have them: none is bundled, none is downloaded, and their licences are yours to keep. A name and a folder are
a source of `sft`, `rft` and `retrieval train`, beside [your own data](your_data.md) and the built-in mixture, with
all that holds for a source: weights, splits, reading when drawn, going on at the same sample.

```yaml
data:
  sources:
    - {name: posescript, path: /data/posescript, weight: 2}
    - {name: 3dpw, path: /data/3DPW}
    - {name: builtin}
```

What a folder has, what is missing in it, where that comes from and under which licence, and whether its lines are
sound (a thousand of them are read):

    pose-rft data check posescript /data/posescript --picture posescript.png

A policy is judged on such a set by its name and folder, on the set's own test split (`--split dev` or `all` for
others), and by a [protocol](protocols.md) where there is one for it; `3dpw` and `emdb` tell the shape and gender that
protocols measure against:

    pose-rft evaluate --data 3dpw:/data/3DPW --protocol 3dpw-14 --smpl ~/smpl --out 3dpw.json

- **Frames.** Poses that come with a picture are in the picture's frame (x right, y up, z towards the viewer), all
  others stand with y up and face +z.
- **Boxes** say who is meant where a picture shows several people.
- **Pickles** are never opened, as they can run code. The error prints a command that makes npz files of them, for
  those who trust them.
- **Memory.** Arrays that `np.savez` wrote and large JSON files stay on disk; of compressed arrays the last sixteen
  are kept, so a recording of AMASS is read whole for each line from another one. Pictures are read when they are
  drawn.
- **Pictures** need a policy that reads them, and `retrieval train` refuses them; LLaVA's show more than people, which
  an encoder of people refuses.
- **The free recordings**, CMU's, make a file for `data.mocap`, which the built-in mixture describes in many ways:
  `pose-rft data recordings cmu /data/cmu --out cmu_poses.npz` (`bvh` too). How exact their poses are:
  `src/pose_rft/data/readers/cmu.py`.

The first lines of each reader (`src/pose_rft/data/readers/`) say by which public code or text each key, unit and
frame is known. The files themselves were not at hand: readers are tested on small files that the tests write, and
what no public source confirms is told below.

"""


def readers_page() -> str:
    """The page as Markdown."""
    table = ["| name | data set | a line is | licence |", "|---|---|---|---|"]
    table += [f"| `{name}` | {each.title} | {each.gives} | {each.licence} |" for name, each in READERS.items()]
    sections = [_section(name) for name in READERS]
    return HEADER + "\n".join(table) + "\n\n" + "\n".join(sections)


def _section(name: str) -> str:
    """Where a data set is from, what its folder holds and what is unconfirmed."""
    reader = READERS[name]
    lines = [f"## {name}", "", f"From {reader.home}. The folder holds", ""]
    for needed in reader.holds:
        lines.append(f"- `{needed.pattern}`: {needed.what}")
    if reader.pickles:
        lines += ["", f"Published as pickles, `{reader.pickles.pattern}`, which are converted first."]
    if reader.unconfirmed:
        lines += ["", f"Unconfirmed: {'; '.join(reader.unconfirmed)}."]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(readers_page(), encoding="utf-8")
    print(PAGE)
