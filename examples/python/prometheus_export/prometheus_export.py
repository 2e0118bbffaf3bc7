"""Serves the metrics of blocks and their participants to Prometheus.

Each scrape reads the metrics from the blocks and changes nothing.
"""

from __future__ import annotations

import argparse
import fnmatch
import signal
import sys
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from datablock_ctypes import (
    DataBlockError,
    NotFound,
    diagnose_all_slots,
    get_metrics,
    list_blocks,
    list_participants,
)

STOP = (signal.SIGTERM, signal.SIGINT)
LEAST = 1.0
"""Seconds for which a reader has kept a producer waiting when the library calls its slot stuck."""

# Name, field of `Metrics`, the factor from the field's unit to the metric's unit, help. The client
# adds _total.
BLOCK_COUNTERS = (
    ("written_messages", "written", 1, "Messages that producers committed."),
    ("written_bytes", "bytes", 1, "Payload that producers committed."),
    ("aborted_claims", "aborted", 1, "Claims that producers gave back."),
    ("fenced_claims", "fenced", 1, "Claims that a recovery ended."),
    ("producer_waits", "waits", 1, "Claims that had to wait for a reader."),
    ("producer_wait_seconds", "wait_ns", 1e-9, "Time that claims waited."),
    ("producer_timeouts", "timeouts", 1, "Claims that waited in vain."),
    ("cleaned_consumers", "cleaned", 1, "Rows of dead consumers that were removed."),
    ("recoveries", "recoveries", 1, "Records of the recovery log."),
    (
        "schema_mismatches",
        "schema_mismatches",
        1,
        "Attaches that were refused because of the schema.",
    ),
)
# The same of `ParticipantInfo`.
CONSUMER_COUNTERS = (
    ("read_messages", "read", 1, "Messages that a consumer read."),
    ("read_bytes", "bytes", 1, "Payload that a consumer read."),
    ("missed_messages", "missed", 1, "Messages that a consumer skipped."),
    ("lost_messages", "lost", 1, "Messages that an operator had discarded."),
    ("overruns", "overruns", 1, "Messages that were overwritten while they were read."),
    ("checksum_failures", "checksum_failures", 1, "Messages whose checksum was wrong."),
    ("waits", "waits", 1, "Reads that had to wait."),
    ("wait_seconds", "wait_ns", 1e-9, "Time that reads waited."),
    ("timeouts", "timeouts", 1, "Reads that waited in vain."),
)
CONSUMER_GAUGES = (
    ("lag_messages", "lag", 1, "Messages that a consumer has yet to read."),
    ("held_slots", "pins", 1, "Slots that a consumer holds."),
    ("silent_seconds", "silent_ms", 1e-3, "Since a consumer's last call."),
    (
        "alive",
        "alive",
        1,
        "1: the consumer's process lives, 0: it is dead, and its row is still there.",
    ),
)
BLOCK, CONSUMER = ("block",), ("block", "row", "consumer", "delivery")


class Scrape:
    """The result of one scrape: families with a sample for each block or consumer."""

    def __init__(self) -> None:
        self.families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}

    def counter(
        self, name: str, text: str, labels: tuple[str, ...], values: tuple[str, ...], value: float
    ) -> None:
        self._add(CounterMetricFamily, name, text, labels, values, value)

    def gauge(
        self, name: str, text: str, labels: tuple[str, ...], values: tuple[str, ...], value: float
    ) -> None:
        self._add(GaugeMetricFamily, name, text, labels, values, value)

    def _add(
        self,
        kind: type,
        name: str,
        text: str,
        labels: tuple[str, ...],
        values: tuple[str, ...],
        value: float,
    ) -> None:
        if name not in self.families:
            self.families[name] = kind(name, text, labels=labels)
        self.families[name].add_metric(values, value)


