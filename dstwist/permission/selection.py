"""
Builds the permission from the settings.
"""

from __future__ import annotations

from collections.abc import Callable

from dstwist.config.permission import PermissionSettings
from dstwist.interfaces import IPermission
from dstwist.permission.open import OpenPermission
from dstwist.permission.plugin import load as load_plugin
from dstwist.permission.valve.decision import Loader
from dstwist.permission.valve.lint import warnings_of
from dstwist.permission.valve.permission import ValvePermission, no_records
from dstwist.permission.valve.rules import Rules, load_permissions
from dstwist.plugins import PluginContext


def load_rules(settings: PermissionSettings) -> tuple[Rules, list[str]]:
    """
    The rules of the settings, and warnings about them.

    @raise ConfigError: the rules cannot be used. The error lists all problems.
    """
    rules = load_permissions(settings.permissions, settings.where, settings.place)
    return rules, warnings_of(rules, settings.where, settings.place)


def build_permission(
    settings: PermissionSettings,
    seconds: Callable[[], float],
    load: Loader = no_records,
    context: PluginContext | None = None,
) -> IPermission:
    """
    The permission.

    @param seconds: the time, in seconds since 1970.
    @param load: loads the records that rules refer to, see L{ValvePermission}.
    @param context: the parts of the server that a plug-in may use.
    @raise ConfigError: the rules or the plug-in cannot be used. The error lists all problems.
    """
    if settings.type == "none":
        return OpenPermission()
    if settings.plugin is not None:
        return load_plugin(settings.plugin, context or PluginContext(None))
    rules, warnings = load_rules(settings)
    return ValvePermission(
        rules,
        seconds,
        warnings=warnings,
        load=load,
        max_iterations=settings.max_rule_iterations,
        max_steps=settings.max_rule_steps,
        max_remembered=settings.max_cached_names,
        interval=settings.cache_evacuation_interval,
        log_values=settings.log_rule_values,
    )
