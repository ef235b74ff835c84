"""inferd.config: three sources, their precedence, and the blame for what is wrong in one."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd import config
from inferd.config import Settings, read_file, resolve, settings_table
from inferd.errors import ConfigError

PORTS = st.none() | st.integers(0, 65535)


def test_nothing_given_is_the_defaults() -> None:
    """The defaults of the class are the settings of a server that was told nothing."""
    assert resolve({}, {"PATH": "/bin", "INFERDX": "1"}, {}) == Settings()


@given(PORTS, PORTS, PORTS)
def test_the_command_line_wins_over_the_environment_over_the_file(
    line: int | None, variable: int | None, file: int | None
) -> None:
    """The first source that names a setting wins, as text or as a number."""
    found = resolve(
        {} if line is None else {"port": str(line)},
        {} if variable is None else {"INFERD_PORT": str(variable)},
        {} if file is None else {"port": file},
    )
    wanted = next((p for p in (line, variable, file) if p is not None), 8000)
    assert found.port == wanted


def test_sources_are_joined_setting_by_setting() -> None:
    """Each source may give other settings."""
    found = resolve(
        {"port": 1}, {"INFERD_LOG_LEVEL": "debug"}, {"default_model": "m", "log_level": "info"}
    )
    assert (found.port, found.log_level, found.default_model) == (1, "debug", "m")
    assert found.host == Settings().host


@pytest.mark.parametrize(
    ("text", "meant"),
    [("1", True), ("true", True), ("True", True), ("0", False), ("false", False)],
)
def test_a_switch_is_read_from_text(text: str, meant: bool) -> None:
    """The environment can only say words."""
    assert resolve({}, {"INFERD_INSECURE_NO_AUTH": text}, {}).insecure_no_auth is meant


SOURCES = [
    ("settings", lambda name, value: ({name: value}, {}, {})),
    ("environment", lambda name, value: ({}, {f"INFERD_{name.upper()}": str(value)}, {})),
    ("inferd.toml", lambda name, value: ({}, {}, {name: value})),
]


@pytest.mark.parametrize(("source", "given_in"), SOURCES)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 65536),
        ("port", -1),
        ("port", "http"),
        ("triton", 65536),
        ("triton", -2),
        ("tfserving", ""),
        ("host", ""),
        ("max_batch_size", 0),
        ("log_level", "loud"),
        ("keep_alive_seconds", 0),
        ("keep_alive_seconds", float("nan")),
        ("insecure_no_auth", "perhaps"),
    ],
)
def test_an_unfit_value_is_blamed_on_its_source(
    source: str, given_in: Any, name: str, value: Any
) -> None:
    """The error names the source and the setting, although another source has a good value."""
    with pytest.raises(ConfigError) as caught:
        resolve(*given_in(name, value))
    assert str(caught.value).startswith(f"{source}: ")
    assert name in str(caught.value)


def test_an_unfit_value_is_told_although_a_better_source_wins() -> None:
    """A file with a fault is never half used."""
    with pytest.raises(ConfigError, match=r"inferd\.toml: .*port"):
        resolve({"port": 1}, {}, {"port": "x"})


@pytest.mark.parametrize(("source", "given_in"), SOURCES)
def test_an_unknown_name_is_told_with_a_near_one(source: str, given_in: Any) -> None:
    """A mistyped setting is an error that suggests the right one; a strange one points at the
    page."""
    with pytest.raises(ConfigError, match=f"(?i){source}: .*prot'.*Did you mean '.*port'"):
        resolve(*given_in("prot", 1))
    with pytest.raises(ConfigError, match=r"(?i)zzz'.*docs/settings\.md"):
        resolve(*given_in("zzz", 1))


def test_the_variable_of_the_file_is_no_setting() -> None:
    """INFERD_CONFIG names the file, and is not taken for a setting."""
    assert resolve({}, {config.CONFIG_VARIABLE: "x.toml"}, {}) == Settings()


def test_the_file_in_the_working_directory_is_read_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No inferd.toml is no settings; one that is there is read without being named."""
    monkeypatch.chdir(tmp_path)
    assert read_file(None) == {}
    (tmp_path / "inferd.toml").write_text('port = 9\ndefault_model = "ä"', "utf-8")
    assert read_file(None) == {"port": 9, "default_model": "ä"}


def test_a_file_that_was_named_must_be_there_and_be_toml(tmp_path: Path) -> None:
    """Each fault of the file names it."""
    with pytest.raises(ConfigError, match=r"cannot read .*none\.toml: No such file"):
        read_file(tmp_path / "none.toml")
    for content in (b"port =", b"port = '\xff'"):
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(ConfigError, match=r"bad\.toml is not TOML"):
            read_file(tmp_path / "bad.toml")


def test_every_setting_has_a_flag_a_variable_and_a_help_text() -> None:
    """The table that the command line is made from spells each setting in all three ways."""
    for setting in settings_table():
        assert setting.flag == "--" + setting.name.replace("_", "-")
        assert setting.variable == "INFERD_" + setting.name.upper()
        assert setting.help.endswith(".")
        assert setting.default == getattr(Settings(), setting.name)


def test_every_default_is_read_back_from_text() -> None:
    """What the page shows as a default can be given in the environment."""
    texts = {s.variable: str(s.default) for s in settings_table()}
    assert resolve({}, texts, {}) == Settings()
