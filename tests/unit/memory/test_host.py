"""Memory limits, from small file systems that look like a container's."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from pytest_sentinel.memory.host import available_memory, memory_limit

GIB = 1024**3
MIB = 1024**2
V1_NO_LIMIT = "9223372036854771712"
V2_MOUNT = "30 20 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate"
V1_MOUNT = "36 31 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
OTHER_MOUNTS = """\
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
33 31 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
"""


def lay_out(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def host(root: Path, own: str, mounts: str, available: int = 8 * GIB) -> Path:
    return lay_out(
        root,
        {
            "proc/self/cgroup": own,
            "proc/self/mountinfo": OTHER_MOUNTS + mounts + "\n",
            "proc/meminfo": f"MemTotal: 16000000 kB\nMemAvailable: {available // 1024} kB\n",
        },
    )


def v2(limit: int | str, usage: int, inactive_file: int, path: str = "") -> dict[str, str]:
    directory = f"sys/fs/cgroup/{path}"
    return {
        f"{directory}/memory.max": f"{limit}\n",
        f"{directory}/memory.current": f"{usage}\n",
        f"{directory}/memory.stat": f"anon 5\ninactive_file {inactive_file}\nactive_file 7\n",
    }


def test_a_limit_of_cgroup_v2_is_found_with_its_file(tmp_path: Path) -> None:
    """The limit of the process's own group counts, and names where it stands."""
    root = host(tmp_path, "0::/job\n", V2_MOUNT)
    lay_out(root, v2(2 * GIB, 1536 * MIB, 512 * MIB, "job"))

    assert memory_limit(root) == (2 * GIB, str(root / "sys/fs/cgroup/job/memory.max"))
    assert available_memory(root) == 1 * GIB


def test_the_smallest_limit_on_the_way_up_counts(tmp_path: Path) -> None:
    """A group without a limit, or with a greater one, is bound by the one above it."""
    root = host(tmp_path, "0::/ci/job/step\n", V2_MOUNT)
    lay_out(root, v2("max", 100 * MIB, 0, "ci/job/step"))
    lay_out(root, v2(4 * GIB, 200 * MIB, 0, "ci/job"))
    lay_out(root, v2(1 * GIB, 924 * MIB, 0, "ci"))

    assert memory_limit(root) == (1 * GIB, str(root / "sys/fs/cgroup/ci/memory.max"))
    assert available_memory(root) == 100 * MIB


def test_the_tightest_group_decides_what_is_left(tmp_path: Path) -> None:
    """What is left may be least in a group whose limit is not the smallest."""
    root = host(tmp_path, "0::/ci/job\n", V2_MOUNT)
    lay_out(root, v2(1 * GIB, 100 * MIB, 0, "ci/job"))
    lay_out(root, v2(4 * GIB, 4 * GIB - 50 * MIB, 0, "ci"))

    assert memory_limit(root) == (1 * GIB, str(root / "sys/fs/cgroup/ci/job/memory.max"))
    assert available_memory(root) == 50 * MIB


def test_inside_a_container_the_group_is_the_top_of_the_mount(tmp_path: Path) -> None:
    """With a cgroup namespace the own path is "/" and the limit stands at the mount."""
    root = host(tmp_path, "0::/\n", V2_MOUNT)
    lay_out(root, v2(512 * MIB, 0, 0))

    assert memory_limit(root) == (512 * MIB, str(root / "sys/fs/cgroup/memory.max"))


@pytest.mark.parametrize("own", ["0::/docker/abc\n", "0::/elsewhere\n"])
def test_a_mount_that_begins_below_the_hosts_top_is_understood(tmp_path: Path, own: str) -> None:
    """Without a namespace the own path is the host's, and the mount shows only its end."""
    mount = "30 20 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
    root = host(tmp_path, own, mount)
    lay_out(root, v2(512 * MIB, 0, 0))

    assert memory_limit(root) == (512 * MIB, str(root / "sys/fs/cgroup/memory.max"))


def test_a_limit_of_cgroup_v1_is_found_beside_an_empty_v2(tmp_path: Path) -> None:
    """On a hybrid host the memory controller is v1's; page cache of the subtree is left out."""
    own = "9:name=systemd:/\n4:memory:/docker/abc\n3:cpuset:/\n0::/\n"
    root = host(tmp_path, own, f"{V1_MOUNT}\n{V2_MOUNT.replace('group ', 'group/unified ', 1)}")
    lay_out(
        root,
        {
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{V1_NO_LIMIT}\n",
            "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": f"{GIB}\n",
            "sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes": f"{900 * MIB}\n",
            "sys/fs/cgroup/memory/docker/abc/memory.stat": (
                f"inactive_file 1\ntotal_inactive_file {300 * MIB}\n"
            ),
        },
    )

    assert memory_limit(root) == (
        GIB,
        str(root / "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes"),
    )
    assert available_memory(root) == GIB - 600 * MIB


@pytest.mark.parametrize(
    ("own", "mount", "file", "text"),
    [
        ("0::/\n", V2_MOUNT, "sys/fs/cgroup/memory.max", "max\n"),
        ("4:memory:/\n", V1_MOUNT, "sys/fs/cgroup/memory/memory.limit_in_bytes", V1_NO_LIMIT),
        ("3:cpuset:/\n", V1_MOUNT, "sys/fs/cgroup/memory/memory.limit_in_bytes", str(GIB)),
        ("0::/\n", V2_MOUNT, "sys/fs/cgroup/cgroup.procs", ""),
    ],
)
def test_no_limit_is_none(tmp_path: Path, own: str, mount: str, file: str, text: str) -> None:
    """Both spellings of "no limit", another's hierarchy and a bare top group limit nothing."""
    root = lay_out(host(tmp_path, own, mount, available=3 * GIB), {file: text})

    assert memory_limit(root) is None
    assert available_memory(root) == 3 * GIB


def test_the_host_may_have_less_than_the_group_allows(tmp_path: Path) -> None:
    """What is left is never more than what the whole machine has left."""
    root = host(tmp_path, "0::/\n", V2_MOUNT, available=200 * MIB)
    lay_out(root, v2(2 * GIB, 0, 0))

    assert available_memory(root) == 200 * MIB


def test_a_group_beyond_its_limit_has_nothing_left(tmp_path: Path) -> None:
    """A limit that was lowered under the usage leaves 0, not less."""
    root = host(tmp_path, "0::/\n", V2_MOUNT)
    lay_out(root, v2(1 * GIB, 2 * GIB, 0))

    assert available_memory(root) == 0


def test_a_limit_without_usage_files_counts_as_unused(tmp_path: Path) -> None:
    """Where usage cannot be read, the whole limit is taken as available."""
    root = host(tmp_path, "0::/\n", V2_MOUNT)
    lay_out(root, {"sys/fs/cgroup/memory.max": f"{GIB}\n"})

    assert available_memory(root) == GIB


def test_without_proc_the_operating_system_is_asked(tmp_path: Path) -> None:
    """On a system without /proc there is no limit, and psutil knows what is left."""
    assert memory_limit(tmp_path) is None
    assert 0 < available_memory(tmp_path) <= psutil.virtual_memory().total


def test_this_host_can_be_read() -> None:
    """On the machine at hand both questions have an answer that makes sense."""
    total = psutil.virtual_memory().total
    limit = memory_limit()

    assert limit is None or Path(limit[1]).is_file()
    assert 0 < available_memory() <= total
