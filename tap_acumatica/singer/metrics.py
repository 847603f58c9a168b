"""Metrics in the form of the SDK, which Meltano and others read from the log."""

from __future__ import annotations

import os
import typing as t

from singer_sdk import metrics
from singer_sdk.metrics import Metric, Point, Status, Tag

if t.TYPE_CHECKING:
    from collections.abc import Mapping


def log_requests(  # noqa: PLR0913  a metric is this much
    stream: str,
    endpoint: str,
    *,
    count: int,
    seconds: float,
    succeeded: bool,
    context: Mapping[str, str] | None = None,
) -> None:
    """Log how many requests a stream took, and how long their answers took: one point each.

    Args:
        stream: Name of the stream.
        endpoint: What was asked for: neither host nor query, which may hold secrets.
        count: Requests that were sent.
        seconds: Time from each request to its answer, all in all.
        succeeded: Whether the stream is complete.
        context: The partition that was read, None where there are none.
    """
    status = Status.SUCCEEDED if succeeded else Status.FAILED
    tags: dict[str, t.Any] = {Tag.STATUS: status}
    if context:
        tags[Tag.CONTEXT] = dict(context)
    with metrics.http_request_counter(stream, endpoint, **tags) as counter:
        counter.increment(count)
    tags |= {Tag.STREAM: stream, Tag.ENDPOINT: endpoint, Tag.PID: os.getpid()}
    point = Point("timer", Metric.HTTP_REQUEST_DURATION, round(seconds, 6), tags)
    metrics.log(metrics.get_metrics_logger(), point)
