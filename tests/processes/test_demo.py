"""The README's first command, as a user runs it."""

import re
import subprocess
import sys

from tests.processes.evenswarm_process import ROOT


def test_the_demo_completes_20_torrents_that_took_turns_and_leaves_nothing_behind(tmp_path):
    done = subprocess.run([sys.executable, str(ROOT / "run.py"), "demo"], capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL,
                          env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), "HOME": str(tmp_path)}, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    figures = re.search(r"(\d+) attempts by 20 torrents; Jain's fairness index ([\d.]+); .* peak half-open (\d+) of (\d+)", done.stdout)
    assert figures is not None, done.stdout
    assert float(figures[2]) > 0.8
    assert 0 < int(figures[3]) <= int(figures[4]) == 30
    assert len(re.findall(r": complete$", done.stdout, re.MULTILINE)) == 20
    log, = tmp_path.glob("evenswarm-demo-*/demo.log")
    inspected = subprocess.run([sys.executable, str(ROOT / "run.py"), "inspect", str(log)], capture_output=True, text=True, timeout=60)
    assert inspected.returncode == 0 and "no invariant violated" in inspected.stdout, inspected.stdout[-3000:] + inspected.stderr[-3000:]
    assert "its beginning is missing" not in inspected.stdout and "not told" not in inspected.stdout    # so all was judged
    kept = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert all(name.endswith((".log", ".torrent")) for name in kept), kept
