"""Names of Hugging Face where there is no network: refused at once, whatever the network does instead of answering."""

import socket
import time

import httpx2
import pytest

from pose_rft.errors import UserError
from pose_rft.hf import downloaded, loading
from pose_rft.policy.backbone import load_backbone
from pose_rft.policy.checkpoint import find_checkpoint
from pose_rft.vision.vit import load_vit

NOBODY = "nobody/nothing-here"


@pytest.fixture(params=["no name", "no answer"])
def offline(request, monkeypatch):
    """A hub whose name is not known, and one that takes a connection and never answers."""
    monkeypatch.delenv("HF_HUB_ETAG_TIMEOUT", raising=False)
    if request.param == "no name":
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "https://hub.invalid")
        yield
        return
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        yield


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("load", [load_backbone, load_vit])
def test_a_name_that_is_not_there_is_refused_at_once_where_there_is_no_network(load):
    began = time.monotonic()
    with pytest.raises(UserError, match=rf"{NOBODY}'.* is out of reach, and it is not in the cache\)$") as refused:
        load(NOBODY)
    assert time.monotonic() - began < 3  # not minutes; a second, and what a busy machine adds
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("offline")
def test_a_checkpoint_that_is_not_there_is_missed_at_once_where_there_is_no_network():
    began = time.monotonic()
    assert find_checkpoint(NOBODY) is None  # so that it is tried as a backbone's name
    assert downloaded(NOBODY, ["policy.json"]) is None
    assert time.monotonic() - began < 5


def test_a_hub_that_answers_is_asked(monkeypatch):
    answers = httpx2.Client(transport=httpx2.MockTransport(lambda request: httpx2.Response(404)))
    monkeypatch.setattr("pose_rft.hf.get_session", lambda: answers)
    with loading(NOBODY, "") as local_files_only:
        assert not local_files_only


def test_a_directory_is_loaded_without_asking_anybody(monkeypatch, tmp_path):
    monkeypatch.setattr("pose_rft.hf.get_session", lambda: pytest.fail("asked the hub"))
    with loading(str(tmp_path), "") as local_files_only:
        assert local_files_only
