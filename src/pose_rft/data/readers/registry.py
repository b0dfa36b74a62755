"""The published data sets that can be read, by the names that configs and ``pose-rft data check`` have for them."""

from pathlib import Path

from pose_rft.data.readers import (
    aistpp,
    amass,
    bedlam,
    bvh,
    cmu,
    emdb,
    four_d_humans,
    h36m,
    llava,
    mpi_inf_3dhp,
    posefix,
    posescript,
    rpe,
    threedpw,
)
from pose_rft.data.readers.published import PublishedRows, Reader
from pose_rft.errors import UserError

READERS: dict[str, Reader] = {
    "posescript": posescript.HUMAN,
    "posescript_auto": posescript.AUTOMATIC,
    "posefix": posefix.HUMAN,
    "posefix_auto": posefix.AUTOMATIC,
    "amass": amass.READER,
    "3dpw": threedpw.READER,
    "h36m": h36m.READER,
    "mpi_inf_3dhp": mpi_inf_3dhp.READER,
    "4d_humans": four_d_humans.READER,
    "emdb": emdb.READER,
    "bedlam": bedlam.READER,
    "aist++": aistpp.READER,
    "cmu": cmu.READER,
    "bvh": bvh.READER,
    "llava": llava.READER,
    "rpe": rpe.READER,
}


def open_published(name: str, folder: str | Path) -> PublishedRows:
    """The rows of a published data set.

    Raises:
        UserError: no data set of that name, or as ``Reader.open``.
    """
    return reader_of(name).open(folder)


def reader_of(name: str) -> Reader:
    """The reader of a name.

    Raises:
        UserError: there is none.
    """
    if name not in READERS:
        raise UserError(f"name: no data set is called {name!r}; there are {', '.join(READERS)}, and builtin")
    return READERS[name]
