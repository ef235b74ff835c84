"""``inferd serve``: load models and answer until Ctrl-C or SIGTERM."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inferd import config
from inferd.cores import THREADS
from inferd.errors import ConfigError

EXAMPLES = """\
examples:
  inferd serve model.pkl                     serve one model on http://127.0.0.1:8000; a model of
                                             scikit-learn, XGBoost, LightGBM or CatBoost is compiled
                                             to ONNX where that gives the same answers
  inferd serve model.pkl --no-compile        let the model's own library answer
  inferd serve iris.onnx --name flowers      under another name
  inferd serve a.onnx b.onnx --default-model a
                                             several models; /predict asks a
  inferd serve iris.onnx --workers 4         in four processes, where that is not one a core
  inferd serve iris.onnx --port 0            on any free port; the banner tells which
  inferd serve iris.onnx --tfserving         also on port 8501, to clients of TensorFlow Serving
  inferd serve iris.onnx --unix iris.sock    on a Unix socket instead of a port
  inferd serve iris.onnx --tls-cert cert.pem --tls-key key.pem
                                             over HTTPS

From --host on, each option can be set in the environment (INFERD_PORT=8080) or in inferd.toml
(port = 8080) as well; the command line wins over the environment, and that over the file.
"""

ENVIRONMENT = {**dict.fromkeys(THREADS, "1"), "ORT_DISABLE_TELEMETRY": "1"}
"""What libraries look at when they are imported. A worker computes on one core; and ONNX Runtime is
to tell nobody what it runs, in a thread that workers could not be forked beside."""


def add_to(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "serve",
        help="load models and answer",
        description="Load models and answer over REST, in the protocols that their clients speak.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="A model file: version 1 of a model."
    )
    parser.add_argument("--name", help="The model's name, for one PATH (default: the file's name).")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="Settings in TOML (default: inferd.toml)."
    )
    for setting in config.settings_table():
        _add_setting(parser, setting)
    parser.set_defaults(run=run)


def _add_setting(parser: argparse.ArgumentParser, setting: config.Setting) -> None:
    default = "" if setting.default in ("", False) else f" (default: {setting.default})"
    options: dict[str, Any] = {
        "dest": setting.name,
        "default": argparse.SUPPRESS,
        "help": setting.help + default,
    }
    if setting.name in config.DOORS:
        parser.add_argument(
            setting.flag,
            nargs="?",
            const=config.DOORS[setting.name],
            type=_port_of(setting),
            metavar="PORT",
            **options,
        )
    elif setting.type is bool:
        parser.add_argument(setting.flag, action=argparse.BooleanOptionalAction, **options)
    else:
        parser.add_argument(
            setting.flag, metavar=setting.name.rpartition("_")[2].upper(), **options
        )


def _port_of(setting: config.Setting) -> Callable[[str], str]:
    """Reads the value of a flag that may stand without one, and so would swallow a path."""

    def read(text: str) -> str:
        if text.removeprefix("-").isdecimal():
            return text
        number = config.DOORS[setting.name]
        raise argparse.ArgumentTypeError(
            f"{text!r} is no port. Put the models before it, or write {setting.flag}={number}."
        )

    return read


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    started = time.perf_counter()

    def read() -> config.Settings:
        return _settings(arguments)

    settings = read()
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    from inferd import log
    from inferd.server import program

    program.hold_standard_streams()
    log.start(settings.log_level)
    program.raise_file_limit()
    if program.HAS_WORKERS:
        return _supervise(arguments, settings, read, started)
    return _serve_alone(arguments, settings, started)


def _settings(arguments: argparse.Namespace) -> config.Settings:
    """What the command line, the environment and the file say now."""
    given = {
        s.name: getattr(arguments, s.name)
        for s in config.settings_table()
        if hasattr(arguments, s.name)
    }
    file = arguments.config or (
        Path(os.environ[variable]) if (variable := config.CONFIG_VARIABLE) in os.environ else None
    )
    return config.resolve(given, os.environ, config.read_file(file))


def _supervise(
    arguments: argparse.Namespace,
    settings: config.Settings,
    read: Callable[[], config.Settings],
    started: float,
) -> int:
    """Serve from workers."""
    from inferd.server.supervisor import Supervisor
    from inferd.terminal import Status

    supervisor = Supervisor(arguments.paths, arguments.name, settings, read)
    with Status() as status:
        banner = supervisor.start(status)
    _show(banner, started)
    return supervisor.run()


def _serve_alone(arguments: argparse.Namespace, settings: config.Settings, started: float) -> int:
    """Serve from this process, where the system cannot spread connections over several."""
    from inferd.server.banner import banner
    from inferd.server.program import run_until_signal
    from inferd.server.worker import Worker
    from inferd.terminal import Status

    if settings.workers > 1:
        raise ConfigError(
            "only on Linux can several workers listen on one port",
            got=f"--workers {settings.workers}",
            expected="1",
        )
    worker = Worker(arguments.paths, settings, arguments.name)
    with Status() as status:
        worker.prepare(status)

    def tell() -> None:
        _show(banner(worker.manager.ready(), worker.dialects, worker.listeners), started)

    run_until_signal(worker, tell)
    code = 1 if worker.cut_off else 0
    if worker.pipeline.home.busy:
        # A model may run for ever in its thread, and the interpreter would wait for it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _show(banner: str, started: float) -> None:
    """Print the banner, with how long it took to get there."""
    first, rest = banner.split("\n", 1)
    try:
        print(f"{first} (ready in {time.perf_counter() - started:.2f} s)\n{rest}", flush=True)
    except OSError:  # whoever read it has seen enough, or hung up; Python would complain again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
