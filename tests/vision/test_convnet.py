import numpy as np
import pytest
import torch

from pose_rft.vision.convnet import ConvNet, load_convnet


def pattern(side: int) -> torch.Tensor:
    """A picture without people, (1, 3, side, side) in 0 ... 1."""
    y, x = np.mgrid[:side, :side]
    picture = np.stack([(x * x + 3 * y) % 256, (x * y) % 256, (2 * x + y * y) % 256]).astype(np.float32)
    return torch.from_numpy(picture / 255)[None]


# First values, mean and standard deviation of every output as the reference runtime computed them from the published
# files (ai-edge-litert 2.3.0, pose_landmark_full.tflite and pose_detection.tflite of mediapipe 0.10.21) for `pattern`.
REFERENCE = {
    "pose_landmarks": {
        "landmarks": ((122.36271, 45.89708, -38.39883), 42.57331, 65.63770),
        "world": ((-0.0075565, -0.6981953, -0.1004310), -0.0650581, 0.3101181),
        "presence": ((1.3750553,), 1.3750553, 0.0),
        "map_8": ((0.1479560, 0.4522373, 0.8950203), 0.2260903, 0.4885895),
    },
    "person_detector": {
        "scores_28": ((-74.39709, -4.44227), -46.27205, 45.24814),
        "scores_14": ((-3.70644, -102.54314), -74.01822, 81.66827),
        "scores_7": ((-16.16124, -16.52893, -16.37876), -24.19347, 3.09042),
        "boxes_28": ((-4.58530, -6.68184, -6.95876), -0.22071, 44.71137),
        "boxes_14": ((-0.94601, 2.09140, 38.93486), 0.26262, 36.37906),
        "boxes_7": ((0.0709679, -0.0272673, 0.0743391), 0.0178854, 0.1521817),
    },
}


@pytest.mark.parametrize(("name", "side"), [("pose_landmarks", 256), ("person_detector", 224)])
def test_every_output_is_what_the_reference_runtime_computes(name: str, side: int) -> None:
    picture = pattern(side) if name == "pose_landmarks" else 2 * pattern(side) - 1
    with torch.no_grad():
        outputs = load_convnet(name)(picture)
    for output, (first, mean, deviation) in REFERENCE[name].items():
        values = outputs[output][0].permute(1, 2, 0).double().numpy()  # (h, w, C), the reference's order
        scale = max(abs(mean), deviation)
        np.testing.assert_allclose(values.ravel()[: len(first)], first, atol=2e-4 * scale, rtol=1e-5, err_msg=output)
        assert values.mean() == pytest.approx(mean, abs=2e-4 * scale), output
        assert values.std() == pytest.approx(deviation, abs=2e-4 * scale), output


def test_a_batch_equals_one_by_one() -> None:
    network = load_convnet("pose_landmarks")
    pictures = torch.cat([pattern(256), pattern(256).flip(-1)])
    with torch.no_grad():
        both, second = network(pictures), network(pictures[1:])
    for name, values in both.items():
        torch.testing.assert_close(values[1:], second[name], rtol=1e-4, atol=1e-3, msg=name)


def test_weights_are_frozen_and_fit_float16() -> None:
    for parameter in load_convnet("person_detector").parameters():
        assert not parameter.requires_grad
        torch.testing.assert_close(parameter, parameter.half().float(), rtol=0, atol=0)


def test_uneven_padding_goes_where_the_step_says() -> None:
    step = {"op": "conv", "shape": [1, 1, 3, 3], "stride": 2, "pad": [0, 1, 0, 1], "depthwise": True, "relu6": False}
    network = ConvNet({"out": "t1"}, [{**step, "from": ["image"], "to": "t1"}])
    network.convolutions["t1"].weight.fill_(1.0)
    network.convolutions["t1"].bias.fill_(0.0)
    result = network(torch.arange(16.0).reshape(1, 1, 4, 4))["out"]
    # Windows of 3 x 3 from the top left, nothing (0) beyond the right and bottom edges: 0+1+2+4+5+6+8+9+10 and so on.
    assert result.flatten().tolist() == [45.0, 39.0, 66.0, 50.0]


def test_unfolding_puts_channels_row_by_row_into_blocks() -> None:
    steps = [{"op": "unfold", "from": ["image"], "to": "t1"}]
    network = ConvNet({"out": "t1"}, steps)
    image = torch.arange(8.0).reshape(1, 8, 1, 1)  # TensorFlow's depth_to_space: (0, 1 / 2, 3) pairs of channels
    result = network(image)["out"]
    assert result[0, 0].tolist() == [[0.0, 2.0], [4.0, 6.0]]
    assert result[0, 1].tolist() == [[1.0, 3.0], [5.0, 7.0]]


def test_an_unknown_step_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown step 'fold'"):
        ConvNet({"out": "t1"}, [{"op": "fold", "from": ["image"], "to": "t1"}])(torch.zeros(1, 1, 2, 2))
