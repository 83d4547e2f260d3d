"""Which binary stands in for which missing entry, and how the choice is put into words."""

from __future__ import annotations

import os
import shutil
import sys
import types
from pathlib import Path

import pytest

from pytest_sentinel import browsers, overlay
from pytest_sentinel.browsers import real_binary
from pytest_sentinel.driver import CHROMIUM, FFMPEG, SHELL, Entry, Memory, expected_entries

NAMES = ("chromium", "chrome", "chromium-headless-shell")


def elf(path: Path) -> Path:
    """Put a real, runnable binary at ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy("/bin/true", path)
    return path


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


class TestRealBinary:
    def test_a_binary_is_itself(self, tmp_path: Path) -> None:
        """An ELF file under a known name is taken as it is."""
        binary = elf(tmp_path / "chromium")

        assert real_binary(binary, NAMES) == binary

    def test_a_link_is_followed(self, tmp_path: Path) -> None:
        """A link counts as what it points to."""
        binary = elf(tmp_path / "lib/chromium")
        (tmp_path / "chromium").symlink_to(binary)

        assert real_binary(tmp_path / "chromium", NAMES) == binary

    def test_a_script_that_names_the_binary(self, tmp_path: Path) -> None:
        """Debian's chromium-headless-shell: one absolute path, and no exec."""
        binary = elf(tmp_path / "lib/chromium-headless-shell")
        wrapper = script(
            tmp_path / "bin/chromium-headless-shell", f'#!/bin/sh -e\n\n{binary} "$@"\n'
        )

        assert real_binary(wrapper, NAMES) == binary

    def test_a_script_that_assembles_the_path(self, tmp_path: Path) -> None:
        """Debian's chromium: the path is made of variables that refer to one another."""
        binary = elf(tmp_path / "lib/chromium/chromium")
        wrapper = script(
            tmp_path / "bin/chromium",
            f'#!/bin/sh\nAPPNAME=chromium\nLIBDIR="{tmp_path}/lib/$APPNAME"\nFLAGS=""\n'
            'test -d "$HOME/.config/chromium" && echo /etc/chromium.d/README\n'
            'exec $LIBDIR/${APPNAME} $FLAGS "$@"\n',
        )

        assert real_binary(wrapper, NAMES) == binary

    def test_a_script_that_looks_beside_itself(self, tmp_path: Path) -> None:
        """Google Chrome's: the directory is computed from the script's own place."""
        binary = elf(tmp_path / "opt/google/chrome/chrome")
        wrapper = script(
            tmp_path / "opt/google/chrome/google-chrome",
            '#!/bin/bash\nHERE="`dirname "$CHROME_WRAPPER"`"\nexec -a "$0" "$HERE/chrome" "$@"\n',
        )
        (tmp_path / "google-chrome").symlink_to(wrapper)

        assert real_binary(tmp_path / "google-chrome", NAMES) == binary

    def test_a_command_substitution_in_the_path(self, tmp_path: Path) -> None:
        """A path that starts with a command substitution is looked for beside the script."""
        binary = elf(tmp_path / "chrome")
        wrapper = script(tmp_path / "chromium", '#!/bin/sh\nexec "$(dirname "$0")"/chrome "$@"\n')

        assert real_binary(wrapper, NAMES) == binary

    def test_a_wrapper_around_a_wrapper(self, tmp_path: Path) -> None:
        """An image's --no-sandbox wrapper around the distribution's is read through."""
        binary = elf(tmp_path / "lib/chromium")
        inner = script(tmp_path / "usr/chromium", f'#!/bin/sh\nexec {binary} "$@"\n')
        outer = script(tmp_path / "local/chromium", f'#!/bin/sh\nexec {inner} --no-sandbox "$@"\n')

        assert real_binary(outer, NAMES) == binary

    def test_a_launcher_under_another_name_is_refused(self, tmp_path: Path) -> None:
        """Snap's chromium links to ``snap``, which goes by the name it is called."""
        elf(tmp_path / "snap")
        (tmp_path / "chromium").symlink_to("snap")

        assert real_binary(tmp_path / "chromium", NAMES) is None

    @pytest.mark.parametrize(
        "text",
        [
            "#!/bin/sh\nexec flatpak run org.chromium.Chromium\n",
            "#!/bin/sh\nexec /nowhere/chromium\n",
            "no script, no binary",
            "",
        ],
    )
    def test_what_leads_nowhere_is_refused(self, tmp_path: Path, text: str) -> None:
        """A script whose binary cannot be told is never linked itself."""
        assert real_binary(script(tmp_path / "chromium", text), NAMES) is None

    def test_scripts_in_a_circle_end(self, tmp_path: Path) -> None:
        """Two wrappers that name each other are given up."""
        one, other = tmp_path / "chromium", tmp_path / "chrome"
        script(one, f"#!/bin/sh\nexec {other}\n")
        script(other, f"#!/bin/sh\nexec {one}\n")

        assert real_binary(one, NAMES) is None

    def test_links_in_a_circle_and_absent_files(self, tmp_path: Path) -> None:
        """A path that leads to no file is no binary."""
        (tmp_path / "chromium").symlink_to("chrome")
        (tmp_path / "chrome").symlink_to("chromium")

        assert real_binary(tmp_path / "chromium", NAMES) is None
        assert real_binary(tmp_path / "absent", NAMES) is None

    def test_a_binary_that_may_not_be_run(self, tmp_path: Path) -> None:
        """A file without the executable bit is no stand-in."""
        binary = elf(tmp_path / "chromium")
        binary.chmod(0o644)

        assert real_binary(binary, NAMES) is None


