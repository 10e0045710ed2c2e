"""`portrait-head doctor`: check that everything needed is there."""

from __future__ import annotations

import argparse


def add_to(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    doctor = commands.add_parser("doctor", help="check that everything needed is there")
    doctor.set_defaults(command=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    from portrait_head.doctor import examine

    findings = examine()
    for finding in findings:
        mark = "ok  " if finding.good else "FAIL" if finding.needed else "-   "
        print(f"{mark}  {finding.subject}: {finding.text}")
    return 0 if all(finding.good or not finding.needed for finding in findings) else 1
