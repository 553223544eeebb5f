"""Quotas as Linux shows them, in both versions of control groups."""

import math

import pytest

from monolayer_service.cpu_quota import quota_cores


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        pytest.param("0::/", {"cpu.max": "200000 100000"}, 2.0, id="a container with a view of its own"),
        pytest.param("0::/", {"cpu.max": "50000 100000"}, 0.5, id="half a core"),
        pytest.param("0::/", {"cpu.max": "max 100000"}, math.inf, id="no quota"),
        pytest.param("0::/", {}, math.inf, id="the root group, which has no quota"),
        pytest.param("0::/", {"cpu.max": ""}, math.inf, id="nothing to read"),
        pytest.param(
            "0::/system.slice/monolayer.service",
            {"system.slice/cpu.max": "max 100000", "system.slice/monolayer.service/cpu.max": "300000 100000"},
            3.0,
            id="a unit of systemd",
        ),
        pytest.param(
            "0::/kubepods/pod1/box",
            {"kubepods/pod1/cpu.max": "150000 100000", "kubepods/pod1/box/cpu.max": "400000 100000"},
            1.5,
            id="the least one on the way counts",
        ),
        pytest.param(
            "12:memory:/docker/ab\n4:cpu,cpuacct:/docker/ab\n0::/",
            {
                "cpu,cpuacct/docker/ab/cpu.cfs_quota_us": "250000\n",
                "cpu,cpuacct/docker/ab/cpu.cfs_period_us": "100000\n",
            },
            2.5,
            id="version 1, seen from the host",
        ),
        pytest.param(
            "4:cpu,cpuacct:/docker/ab",
            {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            1.0,
            id="version 1, in a container",
        ),
        pytest.param(
            "1:cpu:/",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            math.inf,
            id="version 1 without a quota",
        ),
        pytest.param("2:cpuset:/small", {"cpuset/small/cpu.max": "100000 100000"}, math.inf, id="another tree"),
    ],
)
def test_the_quota_of_the_process_is_found(tmp_path, own, files, cores):
    write(tmp_path / "groups", files)
    (tmp_path / "own").write_text(own)
    assert quota_cores(tmp_path / "groups", tmp_path / "own") == cores


def test_where_there_are_no_groups_nothing_bounds_the_processor(tmp_path):
    assert quota_cores(tmp_path / "groups", tmp_path / "own") == math.inf
