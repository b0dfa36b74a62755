"""Build the networks of ``src/pose_rft/vision/data`` from MediaPipe's BlazePose files.

The sources are two TensorFlow Lite files in the PyPI wheel of mediapipe 0.10.21 (Apache-2.0): the person detector
``pose_detection.tflite`` and the landmark network ``pose_landmark_full.tflite``. They are read with PyPI ``tflite``,
which is needed only here, never at run time:

    pip download --no-deps mediapipe==0.10.21 && pip install --no-deps tflite==2.18.0 flatbuffers==25.12.19
    python scripts/build_vision.py mediapipe-0.10.21-*.whl

With `--check` (which also needs PyPI ``ai-edge-litert`` 2.3.0, the reference runtime) both compute every output for
eight pictures of noise, and the largest difference is printed.

Each network becomes a ``.safetensors`` (its weights, float16 as in the source, so nothing is lost) and a ``.json``: the
list of steps that ``pose_rft.vision.convnet`` runs. Steps that no wanted output needs are left out; that is how the
segmentation branch of the landmark network goes. Padding layers are merged into the convolutions after them.
"""

import argparse
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import tflite
from safetensors.numpy import save_file

MODULES = "mediapipe/modules"
# Which tensors of the source are wanted, by the name they get. Heads end in their convolutions: sigmoid, reshape and
# concatenation are the readers' business.
NETWORKS = {
    "person_detector": (
        f"{MODULES}/pose_detection/pose_detection.tflite",
        {
            "scores_28": "t379", "scores_14": "t404", "scores_7": "t427",
            "boxes_28": "t391", "boxes_14": "t415", "boxes_7": "t439",
        },
    ),
    "pose_landmarks": (
        f"{MODULES}/pose_landmark/pose_landmark_full.tflite",
        {"landmarks": "t336", "world": "t338", "presence": "t340", "heatmaps": "t298", "map_8": "t300"},
    ),
}  # fmt: skip
DATA = Path(__file__).parent.parent / "src" / "pose_rft" / "vision" / "data"
OPERATORS = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}
PLAIN = {tflite.ActivationFunctionType.NONE: False, tflite.ActivationFunctionType.RELU6: True}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("wheel", type=Path, help="mediapipe-0.10.21-*.whl")
    parser.add_argument("--out", type=Path, default=DATA)
    parser.add_argument("--check", action="store_true", help="compare with the reference runtime, PyPI ai-edge-litert")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(arguments.wheel) as wheel:
        for name, (member, outputs) in NETWORKS.items():
            steps, weights = Source(wheel.read(member)).network(outputs)
            text = ",\n".join(f"    {json.dumps(step)}" for step in steps)
            outline = f'{{\n  "outputs": {json.dumps(outputs)},\n  "steps": [\n{text}\n  ]\n}}\n'
            (arguments.out / f"{name}.json").write_text(outline)
            save_file(weights, arguments.out / f"{name}.safetensors")
            count = sum(array.size for array in weights.values())
            print(f"{name}: {len(steps)} steps, {count / 1e6:.2f} M parameters")
            if arguments.check:
                compare(name, wheel.read(member), outputs)


def compare(name: str, content: bytes, outputs: dict[str, str]) -> None:
    """Print how far the bundled network is from the reference runtime, per output."""
    import torch
    from ai_edge_litert.interpreter import Interpreter

    from pose_rft.vision.convnet import load_convnet

    reference = Interpreter(model_content=content, num_threads=1, experimental_preserve_all_tensors=True)
    reference.allocate_tensors()
    place = reference.get_input_details()[0]
    network, draw = load_convnet(name), torch.Generator().manual_seed(0)
    largest = dict.fromkeys(outputs, 0.0)
    for _ in range(8):
        picture = torch.rand(*place["shape"].tolist(), generator=draw)
        reference.set_tensor(place["index"], picture.numpy())
        reference.invoke()
        for output, ours in network(picture.permute(0, 3, 1, 2)).items():
            theirs = torch.from_numpy(reference.get_tensor(int(outputs[output][1:]))).permute(0, 3, 1, 2)
            largest[output] = max(largest[output], (ours - theirs).abs().max().item())
    print("  largest difference: " + ", ".join(f"{output} {value:.1e}" for output, value in largest.items()))


