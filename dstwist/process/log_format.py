"""
The form of the lines in the log.

=============================  =====================================  ================================================
the log goes to                C{logger: {type: default}}             C{logger: {type: json}}
=============================  =====================================  ================================================
a terminal, a file             time, module and level, text           L{.log_json}
systemd's journal              priority, module and level, text       priority, L{.log_json}
syslog (C{twistd --syslog})    module and level, text                 L{.log_json}
C{twistd --logger}             as the observer of the operator        the same
                               writes it
=============================  =====================================  ================================================

The first cell is Twisted's own form. L{.log_priorities} has the priorities. twistd makes the observer after the
configuration is read, and opens its file; only the form of the lines is replaced here, so rotation works as before.
"""

from __future__ import annotations

import syslog
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.logger import FileLogObserver, ILogObserver, LogBeginner

from dstwist.config.settings import LoggerOptions
from dstwist.process.log_json import json_line
from dstwist.process.log_priorities import SyslogLines, is_journal, text_without_time, with_priorities


def format_log(
    beginner: LogBeginner,
    settings: LoggerOptions,
    options: Mapping[str, Any],
    environ: Mapping[str, str],
    write_to_syslog: Callable[[int, str], object] = syslog.syslog,
) -> None:
    """
    Give the lines their form, once C{beginner} begins.

    @param options: twistd's: C{logger}, C{syslog}.
    """
    if options.get("logger"):
        return
    begin = beginner.beginLoggingTo
    own_form = json_line if settings.json else None

    def begin_formatted(observers: Iterable[ILogObserver], *args: Any, **kwargs: Any) -> None:
        if options.get("syslog"):
            # Twisted's observer has opened syslog. It knows only two priorities.
            begin([SyslogLines(own_form or text_without_time, write_to_syslog)], *args, **kwargs)
            return
        observers = list(observers)
        for observer in observers:
            if isinstance(observer, FileLogObserver):
                _format_file(observer)
        begin(observers, *args, **kwargs)

    def _format_file(observer: FileLogObserver) -> None:
        if is_journal(observer._outFile, environ):
            form = with_priorities(own_form or text_without_time)
        elif own_form is not None:
            form = own_form
        else:
            return
        observer.formatEvent = lambda event: None if (text := form(event)) is None else f"{text}\n"

    beginner.beginLoggingTo = begin_formatted  # type: ignore[method-assign]
