"""When the files of [tls] are read again, and which are taken."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from app.certificates import Pems, Renewing, name_in, read_pems
from app.settings import SettingsError, TlsSettings
from tests.nameless import issue_nameless
from tests.waiting import wait_until


class Reader:
    """Has a certificate, and knows which one it was made of last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.file = folder / "server.pem"
        self.wrong = ""
        self.readings = 0
        self.settings = TlsSettings(certificate=str(self.file), key=str(folder / "server.key"))

    def start(self) -> Renewing[bytes]:
        return Renewing(self.settings, self._make, "the server")

    def issue(self, *names: str, days: float = 1) -> bytes:
        """Writes another certificate for some hosts, which is valid for so many days."""
        ends = datetime.now(UTC) + timedelta(days=days)
        begins = min(ends, datetime.now(UTC)) - timedelta(days=1)
        made = self.authority.issue_cert(*names, not_before=begins, not_after=ends)
        return self.write(made.cert_chain_pems[0].bytes(), made.private_key_pem.bytes())

    def write(self, certificate: bytes, key: bytes) -> bytes:
        self.file.write_bytes(certificate)
        Path(self.settings.key).write_bytes(key)
        return certificate

    def _make(self, pems: Pems) -> bytes:
        self.readings += 1
        if self.wrong:
            raise SettingsError(self.wrong)
        return pems.chain


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def told(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno == level]


def test_files_are_read_once_as_long_as_they_are_the_same(reader: Reader) -> None:
    first = reader.issue("a.test")
    renewing = reader.start()
    assert renewing.first == first
    assert [renewing.renewed() for _ in range(3)] == [None] * 3
    second = reader.issue("a.test")
    assert [renewing.renewed() for _ in range(3)] == [second, None, None]
    assert reader.readings == 2


def test_a_failure_that_leaves_no_trace_in_the_files_is_not_for_good(
    reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    reader.issue("a.test")
    renewing = reader.start()
    # Such as too many open files.
    reader.wrong = "cannot read it"
    second = reader.issue("a.test")
    assert [renewing.renewed() for _ in range(3)] == [None] * 3
    assert told(caplog, logging.ERROR) == [
        "cannot read it; the server goes on with the certificate that it has"
    ]
    reader.wrong = ""
    assert renewing.renewed() == second


def test_each_state_that_is_wrong_is_told(reader: Reader, caplog: pytest.LogCaptureFixture) -> None:
    certificate = reader.issue("a.test")
    renewing = reader.start()
    for wrong in ((b"no certificate", b""), (certificate, b"no key")):
        reader.write(*wrong)
        assert [renewing.renewed() for _ in range(2)] == [None] * 2
    first, second = told(caplog, logging.ERROR)
    assert "server.pem is no certificate in PEM; the server goes on" in first
    assert "server.key is no private key in PEM" in second


def test_a_mode_that_changes_is_a_change(reader: Reader) -> None:
    first = reader.issue("a.test")
    renewing = reader.start()
    before = reader.file.stat().st_ctime_ns

    def is_later() -> bool:
        reader.file.chmod(0o400)
        return reader.file.stat().st_ctime_ns > before

    # Of the same moment, it would not be another.
    assert wait_until(is_later, 30)
    assert renewing.renewed() == first


def test_a_certificate_that_names_no_host_is_not_taken(
    reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    reader.issue("a.test")
    renewing = reader.start()
    reader.write(*issue_nameless("a.test"))
    assert renewing.renewed() is None
    (said,) = told(caplog, logging.ERROR)
    assert "server.pem has no name of a server (subjectAltName)" in said
    assert "the server goes on with the certificate that it has" in said
    with pytest.raises(SettingsError, match=r"names and addresses that clients connect to"):
        reader.start()
    # A name of something else is none.
    reader.issue("somebody@a.test")
    with pytest.raises(SettingsError, match="subjectAltName"):
        read_pems(reader.settings)


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (("a.test", "127.0.0.1"), "a.test"),
        (("127.0.0.1",), "127.0.0.1"),
        (("*.a.test",), "any.a.test"),
    ],
    ids=["name", "address", "wildcard"],
)
def test_who_checks_the_server_expects_a_name_that_is_in_its_certificate(
    reader: Reader, names: tuple[str, ...], first: str
) -> None:
    reader.issue(*names)
    assert name_in(str(reader.file)) == first


def test_one_that_has_expired_does_not_take_the_place_of_one_that_is_valid(
    reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    reader.issue("a.test")
    renewing = reader.start()
    reader.issue("a.test", days=-1)
    assert [renewing.renewed() for _ in range(2)] == [None] * 2
    (said,) = told(caplog, logging.ERROR)
    assert "tls.certificate: " in said
    assert "server.pem has expired, at " in said
    assert "the server goes on with the certificate that it has" in said
    assert told(caplog, logging.WARNING) == []
    good = reader.issue("a.test")
    assert renewing.renewed() == good


def test_one_that_has_expired_is_taken_with_a_warning_if_there_is_no_better(
    reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    old = reader.issue("a.test", days=-2)
    renewing = reader.start()
    assert renewing.first == old
    later = reader.issue("a.test", days=-1)
    assert renewing.renewed() == later
    assert [each.partition(", at")[0] for each in told(caplog, logging.WARNING)] == [
        f"tls.certificate: {reader.file} has expired"
    ] * 2
    assert told(caplog, logging.ERROR) == []


def test_an_authority_of_clients_that_has_expired_is_a_warning(
    reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    authorities = reader.folder / "clients.pem"
    authorities.write_bytes(reader.issue("a.test", days=-1))
    reader.issue("a.test")
    reader.settings = reader.settings.model_copy(update={"client_ca": str(authorities)})
    assert reader.start().first
    (said,) = told(caplog, logging.WARNING)
    assert f"tls.client_ca: {authorities} has expired" in said
