"""Plug-ins: backbones, labeling engines, forms of log and metrics of packages that are installed beside this one.

A package names them as entry points of the groups `eimf.backbones`, `eimf.engines`, `eimf.formats` and `eimf.metrics`,
and each module that an entry point leads to says `EIMF_INTERFACE = 2`: the version of what it is written against.

What runs is decided by the user: a plug-in is loaded when its name is given for a backbone, an engine, a format or a
metric, and never takes the place of a built-in one, since the registries ask here only for names that they do not have.
Lists of what there is come from metadata, without loading anything.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from eimf_core.errors import ConfigError, Terminated

if TYPE_CHECKING:
    from importlib.metadata import Distribution

INTERFACE = 2
"""Raised whenever a plug-in that was written for the version before would no longer work."""
VERSION = "EIMF_INTERFACE"
OPTIONS = {"backbones": "--backbone", "engines": "--engine", "formats": "--format", "metrics": "--metrics"}
"""The groups, and the option that names a member of each."""
BUILT_IN = {
    "backbones": "eimf_core.models.registry:BACKBONES",
    "engines": "eimf_core.labeling.config:ENGINES",
    "formats": "eimf_core.prepare.input_discovery:NAMES",
    "metrics": "eimf_core.evaluation.metrics:NAMES",
}
"""Where the names stand that eimf has itself."""
PUNCTUATION = re.compile(r"[-_.]+")
"""What may stand for - in the name of a package."""
_used: dict[str, str] = {}


class BrokenPackage(UserWarning):
    """A package is installed whose metadata cannot be read, so that nobody knows whether it has plug-ins."""


@dataclass(frozen=True)
class Plugin:
    """An entry point of an installed package; `target` is "module:attribute"."""

    group: str
    name: str
    target: str
    package: str
    version: str

    @property
    def origin(self) -> str:
        """The package with its version."""
        return f"{self.package} {self.version}"

    def load(self, check: Callable[[Any], str]) -> Any:
        """What the entry point leads to.

        Args:
            check: what is wrong with it; empty where it can be used.

        Raises:
            ConfigError: for one that cannot be imported, is of another version or fails the check, with its package.
        """
        found, problem = _loaded(self)
        problem = problem or check(found)
        if problem:
            raise ConfigError(
                f"{OPTIONS[self.group]} {self.name}: the plug-in of {self.origin} cannot be used ({problem})"
            )
        _used[self.package] = self.version
        return found


@cache
def _loaded(plugin: Plugin) -> tuple[Any, str]:
    """The object of an entry point, and why there is none."""
    module_name, _, attribute = plugin.target.partition(":")
    try:
        module = import_module(module_name)
        version = getattr(module, VERSION, None)
        if version != INTERFACE:
            wanted = f"{VERSION} is {version}" if version is not None else f"{module_name} says no {VERSION}"
            return None, f"{wanted}, this version of eimf has {INTERFACE}"
        return getattr(module, attribute), ""
    except (KeyboardInterrupt, Terminated):
        raise
    except BaseException as error:
        # whatever code of others does when it is imported
        return None, _reason(error)


@cache
def _installed() -> tuple[Plugin, ...]:
    from importlib import metadata

    by_package: dict[str, list[Plugin]] = {}
    # one by one, since a package whose metadata is broken says nothing of the others
    for distribution in metadata.distributions():
        try:
            found = _of_package(distribution)
        except Exception as error:
            place = getattr(distribution, "_path", "an installed package")
            problem = f"{place}: is no package that can be read ({_reason(error)}), so that its plug-ins are not known"
            warnings.warn(f"{problem}; install it again, or remove it", BrokenPackage, stacklevel=2)
            continue
        if found:
            # of several of one name, the first on the path is the one that is imported
            by_package.setdefault(PUNCTUATION.sub("-", found[0].package).lower(), found)
    every = {plugin for plugins in by_package.values() for plugin in plugins}
    return tuple(sorted(every, key=lambda each: (each.group, each.name, each.package)))


def _of_package(distribution: Distribution) -> list[Plugin]:
    """The plug-ins of a package; raises whatever its metadata does to the library that reads it."""
    groups = {f"eimf.{group}": group for group in OPTIONS}
    points = [point for point in distribution.entry_points if point.group in groups]
    # the name alone is in a file of its own, which is read for those that have any
    package, version = (distribution.name, distribution.version) if points else ("", "")
    if points and not (package and version):
        raise ValueError("it says no name and version")
    return [Plugin(groups[point.group], point.name, point.value, package, version) for point in points]


def _reason(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def built_in(group: str) -> tuple[str, ...]:
    """The names of a group that eimf has itself."""
    module, _, attribute = BUILT_IN[group].partition(":")
    return tuple(getattr(import_module(module), attribute))


def installed(group: str) -> tuple[Plugin, ...]:
    """The plug-ins of a group that can be named, by name; nothing of them is loaded."""
    found = [each for each in _installed() if each.group == group]
    taken = built_in(group) if found else ()
    return tuple(each for each in found if each.name not in taken)


def find(group: str, name: str) -> Plugin | None:
    """The plug-in of a name, None where there is none.

    Raises:
        ConfigError: several packages have it.
    """
    found = [each for each in installed(group) if each.name == name]
    if len(found) > 1:
        packages = " and ".join(each.package for each in found)
        raise ConfigError(f"{OPTIONS[group]} {name}: is in {packages}; uninstall one of them")
    return found[0] if found else None


def names(group: str) -> list[str]:
    """The names that can be given: those built in, then those of plug-ins."""
    return list(dict.fromkeys([*built_in(group), *(each.name for each in installed(group))]))


def used() -> dict[str, str]:
    """The packages of the plug-ins that this process has loaded, with their versions."""
    return dict(_used)


def help_lines(group: str) -> list[tuple[str, str]]:
    """For each plug-in of a group its name, and the package that it is of."""
    return [(each.name, f"of {each.origin}") for each in installed(group)]
