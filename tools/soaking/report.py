"""Judges the samples of a soak and prints the tables."""

import statistics

from .graph import RATE

# The share of the run during which caches, shared memory and the allocator's arenas fill.
WARM_UP_SHARE = 1 / 4
WARM_UP_MAX = 300.0  # s, upper limit of that time
# Allowed growth from the median of the first quarter after the warm-up to the median of the last
# quarter. If each of the 180,000 commands of half an hour leaked 16 bytes, the growth would be
# 2,800 KiB.
MAX_GROWTH = 512  # KiB
# A short run does not reach the end of the warm-up.
SHORT = 600.0  # s
MAX_GROWTH_SHORT = 2048  # KiB


def judge(samples, seconds):
    """Return the problems with the bridge's use of the machine."""
    steady = after_warm_up(samples, seconds)
    if len(steady) < 4:
        return ["too few samples after the warm-up"]
    problems = []
    first, last = quarter_medians(steady)
    allowed = MAX_GROWTH_SHORT if seconds < SHORT else MAX_GROWTH
    if last - first > allowed:
        problems.append(f"memory has grown from {first:.0f} to {last:.0f} KiB, by more than {allowed} KiB")
    for name in ("threads", "descriptors"):
        values = {getattr(sample, name) for sample in steady}
        if len(values) > 1:
            problems.append(f"the number of {name} changed after the warm-up: from {min(values)} to {max(values)}")
    return problems


def after_warm_up(samples, seconds):
    return [sample for sample in samples if sample.at >= min(seconds * WARM_UP_SHARE, WARM_UP_MAX)]


def quarter_medians(steady):
    quarter = max(1, len(steady) // 4)
    memory = [sample.memory for sample in steady]
    return statistics.median(memory[:quarter]), statistics.median(memory[-quarter:])


def show_faults(returns):
    """Print how often each fault was played, and the longest recovery."""
    if returns:
        print(f"{'fault':44}{'times':>6}{'slowest to TRACKING':>21}")
    for name, seconds in sorted(returns.items()):
        print(f"{name:44}{len(seconds):6}{max(seconds):19.2f} s")


def show(samples, seconds, graph, received):
    if not samples:
        return
    steady = after_warm_up(samples, seconds) or samples
    print(f"{'':20}{'start':>10}{'warmed up':>10}{'end':>10}{'max':>10}")
    for name, unit in (("memory", "KiB"), ("threads", ""), ("descriptors", "")):
        values = [getattr(sample, name) for sample in samples]
        warm = getattr(steady[0], name)
        print(f"{f'{name} {unit}':20}{values[0]:10}{warm:10}{values[-1]:10}{max(values):10}")
    first, last = quarter_medians(steady)
    cpu = samples[-1].cpu - samples[0].cpu
    span = max(samples[-1].at - samples[0].at, 1e-9)
    print(f"memory growth after the warm-up, median of the last quarter over the first: {last - first:+.0f} KiB")
    print(f"processor: {cpu:.1f} s, {100 * cpu / span:.2f} % of a core")
    print(
        f"{graph.published} poses at {RATE} Hz, {received} commands received, "
        f"{graph.commands_received} received on ~/command, {graph.statuses} statuses"
    )
    if (status := graph.status) is not None:
        print(
            f"last LinkStatus: sent {status.sent}, acknowledged {status.acknowledged}, rejected {status.rejected}, "
            f"coalesced {status.coalesced}, limited {status.limited}, dropped_input {status.dropped_input}, "
            f"rtt p99 {status.rtt_p99 * 1e3:.3f} ms"
        )
