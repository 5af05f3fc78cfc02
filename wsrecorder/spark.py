"""The views of ``wsrec sql`` in a Spark job of your own, see `views`; needs the extra ``spark``."""

from __future__ import annotations

from wsrecorder.analysis.spark import views

__all__ = ["views"]
