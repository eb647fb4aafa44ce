"""Importing ``tollhouse.client`` costs an application next to nothing."""

import json
import subprocess
import sys

SCRIPT = """
import json, sys
before = set(sys.modules)
import tollhouse.client
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_it_imports_the_standard_library_alone() -> None:
    """No other part of Tollhouse, no third party, no asyncio and no sockets come with it."""
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=30, check=True
    )
    loaded = json.loads(done.stdout)
    ours = [name for name in loaded if name.partition(".")[0] == "tollhouse"]
    assert "tollhouse.client.results" in ours
    assert [name for name in ours if name != "tollhouse" and not name.startswith("tollhouse.client")] == []
    tops = {name.partition(".")[0] for name in loaded} - {"tollhouse"}
    assert sorted(tops - sys.stdlib_module_names) == []
    assert not tops & {"asyncio", "socket", "ssl", "http", "email", "urllib"}
