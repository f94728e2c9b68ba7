"""Builds the compiled core.

Two switches: ``OMNIROUTE_DEBUG=1`` compiles with bounds checks and invariants after every call,
``OMNIROUTE_REFERENCE_ONLY=1`` compiles nothing. Where no compiler is found the reference core is
installed, and the package says so whenever it starts.
"""

import os

from setuptools import Extension, setup

DEBUG = os.environ.get("OMNIROUTE_DEBUG") == "1"
REFERENCE_ONLY = os.environ.get("OMNIROUTE_REFERENCE_ONLY") == "1"

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": False,
    "initializedcheck": DEBUG,
    "cdivision": True,
    "embedsignature": True,
    "auto_pickle": False,
    "autotestdict": False,
}


def extensions():
    """Return the compiled core; ``optional`` turns a failed compilation into an install without it."""
    if REFERENCE_ONLY:
        return []
    from Cython.Build import cythonize

    core = [
        Extension(
            f"omniroute.core.{name}",
            [f"omniroute/core/{name}.pyx"],
            extra_compile_args=["-O0", "-g"] if DEBUG else ["-O3"],
            define_macros=[("OMNIROUTE_DEBUG", "1" if DEBUG else "0")],
        )
        for name in ("kernel", "transport")
    ]
    built = cythonize(core, compiler_directives=DIRECTIVES, force=DEBUG)
    for extension in built:  # cythonize makes new ones, so this is said to those
        extension.optional = not DEBUG
    return built


setup(ext_modules=extensions())
