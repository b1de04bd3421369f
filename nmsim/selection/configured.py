"""Selectors as a configuration describes them, and what it cannot mean by them."""

from __future__ import annotations

import re

from nmsim.config.schema import RunConfig
from nmsim.errors import ConfigError, suggestion
from nmsim.schemes import Scheme
from nmsim.selection.api import COMMON, create, method_parameters, method_places, methods, selector_class
from nmsim.selection.selector import Selector, follows_training


def make_selector(config: RunConfig, method: str) -> Selector:
    """Return the unfitted selector of a method as the configuration describes it.

    Its features are stored in the number format of the near-memory units on either side, where the method
    has one and the configuration names no other, so that host and units select alike.

    Raises
    ------
    ConfigError
        With file and line, for an unknown method or parameter, or one out of its range.
    """
    section, given = config.selection.path(method), config.selection.parameters(method)
    params = dict(given)
    try:
        if "number_format" in method_parameters(method):
            params.setdefault("number_format", config.near_memory.format)
        return create(method, config.selection.keep_ratio, config.seed, **params)
    except ConfigError as error:
        words = re.findall(r"[A-Za-z]\w*", f"{error.message} {error.found}")
        named = next((name for name in params if name in words), None)
        if named == "number_format" and named not in given:
            raise _located(config, error, ("near_memory", "format")) from None
        raise _located(config, error, section if named is None else (*section, named)) from None


def check_schemes(config: RunConfig) -> None:
    """Refuse schemes and parameters of methods that cannot be meant.

    Raises
    ------
    ConfigError
        With the file and line of the scheme or the parameter.
    """
    for method in config.selection.methods:
        path = ("selection", "methods", method)
        own = config.selection.path(method)
        if own != path:
            message = f"the parameters of {method} have a section of their own"
            raise _located(config, ConfigError(message, expected=".".join(own)), path)
        for name in set(config.selection.methods[method]) & set(COMMON):
            hint = "Set selection.keep_ratio." if name == "keep_ratio" else "Set seed."
            error = ConfigError(f"{name} of {method} is the same for all methods", hint=hint)
            raise _located(config, error, (*path, name))
        make_selector(config, method)
    for index, scheme in enumerate(map(Scheme.parse, config.schemes)):
        if not scheme.is_full:
            try:
                _check_scheme(scheme)
            except ConfigError as error:
                raise _located(config, error, ("schemes", index)) from None
            selector = make_selector(config, scheme.method)
            try:
                selector.check_network(config.training.network)
            except ConfigError as error:
                raise _located(config, error, ("training", "network")) from None
            if config.training.backend == "none" and follows_training(selector):
                message = "selects by the network that is trained, and training.backend: none trains none"
                raise _located(config, ConfigError(f"{scheme} {message}"), ("training", "backend"))


def _check_scheme(scheme: Scheme) -> None:
    method, known = scheme.method, methods()
    if method not in known:
        hint = (
            suggestion(method, known) or "A plug-in must be installed beside nmsim (docs/howto/selector.md)."
        )
        raise ConfigError(
            f"unknown selection method of the scheme {scheme}",
            found=method,
            expected=", ".join(known),
            hint=hint,
        )
    offered = method_places(method)
    if scheme.side not in offered:
        reason = selector_class(method).host_only
        raise ConfigError(
            f"{method} cannot run near memory" + (f": {reason}" if reason else ""),
            found=scheme,
            expected=" or ".join(str(scheme.at(place)) for place in offered),
        )


def _located(config: RunConfig, error: ConfigError, keys: tuple[str | int, ...]) -> ConfigError:
    if error.file is None:
        origin = config.origin(keys)
        error.file, error.line = origin.file, origin.line
    return error
