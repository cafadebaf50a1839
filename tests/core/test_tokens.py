"""Tokens: made once, kept as hashes, and good until they end."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest

from app import tokens as tokens_module
from app.identity import Caller
from app.known_tokens import KnownTokens, TokenControl
from app.operating_tokens import moment, table
from app.snapshot import Snapshot
from app.tokens import UnknownTokenError, caller_of, make_token, token_id
from qdispatch.errors import AuthenticationError, RequestError, UnavailableError
from tests.waiting import wait_until
from tests.world import World

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def control(world: World) -> TokenControl:
    return TokenControl(store=world.store, clock=world.clock)


@pytest.fixture
def known(world: World) -> Iterator[KnownTokens]:
    """What a server knows that reads tokens only when it is asked to."""
    known = KnownTokens(store=world.store, clock=world.clock, refresh_s=3600)
    known.start()
    yield known
    known.close()


def renew(known: KnownTokens) -> None:
    read = Event()
    known.renew(read.set)
    assert read.wait(10)


# -- what they look like


def test_a_token_is_its_owners(control: TokenControl, known: KnownTokens) -> None:
    mine, _ = control.create("me")
    admins, _ = control.create("root@example.org", is_admin=True)
    renew(known)
    assert known.caller(mine, "ipv4:1.2.3.4:5") == Caller(
        owner="me", token_id=str(token_id(mine)), peer="ipv4:1.2.3.4:5"
    )
    assert known.caller(mine).sees == "me"
    assert known.caller(admins).sees is None


def test_no_two_are_alike() -> None:
    made = [make_token(owner="me", is_admin=False, now=NOW) for _ in range(200)]
    for values in (
        [text for text, _ in made],
        [kept.id for _, kept in made],
        [kept.salt for _, kept in made],
        [kept.digest for _, kept in made],
    ):
        assert len(set(values)) == len(made)
    assert {len(text) for text, _ in made} == {57}


def test_nothing_secret_is_kept(control: TokenControl, world: World) -> None:
    text, _ = control.create("me")
    with world.store.read() as tx:
        (kept,) = tx.tokens.every()
    assert text.startswith(f"qd_{kept.id}_")
    assert (len(kept.salt), len(kept.digest)) == (16, 32)
    assert text[14:] not in repr(kept)


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    text, kept = make_token(owner="me", is_admin=False, now=NOW)
    compared: list[int] = []

    def compare(first: bytes, second: bytes) -> bool:
        compared.append(len(first))
        return hmac.compare_digest(first, second)

    class Recording:
        compare_digest = staticmethod(compare)

    monkeypatch.setattr(tokens_module, "hmac", Recording)
    caller_of(text, {kept.id: kept}, now=NOW)
    assert compared == [32]


MALFORMED = {
    "empty": "",
    "letter": "x",
    "prefix": "qd_",
    "no-secret": "qd_AAAAAAAAAA_",
    "short": "qd_AAAAAAAAAA_" + "a" * 42,
    "long": "qd_AAAAAAAAAA_" + "a" * 44,
    "small-id": "qd_aaaaaaaaaa_" + "a" * 43,
    "large-prefix": "QD_AAAAAAAAAA_" + "a" * 43,
    "line-end": "qd_AAAAAAAAAA_" + "a" * 43 + "\n",
    "umlaut": "qd_AAAAAAAAAA_" + "a" * 42 + "ü",
    "endless": "x" * 100_000,
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(AuthenticationError, match="malformed") as caught:
        caller_of(text, {}, now=NOW)
    assert not isinstance(caught.value, UnknownTokenError)
    assert len(text) < 5 or text not in str(caught.value)


def test_a_wrong_secret_is_refused_in_the_words_for_an_unknown_id() -> None:
    text, kept = make_token(owner="me", is_admin=False, now=NOW)
    other, _ = make_token(owner="me", is_admin=False, now=NOW)
    wrong = text[:14] + other[14:]
    with pytest.raises(AuthenticationError) as first:
        caller_of(wrong, {kept.id: kept}, now=NOW)
    with pytest.raises(UnknownTokenError) as second:
        caller_of(other, {kept.id: kept}, now=NOW)
    assert str(first.value) == str(second.value)
    assert other[14:] not in str(first.value)


@pytest.mark.parametrize("owner", ["", "a b", "a/b", "a\n", "ü", "x" * 65, "'", "a\0"])
def test_an_owner_has_a_plain_name(control: TokenControl, owner: str) -> None:
    with pytest.raises(RequestError, match="no name of an owner") as caught:
        control.create(owner)
    assert caught.value.field == "owner"
    assert control.tokens() == []


# -- how they end


def test_a_token_ends_when_it_expires(
    control: TokenControl, known: KnownTokens, world: World
) -> None:
    text, kept = control.create("me", expires_at=world.clock() + timedelta(hours=1))
    renew(known)
    world.clock.advance(3599)
    assert known.caller(text).owner == "me"
    world.clock.advance(1)
    # It was not read anew for that.
    with pytest.raises(AuthenticationError, match=f"{kept.id} expired at 2026-01-02 04:04"):
        known.caller(text)
    with pytest.raises(RequestError, match="is past"):
        control.create("me", expires_at=world.clock())


def test_a_token_ends_when_it_is_revoked(
    control: TokenControl, known: KnownTokens, world: World
) -> None:
    text, kept = control.create("me")
    other, _ = control.create("me")
    renew(known)
    assert control.revoke([kept.id, "AAAAAAAAAA"]) == ({kept.id}, {"AAAAAAAAAA"})
    assert known.caller(text).owner == "me"
    renew(known)
    with pytest.raises(AuthenticationError, match=f"{kept.id} was revoked"):
        known.caller(text)
    assert known.caller(other).owner == "me"
    assert control.revoke([kept.id]) == (set(), set())
    # A month later it is as if it had never been.
    world.clock.advance(31 * 86400)
    renew(known)
    with pytest.raises(UnknownTokenError):
        known.caller(text)


def test_all_tokens_of_an_owner_are_revoked(control: TokenControl, known: KnownTokens) -> None:
    mine = [control.create("me")[1].id for _ in range(3)]
    yours, _ = control.create("you")
    control.revoke(mine[:1])
    assert control.revoke_owner("me") == set(mine[1:])
    assert control.revoke_owner("me") == set()
    renew(known)
    assert known.caller(yours).owner == "you"
    assert [each.revoked_at is not None for each in control.tokens("me")] == [True] * 3
    assert len(control.tokens()) == 4


# -- what a server knows


def test_a_new_token_is_known_once_they_are_read(control: TokenControl, known: KnownTokens) -> None:
    text, _ = control.create("me")
    with pytest.raises(UnknownTokenError):
        known.caller(text)
    renew(known)
    assert known.caller(text).owner == "me"


def test_a_database_that_is_away_lets_nobody_in_anew(
    control: TokenControl, known: KnownTokens, world: World
) -> None:
    text, _ = control.create("me")
    renew(known)
    new, _ = control.create("you")
    world.store.away = True
    renew(known)
    assert not known.are_fresh
    assert known.caller(text).owner == "me"
    with pytest.raises(UnknownTokenError):
        known.caller(new)
    world.store.away = False
    renew(known)
    assert known.are_fresh
    assert known.caller(new).owner == "you"


def test_what_was_read_too_long_ago_is_not_good() -> None:
    answers = [1, 2]

    def read() -> int:
        if answers:
            return answers.pop(0)
        raise UnavailableError("away")

    snapshot = Snapshot(read, name="numbers", every_s=0.01, soonest_s=0.001, patience_s=0.05)
    with pytest.raises(UnavailableError, match="numbers cannot be read"):
        snapshot.value()
    snapshot.start()
    try:

        def is_over() -> bool:
            try:
                return snapshot.value() not in (1, 2)
            except UnavailableError:
                return True

        # First, as on a slow machine a good reading may also be too long ago.
        assert wait_until(lambda: not snapshot.is_fresh, 10)
        assert wait_until(is_over, 10)
    finally:
        snapshot.close()


def test_many_who_ask_at_once_are_one_reading() -> None:
    readings: list[int] = []
    is_reading, go_on = Event(), Event()

    def read() -> None:
        readings.append(1)
        if len(readings) == 2:
            is_reading.set()
            assert go_on.wait(10)

    snapshot = Snapshot(read, name="numbers", every_s=3600, soonest_s=0.001)
    snapshot.start()
    first, *told = [Event() for _ in range(101)]
    try:
        snapshot.renew(first.set)
        assert is_reading.wait(10)
        # They all ask during a reading, which is none that began after they asked.
        for each in told:
            snapshot.renew(each.set)
        assert not any(each.is_set() for each in told)
        go_on.set()
        assert all(each.wait(10) for each in (first, *told))
        # One as it began, the first one's, and one for all the others.
        assert len(readings) == 3
    finally:
        go_on.set()
        snapshot.close()
    # Who asks after the end is not kept waiting.
    late = Event()
    snapshot.renew(late.set)
    assert late.is_set()


def test_a_reading_that_goes_wrong_is_not_the_last() -> None:
    outcomes = iter([ValueError("a defect"), 5])

    def read() -> int:
        outcome = next(outcomes, 5)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    snapshot = Snapshot(read, name="numbers", every_s=0.01, soonest_s=0.001)
    snapshot.start()
    try:
        assert wait_until(lambda: snapshot.is_fresh, 10)
        assert snapshot.value() == 5
    finally:
        snapshot.close()


# -- what operators say and see


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("30d", NOW + timedelta(days=30)),
        ("12h", NOW + timedelta(hours=12)),
        ("2026-12-31", datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_when_a_token_is_to_end(said: str, meant: datetime) -> None:
    assert moment(said, NOW) == meant


@pytest.mark.parametrize("said", ["", "0d", "d", "1w", "-1d", "2026-13-01", "9999-12-31", "1e9d"])
def test_what_is_no_time_is_refused(said: str) -> None:
    with pytest.raises(RequestError, match="is no time"):
        moment(said, NOW)


def test_the_list_of_tokens_fits_80_columns(control: TokenControl, world: World) -> None:
    control.create("x" * 64, is_admin=True, expires_at=world.clock() + timedelta(days=1))
    world.clock.advance(1)
    _, kept = control.create("me")
    world.clock.advance(1)
    control.create("you", expires_at=world.clock() + timedelta(seconds=1))
    control.revoke([kept.id])
    lines = list(table(control.tokens(), world.clock() + timedelta(seconds=1)))
    assert all(len(line) <= 81 for line in lines)
    assert [line[12:20].split() for line in lines[1:]] == [["valid"], ["revoked"], ["expired"]]
    assert lines[1].split()[2:] == ["yes", "2026-01-02", "2026-01-03", "03:04", "x" * 21 + "…"]
