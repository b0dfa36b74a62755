"""How much memory and time a step takes, worked out from sizes: pure functions for a run that has not begun.

What they leave out is small beside it: pose heads, the loss, what the allocator keeps. They were held against steps
that were measured with 7 billion weights (docs/results/performance.md): within 6 % of peak memory, 20 % of the time.
"""

from dataclasses import dataclass

LAYER_STATES = 10  # tensors of the hidden size that autograd keeps of a layer: two norms, their inputs, queries, ...
LAYER_MLP = 4  # and of the size of its perceptron: gate, up, the product of both, and what the activation keeps
FLOAT32 = 4
UPDATE_SHARE = 0.5  # of the rate of one large matrix product that an update reaches
DECODING = 4.0  # times the time to read all weights once that sampling one more token takes


@dataclass(frozen=True)
class Sizes:
    """Sizes of a policy.

    Attributes:
        layers, hidden, mlp, vocabulary: of the language model.
        kv: width of the keys of a token, all heads together.
        product_weights: weights of the linear layers that each token passes.
        output_weights: those of the output embedding.
        frozen_bytes: all that is loaded and not trained.
        trained: numbers that are trained.
        item: bytes of one number of the language model.
    """

    layers: int
    hidden: int
    mlp: int
    vocabulary: int
    kv: int
    product_weights: int
    output_weights: int
    frozen_bytes: int
    trained: int
    item: int


@dataclass(frozen=True)
class Step:
    """The tokens of a step.

    Attributes:
        prompts: prompts in it.
        prompt_tokens: of one of them, pictures with it.
        answers: to each prompt.
        answer_tokens: of one of them.
        samples: whether the answers are sampled first, and scored by the reference policy too.
        updates: optimiser updates in it.
    """

    prompts: int
    prompt_tokens: float
    answers: int
    answer_tokens: float
    samples: bool
    updates: int = 1

    @property
    def written(self) -> float:
        """Tokens of all answers."""
        return self.prompts * self.answers * self.answer_tokens

    @property
    def tokens(self) -> float:
        """Tokens of an update: each prompt once, with all its answers behind it."""
        return self.prompts * self.prompt_tokens + self.written


@dataclass(frozen=True)
class Rates:
    """What a device does in a second: floating-point operations of a matrix product, and bytes of a copy."""

    products: float
    copies: float


def memory(sizes: Sizes, step: Step) -> dict[str, float]:
    """Bytes by what they are for; ``peak`` is of the moment that needs most."""
    weights = sizes.frozen_bytes + FLOAT32 * sizes.trained
    gradients, optimiser = FLOAT32 * sizes.trained, 2 * FLOAT32 * sizes.trained  # AdamW keeps two moments
    per_layer = sizes.item * (LAYER_STATES * sizes.hidden + 2 * sizes.kv + LAYER_MLP * sizes.mlp)
    logits = 2 * FLOAT32 * sizes.vocabulary * step.written  # and their gradient
    parts = {
        "weights": weights,
        "gradients": gradients,
        "optimiser": optimiser,
        "activations": sizes.layers * per_layer * step.tokens + logits,
    }
    update = weights + gradients + optimiser + parts["activations"]
    if not step.samples:
        return parts | {"peak": update}
    parts["reference"] = FLOAT32 * sizes.trained
    parts["merged adapters"] = sizes.item * sizes.product_weights  # a copy of what they are folded into
    parts["keys and values"] = sizes.item * 2 * sizes.layers * sizes.kv * step.tokens
    rollout = weights + optimiser + parts["merged adapters"] + parts["keys and values"]
    return parts | {"peak": max(rollout, update) + parts["reference"]}


def seconds(sizes: Sizes, step: Step, rates: Rates) -> dict[str, float]:
    """Seconds of a step by what is done; ``step`` is all of it.

    A token passes each weight once forwards and, as adapters are all that is trained there, once backwards: 2 and 2
    operations a weight.
    """
    rate = UPDATE_SHARE * rates.products
    forward = 2 * (sizes.product_weights * step.tokens + sizes.output_weights * step.written) / rate
    parts = {"update": 2 * forward * step.updates}
    if step.samples:
        weights = sizes.product_weights + sizes.output_weights
        read = DECODING * sizes.item * weights / rates.copies
        token = max(read, 2 * weights * step.prompts * step.answers / rate)
        prefill = 2 * sizes.product_weights * step.prompts * step.prompt_tokens / rate
        parts["rollout"] = prefill + step.answer_tokens * token
        parts["reference"] = forward
    return parts | {"step": sum(parts.values())}