class Source:
    """A TensorFlow Lite file whose layers are the few kinds that MediaPipe's networks are made of."""

    def __init__(self, content: bytes) -> None:
        self.model = tflite.Model.GetRootAs(content, 0)
        self.graph = self.model.Subgraphs(0)
        self.producer = {}  # tensor index -> the operator that writes it
        for index in range(self.graph.OperatorsLength()):
            operator = self.graph.Operators(index)
            self.producer[operator.Outputs(0)] = operator

    def network(self, outputs: dict[str, str]) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
        """Steps in order, and weights by name, of what the wanted `outputs` need."""
        steps: list[dict[str, Any]] = []
        weights: dict[str, np.ndarray] = {}
        done = {self.graph.Inputs(0)}

        def visit(tensor: int) -> None:
            if tensor in done:
                return
            done.add(tensor)
            step, needs = self.step(tensor, weights)
            for need in needs:
                visit(need)
            steps.append({**step, "from": [self.label(need) for need in needs], "to": self.label(tensor)})

        for label in outputs.values():
            visit(int(label[1:]))
        return steps, weights

    def label(self, tensor: int) -> str:
        return "image" if tensor == self.graph.Inputs(0) else f"t{tensor}"

    def step(self, tensor: int, weights: dict[str, np.ndarray]) -> tuple[dict[str, Any], list[int]]:
        """The step that makes a tensor, and the tensors that it reads."""
        operator, kind = self.producer[tensor], self.kind(tensor)
        source = operator.Inputs(0)
        if kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            return self.convolution(tensor, weights)
        if kind == "ADD":
            options = self.options(operator, tflite.AddOptions)
            step = {"op": "add", "relu6": PLAIN[options.FusedActivationFunction()]}
            return step, [source, operator.Inputs(1)]
        if kind == "RESIZE_BILINEAR":
            options = self.options(operator, tflite.ResizeBilinearOptions)
            assert (options.HalfPixelCenters(), options.AlignCorners()) == (True, False)
            assert 2 * self.shape(source)[1] == self.shape(tensor)[1]
            return {"op": "double"}, [source]
        if kind == "MAX_POOL_2D":
            options = self.options(operator, tflite.Pool2DOptions)
            assert options.FilterHeight() == options.FilterWidth() == options.StrideH() == options.StrideW() == 2
            return {"op": "pool"}, [source]
        assert kind == "DEPTH_TO_SPACE", kind
        assert self.options(operator, tflite.DepthToSpaceOptions).BlockSize() == 2
        return {"op": "unfold"}, [source]

    def convolution(self, tensor: int, weights: dict[str, np.ndarray]) -> tuple[dict[str, Any], list[int]]:
        operator = self.producer[tensor]
        depthwise = self.kind(tensor) == "DEPTHWISE_CONV_2D"
        options = self.options(operator, tflite.DepthwiseConv2DOptions if depthwise else tflite.Conv2DOptions)
        kernel, bias = self.constant(operator.Inputs(1)), self.constant(operator.Inputs(2))
        # Stored as (out, height, width, in), depthwise as (1, height, width, out); torch: (out, in, height, width).
        kernel = kernel.transpose(3, 0, 1, 2) if depthwise else kernel.transpose(0, 3, 1, 2)
        weights[f"{self.label(tensor)}.weight"] = np.ascontiguousarray(kernel)
        weights[f"{self.label(tensor)}.bias"] = bias
        source, stride = operator.Inputs(0), options.StrideH()
        pad = [0, 0, 0, 0]  # left, right, top, bottom
        if self.kind(source) == "PAD":
            assert options.Padding() == tflite.Padding.VALID
            top_and_bottom, left_and_right = self.constant(self.producer[source].Inputs(1))[1:3].tolist()
            pad, source = [*left_and_right, *top_and_bottom], self.producer[source].Inputs(0)
        elif options.Padding() == tflite.Padding.SAME:
            for axis in (0, 1):  # height, width
                size, length = self.shape(source)[1 + axis], kernel.shape[2 + axis]
                missing = max((-(-size // stride) - 1) * stride + length - size, 0)
                pad[2 - 2 * axis : 4 - 2 * axis] = [missing // 2, missing - missing // 2]
        step = {"op": "conv", "shape": list(kernel.shape), "stride": stride, "pad": pad, "depthwise": depthwise}
        return {**step, "relu6": PLAIN[options.FusedActivationFunction()]}, [source]

    def kind(self, tensor: int) -> str | None:
        """The operator that makes a tensor; None for the network's input."""
        if tensor not in self.producer:
            return None
        code = self.model.OperatorCodes(self.producer[tensor].OpcodeIndex())
        return OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]

    def shape(self, tensor: int) -> list[int]:
        return self.graph.Tensors(tensor).ShapeAsNumpy().tolist()

    def options(self, operator: Any, kind: Any) -> Any:
        table, options = operator.BuiltinOptions(), kind()
        options.Init(table.Bytes, table.Pos)
        return options

    def constant(self, tensor: int) -> np.ndarray:
        """A weight: through the layers that make it dense or float32, to the float16 (or int32) values stored."""
        while tensor in self.producer:
            tensor = self.producer[tensor].Inputs(0)
        described = self.graph.Tensors(tensor)
        dtype = {tflite.TensorType.FLOAT16: np.float16, tflite.TensorType.INT32: np.int32}[described.Type()]
        values = np.frombuffer(self.model.Buffers(described.Buffer()).DataAsNumpy().tobytes(), dtype)
        shape = self.shape(tensor)
        if described.Sparsity() is None:
            return values.reshape(shape)
        # Dense but for the last axis, where each row lists the columns that are not zero.
        last = described.Sparsity().DimMetadata(len(shape) - 1)
        starts, columns = (sparse_indices(last, part) for part in ("ArraySegments", "ArrayIndices"))
        dense = np.zeros((len(starts) - 1, shape[-1]), dtype)
        dense[np.repeat(np.arange(len(dense)), np.diff(starts)), columns] = values
        return dense.reshape(shape)


def sparse_indices(metadata: Any, part: str) -> np.ndarray:
    kind = {
        tflite.SparseIndexVector.Int32Vector: tflite.Int32Vector,
        tflite.SparseIndexVector.Uint16Vector: tflite.Uint16Vector,
        tflite.SparseIndexVector.Uint8Vector: tflite.Uint8Vector,
    }[getattr(metadata, f"{part}Type")()]
    table, vector = getattr(metadata, part)(), kind()
    vector.Init(table.Bytes, table.Pos)
    return vector.ValuesAsNumpy().astype(np.int64)


if __name__ == "__main__":
    main()
