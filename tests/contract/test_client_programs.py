"""`make client-programs`: installs what client-facing tests drive, where it may, and says what cannot be had."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / ".ci" / "client-programs"
TOOLS = ("bash", "env", "timeout", "touch", "chmod", "grep")
BROUGHT = {
    "chromium": "bin/chromium",
    "libij-java": "jars/ij.jar",
    "libbsh-java": "jars/bsh.jar",
    "default-jdk": "bin/javac",
    "xvfb": "bin/xvfb-run",
    "xauth": "bin/xauth",
    "curl": "bin/curl",
}

APT_GET = """#!/usr/bin/env bash
echo "$@" >> {machine}/asked
if [ "$1" = update ]; then touch {machine}/updated; exit; fi
[ -f {machine}/updated ] || exit 100
for package in "$@"; do
    case $package in
        {cannot}) exit 100 ;;
{brings}
    esac
done
for file in $files; do touch {machine}/$file; chmod +x {machine}/$file; done
"""


class Machine:
    """A machine of its own: a PATH with the tools of the script, a folder for jars, and, perhaps, apt-get."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "bin").mkdir()
        (folder / "jars").mkdir()
        for tool in TOOLS:
            (folder / "bin" / tool).symlink_to(shutil.which(tool))

    def program(self, name, text):
        path = self.folder / "bin" / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def be(self, user_id):
        self.program("id", f"#!/usr/bin/env bash\necho {user_id}\n")

    def give_apt_get(self, cannot="nothing"):
        """An apt-get that finds packages after an update, but never the one it `cannot` bring."""
        brings = "\n".join(f'        {package}) files="$files {file}" ;;' for package, file in BROUGHT.items())
        self.program("apt-get", APT_GET.format(machine=self.folder, cannot=cannot, brings=brings))

    def bring(self, *packages):
        for package in packages:
            path = self.folder / BROUGHT[package]
            path.touch()
            path.chmod(0o755)

    def run(self, **more):
        environment = {"PATH": str(self.folder / "bin"), "MONOLAYER_TEST_JARS": str(self.folder / "jars"), **more}
        done = subprocess.run([SCRIPT], env=environment, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    @property
    def asked(self):
        """What apt-get was asked for: `update`, or the packages."""
        lines = (self.folder / "asked").read_text().splitlines()
        return [" ".join(word for word in line.split() if word == "update" or word in BROUGHT) for line in lines]

    @property
    def has(self):
        return {package for package, file in BROUGHT.items() if (self.folder / file).exists()}


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    machine.be(0)
    return machine


def test_where_all_is_there_nothing_is_said(machine):
    machine.bring(*BROUGHT)
    assert machine.run() == ""


def test_without_apt_get_what_is_missing_is_named(machine):
    machine.bring("curl", "default-jdk")
    assert machine.run() == (
        "There is no apt-get here, so these are not installed and tests skip that need them: "
        "chromium libij-java libbsh-java xvfb xauth\n"
    )


def test_who_is_not_root_is_told_what_root_would_type(machine):
    machine.be(1000)
    machine.give_apt_get()
    machine.bring("chromium", "libij-java", "libbsh-java", "default-jdk")
    assert machine.run().endswith("as root: apt-get install --no-install-recommends xvfb xauth curl\n")
    assert not (machine.folder / "asked").exists()


def test_root_installs_what_is_missing(machine):
    machine.give_apt_get()
    machine.bring("curl")
    missing = "chromium libij-java libbsh-java default-jdk xvfb xauth"
    assert machine.run() == f"Installing {missing}\n"
    assert machine.asked == [missing, "update", missing]
    assert machine.has == set(BROUGHT)
    assert machine.run() == ""


def test_one_package_that_cannot_be_had_keeps_no_other_away(machine):
    machine.give_apt_get(cannot="libbsh-java")
    told = machine.run().splitlines()
    assert told[1:] == ["These cannot be had from Debian's packages, and tests skip that need them: libbsh-java"]
    assert machine.has == set(BROUGHT) - {"libbsh-java"}


def test_another_browser_will_do(machine):
    machine.bring(*(package for package in BROUGHT if package != "chromium"))
    (machine.folder / "my-browser").symlink_to(machine.folder / "bin" / "curl")
    assert "chromium" in machine.run()
    assert machine.run(MONOLAYER_CHROMIUM=str(machine.folder / "my-browser")) == ""
    (machine.folder / "bin" / "google-chrome").symlink_to(machine.folder / "bin" / "curl")
    assert machine.run() == ""
