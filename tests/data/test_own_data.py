"""One's own data: what a line may be, what is wrong with one, and that lines are read when they are asked for."""

import json
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from pose_rft.body.pose_files import write_amass
from pose_rft.data.readers.own_data import open_own_data
from pose_rft.data.readers.pairs import conversation_prompt
from pose_rft.data.sample import SHORT_ANSWER
from pose_rft.errors import UserError

REST = np.zeros((22, 3)).tolist()
BENT = np.full((22, 3), 0.25).tolist()


@pytest.fixture
def write(tmp_path):
    """Write lines, objects or texts, into a file, and give its path."""

    def write(*lines, name="pairs.jsonl"):
        path = tmp_path / name
        text = "\n".join(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines)
        path.write_text(text + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def photograph(tmp_path):
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (64, 48), "red").save(tmp_path / "photos" / "one.jpg")
    return "photos/one.jpg"


def only(path, use="train", turn=0):
    data = open_own_data(path, use)
    assert len(data) == 1
    return data.sample(0, turn)


# ---- what a line may be ----


def test_a_pose_without_an_answer_gets_the_short_one(write):
    sample = only(write({"prompt": "rest", "pose": BENT, "checks": ["angle(left_knee) > 160"]}))
    assert (sample.prompt, sample.answer, sample.task) == ("rest", SHORT_ANSWER, "text_to_pose")
    assert sample.checks == ("angle(left_knee) > 160",)
    assert sample.pose.shape == (22, 3)
    assert sample.pose.dtype == np.float32
    assert (sample.pose == 0.25).all()
    assert sample.source.endswith("pairs.jsonl, line 1")


@pytest.mark.parametrize(
    ("fields", "task"),
    [
        ({"pose": REST}, "text_to_pose"),
        ({}, "text_to_pose"),
        ({"answer": "Hello."}, "chat"),
        ({"pose": REST, "image": "photos/one.jpg"}, "image_to_pose"),
        ({"image": "photos/one.jpg"}, "image_to_pose"),
        ({"answer": "Two.", "image": "photos/one.jpg"}, "image_question"),
    ],
)
def test_what_a_line_has_says_what_it_asks_for(write, photograph, fields, task):
    if "image" in fields:
        fields = fields | {"box": [1, 2, 30, 40]}
    sample = only(write({"prompt": "so", "other": 1, "split": None} | fields))
    assert sample.box == ((1, 2, 30, 40) if "image" in fields else None)
    assert sample.task == task
    assert (sample.image is not None) == ("image" in fields)


def test_a_pose_in_a_file_is_the_row_of_it_with_y_up(write, tmp_path):
    poses = np.zeros((3, 22, 3), np.float32)
    poses[2, 18] = (0, 1.5, 0)
    np.savez(tmp_path / "mine.npz", pose=poses)
    (tmp_path / "amass").mkdir()
    write_amass(tmp_path / "amass" / "walk.npz", poses)  # says that y is up
    z_up = poses.copy()
    z_up[:, 0] = (np.pi / 2, 0, 0)  # as AMASS's own files stand
    np.savez(tmp_path / "amass" / "z.npz", poses=np.concatenate([z_up.reshape(3, 66), np.zeros((3, 90))], axis=1))
    for name in ("mine.npz", "amass/walk.npz", "amass/z.npz"):
        sample = only(write({"prompt": "a", "pose": f"{name}#2"}))
        np.testing.assert_allclose(sample.pose, poses[2], atol=1e-5)
    np.savez(tmp_path / "one.npz", pose=poses[2:])
    np.testing.assert_array_equal(only(write({"prompt": "a", "pose": "one.npz"})).pose, poses[2])


def test_blank_lines_a_byte_order_mark_and_windows_line_ends_are_no_damage(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"prompt": "a"}\r\n\r\n   \r\n{"prompt": "b\xc3\xa9"}')
    data = open_own_data(path)
    assert [data.sample(row).prompt for row in range(len(data))] == ["a", "bé"]
    assert data.place(1).endswith("line 4")


