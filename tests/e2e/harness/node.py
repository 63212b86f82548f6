# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""The scripts in node/, with the libraries that the lock file says."""

import json
import shutil
import subprocess
from pathlib import Path

from . import known_secrets

SCRIPTS = Path(__file__).resolve().parents[1] / "node"


class Node:
    """A folder of our own, where the libraries are installed."""

    def __init__(self, folder):
        for tool in ("node", "npm"):
            assert shutil.which(tool), f"{tool} is not installed"
        self.folder = folder
        for path in SCRIPTS.glob("*.*"):
            if path.is_file():
                shutil.copy(path, folder)
        if self._is_installed():
            (folder / "node_modules").symlink_to(SCRIPTS / "node_modules")
            return
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund",
             "--prefer-offline"],
            cwd=folder, text=True, capture_output=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr

    @staticmethod
    def _is_installed():
        """Beside the scripts, as the lock file is now."""
        done = SCRIPTS / "node_modules/.package-lock.json"
        lock = SCRIPTS / "package-lock.json"
        return done.exists() and done.stat().st_mtime > lock.stat().st_mtime

    def __call__(self, script, **ask):
        """Runs a script that takes one JSON object and answers with one."""
        got = subprocess.run(["node", script], cwd=self.folder, text=True,
                             input=json.dumps(ask), capture_output=True,
                             timeout=60)
        assert got.returncode == 0, got.stderr
        return known_secrets.learn(json.loads(got.stdout))

    def start(self, script):
        """A script that goes on, and answers each line with one."""
        return Dialogue(self.folder, script)


class Dialogue:
    def __init__(self, folder, script):
        self.process = subprocess.Popen(
            ["node", script], cwd=folder, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the script ended: {self.process.wait(10)}"
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
            self.process.stdout.close()
