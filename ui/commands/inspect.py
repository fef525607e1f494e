"""`inspect`: what a log says about grants, waits and limits, and whether it proves that a rule of the connection queue was broken."""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Final

from rich.console import Console

from protocol.errors import StorageError
from ui.log_report.log_report import LogReport, read_log
from ui.log_report.report_page import page_of
from ui.log_report.report_tables import print_report
from ui.log_report.report_values import values_of

EXIT_VIOLATED: Final = 1
WIDTH_OF_A_FILE: Final = 180                            # columns, where the output is no terminal


def run(arguments: argparse.Namespace) -> int:
    """Exit code 1 when an invariant is violated, or when there are no events. Raises StorageError."""
    if arguments.html and Path(arguments.html).resolve() == Path(arguments.log).resolve():
        raise StorageError(f"--html {arguments.html} is the log itself: name another file")
    report = read(Path(arguments.log))
    if arguments.html:
        write_page(Path(arguments.html), report)
    if arguments.json:
        print(json.dumps(values_of(report), indent=1))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH_OF_A_FILE
        print_report(report, Console(width=width, highlight=False, markup=False, emoji=False))
    return EXIT_VIOLATED if report.violations or not report.num_runs else 0


def read(path: Path) -> LogReport:
    """Read the log. Raises StorageError when it cannot be read."""
    try:
        return read_log(path)
    except OSError as error:
        raise StorageError(f"cannot read the log {path}: {error.strerror}") from None


def write_page(path: Path, report: LogReport) -> None:
    """Write the picture. Raises StorageError when it cannot be written."""
    try:
        path.write_text(page_of(report), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from None
