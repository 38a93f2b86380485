"""The sandbox image: built as a root file system tree, then run as its agent would be, with no network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
IMAGE = REPO / "sandbox-image"
TOOLS = ("mmdebstrap", "bwrap", "unshare", "apt-get")
# the first test builds the tree: half a minute, or minutes on a busy machine
pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
UNREACHABLE = 75  # build-rootfs: packages or wheels could not be fetched


def skip_or_fail(reason: str) -> None:
    """Continuous integration sets AGENT_RUNTIME_REQUIRE_IMAGE: there, no image is a failure."""
    if os.environ.get("AGENT_RUNTIME_REQUIRE_IMAGE"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def rootfs() -> Path:
    """The tree, kept in the cache folder between runs; build-rootfs itself knows what is out of date."""
    if os.geteuid() != 0:
        skip_or_fail("building the image needs root")
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        skip_or_fail(f"not installed: {', '.join(missing)} (scripts/ci-packages installs them)")
    tree = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agent-runtime" / "rootfs"
    done = subprocess.run([IMAGE / "build-rootfs", tree], capture_output=True, text=True)
    if done.returncode == UNREACHABLE:
        skip_or_fail(f"the image's packages cannot be fetched here: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    return tree


def inside(tree: Path, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Runs as PID 1 and the image's user, without network; what it writes is forgotten."""
    sandbox = f"""
        bwrap --unshare-pid --unshare-net --unshare-ipc --unshare-uts --die-with-parent --as-pid-1
        --ro-bind {tree} / --proc /proc --dev /dev --chdir /workspace
        --perms 1777 --tmpfs /tmp --perms 1777 --tmpfs /workspace --perms 1777 --tmpfs /home/agent
        --clearenv --setenv PATH /usr/local/bin:/usr/bin:/bin --setenv HOME /home/agent --setenv LANG C.UTF-8
        setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs --
    """
    return subprocess.run([*sandbox.split(), *command], capture_output=True, text=True, timeout=120)


def test_the_demo_runs_inside_without_network(rootfs: Path) -> None:
    done = inside(rootfs, ["/opt/agent-runtime/bin/python", "-I", "-m", "agent_runtime", "demo"])
    assert done.returncode == 0, done.stdout + done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert (events[0]["type"], events[-1]["type"], events[-1]["status"]) == ("start", "complete", "completed")
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert {"file_edit", "tool_call", "tool_result", "dev_url"} <= {event["type"] for event in events}


def test_the_command_on_the_path_is_the_runtime_of_the_image(rootfs: Path) -> None:
    done = inside(rootfs, ["agent-runtime", "schema", "request"])
    assert done.returncode == 0, done.stderr
    assert "prompt" in json.loads(done.stdout)["properties"]


# What `shrink.py` leaves out must not be missed: every module, and what is only used at times.
EVERYTHING = """
import importlib, io, pkgutil
import agent_runtime
for module in pkgutil.walk_packages(agent_runtime.__path__, "agent_runtime."):
    if not module.name.endswith("__main__") and not module.name.startswith("agent_runtime.testing"):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if error.name not in ("azure", "botocore", "google.auth"):  # of extras that the image does not have
                raise
import aiohttp, mcp, tiktoken
import opentelemetry.exporter.otlp.proto.http.trace_exporter, opentelemetry.exporter.otlp.proto.http.metric_exporter
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl.signing import SigningKey
from PIL import Image, ImageOps
for format in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "ICO", "PPM"):
    data = io.BytesIO()
    Image.new("RGB", (32, 32)).save(data, format)
    ImageOps.exif_transpose(Image.open(data)).resize((8, 8)).load()
SigningKey.generate().sign(b"x")
AESGCM(AESGCM.generate_key(128)).encrypt(bytes(12), b"x", b"")
print("complete")
"""


def test_nothing_is_missing_that_the_runtime_imports(rootfs: Path) -> None:
    done = inside(rootfs, ["/opt/agent-runtime/bin/python", "-I", "-c", EVERYTHING])
    assert done.stdout == "complete\n", done.stdout + done.stderr


def test_the_runtime_adds_at_most_90_mb(rootfs: Path) -> None:
    files = [path.lstat() for path in (rootfs / "opt/agent-runtime").rglob("*")]
    assert sum(each.st_blocks * 512 for each in files) < 90_000_000
    site = next(rootfs.glob("opt/agent-runtime/lib/python3*/site-packages"))
    doubled = [path for path in site.glob("*/*.pyc") if path.with_suffix(".py").exists()]
    assert not doubled


def test_the_agent_cannot_change_its_runtime(rootfs: Path) -> None:
    script = "touch /opt/agent-runtime/x /usr/local/bin/x; find /opt /usr/local -writable -not -type l; id -u"
    done = inside(rootfs, ["bash", "-c", script])
    assert done.stdout == "1000\n", done.stdout


def test_programs_that_the_tools_call_are_installed(rootfs: Path) -> None:
    done = inside(
        rootfs, ["bash", "-c", "command -v bash curl git ps python3 rg && python3 -m venv /tmp/venv"]
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile_and_build_rootfs_install_the_same_packages() -> None:
    packages = re.findall(r"^[a-z][a-z0-9.+-]*$", (IMAGE / "packages.txt").read_text(), re.MULTILINE)
    assert {"git", "python3", "python3-venv", "ripgrep"} <= set(packages)
    for recipe in ("Dockerfile", "build-rootfs"):
        text = (IMAGE / recipe).read_text()
        assert "/mnt/wheelhouse" in text, recipe
        image = text.rpartition("\nFROM ")[2]  # without the stage that only builds
        assert "packages.txt" in image, recipe
        assert not set(re.findall(r"[a-z0-9.+-]+", image)) & {"ripgrep", "procps", "python3-venv"}, recipe


def test_build_rootfs_removes_no_folder_that_it_did_not_make(tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        pytest.skip("build-rootfs would refuse for want of root or mmdebstrap")
    (tmp_path / "precious").write_text("kept")
    done = subprocess.run([IMAGE / "build-rootfs", tmp_path], capture_output=True, text=True)
    assert (done.returncode, (tmp_path / "precious").read_text()) == (1, "kept")
    assert "is not empty" in done.stderr
