"""The page of metrics in the form that Prometheus reads; prometheus-client writes it (extra ``metrics``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from wsrecorder.core.distribution import Distribution
from wsrecorder.jobs.metrics import BOUNDS_NS, METRICS, Measurement, Metric, MetricKind

__all__ = ["METRICS_TYPE", "metrics_page"]

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Content type of the page: Prometheus's text format."""

_Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


def metrics_page(measurements: Iterable[Measurement], command: str, version: str) -> bytes:
    """Return the page of a command's metrics.

    Args:
        measurements: What was measured.
        command: ``record``, ``tap`` or ``replay``: its metrics are on the page, also those without a value.
        version: Of this program.

    Raises:
        KeyError: A measurement is of no metric of the command.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Measured([Measurement("wsrec_build_info", 1, (version,)), *measurements], command))
    return generate_latest(registry)


class _Measured(Collector):
    def __init__(self, measurements: Iterable[Measurement], command: str) -> None:
        self._measurements = measurements
        self._metrics = [metric for metric in METRICS if command in metric.commands]

    def collect(self) -> Iterator[_Family]:
        families = {metric.name: _family(metric) for metric in self._metrics}
        for measurement in self._measurements:
            _add(families[measurement.metric], measurement)
        yield from families.values()

    def describe(self) -> Iterator[_Family]:
        return iter(())  # only the registry's own, for which nothing has to be read


def _family(metric: Metric) -> _Family:
    match metric.kind:
        case MetricKind.COUNTER:
            return CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
        case MetricKind.GAUGE:
            return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
        case MetricKind.HISTOGRAM:
            return HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)


def _add(family: _Family, measurement: Measurement) -> None:
    value = measurement.value
    if isinstance(family, HistogramMetricFamily):
        assert isinstance(value, Distribution)
        bounds = [*(str(bound_ns / 1e9) for bound_ns in BOUNDS_NS), "+Inf"]
        total_s = value.total_ns / 1e9
        family.add_metric(measurement.labels, list(zip(bounds, value.cumulative(BOUNDS_NS), strict=True)), total_s)
    else:
        assert not isinstance(value, Distribution)
        family.add_metric(measurement.labels, value)