@pytest.fixture(scope="module")
def home_ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ground")


@pytest.fixture
def ground(home_ground: Path) -> Path:
    """An empty folder that is the same for all tests, so that Playwright is asked only once."""
    kept = home_ground / "home/.cache/pytest-sentinel"
    for folder in (home_ground, home_ground / "home", home_ground / "home/.cache", kept):
        for path in folder.iterdir() if folder.exists() else ():
            if path.is_file():
                continue
            if not kept.is_relative_to(path):
                shutil.rmtree(path)
    for name in ("bin", "home"):
        (home_ground / name).mkdir(exist_ok=True)
    return home_ground


@pytest.fixture
def machine(ground: Path) -> dict[str, str]:
    """A home without browsers, and a PATH of one folder that a test fills."""
    return {"HOME": str(ground / "home"), "PATH": str(ground / "bin")}


def install(environ: dict[str, str], *names: str) -> None:
    """Put binaries where Playwright expects its own."""
    driver = browsers.find_driver(environ)
    assert driver is not None
    memory = Memory.load(Path(environ["HOME"], ".cache/pytest-sentinel"))
    expected = expected_entries(driver, environ, memory)
    for name in names:
        elf(expected[name].executables[0])


class TestPrepare:
    def test_nothing_is_touched_when_nothing_is_missing(self, machine: dict[str, str]) -> None:
        """With Playwright's own browsers the environment stays as it was."""
        install(machine, CHROMIUM, SHELL, FFMPEG)
        before = dict(machine)

        choice = browsers.prepare(machine)

        assert machine == before
        assert (choice.source, choice.reason) == ("playwright", "Playwright's own")
        assert (choice.overlay, choice.notes) == (None, ())

    def test_nothing_found_says_how_to_get_one(self, machine: dict[str, str]) -> None:
        """No browser at all is a sentence with its fix, and no exception."""
        before = dict(machine)

        choice = browsers.prepare(machine)

        assert machine == before
        assert (choice.source, choice.executable) == ("missing", None)
        assert "sentinel install-browser" in choice.reason

    def test_only_what_is_missing_is_stood_in_for(
        self, machine: dict[str, str], ground: Path
    ) -> None:
        """A missing ffmpeg is supplied, and Playwright's browser stays Playwright's."""
        install(machine, CHROMIUM, SHELL)
        elf(ground / "bin/ffmpeg")
        elf(ground / "bin/chromium")

        choice = browsers.prepare(machine)

        assert (choice.source, choice.ffmpeg) == ("playwright", ground / "bin/ffmpeg")
        assert choice.overlay is not None
        cache = ground / "home/.cache/ms-playwright"
        linked = {path.readlink() for path in choice.overlay.iterdir() if path.is_symlink()}
        assert linked == set(cache.iterdir())

    def test_a_headless_shell_never_serves_headed_launches(
        self, machine: dict[str, str], ground: Path
    ) -> None:
        """The system's headless shell stands in for the headless entry alone."""
        elf(ground / "bin/chromium-headless-shell")

        choice = browsers.prepare(machine)

        assert choice.executable == ground / "bin/chromium-headless-shell"
        assert any("headed" in note for note in choice.notes)
        assert choice.overlay is not None
        entries = sorted(path.name.split("-")[0] for path in choice.overlay.iterdir())
        assert entries == ["chromium_headless_shell", "sentinel"]

    def test_the_systems_headless_shell_comes_before_its_chromium(
        self, machine: dict[str, str], ground: Path
    ) -> None:
        """Headless launches prefer the shell, headed ones get the full browser."""
        shell = elf(ground / "bin/chromium-headless-shell")
        full = elf(ground / "bin/chromium")

        choice = browsers.prepare(machine)

        assert choice.executable == shell
        assert any(str(full) in note for note in choice.notes)

    def test_playwrights_chromium_stands_in_for_its_own_shell(
        self, machine: dict[str, str], ground: Path
    ) -> None:
        """After ``playwright install --no-shell`` the same version serves headless launches."""
        install(machine, CHROMIUM, FFMPEG)
        elf(ground / "bin/google-chrome")

        choice = browsers.prepare(machine)

        assert choice.source == "playwright"
        assert choice.executable is not None
        assert choice.executable.is_relative_to(ground / "home/.cache/ms-playwright")

    def test_a_later_installation_wins(self, machine: dict[str, str], ground: Path) -> None:
        """What was stood in for once is Playwright's own again as soon as it is there."""
        elf(ground / "bin/chromium")
        elf(ground / "bin/ffmpeg")
        before = dict(machine)
        assert browsers.prepare(machine).source == "system"
        install(before, CHROMIUM, SHELL, FFMPEG)

        choice = browsers.prepare(machine)

        assert choice.source == "playwright"
        assert machine == before

    @pytest.mark.parametrize("own", ["registry", "/absolute"])
    def test_the_users_own_registry_is_the_real_one(
        self,
        machine: dict[str, str],
        ground: Path,
        monkeypatch: pytest.MonkeyPatch,
        own: str,
    ) -> None:
        """A user's PLAYWRIGHT_BROWSERS_PATH is linked through, and comes back when uncovered."""
        monkeypatch.chdir(ground)
        own = own.replace("/absolute", str(ground / "absolute"))
        machine[overlay.VARIABLE] = own
        install(machine, "firefox")
        elf(ground / "bin/chromium")

        choice = browsers.prepare(machine)

        assert choice.overlay == Path(machine[overlay.VARIABLE])
        (firefox,) = choice.overlay.glob("firefox-*")
        assert firefox.readlink().parent == ground / own
        overlay.uncover(machine)
        assert machine[overlay.VARIABLE] == own

    def test_zero_means_the_packages_own_folder(
        self, machine: dict[str, str], ground: Path
    ) -> None:
        """PLAYWRIGHT_BROWSERS_PATH=0 is understood as Playwright understands it."""
        machine[overlay.VARIABLE] = "0"
        elf(ground / "bin/chromium")

        choice = browsers.prepare(machine)

        assert choice.source == "system"
        overlay.uncover(machine)
        assert machine[overlay.VARIABLE] == "0"

    def test_a_run_inside_a_run_sees_the_same(self, machine: dict[str, str], ground: Path) -> None:
        """An inherited overlay is not mistaken for Playwright's own registry."""
        elf(ground / "bin/chromium")
        first = browsers.prepare(machine)
        covered = dict(machine)

        assert browsers.prepare(machine) == first
        assert machine == covered

    def test_without_playwright_it_says_so(
        self, machine: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A machine without Playwright gets a plain sentence."""
        monkeypatch.setattr("sys.path", [])
        monkeypatch.delitem(sys.modules, "playwright", raising=False)

        assert browsers.prepare(machine).reason == "Playwright is not installed"

    def test_a_half_imported_playwright_is_none(
        self, machine: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A stand-in module without a spec, as test suites make them, is no Playwright."""
        monkeypatch.setitem(sys.modules, "playwright", types.ModuleType("playwright"))

        assert browsers.prepare(machine).reason == "Playwright is not installed"

    def test_elsewhere_than_on_linux_all_is_left_alone(
        self, machine: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """macOS and Windows keep Playwright's own ways."""
        monkeypatch.setattr("sys.platform", "darwin")
        before = dict(machine)

        choice = browsers.prepare(machine)

        assert (choice.source, machine) == ("playwright", before)

    def test_the_real_browser_is_named_with_its_version(self, machine: dict[str, str]) -> None:
        """Debian's shell script is read through to its binary, asked once for its version."""
        if not Path("/usr/lib/chromium/chromium-headless-shell").exists():
            pytest.skip("needs Debian's chromium-headless-shell")
        machine["PATH"] = os.defpath

        choice = browsers.prepare(machine)

        assert choice.executable == Path("/usr/lib/chromium/chromium-headless-shell")
        assert choice.reason.startswith("Debian's chromium-headless-shell 1")
        memory = Memory.load(Path(machine["HOME"], ".cache/pytest-sentinel"))
        assert str(choice.executable) in memory.versions


def test_an_entry_is_installed_when_any_of_its_places_is(tmp_path: Path) -> None:
    """Several known layouts are one entry; a link that leads nowhere is nothing."""
    (tmp_path / "old").symlink_to("gone")
    entry = Entry(tmp_path, (tmp_path / "old", tmp_path / "new"))
    assert entry.installed() is None

    elf(tmp_path / "new")

    assert entry.installed() == tmp_path / "new"
