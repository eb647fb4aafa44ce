"""Files that settings name are judged when the settings are read."""

import os
import ssl
from pathlib import Path

import pytest

from tests.settings.reader import faults, read

AUTHORITIES = ssl.get_default_verify_paths().cafile
needs_authorities = pytest.mark.skipif(AUTHORITIES is None, reason="this machine has no file of authorities")


@needs_authorities
def test_a_file_of_authorities_is_taken(tmp_path: Path) -> None:
    """A PEM file that OpenSSL loads may be named as ca_file."""
    assert read(tmp_path, f"[upstream]\nca_file = '{AUTHORITIES}'\n").upstream.ca_file == AUTHORITIES


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "holds no certificate in PEM"),
        (b"\xff\x00 no PEM at all", "holds no certificate in PEM"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds no certificate in PEM"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_bad_file_of_authorities_is_found_by_check(tmp_path: Path, content: bytes | None, why: str) -> None:
    """A ca_file that is missing, or holds no certificate, is a problem that names the file and what to write."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    problem = faults(tmp_path, f"[upstream]\nca_file = '{path}'\n")["upstream.ca_file"]
    assert problem.message.startswith(f"{path} {why}")
    assert problem.fix


@pytest.mark.parametrize("content", [b"", b"GGU", b"gguf\x03\x00", b"PK\x03\x04"])
def test_a_file_that_is_no_model_is_found_by_check(tmp_path: Path, content: bytes) -> None:
    """A file of local.gguf that does not begin as a GGUF file does is named, and the others are not."""
    good, bad = tmp_path / "good.gguf", tmp_path / "bad.gguf"
    good.write_bytes(b"GGUF\x03\x00\x00\x00")
    bad.write_bytes(content)
    found = faults(tmp_path, f"[local]\ngguf = ['{good}', '{bad}']\n")
    assert found.keys() == {"local.gguf[1]"}
    assert found["local.gguf[1]"].message == f"{bad} is not a GGUF file"
    assert read(tmp_path, f"[local]\ngguf = ['{good}']\n").local.gguf == (str(good),)


def test_what_is_no_regular_file_is_found_without_waiting(tmp_path: Path) -> None:
    """A folder, a named pipe, a missing file and a name that is no path are problems, and never a hang."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = (
        f"[upstream]\nca_file = '{pipe}'\n[local]\ngguf = ['{pipe}', '{tmp_path}', '{tmp_path}/none', \"a\\u0000b\"]\n"
    )
    found = faults(tmp_path, text)
    assert found.keys() == {"upstream.ca_file", *(f"local.gguf[{index}]" for index in range(4))}
    assert "is not a regular file" in found["upstream.ca_file"].message
    assert found["local.gguf[3]"].message == "not a path"
