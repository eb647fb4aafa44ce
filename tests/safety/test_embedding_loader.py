"""What the second tier needs, and what the operator is told where it is missing."""

import sys
from pathlib import Path

import pytest

from tollhouse.engines import local_loader
from tollhouse.safety.classifier import shipped_classifier
from tollhouse.safety.embedding_loader import INSTALL, PACKAGE, SecondTierError, load_tier, missing
from tollhouse.types.safety import CLEAN


@pytest.fixture(name="without_numpy")
def fixture_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without the extra."""
    monkeypatch.setitem(sys.modules, "numpy", None)


@pytest.mark.usefixtures("without_numpy")
def test_without_numpy_the_extra_is_named() -> None:
    """The same command as for the local engine, for both are in one extra."""
    assert missing()["numpy"] == local_loader.INSTALL
    with pytest.raises(SecondTierError) as raised:
        load_tier(shipped_classifier())
    assert str(raised.value) == f"The second tier needs numpy, which is not installed. Run: {local_loader.INSTALL}"


def test_a_numpy_that_does_not_load_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Built for another processor, say: the reason that it gives is passed on."""
    (tmp_path / PACKAGE).mkdir()
    (tmp_path / PACKAGE / "__init__.py").touch()
    (tmp_path / "numpy.py").write_text('raise ImportError("wrong ELF class")')
    for name in ("numpy", "tollhouse.safety.embedding", "tollhouse.safety.embedding_vectors"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SecondTierError, match="installed but does not load: wrong ELF class"):
        load_tier(shipped_classifier())


def test_the_tier_is_loaded_where_all_is_there() -> None:
    """Else the part that is missing is named, with what installs it."""
    if parts := missing():
        assert parts == {PACKAGE: INSTALL}
        with pytest.raises(SecondTierError, match=PACKAGE):
            load_tier(shipped_classifier())
        return
    tier = load_tier(shipped_classifier())
    assert tier.verdict(tier.combine(shipped_classifier().read("hello"), "hello")) == CLEAN