def test_each_use_takes_its_own_lines_and_training_those_that_say_nothing(write):
    names = [None, "train", "dev", "validation", "test", "val"]
    path = write(*[{"prompt": str(n)} | ({"split": name} if name else {}) for n, name in enumerate(names)])

    def prompts(use):
        data = open_own_data(path, use)
        return [data.sample(row).prompt for row in range(len(data))]

    assert prompts("train") == ["0", "1"]
    assert prompts("dev") == ["2", "3", "5"]
    assert prompts("test") == ["4"]
    assert prompts("all") == list("012345")


def test_words_about_splits_are_no_split(write):
    path = write({"prompt": 'He said "split": "test" to her'}, {"prompt": "the split", "answer": 'a "split": "dev"'})
    assert len(open_own_data(path)) == 2


# ---- conversations ----


def test_a_conversation_of_llava_is_read(write, photograph):
    said = [
        {"from": "human", "value": "<image>\nWhat is he doing?"},
        {"from": "gpt", "value": "He jumps."},
        {"from": "human", "value": "And the pose?"},
        {"from": "gpt", "value": "Here: <POSE>."},
    ]
    path = write({"id": "1", "image": photograph, "conversations": said, "pose": BENT, "checks": ["lean() < 90"]})
    first, second = only(path, turn=0), only(path, turn=1)
    assert (first.prompt, first.answer, first.pose, first.checks) == ("What is he doing?", "He jumps.", None, ())
    assert second.prompt == "User: What is he doing?\nAssistant: He jumps.\nUser: And the pose?"
    assert (second.answer, second.task, second.checks) == ("Here: <POSE>.", "image_to_pose", ("lean() < 90",))
    assert second.pose is not None
    assert first.image == second.image
    assert only(path, turn=7).answer == second.answer  # counted around


def test_a_chat_with_a_system_and_with_parts_is_read(write, photograph):
    content = [{"type": "image", "path": photograph}, {"type": "text", "text": "his pose"}]
    said = [{"role": "system", "content": "Be short."}, {"role": "user", "content": content}]
    sample = only(write({"messages": said, "pose": REST}))
    assert (sample.prompt, sample.answer) == ("Be short.\nhis pose", SHORT_ANSWER)
    assert sample.image.name == "one.jpg"


def test_one_turn_is_the_users_words_alone():
    assert conversation_prompt([("user", "a squat")]) == "a squat"


# ---- damage ----

