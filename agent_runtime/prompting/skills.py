"""Agent skills by the open standard (agentskills.io): finds them, and reads their names and descriptions.

A skill is a folder with a `SKILL.md`: front matter with a name and a description, then instructions. Only the front
matter is read here; the model reads the rest with its file tools when a task fits. The skills of a workspace are
untrusted text: a link in it must not lead out of it.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent_runtime.errors import RequestError
from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.prompting.front_matter import split
from agent_runtime.system.safe_open import read_bounded
from agent_runtime.text_encoding import detect

FILES = ("SKILL.md", "skill.md")
WORKSPACE_FOLDERS = (Path(".agents") / "skills", Path(".claude") / "skills")
HOME_FOLDER = Path(".agents") / "skills"

MAX_SKILLS = 100
_CONTROL = lazy_pattern(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_MAX_NAME = 64  # characters
_MAX_DESCRIPTION = 1024
_MAX_COMPATIBILITY = 500
_MAX_FILE = 64 << 10  # bytes that may contain the front matter
_MAX_DEPTH = 4  # of folders below a folder of skills
_MAX_FOLDERS = 2000  # that are searched


@dataclass(frozen=True)
class Skill:
    """A skill that can be used. `path` is its SKILL.md."""

    name: str
    description: str
    path: Path


@dataclass(frozen=True)
class Ignored:
    """A skill that cannot be used, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class SkillFolder:
    """A folder with skills in it. `inside`: links must not lead out of this folder; None for a trusted one."""

    path: Path
    inside: Path | None = None


def skill_folders(
    workspace: Path, environ: Mapping[str, str], skills_dir: Path | None = None
) -> list[SkillFolder]:
    """Return where skills are looked for. Of two skills with one name the first is used: trusted folders come first."""
    home = Path(environ["HOME"]) / HOME_FOLDER if environ.get("HOME") else None
    trusted = [SkillFolder(path) for path in (skills_dir, home) if path is not None]
    return trusted + [SkillFolder(workspace / folder, inside=workspace) for folder in WORKSPACE_FOLDERS]


def find_skills(
    folders: Sequence[SkillFolder], wanted: Sequence[str] | None = None
) -> tuple[list[Skill], list[Ignored]]:
    """Return the skills, sorted by name, and those that are ignored. Blocking.

    Args:
        folders: where to look; folders that do not exist have none.
        wanted: the names of the skills to use; None for all.
    """
    found: dict[str, Skill] = {}
    ignored: list[Ignored] = []
    seen: set[str] = set()
    for folder in folders:
        for path in _files(folder.path):
            real = os.path.realpath(path)
            if real in seen:
                continue  # a link to a folder that was searched already
            seen.add(real)
            try:
                skill = _read(path, folder.inside)
            except ValueError as error:
                if wanted is None or path.parent.name in wanted:
                    ignored.append(Ignored(path, str(error)))
                continue
            if skill is None or (wanted is not None and skill.name not in wanted):
                continue
            if skill.name in found:
                ignored.append(Ignored(path, f"{found[skill.name].path} has the same name"))
            elif len(found) == MAX_SKILLS:
                ignored.append(Ignored(path, f"there are more than {MAX_SKILLS} skills"))
            else:
                found[skill.name] = skill
    return [found[name] for name in sorted(found)], ignored


def _files(folder: Path) -> Iterator[Path]:
    """The SKILL.md files below a folder, in the order of their paths. Nothing is searched below a skill."""
    waiting, searched = [(folder, 0)], 0
    while waiting and searched < _MAX_FOLDERS:
        current, depth = waiting.pop()
        searched += 1
        if file := next((current / name for name in FILES if os.path.lexists(current / name)), None):
            yield file
        elif depth < _MAX_DEPTH:
            waiting += [(inner, depth + 1) for inner in reversed(_subfolders(current))]


def _subfolders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir() and entry.name != ".git")
    except OSError:
        return []


def _read(path: Path, inside: Path | None) -> Skill | None:
    """Read the front matter of a skill; None when it is not for models. Raises ValueError, which says what is wrong."""
    try:
        data = read_bounded(path, _MAX_FILE, inside=inside)
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror or error}") from error
    encoding = detect(data, whole=len(data) <= _MAX_FILE)
    text = data[len(encoding.bom) :].decode(encoding.codec, "replace").replace("\r\n", "\n")
    if not text.startswith("---\n"):
        raise ValueError("it has no front matter: expected `---` in the first line")
    try:
        fields, _ = split(path, text)
    except RequestError as error:
        raise ValueError(error.problem.removeprefix(f"{path}: ").removeprefix(f"{path}, ")) from error
    if fields.get("disable-model-invocation") is True:
        return None
    name = unicodedata.normalize("NFKC", _text(fields, "name", _MAX_NAME))
    if wrong := _wrong_name(name, path.parent.name):
        raise ValueError(f"`name`: {wrong}, got {name!r}")
    _text({"compatibility": "-"} | fields, "compatibility", _MAX_COMPATIBILITY)
    if not str(path).isprintable():  # the path is in the system prompt
        raise ValueError("its path has control characters")
    description = " ".join(_CONTROL.sub(" ", _text(fields, "description", _MAX_DESCRIPTION)).split())
    return Skill(name, description, path)


def _text(fields: Mapping[str, Any], name: str, longest: int) -> str:
    value = fields.get(name)
    text = value.strip() if isinstance(value, str) else str(value) if isinstance(value, int) else ""
    if not text:
        raise ValueError(f"`{name}`: expected a text that is not empty")
    if len(text) > longest:
        raise ValueError(f"`{name}`: expected at most {longest} characters, got {len(text)}")
    return text


def _wrong_name(name: str, folder: str) -> str:
    if name != name.lower() or not all(char.isalnum() or char == "-" for char in name):
        return "expected lower-case letters, digits and hyphens"
    if name.startswith("-") or name.endswith("-") or "--" in name:
        return "expected single hyphens between letters or digits"
    if name != unicodedata.normalize("NFKC", folder):
        return f"expected the name of its folder, {folder!r}"
    return ""
