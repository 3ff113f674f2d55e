"""`api`: every public name of llama-index-workflows, from that package and from `citewell.workflow`.

A test body is written once and runs on both roots. `ours` and `peer` are one root each, for the faults that Citewell
does not have: a test on `ours` shows the better behaviour, one on `peer` that the fault is really there.
"""

import importlib.util

import pytest
from roots import OURS, PEER, Api


def _peer() -> Api:
    if importlib.util.find_spec(PEER) is None:
        pytest.skip("llama-index-workflows is not installed: `pip install llama-index-workflows==2.26.1`")
    return Api(PEER)


@pytest.fixture(params=[PEER, OURS])
def api(request: pytest.FixtureRequest) -> Api:
    return _peer() if request.param == PEER else Api(OURS)


@pytest.fixture(params=[OURS])
def ours(request: pytest.FixtureRequest) -> Api:
    return Api(request.param)


@pytest.fixture(params=[PEER])
def peer() -> Api:
    return _peer()