USER, ASSISTANT = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
VIDEO = {"type": "video"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"prompt": "a"', r"is not JSON \(Expecting ',' delimiter, column 15\)"),
        ('["a"]', "is no object"),
        ("1", "is no object"),
        ("[" * 100_000, "is not JSON"),
        ({"promt": "a"}, "prompt: is missing"),
        ({"prompt": "  "}, "prompt: must be a text"),
        ({"prompt": 3}, "prompt: must be a text"),
        ({"prompt": "a", "answer": ["b"]}, "answer: must be a text"),
        ({"prompt": "a", "answer": "Here.", "pose": REST}, "answer: has no <POSE>"),
        ({"prompt": "a", "answer": "Here: <POSE>."}, "answer: holds <POSE>, but the line has no pose"),
        ({"prompt": "a", "answer": "<POSE> <POSE>", "pose": REST}, "answer: holds <POSE> 2 times"),
        ({"prompt": "a", "pose": REST[:21]}, r"pose: has shape \(21, 3\)"),
        ({"prompt": "a", "pose": [[0, 0]] * 22}, r"pose: has shape \(22, 2\)"),
        ({"prompt": "a", "pose": [[0, 0, 0]] * 21 + [[0]]}, "pose: must be 22 rows of 3 numbers"),
        ({"prompt": "a", "pose": {"x": 1}}, "pose: must be 22 rows of 3 numbers"),
        ({"prompt": "a", "pose": [[float("nan")] * 3] * 22}, "pose: holds NaN"),
        ({"prompt": "a", "pose": [[90, 0, 0]] * 22}, "pose: turns the left_hip by 90 radians; are they degrees"),
        ({"prompt": "a", "pose": "none.npz#0"}, "pose: .*none.npz: no such file"),
        ({"prompt": "a", "pose": "two.npz#2"}, "pose: two.npz holds 2 poses, rows 0 to 1; there is no row 2"),
        ({"prompt": "a", "pose": "two.npz"}, "pose: two.npz holds 2 poses; say which"),
        ({"prompt": "a", "pose": "two.npz#last"}, "pose: 'two.npz#last' does not end with the number of a row"),
        ({"prompt": "a", "pose": "damaged.npz#0"}, "pose: .*damaged.npz: not an .npz"),
        ({"prompt": "a", "image": "gone.jpg"}, "image: no such file .*gone.jpg"),
        ({"prompt": "a", "image": "https://x.org/a.jpg"}, "image: https://x.org/a.jpg is an address"),
        ({"prompt": "a", "image": 3}, "image: must be the name of a file"),
        ({"prompt": "a", "box": [0, 0, 5, 5]}, "box: is around a person in an image, but the line has none"),
        ({"prompt": "a", "box": [0, 0, 5]}, "box: must be left, top, right, bottom"),
        ({"prompt": "a", "box": [5, 0, 5, 9]}, "box: must be left, top, right, bottom"),
        ({"prompt": "a", "box": "all"}, "box: must be left, top, right, bottom"),
        ({"prompt": "a", "checks": "lean() < 9"}, "checks: must be a list"),
        ({"prompt": "a", "checks": ["lean( < 9"]}, "checks: check 'lean"),
        ({"prompt": "a", "checks": ["height(left_thumb) > 1"]}, "checks: "),
        ({"prompt": "a", "checks": [{}]}, "checks: "),
        ({"prompt": "a", "split": "training"}, "split: is 'training'; write train, dev, test"),
        ({"prompt": "a", "split": 1}, "split: is 1"),
        ('{"prompt": "a", "\\u0073plit": "test"}', "split: is escaped"),
        ({"messages": []}, "messages: must be a list of turns"),
        ({"messages": "hello"}, "messages: must be a list of turns"),
        ({"messages": ["hello"]}, r"messages\[0\]: must be a turn"),
        ({"messages": [{"role": "tool", "content": "a"}]}, r"messages\[0\]: its role is 'tool'"),
        ({"messages": [{"role": ["user"], "content": "a"}]}, r"messages\[0\]: its role"),
        ({"messages": [{"role": "user"}]}, r"messages\[0\]: its content must be a text"),
        ({"messages": [{"role": "user", "content": " "}, ASSISTANT]}, r"messages\[0\]: says nothing"),
        ({"messages": [{"role": "user", "content": [VIDEO]}]}, r"messages\[0\]: has a part of type 'video'"),
        ({"messages": [ASSISTANT]}, "messages: are of assistant; user and assistant take turns"),
        ({"messages": [USER, USER]}, "messages: are of user, user"),
        ({"messages": [{"role": "system", "content": "a"}]}, "messages: are of system"),
        ({"messages": [USER, ASSISTANT], "prompt": "a"}, "messages: stands beside prompt"),
        ({"messages": [USER, ASSISTANT], "pose": REST}, "messages: 0 answers hold <POSE>"),
        ({"messages": [USER, {"role": "assistant", "content": "<POSE>"}]}, "answer: holds <POSE>, but"),
        ({"messages": [USER, {"role": "assistant", "content": "<POSE><POSE>"}], "pose": REST}, "<POSE> 2 times"),
        ({"messages": [{"role": "user", "content": "<image> a"}]}, "messages: show a picture, but the line has no"),
        ({"messages": [{"role": "user", "content": "<image><image>"}]}, "messages: show more than one picture"),
    ],
)  # fmt: skip
def test_a_broken_line_is_named_with_file_line_and_field(write, tmp_path, line, message):
    np.savez(tmp_path / "two.npz", pose=np.zeros((2, 22, 3), np.float32))
    (tmp_path / "damaged.npz").write_bytes(b"PK\x03\x04 and no more")
    path = write({"prompt": "good"}, "", line)
    data = open_own_data(path, "all")
    assert data.sample(0).prompt == "good"
    with pytest.raises(UserError, match=message) as raised:
        data.sample(1)
    assert str(raised.value).startswith(f"{path}, line 3: ")
    assert "\n" not in str(raised.value)


