"""What a pickle may name: everything but what runs programs, code or files, which no model needs.

This keeps out the pickles that are written to attack, as they are written. It is no sandbox: any
library may have a function that does as much, and who is bent on it finds one. A pickle is only for
who trusts where it came from.
"""

import types
from collections.abc import Callable
from typing import Any

from inferd.errors import Untrusted

CURE = "If it is yours and you know why it does that, start with --trust-pickle."


def refuse_name(module: str, name: str) -> None:
    """Raise Untrusted if no model needs *name* of *module*. Imports nothing."""
    root = module.partition(".")[0]
    if (
        root in MODULES
        or module in SUBMODULES
        or any(module.startswith(f"{each}.") for each in SUBMODULES)
        or f"{module}.{name}" in NAMES
    ):
        raise _refusal(f"{module}.{name}")


def refuse_value(value: Any, module: str, name: str) -> None:
    """As ``refuse_name`` for what the name stood for, which may come from elsewhere: dotted names
    reach through any module into those that it imports."""
    if isinstance(value, types.ModuleType):
        raise _refusal(f"{module}.{name}")
    home, own = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if isinstance(home, str) and isinstance(own, str):
        refuse_name(home, own)


def safe_getattr(target: Any, name: str, *default: Any) -> Any:
    """What a pickle gets as ``getattr``: enough for a bound method, and no way to the insides of
    functions."""
    if str(name).startswith("__") or isinstance(target, types.ModuleType):
        raise _refusal(f"getattr(..., {str(name)!r})")
    value = getattr(target, name, *default)
    refuse_value(value, "builtins", "getattr")
    return value


INSTEAD: dict[str, Callable[..., Any]] = {"builtins.getattr": safe_getattr}
"""What a name gives where it does not give itself."""


def _refusal(name: str) -> Untrusted:
    module, _, rest = name.partition(".")
    shown = f"builtins.{rest}" if module == "__builtin__" else name
    return Untrusted(f"the pickle would call {shown}, which no model does", cure=CURE)


def _words(text: str) -> list[str]:
    return text.split()


def _of(modules: str, names: str) -> list[str]:
    return [f"{module}.{name}" for module in _words(modules) for name in _words(names)]


MODULES = frozenset(
    _words(
        """
        _aix_support _ctypes _frozen_importlib _frozen_importlib_external _imp _osx_support _pickle
        _posixsubprocess _socket _thread _winapi asyncio atexit bdb cProfile cffi cloudpickle code
        codeop commands concurrent ctypes dill distutils doctest ensurepip fileinput ftplib gc glob
        http idlelib imaplib imp importlib inspect linecache marshal mmap msvcrt multiprocessing
        nntplib nt ntpath os pdb pickle pip pkg_resources pkgutil platform popen2 poplib posix
        posixpath profile pty py_compile pydoc requests resource runpy setuptools shelve shutil
        signal site smtplib socket socketserver sqlite3 ssl subprocess sys sysconfig tempfile
        telnetlib threading timeit trace urllib venv webbrowser winreg xmlrpc zipimport
        """
    )
)
"""Roots of modules of which a model needs nothing."""

SUBMODULES = ("joblib.externals", "numpy.distutils", "numpy.f2py", "numpy.testing", "pandas.io")

NAMES = frozenset(
    [
        *_of(
            "builtins __builtin__",
            """
            __build_class__ __import__ apply breakpoint code compile delattr dir eval exec execfile
            exit file function globals help input locals memoryview module open quit raw_input
            reload setattr vars
            """,
        ),
        *_of("io _io", "open open_code FileIO"),
        *_of("operator _operator", "attrgetter call methodcaller"),
        *_of("types", "CodeType FunctionType LambdaType ModuleType"),
        *_of("joblib joblib.numpy_pickle", "dump load"),
        # Of joblib before 0.10: they read pickles from other files.
        *_of("joblib.numpy_pickle joblib.numpy_pickle_compat", "NDArrayWrapper ZNDArrayWrapper"),
        *_of("numpy", "fromfile genfromtxt load loadtxt memmap save savetxt"),
        *_of("numpy.lib.npyio numpy.lib._npyio_impl", "genfromtxt load loadtxt save savetxt"),
        *_of("pandas", "eval read_pickle"),
        "codecs.open",
        "functools.reduce",
        "logging.config.dictConfig",
        "pandas.core.computation.eval.eval",
        "skops.io.load",
        "torch.load",
    ]
)
"""Names of modules of which models do need some."""
