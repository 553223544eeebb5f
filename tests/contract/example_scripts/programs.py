"""Where the scripts are, and how the programs are found and run that read them.

ImageJ and BeanShell (the language of Micro-Manager's scripts) are looked for as ``ij.jar`` and ``bsh.jar`` in
``/usr/share/java``, where Debian puts them, or in the folder that MONOLAYER_TEST_JARS names.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = ROOT / "examples" / "clients"
JARS = Path(os.environ.get("MONOLAYER_TEST_JARS", "/usr/share/java"))


def script(name):
    return (SCRIPTS / name).read_text(encoding="utf-8")


def jar(name):
    path = JARS / name
    if not path.is_file():
        pytest.skip(f"{name} is neither in /usr/share/java nor where MONOLAYER_TEST_JARS says")
    return path


def java_version():
    java = shutil.which("java")
    if java is None:
        return 0
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr
    return int(re.search(r'version "(?:1\.)?(\d+)', told)[1])


needs_java_11 = pytest.mark.skipif(
    java_version() < 11 or shutil.which("javac") is None,
    reason="no JDK from 11 on, which has HttpClient and runs a source file",
)
needs_java = pytest.mark.skipif(java_version() == 0, reason="no Java")


def run(*command, cwd, status=0):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=cwd, timeout=120, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done
