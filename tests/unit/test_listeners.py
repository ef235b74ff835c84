"""inferd.server.listeners: which listeners a server's settings ask for."""

from typing import Any, ClassVar

import pytest

from inferd.config import Settings
from inferd.errors import ConfigError, InferdError
from inferd.protocols.base import Dialect, Message, Payload
from inferd.server.listeners import plan


class Toy(Dialect):
    """A dialect with one door, where it is spoken in another form."""

    name = "toy"
    doors: ClassVar[tuple[str, ...]] = ("triton",)

    def encode_error(self, error: InferdError, message: Message | None) -> Payload:
        return Payload(b"")

    def at(self, door: str) -> Dialect:
        return ToyAtDoor()


class ToyAtDoor(Toy):
    """That form."""


class Homely(Toy):
    """A dialect of the main port alone."""

    name = "homely"
    doors = ()


BOTH = (Toy(), Homely())


def test_the_main_listener_speaks_everything() -> None:
    """Without doors there is one listener, with the plug-ins themselves."""
    (main,) = plan(Settings(), BOTH)
    assert (main.name, main.port, main.dialects) == ("main", 8000, BOTH)


def test_a_door_speaks_what_names_it_in_its_form() -> None:
    """Its dialects are those that offer it, each as it is spoken there."""
    main, door = plan(Settings(triton=0), BOTH)
    assert main.dialects == BOTH
    assert (door.name, door.flag, door.port) == ("triton", "--triton", 0)
    assert [type(dialect) for dialect in door.dialects] == [ToyAtDoor]


def test_a_door_that_no_dialect_offers_is_refused() -> None:
    """The error names the flag."""
    with pytest.raises(ConfigError, match="--kserve"):
        plan(Settings(kserve=0), BOTH)


@pytest.mark.parametrize("settings", [{"triton": 8000}, {"port": 9000, "triton": 9000}])
def test_two_listeners_on_one_port_are_refused(settings: dict[str, Any]) -> None:
    """The error names both flags and a number that is free among them."""
    with pytest.raises(ConfigError, match=r"--port and --triton are both .*--port 900\d") as caught:
        plan(Settings(**settings), BOTH)
    assert f"--port {settings['triton']}" not in str(caught.value)


def test_any_free_port_is_never_the_same() -> None:
    """0 twice, or a main listener on a Unix socket, leaves nothing to share."""
    assert len(plan(Settings(port=0, triton=0), BOTH)) == 2
    assert len(plan(Settings(unix="/tmp/x", triton=8000), BOTH)) == 2
