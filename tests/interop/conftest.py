"""The peers as fixtures: one certificate authority per run, one process of each kind per test module."""

from collections.abc import Iterator

import pytest
from peers import CA, Peer, start_fedify, start_pubby, throwaway_ca


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> CA:
    return throwaway_ca(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def fedify(ca: CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with start_fedify(ca, tmp_path_factory.mktemp("fedify")) as peer:
        yield peer


@pytest.fixture(scope="module")
def pubby(ca: CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with start_pubby(ca, tmp_path_factory.mktemp("pubby")) as peer:
        yield peer
