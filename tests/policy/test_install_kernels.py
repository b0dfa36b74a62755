"""Kernels are put into a language model in one place, and each can be left out."""

import pytest

from pose_rft.errors import UserError
from pose_rft.policy import PosePolicy
from pose_rft.policy.kernels.chunked_attention import CHUNKED
from pose_rft.policy.kernels.fused_lora import FusedLoraLinear, TokenRows
from pose_rft.policy.kernels.install import OFF_SWITCH


def installed(policy: PosePolicy) -> set[str]:
    kinds = {type(module) for module in policy.language_model.modules()}
    found = {name for name, kind in (("fused_lora", FusedLoraLinear), ("token_rows", TokenRows)) if kind in kinds}
    attention = policy.language_model.decoder.config._attn_implementation
    return found | ({"chunked_attention"} if attention == CHUNKED else set())


@pytest.mark.parametrize(
    ("off", "expected"),
    [
        ("", {"fused_lora", "token_rows", "chunked_attention"}),
        ("fused_lora", {"token_rows", "chunked_attention"}),
        ("token_rows, chunked_attention", {"fused_lora"}),
        ("all", set()),
    ],
)
def test_a_kernel_that_is_switched_off_is_left_out(tiny_policy, monkeypatch, off, expected):
    monkeypatch.setenv(OFF_SWITCH, off)
    assert installed(PosePolicy.create(tiny_policy.config)) == expected


def test_an_unknown_kernel_is_refused(tiny_policy, monkeypatch):
    monkeypatch.setenv(OFF_SWITCH, "fast_attention")
    with pytest.raises(UserError, match="no kernel is called 'fast_attention'; there are all, token_rows"):
        PosePolicy.create(tiny_policy.config)
