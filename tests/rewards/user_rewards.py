"""Rewards as a user might write them; the tests name them by dotted path."""

import math

no_function = 3


def length(prompts, completions, poses, **columns):
    return [float(len(text)) for text in completions]


def height(prompts, completions, poses, *, floor=0.0, **columns):
    return [None if pose is None else float(poses.axis_angle[i, 0, 0]) - floor for i, pose in enumerate(poses)]


def only_yes(prompts, completions, poses, **columns):
    return [1.0 if text.startswith("yes") else None for text in completions]


def from_column(prompts, completions, poses, *, score, **columns):
    return list(score)


def fails_on_bad(prompts, completions, poses, **columns):
    if any("bad" in text for text in completions):
        raise KeyError("bad")
    return [1.0] * len(completions)


def nan_on_bad(prompts, completions, poses, **columns):
    return [math.nan if "bad" in text else 1.0 for text in completions]


def one_too_few(prompts, completions, poses, **columns):
    return [1.0] * (len(prompts) - 1)


def always_one(prompts, completions, poses, **columns):
    return [1.0] * len(prompts)
