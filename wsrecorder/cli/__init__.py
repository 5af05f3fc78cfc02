"""The command line: parse, call one job, print."""

from wsrecorder.cli.app import main

__all__ = ["main"]
