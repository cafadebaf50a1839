"""What is wrong with keys and certificates of messages is told at the start."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import ValidationError

from app.settings import SettingsError
from tasks.celery import make_celery
from tests.services.rsa import make_signer
from tests.world import make_settings

Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as it should be, and another's certificate in it."""
    folder = tmp_path_factory.mktemp("signers")
    for name, days in {"ours": 1.0, "other": 1.0, "old": -1.0}.items():
        make_signer(folder, name, days=days)
    curve = trustme.CA()
    curve.cert_pem.write_to_path(str(folder / "curve.pem"))
    curve.private_key_pem.write_to_path(str(folder / "curve.key"))
    (folder / "trusted").mkdir()
    shutil.copy(folder / "ours.pem", folder / "trusted")
    return folder


def messages(folder: Path, **names: str) -> dict[str, Any]:
    given = {"key": "ours.key", "certificate": "ours.pem", "certificates": "trusted"} | names
    return {"sign": True, **{key: str(folder / name) for key, name in given.items()}}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"key": "none.key"}, r"messages\.key: cannot read .*none\.key"),
        ({"certificate": "none.pem"}, r"messages\.certificate: cannot read"),
        ({"certificates": "none"}, r"messages\.certificates: .*none is no folder"),
        ({"key": "ours.pem"}, r"messages\.key: .* is no private key"),
        ({"key": "other.key"}, r"messages\.key: .*other\.key is not the key of"),
        ({"certificate": "ours.key"}, r"messages\.certificate: .* is no certificate"),
        ({"certificate": "other.pem", "key": "other.key"}, r"lacks .*other\.pem"),
        ({"certificate": "curve.pem", "key": "curve.key"}, r"curve\.pem is not of RSA"),
        ({"certificate": "old.pem", "key": "old.key"}, r"old\.pem has expired"),
        # Keys are no certificates.
        ({"certificates": ""}, r"messages\.certificates: .* is no certificate"),
    ],
    ids=[
        "no-key", "no-certificate", "no-folder", "key", "another-key", "certificate", "not-trusted",
        "curve", "expired", "not-certificates-only",
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(
    signers: Path, tmp_path: Path, names: dict[str, str], said: str
) -> None:
    if names.get("certificates") == "":
        (tmp_path / "all").mkdir()
        shutil.copy(signers / "ours.key", tmp_path / "all")
        names = {"certificates": str(tmp_path / "all")}
    settings = make_settings(tmp_path, messages=messages(signers, **names))
    with pytest.raises(SettingsError, match=said):
        make_celery(settings, results=False)


@pytest.mark.parametrize("missing", ["key", "certificate", "certificates"])
def test_to_sign_needs_all_of_them(tmp_path: Path, missing: str) -> None:
    with pytest.raises(ValidationError, match="sign needs key, certificate and certificates"):
        make_settings(tmp_path, messages=messages(tmp_path) | {missing: ""})
