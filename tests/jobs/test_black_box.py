"""A black box on disk: what it writes is an ordinary session, and what a crash leaves of it becomes one."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.store.sessions import IDENTITY, STARTED_NS, STEP_NS, batch, cut, events, flip, read
from wsrecorder.analysis.session import open_session
from wsrecorder.analysis.trigger import TriggerCondition
from wsrecorder.core.black_box import BoxLimits, Cause, Trigger
from wsrecorder.core.event import Event
from wsrecorder.core.moment import format_duration
from wsrecorder.errors import StorageError
from wsrecorder.jobs import black_box as black_box_module
from wsrecorder.jobs.black_box import BlackBoxSink
from wsrecorder.jobs.new_session import Made, Target
from wsrecorder.jobs.snapshot import RingRecovery, recover_rings
from wsrecorder.jobs.verify import verify
from wsrecorder.store import journal as journal_module
from wsrecorder.store.journal import check_journal
from wsrecorder.store.library import Library, open_store
from wsrecorder.store.manifest import Health
from wsrecorder.store.moving import moved
from wsrecorder.store.ring import left_rings, ring_journals


def sink(
    library: Path, condition: str | None = None, *, age: int | None = 1_000, size_bytes: int | None = None,
    pre: int | None = None, post: int = 0,
) -> BlackBoxSink:  # fmt: skip
    """Return a black box whose times are given in events."""
    limits = BoxLimits(
        age_ns=None if age is None else age * STEP_NS,
        size_bytes=size_bytes,
        pre_ns=None if pre is None else pre * STEP_NS,
        post_ns=post * STEP_NS,
    )
    wanted = None if condition is None else TriggerCondition(condition)
    return BlackBoxSink(Target(library=library, tool="test"), IDENTITY, limits, wanted)


def fill(box: BlackBoxSink, first: int, stop: int, *, size: int = 10) -> None:
    for seq in range(first, stop, size):
        box.append(batch(size, seq))


def by_signal(seq: int) -> Trigger:
    return Trigger(Cause.SIGNAL, seq * STEP_NS, "SIGUSR1")


@contextmanager
def closed(box: BlackBoxSink) -> Iterator[BlackBoxSink]:
    try:
        yield box
    finally:
        box.close(Health())


def contents(found: list[Event]) -> list[tuple[object, ...]]:
    """Return of each event what does not depend on the session that it is in."""
    return [(each.kind, each.conn, each.direction, each.received_ns, each.text, each.binary) for each in found]


def assert_holds(made: Made, first: int, stop: int) -> None:
    """A session holds exactly these events, is sound, and begins with the first of them."""
    found = read(open_store(made.path))
    assert contents(found) == contents(events(stop - first, first))
    assert [each.seq for each in found] == list(range(stop - first))
    assert [each.elapsed_ns for each in found] == [seq * STEP_NS for seq in range(stop - first)]
    assert made.manifest.identity.started_ns == STARTED_NS + first * STEP_NS
    assert verify(open_store(made.path)).is_sound


def test_a_snapshot_is_an_ordinary_session_that_says_why_it_is_there(tmp_path: Path) -> None:
    with closed(sink(tmp_path, pre=50, post=15)) as box:
        fill(box, 0, 300)
        box.trigger(by_signal(299))
        fill(box, 300, 400)
    [made] = box.snapshots
    assert_holds(made, 249, 315)
    assert made.path.name == "20251124T160000Z-test-snapshot"
    info = open_session(made.path).info
    assert (info.name, info.feed, info.state) == ("test-snapshot", IDENTITY.feed, "sealed")
    why = info.black_box
    assert why is not None
    assert (why.cause, why.reason, why.triggers) == ("signal", "SIGUSR1", 1)
    assert why.at_ns == STARTED_NS + 299 * STEP_NS
    assert (why.pre_ns, why.post_ns, why.missing_ns) == (50 * STEP_NS, 15 * STEP_NS, 0)
    assert list(tmp_path.iterdir()) == [made.path], "the ring is gone at the end"


def test_several_snapshots_have_names_of_their_own(tmp_path: Path) -> None:
    with closed(sink(tmp_path, pre=20, post=5)) as box:
        for seq in range(0, 300, 100):
            fill(box, seq, seq + 100)
            box.trigger(by_signal(seq + 80))
            box.reach((seq + 99) * STEP_NS)
            box._settle(is_patient=True)  # while one is being written, triggers would go into one
    assert [made.path.name for made in box.snapshots] == [
        "20251124T160000Z-test-snapshot", "20251124T160000Z-test-snapshot-2", "20251124T160000Z-test-snapshot-3",
    ]  # fmt: skip
    for made, seq in zip(box.snapshots, (60, 160, 260), strict=True):
        assert_holds(made, seq, seq + 26)


def test_without_a_trigger_nothing_is_written_and_nothing_left(tmp_path: Path) -> None:
    with closed(sink(tmp_path)) as box:
        fill(box, 0, 100)
        assert Library(tmp_path).paths() == [], "the ring is no session"
        assert left_rings(tmp_path) == [], "nor has anybody left it"
    assert box.snapshots == []
    assert list(tmp_path.iterdir()) == []


def test_the_ring_on_disk_stays_within_its_limits(tmp_path: Path) -> None:
    with closed(sink(tmp_path, age=100)) as box:
        fill(box, 0, 2_000)
        names = [path.name for path in ring_journals(box.path)]
        assert len(names) <= 18
        assert box.fill.span_ns <= (100 + 10) * STEP_NS
        on_disk = sum(path.stat().st_size for path in ring_journals(box.path))
        assert 0 <= on_disk - box.size_bytes < 200, "all but the end marks of closed journals"
    with closed(sink(tmp_path, age=None, size_bytes=200_000)) as box:
        fill(box, 0, 2_000)
        assert 200_000 <= box.size_bytes < 200_000 + 65_536 + 10_000


def test_the_end_cuts_a_snapshot_short_and_says_so(tmp_path: Path) -> None:
    with closed(sink(tmp_path, post=100)) as box:
        fill(box, 0, 50)
        box.trigger(by_signal(49))
        fill(box, 50, 70)
    [made] = box.snapshots
    assert_holds(made, 0, 70)
    assert made.manifest.identity.black_box
    assert made.manifest.identity.black_box.missing_ns == 80 * STEP_NS


def test_a_condition_triggers_at_its_event(tmp_path: Path) -> None:
    with closed(sink(tmp_path, "type = 'T6' AND seq = 104", pre=4, post=3)) as box:
        fill(box, 0, 200)
    [made] = box.snapshots
    assert_holds(made, 100, 108)
    assert made.manifest.identity.black_box
    assert made.manifest.identity.black_box.reason == "type = 'T6' AND seq = 104"


def test_triggers_before_the_end_are_told_of_and_named_beside_the_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with closed(sink(tmp_path, pre=10, post=20)) as box:
        fill(box, 0, 50)
        box.trigger(by_signal(49))
        box.trigger(Trigger(Cause.HTTP, 55 * STEP_NS, "it looked odd"))
        for _ in range(6):
            box.trigger(by_signal(60))
        fill(box, 50, 90)
    [made] = box.snapshots
    assert_holds(made, 39, 81)  # 20 after the last of them
    why = made.manifest.identity.black_box
    assert why is not None
    assert (why.triggers, len(why.further)) == (8, 7)
    first = why.further[0]
    assert (first.cause, first.reason, first.at_ns) == ("http", "it looked odd", STARTED_NS + 55 * STEP_NS)
    assert open_session(made.path).info.black_box == why
    told = [record.getMessage().removeprefix(f"{IDENTITY.feed}: ") for record in caplog.records]
    ends = f"; the snapshot ends in {format_duration(20 * STEP_NS)}"
    assert told[:6] == [
        f"triggered by SIGUSR1{ends}",
        f"triggered again by a request: it looked odd{ends}",
        *[f"triggered again by SIGUSR1{ends}"] * 4,
    ]
    assert len(told) == 7, "five of them; the rest is counted when it is written"
    assert " for 8 triggers in " in told[6]


def test_parts_follow_on_each_other_and_say_so(tmp_path: Path) -> None:
    with closed(sink(tmp_path, "kind = 'message'", age=50, pre=10, post=20)) as box:
        fill(box, 0, 300)
    first = 0
    for before, made in zip([None, *box.snapshots], box.snapshots, strict=False):
        assert_holds(made, first, first + made.manifest.events)
        first += made.manifest.events
        continues = before.manifest.identity.id if before is not None else None
        assert open_session(made.path).info.continues == continues
    assert first == 300
    assert len(box.snapshots) > 3


def test_a_snapshot_that_cannot_be_written_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = sink(tmp_path, pre=10)
    fill(box, 0, 100)

    def refuse(*arguments: object) -> None:
        raise StorageError("the disk is full", hint="")

    with monkeypatch.context() as context:
        context.setattr(black_box_module, "write_snapshot", refuse)
        box.trigger(by_signal(99))
        fill(box, 100, 200)
        box._settle(is_patient=True)
    box.trigger(by_signal(199))
    fill(box, 200, 210)
    with pytest.raises(StorageError, match="1 of 2 snapshots could not be written: the disk is full") as caught:
        box.close(Health())
    assert "recover --all" in caught.value.hint
    [made] = box.snapshots
    assert_holds(made, 189, 200)
    [recovery] = recover_rings(tmp_path, "test")
    assert_holds(recovery.made[0], 0, 210)


def test_a_trigger_with_nothing_in_its_time_makes_no_session(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closed(sink(tmp_path, pre=5)) as box:
        fill(box, 0, 10)
        box.trigger(by_signal(500))
        box.reach(501 * STEP_NS)
    assert box.snapshots == []
    assert "no event came in its time" in caplog.text
    assert list(tmp_path.iterdir()) == []


def recovered(library: Path, name: str | None = None) -> list[RingRecovery]:
    return list(recover_rings(library, "test", name))


def killed(library: Path, *stretches: tuple[int, int]) -> Path:
    """Leave the ring of a black box that was killed, with journals of ten events."""
    box = sink(library, age=160, pre=100)
    for first, stop in stretches:
        fill(box, first, stop)
    box.abandon()
    return box.path


def test_what_a_killed_recorder_left_becomes_a_session(tmp_path: Path) -> None:
    ring = killed(tmp_path, (0, 400))
    first = check_journal(ring_journals(ring)[0]).first_seq
    [recovery] = recovered(tmp_path)
    [made] = recovery.made
    assert_holds(made, first, 400)
    assert first > 200
    assert (recovery.cut_bytes, recovery.exit_code) == (0, 0)
    assert made.manifest.identity.black_box
    assert made.manifest.identity.black_box.cause == "crash"
    assert list(tmp_path.iterdir()) == [made.path]
    assert recovered(tmp_path) == []


def test_a_batch_that_was_cut_is_kept_aside(tmp_path: Path) -> None:
    ring = killed(tmp_path, (0, 100))
    last = ring_journals(ring)[-1]
    cut(last, last.stat().st_size - 40)
    [recovery] = recovered(tmp_path)
    assert_holds(recovery.made[0], 0, 90)
    assert recovery.exit_code == 6
    assert recovery.kept == [recovery.made[0].path / "events" / f"{last.name}.cut"]
    assert 0 < recovery.cut_bytes < recovery.kept[0].stat().st_size
    assert recovery.to_dict()["cut_bytes"] == recovery.cut_bytes


def test_a_journal_of_which_nothing_can_be_read_stays(tmp_path: Path) -> None:
    ring = killed(tmp_path, (0, 100))
    last = ring_journals(ring)[-1]
    last.write_bytes(b"nothing of ours")
    [recovery] = recovered(tmp_path)
    assert recovery.kept == [ring / f"{last.name}.cut"]
    assert recovery.kept[0].read_bytes() == b"nothing of ours"
    assert recovered(tmp_path) == []
    assert ring.is_dir()


def test_stretches_that_do_not_follow_on_each_other_become_sessions_each(tmp_path: Path) -> None:
    ring = killed(tmp_path, (0, 100))
    ring_journals(ring)[2].unlink()
    [recovery] = recovered(tmp_path)
    before, after = recovery.made
    assert_holds(before, 0, 40)
    assert_holds(after, 60, 100)
    assert list(tmp_path.glob(".wsrec-*")) == []


def test_only_rings_of_that_name_that_nobody_writes_are_recovered(tmp_path: Path) -> None:
    killed(tmp_path, (0, 50))
    assert recovered(tmp_path, "other") == []
    with closed(sink(tmp_path)) as box:
        fill(box, 0, 50)
        [recovery] = recovered(tmp_path, "test")
        assert recovery.path != box.path


def test_a_ring_into_which_nothing_came_is_removed(tmp_path: Path) -> None:
    box = sink(tmp_path)
    box.abandon()
    assert recovered(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_does_not_give_back_what_it_was_given_makes_no_snapshot(tmp_path: Path) -> None:
    box = sink(tmp_path, age=160, pre=100)
    fill(box, 0, 100)
    flip(ring_journals(box.path)[3], 3_000)
    box.trigger(by_signal(99))
    fill(box, 100, 110)
    with pytest.raises(StorageError, match=r"1 of 1 snapshots could not be written"):
        box.close(Health())
    assert Library(tmp_path).paths() == []


def test_a_batch_that_the_disk_refused_is_kept_once_when_it_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = sink(tmp_path)
    for seq in range(0, 200, 10):
        if seq % 40 == 20:
            with monkeypatch.context() as context:
                context.setattr(journal_module.disk, "sync", refuse_to_sync)
                with pytest.raises(StorageError):
                    box.append(batch(10, seq))
                with pytest.raises(StorageError):
                    box.append(batch(10, seq))
        box.append(batch(10, seq))
    box.trigger(by_signal(199))
    box.close(Health())
    assert_holds(box.snapshots[0], 0, 200)


def refuse_to_sync(file: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_does_not_let_go_of_a_journal_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closed(sink(tmp_path, age=50)) as box:
        with monkeypatch.context() as context:
            context.setattr(Path, "unlink", lambda *arguments, **options: refuse_to_sync(None))
            fill(box, 0, 200)
            held = len(ring_journals(box.path))
        fill(box, 200, 210)
        assert len(ring_journals(box.path)) < held // 2


def test_a_trigger_that_fails_as_a_whole_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: object) -> list[int]:
        raise MemoryError

    monkeypatch.setattr(TriggerCondition, "moments", fail)
    with closed(sink(tmp_path, "true")) as box:
        fill(box, 0, 50)
    assert box.tally.events == 50
    assert caplog.text.count("--trigger cannot be looked at") == 1


def test_events_of_a_windows_last_moment_are_within_wherever_a_batch_ends(tmp_path: Path) -> None:
    with closed(sink(tmp_path)) as box:
        fill(box, 0, 10)
        box.trigger(by_signal(9))
        box.append(moved(batch(10, 10), -STEP_NS))  # its first event came at the moment of the one before
    assert box.snapshots[0].manifest.events == 11


def test_feeds_of_one_name_that_are_triggered_together_get_a_session_each(tmp_path: Path) -> None:
    boxes = [sink(tmp_path) for _ in range(4)]
    for box in boxes:
        fill(box, 0, 50)
        box.trigger(by_signal(49))
    for box in boxes:
        box.reach(50 * STEP_NS)  # each on a thread of its own
    for box in boxes:
        box.close(Health())
    assert len(Library(tmp_path).paths()) == 4
    for box in boxes:
        assert_holds(box.snapshots[0], 0, 50)
