"""What a pickle may name: everything but what runs programs, code or files, which no model needs.

This keeps out the pickles that are written to attack, as they are written. It is no sandbox: any
library may have a function that does as much, and who is bent on it finds one. A pickle is only for
who trusts where it came from.
"""

import sys
import types
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable
from typing import Any

from inferd.errors import Untrusted

CURE = "If it is yours and you know why it does that, start with --trust-pickle."


def refuse_name(module: str, name: str) -> None:
    """Raise Untrusted if no model needs *name* of *module*. Imports nothing."""
    # Old protocols write the names of Python 2, which are other names here.
    renamed = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
    if _needless(module, name) or _needless(*renamed):
        raise _refusal(f"{module}.{name}")


def refuse_value(value: Any, module: str, name: str) -> None:
    """As ``refuse_name`` for what the name stood for, which may come from elsewhere: dotted names
    reach through any module into those that it imports."""
    if isinstance(value, types.ModuleType):
        raise _refusal(f"{module}.{name}")
    home, own = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if home is None:  # methods that are written in C: their class knows
        bound = getattr(value, "__self__", None)
        owner = getattr(value, "__objclass__", bound if isinstance(bound, type) else type(bound))
        home = getattr(owner, "__module__", None)
    if isinstance(home, str) and isinstance(own, str):
        refuse_name(home, own)


def _needless(module: str, name: str) -> bool:
    full = f"{module}.{name}"
    if full in NEEDED:
        return False
    root = module.partition(".")[0]
    return (
        root in MODULES
        or full in NAMES
        or any(full.startswith(f"{each}.") for each in SUBMODULES)
        or _hidden(module, name)
        or (root in sys.stdlib_module_names and _needless_standard(root, name))
        or (root in LIBRARIES and _needless_of_library(root, full))
    )


def _hidden(module: str, name: str) -> bool:
    """Whether it goes by the insides of modules, classes or functions."""
    if name.startswith("__pyx_unpickle_") and "." not in name:  # Cython's own classes
        return False
    modules = [] if module in ("__main__", "__builtin__") else module.split(".")
    return any(part.startswith("__") for part in [*modules, *name.split(".")])


def _needless_standard(root: str, name: str) -> bool:
    """Of the standard library: all but the modules that hold data and plain functions."""
    return (
        root not in STANDARD
        or any(part.startswith("_") for part in name.split("."))
        or (root == "pathlib" and "." in name)  # paths are data, what they do is not
    )


def _needless_of_library(root: str, full: str) -> bool:
    """Of the libraries that models are made with: what reads and writes files, and their tests."""
    parts = full.split(".")
    return (
        any(part in FILES or part.lstrip("_").startswith("test") for part in parts)
        or (root == "pandas" and any(_pandas_file(part) for part in parts))
        or (root == "joblib" and parts[-2][:1].isupper())  # methods: of caches, all on files
    )


def _pandas_file(part: str) -> bool:
    return part.startswith("read_") or (part.startswith("to_") and part not in CONVERSIONS)


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
        http idlelib imaplib imp importlib inferd inspect linecache marshal mmap msvcrt
        multiprocessing nntplib nt ntpath os pdb pickle pip pkg_resources pkgutil platform popen2
        poplib posix posixpath profile pty py_compile pydoc requests resource runpy setuptools
        shelve shutil signal site smtplib socket socketserver sqlite3 ssl subprocess sys sysconfig
        tempfile telnetlib test threading timeit trace urllib venv webbrowser winreg xmlrpc
        zipimport
        """
    )
)
"""Roots of modules of which a model needs nothing, be they of this Python or of another."""

STANDARD = frozenset(
    _words(
        """
        _codecs _collections _datetime _decimal _functools _io _operator _pydatetime _pydecimal
        _random _sre _struct abc array ast base64 binascii bisect builtins calendar cmath codecs
        collections colorsys copy copyreg dataclasses datetime decimal difflib enum fractions
        functools hashlib heapq html io ipaddress itertools json math numbers operator pathlib
        random re statistics string struct textwrap time types typing unicodedata warnings weakref
        zlib zoneinfo
        """
    )
)
"""Roots of the standard library's modules of which a model may need something."""

LIBRARIES = frozenset(_words("catboost joblib lightgbm numpy pandas scipy sklearn xgboost"))

SUBMODULES = (
    *_of(
        "joblib",
        """
        _cloudpickle_wrapper _memmapping_reducer _multiprocessing_helpers backports compressor disk
        executor externals numpy_pickle_utils pool
        """,
    ),
    *_of("numpy", "ctypeslib distutils f2py lib._datasource lib._npyio_impl lib.format lib.npyio"),
    *_of("pandas", "core.computation io"),
    *_of("scipy", "datasets io sparse._matrix_io"),
    *_of("sklearn", "datasets externals"),
    *_of("xgboost", "collective dask federated spark tracker"),
    *_of("lightgbm", "dask"),
    *_of("catboost", "datasets"),
)
"""Modules of libraries of which a model needs nothing."""

FILES = frozenset(
    _words(
        """
        DataSource ExcelFile ExcelWriter HDFStore PrintTime dump dump_model fromfile fromregex
        genfromtxt load load_library load_model load_npz loadtxt memmap open_memmap save
        save_borders save_model save_npz savetxt savez savez_compressed tofile
        """
    )
)
"""What reads or writes files, in whatever module of LIBRARIES and of whatever class."""

CONVERSIONS = frozenset(
    _words(
        """
        to_datetime to_dict to_flat_index to_frame to_julian_date to_list to_numeric to_numpy
        to_offset to_period to_pydatetime to_pytimedelta to_records to_series to_timedelta
        to_timestamp
        """
    )
)
"""What pandas calls ``to_`` and does not write a file."""

NEEDED = frozenset(
    [
        *_of("copyreg copy_reg", "__newobj__ __newobj_ex__ _reconstructor"),
        *_of(
            "numpy.random._pickle",
            "__bit_generator_ctor __generator_ctor __randomstate_ctor",
        ),
        *_of("numpy.random", "__RandomState_ctor"),
        *_of("re", "_compile"),
        *_of("zoneinfo", "ZoneInfo._unpickle"),
        *_of("logging", "getLogger"),
        *_of("uuid", "SafeUUID UUID"),
        # Of scikit-learn before 0.23, and in none since: the error is about the version.
        *_of("sklearn.externals.joblib.numpy_pickle", "NumpyArrayWrapper"),
    ]
)
"""Names that models do need, whatever else is said of their kind."""

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
        *_of("pandas", "eval"),
        *_of("pandas pandas.core.frame", "DataFrame.eval DataFrame.query"),
        # They evaluate annotations, or write code and run it.
        *_of("typing", "ForwardRef evaluate_forward_ref get_type_hints"),
        *_of("dataclasses", "dataclass make_dataclass"),
        *_of("functools", "reduce singledispatch singledispatchmethod"),
        "codecs.open",
        "string.Formatter",
        "skops.io.load",
        "torch.load",
    ]
)
"""Names of modules of which models do need some."""
