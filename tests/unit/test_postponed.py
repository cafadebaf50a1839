from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.postponed import is_postponed, postpone

FILES = {
    "pp_draw/__init__.py": "import pp_log\npp_log.ran.append('package')\nCOLOR = 'blue'\n",
    "pp_draw/pen.py": "import pp_log\npp_log.ran.append('pen')\nfrom pp_draw import COLOR\n",
    "pp_draw/broken.py": "import pp_log\nif pp_log.broken:\n    raise OSError('no ink')\nINK = 1\n",
    "pp_log.py": "ran = []\nbroken = True\n",
    "pp_sdk.py": "import pp_draw.pen as pen\nfrom pp_draw import broken\n",
}


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What of the postponed package has run."""
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    postpone(["pp_draw", "pp_absent"])
    yield importlib.import_module("pp_log").ran
    for name in [name for name in sys.modules if name.startswith("pp_")]:
        del sys.modules[name]


def test_a_postponed_package_runs_when_it_is_used_parents_first(ran: list[str]) -> None:
    sdk = importlib.import_module("pp_sdk")
    assert (ran, is_postponed("pp_draw"), is_postponed("pp_draw.pen")) == ([], True, True)
    assert sdk.pen.COLOR == "blue"
    assert ran == ["package", "pen"]
    assert not is_postponed("pp_draw")
    assert not is_postponed("pp_draw.pen")
    # Once is enough.
    assert importlib.import_module("pp_draw").COLOR == "blue"
    assert ran == ["package", "pen"]


def test_what_it_lacks_is_missing_as_ever(ran: list[str]) -> None:
    package = importlib.import_module("pp_draw")
    assert not hasattr(package, "SIZE")
    assert ran == ["package"]
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("pp_absent")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("pp_draw.brush")


def test_an_import_that_fails_late_is_tried_again(ran: list[str]) -> None:
    sdk = importlib.import_module("pp_sdk")
    with pytest.raises(OSError, match="no ink"):
        _ = sdk.broken.INK
    importlib.import_module("pp_log").broken = False
    assert importlib.import_module("pp_draw.broken").INK == 1
    assert ran == ["package"]
