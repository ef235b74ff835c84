"""Tests of bench/peers.py and bench/add_sub.py: who is measured, and with which command."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import add_sub, dialects, peers
from bench.errors import BenchError
from bench.models import Case
from bench.peers import FORMS, PEERS, Form, Peer

WORK = Path("/checkout/.bench")


def test_the_inferd_that_a_server_is_held_against_comes_along() -> None:
    """Otherwise there would be no ratio."""
    assert [peer.name for peer in peers.choose(["mlserver"])] == ["inferd-oip", "mlserver"]
    assert peers.choose([peers.TRITON]) == []
    assert peers.choose([]) == list(PEERS)


def test_an_unknown_server_is_told_with_the_known_ones() -> None:
    """Got, and expected."""
    with pytest.raises(BenchError, match=r"got servers \['torchserve'\], expected .*'litserve'"):
        peers.choose(["torchserve"])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("peer", PEERS, ids=[peer.name for peer in PEERS])
def test_the_command_names_the_environments_own_python_and_the_file(
    peer: Peer, form: Form, make_case: Callable[[int], Case]
) -> None:
    """Nothing is left to fill in, and the module that it starts is there."""
    contender = peer.contender(form, WORK)
    case = make_case(1)
    argv = contender.command(case, 8001)
    told = " ".join([*argv, *contender.settings(case).values()])
    assert "{" not in told
    assert "8001" in " ".join(argv)
    assert f"forest.{'joblib' if form == 'pickle' else 'onnx'}" in told
    if peer.environment:
        assert argv[0].startswith(str(WORK / "peers" / peer.environment / "bin"))
    for part in argv:
        if part.startswith("bench.servers."):
            assert importlib.util.find_spec(part.partition(":")[0])


def test_same_file_and_same_dialect_are_held_against_each_other() -> None:
    """MLServer speaks the Open Inference Protocol, and so does the inferd beside it."""
    by_name = {peer.name: peer for peer in PEERS}
    for peer in PEERS:
        if peer.against:
            held = by_name[peer.against]
            assert held.against is None
            assert (peer.dialect == "mlserver") == (held.dialect == "oip")


def test_triton_gets_its_repository(tmp_path: Path) -> None:
    """A folder with the settings and the code, and the answer that must come back."""
    case = add_sub.prepare(tmp_path)
    model = tmp_path / add_sub.FOLDER / add_sub.NAME
    assert 'backend: "python"' in (model / "config.pbtxt").read_text()
    assert "TritonPythonModel" in (model / "1" / "model.py").read_text()
    question = dialects.question("add-sub", case.rows, case.model)
    assert b'"INPUT1"' in question.body
    assert case.labels == [5, 5, 5, 5, -3, -1, 1, 3]
    names = [contender.name for contender in add_sub.contenders(tmp_path)]
    assert names == ["inferd-add-sub", "triton-add-sub", "inferd-live", "triton-live"]
