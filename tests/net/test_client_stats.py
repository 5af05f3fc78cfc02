"""What clients that have gone came to is kept, also of those that are not listed any more."""

from __future__ import annotations

from wsrecorder.net.client_stats import ClientStats, Departed


def stats(number: int) -> ClientStats:
    return ClientStats(number, "a", "", 0, 10, 100, 0, 0, 0, 1, 0, 0, 0.0, None, 1000)


def test_totals_outlive_the_list() -> None:
    departed = Departed(3)
    for number in range(1, 6):
        departed.append(stats(number))
    assert [client.number for client in departed] == [3, 4, 5]
    assert (departed.frames_sent, departed.bytes_sent, departed.stalls) == (50, 500, 5)
