"""
The file that the log goes to, if twistd has C{--logfile} or runs in the background.

==========================  ==========================================================================================
event                       action
==========================  ==========================================================================================
the file has                the log is rotated; the old files are C{dstwist.log.1}, C{.2} and so on, of which
C{maxFileSize}              C{maxFiles} are kept
SIGUSR1                     the file of that name is reopened: another program, such as logrotate, has moved the
                            old one. If that fails, the log goes on in the file that is open
the process dies in code    the traceback of each thread goes to the file that is open
that is not Python
==========================  ==========================================================================================

Twisted makes the file, before the configuration is read.
"""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Callable, Iterable
from typing import Any

from twisted.logger import ILogObserver, LogBeginner
from twisted.python.logfile import LogFile

from dstwist.config.settings import LoggerOptions
from dstwist.log import OperatorLogger


class LogFileKeeper:
    """
    Looks after the log file.
    """

    _log = OperatorLogger()

    def __init__(self, file: Any, settings: LoggerOptions) -> None:
        self._file = file
        file.rotateLength = settings.max_file_size
        file.maxRotatedFiles = settings.max_files
        # One descriptor for the whole life of the process, since the crash handler writes to it.
        self._crashes = os.dup(file._file.fileno())
        faulthandler.enable(self._crashes)
        self._open_file = file._openFile
        file._openFile = self._open

    def _open(self) -> None:
        self._open_file()
        os.dup2(self._file._file.fileno(), self._crashes)

    def reopen(self) -> None:
        """
        Continue in the file that has the name of the log now.
        """
        file = self._file
        old = file._file
        try:
            file._openFile()
        except OSError as error:
            self._log.error(
                "LOG_FILE | cannot open {path} anew, the log goes on in the old file: {error}",
                path=file.path,
                error=error.strerror,
                event="LOG_FILE",
            )
            return
        old.close()
        self._log.info("INFO | log file opened anew: {path}", path=file.path, event="INFO")


def keep_log_file(beginner: LogBeginner, settings: LoggerOptions, reopen: list[Callable[[], object]]) -> None:
    """
    Look after the log file, if there is one, once C{beginner} begins.

    @param reopen: the list of functions that SIGUSR1 calls; a function for the log file is added when logging begins.
    """
    begin = beginner.beginLoggingTo

    def begin_kept(observers: Iterable[ILogObserver], *args: Any, **kwargs: Any) -> None:
        observers = list(observers)
        for observer in observers:
            file = getattr(observer, "_outFile", None)
            if isinstance(file, LogFile):
                reopen.append(LogFileKeeper(file, settings).reopen)
        begin(observers, *args, **kwargs)

    beginner.beginLoggingTo = begin_kept  # type: ignore[method-assign]
