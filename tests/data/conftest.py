"""What tests of the data share."""

from collections.abc import Iterator

import pytest

from pose_rft.data.concepts import pools
from pose_rft.data.concepts.concept import CONCEPT_DIR, load_concepts


@pytest.fixture
def examples_only(request, monkeypatch) -> Iterator[None]:
    """Pools of the bank's worked examples alone; slow tests take all of it."""
    if "slow" not in request.keywords:
        monkeypatch.setattr(pools, "load_concepts", lambda: load_concepts([CONCEPT_DIR / "examples.yaml"]))
    pools.concept_pools.cache_clear()
    yield
    pools.concept_pools.cache_clear()
