"""The tools that these tests stand on are here; a test that needs one never skips."""

import subprocess

import pytest


@pytest.mark.parametrize(
    "tool", ["prometheus", "promtool", "prometheus-alertmanager", "amtool", "chromium", "systemd-analyze"]
)
def test_a_tool_is_here(tool: str) -> None:
    assert subprocess.run([tool, "--version"], check=True, capture_output=True, timeout=60).stdout
