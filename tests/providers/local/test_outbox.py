"""What was pushed and not acknowledged is there for the next host, in order and numbered on; nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import List, Tuple

import pytest

from fk_backend.errors import NotADeployment
from fk_backend.providers.local import outbox
from fk_backend.providers.local.outbox import Kept, Outbox


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Of the file."""
    return str(tmp_path / "outbox.log")


def _filled(path: str, *pushes: Tuple[str, int, bytes]) -> Tuple[Outbox, List[Kept]]:
    made = Outbox(path)
    kept = [(inbox, made.number(inbox, upto, body)) for inbox, upto, body in pushes]
    made.save(kept)
    return made, [each for _, each in kept]


def test_what_was_saved_is_there_for_the_next_host(path: str) -> None:
    """Without that the last one has closed it."""
    _, kept = _filled(path, ("one", 3, b"1"), ("two", 0, b"x"), ("one", 5, b"2"))
    following = Outbox(path)
    assert following.after("one", 0) == [kept[0], kept[2]] and following.after("one", kept[0].seq) == [kept[2]]
    assert set(following.waiting_s()) == {"one", "two"} and following.upto == {"one": 5}
    assert following.number("one", 0, b"3").seq > kept[2].seq, "numbers go on"


def test_numbers_grow_from_host_to_host_also_when_nothing_was_saved(path: str) -> None:
    seqs = [Outbox(path).number("one", 0, b"") for _ in range(3)]
    assert seqs == sorted(seqs) and len({kept.seq >> 32 for kept in seqs}) == 3


def test_what_is_acknowledged_is_gone(path: str) -> None:
    made, kept = _filled(path, ("one", 1, b"1"), ("one", 2, b"2"), ("two", 1, b"x"))
    made.acknowledge("one", kept[0].seq)
    assert made.after("one", 0) == [kept[1]]
    made.save([])
    assert Outbox(path).after("one", 0) == [kept[1]]


def test_what_is_forgotten_is_gone_with_all_that_is_known_of_it(path: str) -> None:
    made, _ = _filled(path, ("one", 7, b"1"), ("two", 3, b"x"))
    made.forget("one")
    made.close()
    following = Outbox(path)
    assert set(following.waiting_s()) == {"two"} and following.upto == {"two": 3}


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_record_that_is_torn_ends_the_file(path: str, cut: int) -> None:
    _, kept = _filled(path, ("one", 1, b"1" * 30))
    size = len(Path(path).read_bytes())
    made = Outbox(path)
    made.save([("one", made.number("one", 2, b"2" * 60))])
    content = Path(path).read_bytes()
    assert len(content) > size + 60
    Path(path).write_bytes(content[:-cut])
    assert Outbox(path).after("one", 0) == kept


def test_a_record_that_is_damaged_ends_the_file(path: str) -> None:
    _, kept = _filled(path, ("one", 1, b"1111"), ("one", 2, b"2222"), ("one", 3, b"3333"))
    content = Path(path).read_bytes()
    Path(path).write_bytes(content.replace(b"2222", b"2223"))
    assert Outbox(path).after("one", 0) == kept[:1]


def test_the_file_is_written_anew_when_it_has_grown_and_nothing_is_lost(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "COMPACT_BYTES", 1000)
    made, (stays, *_) = _filled(path, ("stays", 9, b"s"))
    for number in range(200):
        kept = made.number("one", number, b"x" * 50)
        made.save([("one", kept)])
        made.acknowledge("one", kept.seq)
    assert len(Path(path).read_bytes()) < 3000
    made.close()
    following = Outbox(path)
    assert following.after("stays", 0) == [stays] and set(following.waiting_s()) == {"stays"}


def test_what_a_failure_left_half_written_is_written_over(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made, first = _filled(path, ("one", 1, b"1"))
    real = outbox.os.pwrite

    def torn(file: int, content: bytes, at: int) -> int:
        real(file, bytes(content)[: len(content) // 2], at)
        raise OSError(28, "no room")

    kept = made.number("one", 2, b"2")
    monkeypatch.setattr(outbox.os, "pwrite", torn)
    with pytest.raises(OSError):
        made.save([("one", kept)])
    monkeypatch.setattr(outbox.os, "pwrite", real)
    made.save([("one", kept)])
    assert Outbox(path).after("one", 0) == [*first, kept]


def test_what_is_no_outbox_is_left_alone(path: str) -> None:
    Path(path).write_bytes(b"somebody's")
    with pytest.raises(NotADeployment):
        Outbox(path)
    with pytest.raises(NotADeployment):
        outbox.check(path)
    assert Path(path).read_bytes() == b"somebody's"