def test_bytes_that_are_no_text_are_named(tmp_path):
    path = tmp_path / "latin.jsonl"
    path.write_bytes('{"prompt": "caf\xe9"}'.encode("latin-1"))
    with pytest.raises(UserError, match="line 1: its bytes are not UTF-8"):
        open_own_data(path).sample(0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.jsonl", None, "cannot be read"),
        ("empty.jsonl", "\n\n", "holds no line"),
        ("pairs.csv", "prompt,answer\n", "is neither .jsonl nor .parquet"),
        ("none.csv", None, "no such file or folder"),
        ("none.parquet", None, "no such file or folder"),
        ("damaged.parquet", "PAR1", "no data set can be read there"),
        ("tests.jsonl", '{"prompt": "a", "split": "test"}', "no line is for train"),
    ],
)
def test_what_is_no_data_is_said(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message) as raised:
        open_own_data(tmp_path / name)
    assert str(tmp_path / name) in str(raised.value)


# ---- Parquet and data sets ----


def rows():
    yield {"prompt": "a", "answer": None, "pose": BENT, "checks": ["lean() < 90"], "split": "train", "other": 1}
    yield {"prompt": "b", "answer": "Hello.", "pose": None, "checks": None, "split": "test", "other": 2}


def test_parquet_and_saved_data_sets_hold_the_same_samples(tmp_path):
    import datasets

    table = datasets.Dataset.from_list(list(rows()))
    table.to_parquet(tmp_path / "pairs.parquet")
    table.save_to_disk(tmp_path / "saved")
    for path in (tmp_path / "pairs.parquet", tmp_path / "saved"):
        posed, words = only(path), only(path, "test")
        assert (posed.prompt, posed.answer, posed.checks) == ("a", SHORT_ANSWER, ("lean() < 90",))
        assert (posed.pose == 0.25).all()
        assert (words.prompt, words.answer, words.pose) == ("b", "Hello.", None)
        assert words.source == f"{path}, row 1"
    again = open_own_data(tmp_path / "saved")
    assert again.fingerprint == open_own_data(tmp_path / "pairs.parquet").fingerprint
    datasets.Dataset.from_list([*rows(), *rows()]).save_to_disk(tmp_path / "more")
    assert again.fingerprint != open_own_data(tmp_path / "more").fingerprint


def test_the_parts_of_a_data_set_are_its_splits_and_pictures_in_it_are_read(tmp_path):
    import datasets

    features = datasets.Features({"prompt": datasets.Value("string"), "image": datasets.Image()})
    picture = Image.new("RGB", (40, 40), "blue")
    parts = {
        name: datasets.Dataset.from_list([{"prompt": name, "image": picture}], features=features)
        for name in ("train", "validation", "test")
    }
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")
    assert only(tmp_path / "saved", "dev").prompt == "validation"
    sample = only(tmp_path / "saved", "test")
    assert (sample.prompt, sample.task) == ("test", "image_to_pose")
    assert sample.image.convert("RGB").getpixel((5, 5)) == (0, 0, 255)
    assert sample.source.endswith("row 0 of test")


def test_a_broken_row_is_named(tmp_path):
    import datasets

    datasets.Dataset.from_list([{"prompt": "a", "pose": REST[:3]}]).to_parquet(tmp_path / "bad.parquet")
    with pytest.raises(UserError, match=r"bad.parquet, row 0: pose: has shape \(3, 3\)"):
        open_own_data(tmp_path / "bad.parquet").sample(0)


# ---- large files ----


def test_a_file_of_100_000_lines_is_read_line_by_line(tmp_path):
    """The file has 60 MB; what it takes to know where its lines are and to read a thousand is a block and the index."""
    path = tmp_path / "large.jsonl"
    pose = json.dumps(np.full((22, 3), 0.123456).tolist())
    with path.open("w") as file:
        for number in range(100_000):
            file.write(f'{{"prompt": "pose {number}", "pose": {pose}, "split": "train"}}\n')
    size = path.stat().st_size
    assert size > 60e6
    tracemalloc.start()
    data = open_own_data(path)
    indexed, most = tracemalloc.get_traced_memory()
    prompts = [data.sample(row).prompt for row in range(99_000, 100_000)]
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert prompts == [f"pose {number}" for number in range(99_000, 100_000)]
    assert indexed < 30 * 100_000 + 200_000  # bytes: 17 of the index and 8 of the use, a line
    assert most < 6 * 2**24  # a few blocks of 16 MiB
    assert after - indexed < 2e6
