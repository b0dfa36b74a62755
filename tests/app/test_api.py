"""POST /v1/poses and GET /healthz: what they give, and how they refuse."""

import base64
import io
import json
import threading
from urllib.parse import quote

import numpy as np
import pygltflib
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pose_rft.app.api import without_paths
from pose_rft.app.limits import Limits
from pose_rft.body.load import load_body

PICTURE = io.BytesIO()
Image.new("RGB", (32, 32), "grey").save(PICTURE, format="PNG")
PICTURE_64 = base64.b64encode(PICTURE.getvalue()).decode()


def test_every_sample_has_words_rotations_and_joints_that_agree(client):
    answer = client.post("/v1/poses", json={"prompt": "wave", "num_samples": 3, "seed": 1})
    assert answer.status_code == 200, answer.text
    samples = answer.json()["samples"]
    assert [(s["text"], s["valid"]) for s in samples] == [("Done <POSE>.", True)] * 3
    for sample in samples:
        pose = np.array([sample["smpl"]["global_orient"], *sample["smpl"]["body_pose"]])
        assert pose.shape == (22, 3)
        expected = load_body().joints(_tensor(pose)).numpy()
        np.testing.assert_allclose(sample["joints"], expected, atol=1e-4)
        assert sample["logp_text"] <= 0
        assert isinstance(sample["logp_pose"], float)
        assert sample["files"] == {}
    assert samples[0]["joints"] != samples[1]["joints"]


def _tensor(array):
    import torch

    return torch.from_numpy(array).float()


def test_an_answer_is_the_policys_own(client, talking_policy):
    samples = client.post("/v1/poses", json={"prompt": "wave", "num_samples": 2, "seed": 9}).json()["samples"]
    for sample, answer in zip(samples, talking_policy.generate(["wave"], num_samples=2, seed=9)[0], strict=True):
        np.testing.assert_allclose(sample["joints"], answer.pose.joints(), atol=1e-4)
        assert sample["logp_pose"] == pytest.approx(answer.logp_pose, abs=1e-2)


def test_an_edit_changes_what_its_words_say_and_nothing_else(client):
    given = {"global_orient": [0.0, 0.0, 0.0], "body_pose": [[0.0, 0.0, 0.0]] * 21}
    answer = client.post(
        "/v1/edits", json={"pose": given, "instruction": "bend the right knee 30 degrees like a heron"}
    )
    assert answer.status_code == 200, answer.text
    (sample,) = answer.json()["samples"]
    turned = np.degrees(np.linalg.norm(sample["smpl"]["body_pose"], axis=1))
    assert turned[4] == pytest.approx(30, abs=2)  # the right knee; hip and ankle keep the foot on the floor
    assert (turned[[0, 2, 3, *range(11, 21)]] == 0).all()
    assert "like heron" in sample["text"]


REST = {"global_orient": [0.0, 0.0, 0.0], "body_pose": [[0.0, 0.0, 0.0]] * 21}
KNEE_BENT = REST | {"body_pose": [[1.2 * (joint == 4), 0.0, 0.0] for joint in range(21)]}  # the right one


def test_a_description_says_what_is_so_and_answers_a_question(client):
    asked = {"pose": KNEE_BENT, "num_samples": 2, "question": "Which knee is bent more?"}
    answer = client.post("/v1/describe", json=asked)
    assert answer.status_code == 200, answer.text
    assert answer.json()["answer"] == "The right knee is bent more."
    for sample in answer.json()["samples"]:
        assert sample["text"]
        assert len(sample["checks"]) == len(sample["posecodes"]) > 0
    unanswered = client.post("/v1/describe", json=asked | {"question": "What is her name?"})
    assert unanswered.json()["answer"] is None
    assert unanswered.json()["samples"] == answer.json()["samples"]


def test_the_change_from_one_pose_to_another_can_be_followed(client):
    answer = client.post("/v1/compare", json={"before": REST, "after": KNEE_BENT, "style": "short"})
    assert answer.status_code == 200, answer.text
    (sample,) = answer.json()["samples"]
    assert "right" in sample["text"]
    assert sample["checks"] or sample["changes"]
    followed = client.post("/v1/edits", json={"pose": REST, "instruction": sample["text"]}).json()["samples"][0]
    assert abs(followed["smpl"]["body_pose"][4][0]) > 0.2  # the knee is bent, radians