class BlockCollector(Collector):
    def __init__(self, patterns: list[str], stuck_after: float = LEAST) -> None:
        self.patterns = patterns
        self.stuck_after = stuck_after

    def describe(self) -> Iterable[Metric]:
        return []  # a registration does not scrape

    def collect(self) -> Iterator[Metric]:
        scrape = Scrape()
        for block in list_blocks():
            if not any(fnmatch.fnmatchcase(block.name, pattern) for pattern in self.patterns):
                continue
            name = (block.name.encode(errors="replace").decode(),)
            try:
                self._block(scrape, block.name, name)
                readable = 1
            except NotFound:
                continue  # removed after the listing
            except DataBlockError:
                readable = 0
            help_readable = "1: the block can be read; 0: it is damaged, or not ours."
            scrape.gauge("datablock_readable", help_readable, BLOCK, name, readable)
            scrape.gauge(
                "datablock_memory_bytes", "Memory of both files.", BLOCK, name, block.total_bytes
            )
            alive = block.producer_pid != 0
            scrape.gauge(
                "datablock_producer_alive", "1: a living producer is attached.", BLOCK, name, alive
            )
        yield from scrape.families.values()

    def _block(self, scrape: Scrape, block: str, name: tuple[str, ...]) -> None:
        figures, slots, participants = (
            get_metrics(block),
            diagnose_all_slots(block),
            list_participants(block),
        )
        for metric, field, unit, text in BLOCK_COUNTERS:
            scrape.counter(f"datablock_{metric}", text, BLOCK, name, getattr(figures, field) * unit)
        scrape.gauge(
            "datablock_age_seconds", "Since the block was made.", BLOCK, name, figures.age_ms / 1000
        )
        idle = figures.idle_ms / 1000
        scrape.gauge(
            "datablock_producer_idle_seconds", "Since the producer's last call.", BLOCK, name, idle
        )
        scrape.gauge("datablock_consumers", "Living consumers.", BLOCK, name, figures.consumers)
        scrape.gauge("datablock_slots", "Slots, spare ones included.", BLOCK, name, len(slots))
        least = 1000 * self.stuck_after
        stuck = sum(
            s.is_stuck and not (s.writer_waiting and s.stuck_duration_ms < least) for s in slots
        )
        scrape.gauge(
            "datablock_stuck_slots",
            "Slots that datablock-admin diagnose calls stuck.",
            BLOCK,
            name,
            stuck,
        )
        for one in participants:
            if one.row == 0:
                continue
            labels = (*name, str(one.row), one.name, one.delivery.name)
            for metric, field, unit, text in CONSUMER_COUNTERS:
                scrape.counter(
                    f"datablock_consumer_{metric}",
                    text,
                    CONSUMER,
                    labels,
                    getattr(one, field) * unit,
                )
            for metric, field, unit, text in CONSUMER_GAUGES:
                scrape.gauge(
                    f"datablock_consumer_{metric}",
                    text,
                    CONSUMER,
                    labels,
                    getattr(one, field) * unit,
                )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "pattern",
        nargs="*",
        default=["*"],
        help="names of blocks, such as 'camera*' (default: all)",
    )
    parser.add_argument(
        "--address", default="127.0.0.1", help="to listen on (default: %(default)s)"
    )
    parser.add_argument(
        "--port", type=int, default=9464, help="0: any that is free (default: %(default)s)"
    )
    parser.add_argument(
        "--stuck-after",
        type=float,
        default=LEAST,
        metavar="SECONDS",
        help="for how long a reader may keep a producer waiting before its slot counts as stuck "
        "(default and least: 1)",
    )
    arguments = parser.parse_args()
    if not arguments.stuck_after >= LEAST:
        parser.error(
            f"--stuck-after {arguments.stuck_after}: use a number of seconds from {LEAST:g} on"
        )

    # Before the first thread starts: threads inherit the mask, and sigwait gets the signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
    registry = CollectorRegistry()
    registry.register(BlockCollector(arguments.pattern, arguments.stuck_after))
    try:
        server, thread = start_http_server(arguments.port, arguments.address, registry)
    except OSError as error:
        print(f"cannot listen on {arguments.address}:{arguments.port}: {error}", file=sys.stderr)
        return 1
    print(f"http://{arguments.address}:{server.server_port}/metrics", flush=True)
    signal.sigwait(STOP)
    server.shutdown()
    server.server_close()
    thread.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
