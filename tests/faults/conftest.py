"""The command line and small runs, as tests/integration has them."""

from tests.integration.conftest import pose_rft, rft_fields, write_config

__all__ = ["pose_rft", "rft_fields", "write_config"]