@pytest.mark.parametrize("pose", [{"global_orient": [0.0] * 3, "body_pose": [[0.0], [0.0, 1.0]]}, {"body_pose": []}])
def test_an_edit_of_no_pose_is_refused_in_one_line(client, pose):
    requests = {"edits": {"instruction": "sit down", "pose": pose}, "describe": {"pose": pose}}
    for path, asked in (requests | {"compare": {"before": REST, "after": pose}}).items():
        answer = client.post(f"/v1/{path}", json=asked)
        assert answer.status_code == 422
        assert "\n" not in answer.json()["detail"]


def test_files_come_as_base64_that_other_software_reads(client, tmp_path):
    question = {"prompt": "wave", "format": ["glb", "bvh", "npz"]}
    files = client.post("/v1/poses", json=question).json()["samples"][0]["files"]
    content = {suffix: base64.b64decode(text) for suffix, text in files.items()}
    assert content.keys() == {"glb", "bvh", "npz"}
    (tmp_path / "pose.glb").write_bytes(content["glb"])
    assert len(pygltflib.GLTF2().load(str(tmp_path / "pose.glb")).skins[0].joints) == 22
    assert content["bvh"].startswith(b"HIERARCHY")
    with np.load(io.BytesIO(content["npz"])) as data:
        assert data["poses"].shape == (1, 156)


def test_a_form_is_answered_as_json_is(client):
    form = client.post(
        "/v1/poses", files=[("prompt", (None, "wave")), ("seed", (None, "4")), ("format", (None, "bvh"))]
    )
    assert form.status_code == 200, form.text
    assert form.json() == client.post("/v1/poses", json={"prompt": "wave", "seed": 4, "format": ["bvh"]}).json()


def test_an_answer_without_a_pose_says_so(client_of, patient_policy):
    patient_policy.go.set()
    sample = client_of(patient_policy).post("/v1/poses", json={"prompt": "a", "format": ["glb"]}).json()["samples"][0]
    assert (sample["valid"], sample["smpl"], sample["joints"], sample["logp_pose"]) == (False, None, None, None)
    assert sample["files"] == {}


def test_a_policy_that_reads_no_pictures_says_so_of_json_and_of_forms(client):
    as_json = client.post("/v1/poses", json={"prompt": "this", "image": PICTURE_64})
    as_form = client.post("/v1/poses", files={"image": ("me.png", PICTURE.getvalue(), "image/png")})
    for answer in (as_json, as_form):
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("images: this policy answers texts only")


def test_a_picture_reaches_the_policy_in_rgb_with_the_words(client_of, patient_policy):
    seen = []

    def generate(prompts, images, **rest):
        seen.append((prompts, [image.size for image in images], images[0].mode))
        return inner(prompts, images, **rest)

    inner = patient_policy.generate
    patient_policy.generate = generate
    patient_policy.go.set()
    client = client_of(patient_policy)
    client.post("/v1/poses", json={"prompt": "this one", "image": PICTURE_64})
    client.post("/v1/poses", json={"image": PICTURE_64})
    assert seen[0] == (["this one"], [(32, 32)], "RGB")
    assert seen[1][0] == ["What pose is the person in the picture in?"]


MISTAKES = {
    "nothing": (b"", "application/json", 400, "Invalid JSON"),
    "not JSON": (b"{", "application/json", 400, "Invalid JSON"),
    "a list": (b"[]", "application/json", 422, "should be an object"),
    "no prompt": (b"{}", "application/json", 422, "prompt: say what pose you want, or send an image"),
    "blanks": (b'{"prompt": "  "}', "application/json", 422, "say what pose you want"),
    "a long prompt": (json.dumps({"prompt": "a" * 2001}).encode(), "application/json", 422, "at most 2000 characters"),
    "half a character": (b'{"prompt": "\\ud800"}', "application/json", 400, "Invalid JSON"),
    "too many samples": (b'{"prompt": "a", "num_samples": 17}', "application/json", 422, "num_samples: "),
    "no samples": (b'{"prompt": "a", "num_samples": 0}', "application/json", 422, "num_samples: "),
    "half a sample": (b'{"prompt": "a", "num_samples": 1.5}', "application/json", 422, "num_samples: "),
    "cold": (b'{"prompt": "a", "temperature": -1}', "application/json", 422, "temperature: "),
    "NaN": (b'{"prompt": "a", "temperature": NaN}', "application/json", 422, "temperature: "),
    "a huge seed": (b'{"prompt": "a", "seed": 1e400}', "application/json", 422, "seed: "),
    "unknown format": (b'{"prompt": "a", "format": ["fbx"]}', "application/json", 422, "'glb', 'bvh' or 'npz'"),
    "unknown field": (b'{"prompt": "a", "file": "/etc/passwd"}', "application/json", 422, "file: Extra inputs"),
    "not base64": (b'{"prompt": "a", "image": "?"}', "application/json", 422, "image: not base64"),
    "no picture": (b'{"prompt": "a", "image": "aGVsbG8="}', "application/json", 422, "the image: not a picture"),
    "a path as picture": (b'{"image": "/etc/passwd"}', "application/json", 422, "image: "),
    "plain text": (b"wave", "text/plain", 415, "send application/json or multipart/form-data"),
    "a form without boundary": (b"--x", "multipart/form-data", 400, ""),
    "a broken form": (b"--x\r\nnonsense", "multipart/form-data; boundary=x", 422, "say what pose you want"),
    "a form with an unknown field": (
        b'--x\r\nContent-Disposition: form-data; name="who"\r\n\r\nme\r\n--x--\r\n',
        "multipart/form-data; boundary=x", 422, "who: Extra inputs"),
    "a form with half a number": (
        b'--x\r\nContent-Disposition: form-data; name="seed"\r\n\r\n1.5\r\n--x--\r\n',
        "multipart/form-data; boundary=x", 422, "seed: "),
}  # fmt: skip


@pytest.mark.parametrize(("body", "kind", "status", "reason"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_has_a_status_and_one_line_that_says_what(client, body, kind, status, reason):
    answer = client.post("/v1/poses", content=body, headers={"content-type": kind})
    assert answer.status_code == status, answer.text
    detail = answer.json()["detail"]
    assert reason in detail
    assert "\n" not in detail
    assert "/" not in detail.replace("application/json", "").replace("multipart/form-data", "")


def test_bodies_and_pictures_that_are_too_large_are_refused(client_of, talking_policy, monkeypatch):
    client = client_of(talking_policy, Limits(body_bytes=10_000))
    declared = client.post("/v1/poses", content=b"x" * 10_001, headers={"content-type": "application/json"})
    streamed = client.post(
        "/v1/poses", content=(b"x" * 4000 for _ in range(3)), headers={"content-type": "application/json"}
    )
    assert (declared.status_code, streamed.status_code) == (413, 413)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    pixels = client.post("/v1/poses", json={"image": PICTURE_64})
    assert pixels.status_code == 413
    assert "the image: more than 1,000 pixels" in pixels.json()["detail"]


ENCODINGS = {
    "plain": PICTURE_64,
    "wrapped": "\n".join(PICTURE_64[i : i + 76] for i in range(0, len(PICTURE_64), 76)) + "\r\n",
    "unpadded": PICTURE_64.rstrip("="),
    "of the other alphabet": PICTURE_64.replace("+", "-").replace("/", "_"),
    "a data URL": f"data:image/png;base64,{PICTURE_64}",
    "a data URL with escapes": f"data:image/png;base64,{quote(PICTURE_64, safe='')}",
}


@pytest.mark.parametrize("image", ENCODINGS.values(), ids=ENCODINGS)
def test_a_picture_is_read_however_its_base64_is_written(client_of, patient_policy, image):
    patient_policy.go.set()
    client = client_of(patient_policy)
    as_json = client.post("/v1/poses", json={"prompt": "this", "image": image})
    as_form = client.post("/v1/poses", files=[("prompt", (None, "this")), ("image", (None, image))])
    assert (as_json.status_code, as_form.status_code) == (200, 200), as_json.text + as_form.text


def test_a_data_url_without_base64_is_told_so(client):
    answer = client.post("/v1/poses", json={"prompt": "a", "image": "data:image/png,%89PNG"})
    assert answer.status_code == 422
    assert "without ';base64'" in answer.json()["detail"]


def test_fields_of_a_form_that_were_left_empty_say_nothing(client):
    fields = ["num_samples", "temperature", "seed", "words", "format", "box"]
    form = [("prompt", (None, "wave")), *((name, (None, "")) for name in fields), ("image", ("", b""))]
    answer = client.post("/v1/poses", files=form)
    assert answer.status_code == 200, answer.text
    assert answer.json() == client.post("/v1/poses", json={"prompt": "wave"}).json()


@pytest.mark.parametrize("formats", [["glb,bvh"], ["glb, bvh"], ["GLB", "bvh"], ["glb", "bvh", "glb", "bvh", "glb"]])
def test_formats_may_stand_in_one_field_of_a_form_or_in_several(client, formats):
    form = [("prompt", (None, "wave")), *(("format", (None, each)) for each in formats)]
    answer = client.post("/v1/poses", files=form)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()["samples"][0]["files"]) == {"glb", "bvh"}


def test_a_list_of_formats_may_be_one_text_in_json(client):
    answer = client.post("/v1/poses", json={"prompt": "wave", "format": "glb,bvh"})
    assert set(answer.json()["samples"][0]["files"]) == {"glb", "bvh"}


def test_a_box_reaches_the_policy_from_json_and_from_a_form(client_of, patient_policy):
    patient_policy.go.set()
    client = client_of(patient_policy)
    client.post("/v1/poses", json={"image": PICTURE_64, "box": [1, 2.5, 30, 31]})
    assert patient_policy.boxes == [(1.0, 2.5, 30.0, 31.0)]
    client.post("/v1/poses", data={"box": "3, 4,20,30"}, files={"image": ("a.png", PICTURE.getvalue())})
    assert patient_policy.boxes == [(3.0, 4.0, 20.0, 30.0)]


@pytest.mark.parametrize("box", [[1, 2, 3], "1,2,3,x", "", [1, 2, 3, None], [1, 2, 3, 4, 5]])
def test_what_is_no_box_is_told_so(client, box):
    answer = client.post("/v1/poses", json={"prompt": "a", "image": PICTURE_64, "box": box})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("box")


def test_a_box_needs_a_picture(client):
    answer = client.post("/v1/poses", json={"prompt": "a", "box": [1, 2, 3, 4]})
    assert (answer.status_code, answer.json()["detail"]) == (422, "box: goes with an image; send that too")


def test_a_prompt_of_too_many_tokens_is_refused_whatever_its_characters(client_of, talking_policy):
    client = client_of(talking_policy, Limits(prompt_tokens=100))  # of single bytes: an emoji is four
    assert client.post("/v1/poses", json={"prompt": "a" * 100}).status_code == 200
    refused = client.post("/v1/poses", json={"prompt": "\N{DANCER}" * 30})
    assert refused.status_code == 422
    assert refused.json()["detail"] == "prompt: 120 tokens, at most 100; say it in fewer words"


def test_a_form_of_many_parts_is_refused(client):
    parts = [("prompt", (None, "wave")) for _ in range(10_000)]
    answer = client.post("/v1/poses", files=parts)
    assert answer.status_code == 400
    assert "Too many" in answer.json()["detail"]


def test_a_note_stands_beside_an_answer(client):
    asked = {"two people dancing": "one person's pose", "wave": ""}
    for prompt, note in asked.items():
        [sample] = client.post("/v1/poses", json={"prompt": prompt}).json()["samples"]
        assert sample["text"] == "Done <POSE>."
        assert note in sample["note"]
        assert bool(sample["note"]) == bool(note)
        assert sample["box"] is None


def test_a_full_queue_asks_to_come_back_later(client_of, patient_policy):
    client = client_of(patient_policy, Limits(waiting=0))
    answer = client.post("/v1/poses", json={"prompt": "wave"})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["detail"] == "too many questions are waiting; ask again in 1 s"


def test_an_answer_that_takes_too_long_is_given_up(client_of, patient_policy):
    client = client_of(patient_policy, Limits(answer_seconds=0.05))
    answer = client.post("/v1/poses", json={"prompt": "wave"})
    assert answer.status_code == 504
    assert answer.json() == {"detail": "no answer within 0.05 s; ask again later"}
    patient_policy.go.set()
    assert client.post("/v1/poses", json={"prompt": "wave"}).status_code in (200, 504)  # the server lives on


def test_what_breaks_inside_is_not_told_to_the_client(client_of, patient_policy):
    patient_policy.error["boom"] = RuntimeError("secret of /srv/models/policy.bin")
    patient_policy.go.set()
    client = client_of(patient_policy)
    answer = client.post("/v1/poses", json={"prompt": "boom"})
    assert answer.status_code == 500
    assert answer.json() == {"detail": "the server failed to answer this; its log says why"}
    assert client.post("/v1/poses", json={"prompt": "wave"}).status_code == 200


def test_places_on_the_servers_disk_are_left_out_of_reasons():
    assert without_paths("/srv/a b.bin: no such file") == "[...] b.bin: no such file"
    assert without_paths("made for '/root/x/y', not C:\\x and ~/z") == "made for '[...]', not [...] and [...]"
    assert without_paths("either/or, 1/2") == "either/or, 1/2"


def test_concurrent_questions_share_calls_and_get_their_own_answers(client_of, patient_policy):
    client = client_of(patient_policy)
    texts: dict[str, str] = {}

    def ask(prompt: str) -> None:
        texts[prompt] = client.post("/v1/poses", json={"prompt": prompt}).json()["samples"][0]["text"]

    threads = [threading.Thread(target=ask, args=(f"p{n}",)) for n in range(9)]
    threads[0].start()
    assert patient_policy.started.wait(20)
    for thread in threads[1:]:
        thread.start()
    for _ in range(2000):
        if client.get("/healthz").json()["waiting"] == 8:
            break
    patient_policy.go.set()
    for thread in threads:
        thread.join(20)
    assert texts == {f"p{n}": f"p{n}" for n in range(9)}
    assert [len(call) for call in patient_policy.calls] == [1, 8]


def test_health_says_ok_and_how_many_wait(client):
    assert client.get("/healthz").json() == {"status": "ok", "waiting": 0}


def test_health_says_when_no_more_questions_are_taken(client_of, patient_policy):
    client = client_of(patient_policy)
    client.app.state.worker.close()
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (503, "closing")
    assert client.post("/v1/poses", json={"prompt": "wave"}).status_code == 503


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/poses"), ("DELETE", "/v1/poses"), ("POST", "/healthz")])
def test_other_methods_are_told_which_one_is_meant(client, method, path):
    answer = client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == ("POST" if path == "/v1/poses" else "GET, HEAD")


def test_the_description_is_complete_and_loads_nothing_from_elsewhere(client):
    description = client.get("/openapi.json").json()
    assert set(description["paths"]) == {"/v1/poses", "/v1/edits", "/v1/describe", "/v1/compare", "/healthz"}
    post = description["paths"]["/v1/poses"]["post"]
    assert set(post["requestBody"]["content"]) == {"application/json", "multipart/form-data"}
    assert {"200", "400", "401", "413", "415", "422", "503", "504"} <= set(post["responses"])
    page = client.get("/docs")
    assert page.status_code == 200
    assert "http" not in page.text.replace("http-equiv", "")
    assert "default-src 'self'" in page.headers["content-security-policy"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=4,
)
FIELDS = st.sampled_from(["prompt", "image", "num_samples", "temperature", "seed", "format"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(FIELDS, VALUES) | VALUES)
def test_no_json_makes_the_server_fail(client, question):
    body = json.dumps(question)
    answer = client.post("/v1/poses", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 400, 422), (body, answer.text)
