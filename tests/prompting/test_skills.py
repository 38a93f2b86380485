"""Skills: which are found, which are ignored and why; skills-ref, the reference library, is the oracle."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from skills_ref.validator import validate  # type: ignore[import-untyped]

from agent_runtime.prompting.skills import SkillFolder, find_skills, skill_folders

GOOD = "---\nname: pdf-forms\ndescription: Fill in PDF forms.\n---\nRead on.\n"

# the folder of a skill, and its SKILL.md
CASES = {
    "plain": ("pdf-forms", GOOD),
    "all fields": (
        "pdf-forms",
        "---\nname: pdf-forms\ndescription: Fill in.\nlicense: MIT\ncompatibility: Needs python3\n"
        "allowed-tools: Bash(git:*) Read\nmetadata:\n  author: me\n  version: '1.0'\n---\n",
    ),
    "quoted": ("pdf-forms", '---\nname: "pdf-forms"\ndescription: "Fill in: forms"\n---\nx\n'),
    "several lines": ("pdf-forms", "---\nname: pdf-forms\ndescription: |\n  Fill in\n  forms.\n---\nx\n"),
    "folded": ("pdf-forms", "---\nname: pdf-forms\ndescription: >\n  Fill in\n  forms.\n---\nx\n"),
    "letters of other languages": ("größe", "---\nname: größe\ndescription: Größen.\n---\n"),
    "no front matter": ("pdf-forms", "# PDF forms\n"),
    "empty": ("pdf-forms", ""),
    "not closed": ("pdf-forms", "---\nname: pdf-forms\ndescription: x\n"),
    "no name": ("pdf-forms", "---\ndescription: x\n---\n"),
    "no description": ("pdf-forms", "---\nname: pdf-forms\n---\n"),
    "empty description": ("pdf-forms", "---\nname: pdf-forms\ndescription: ''\n---\n"),
    "another name": ("pdf-forms", "---\nname: pdf\ndescription: x\n---\n"),
    "capitals": ("PDF", "---\nname: PDF\ndescription: x\n---\n"),
    "underscore": ("pdf_forms", "---\nname: pdf_forms\ndescription: x\n---\n"),
    "first hyphen": ("-pdf", "---\nname: -pdf\ndescription: x\n---\n"),
    "two hyphens": ("pdf--forms", "---\nname: pdf--forms\ndescription: x\n---\n"),
    "long name": ("a" * 65, f"---\nname: {'a' * 65}\ndescription: x\n---\n"),
    "long description": ("pdf-forms", f"---\nname: pdf-forms\ndescription: {'x' * 1025}\n---\n"),
    "longest description": ("pdf-forms", f"---\nname: pdf-forms\ndescription: {'x' * 1024}\n---\n"),
    "long compatibility": (
        "pdf-forms",
        f"---\nname: pdf-forms\ndescription: x\ncompatibility: {'x' * 501}\n---\n",
    ),
    "a list": ("pdf-forms", "---\n- name\n- description\n---\n"),
    "damaged": ("pdf-forms", "---\nname: pdf-forms\ndescription: [x\n---\n"),
    "a number": ("123", "---\nname: 123\ndescription: x\n---\n"),
}


def write(folder: Path, name: str, text: str, file: str = "SKILL.md") -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / file).write_text(text)
    return folder / name


@pytest.mark.parametrize("case", CASES)
def test_skills_are_accepted_as_by_the_reference_library(case: str, tmp_path: Path) -> None:
    name, text = CASES[case]
    folder = write(tmp_path, name, text)
    skills, ignored = find_skills([SkillFolder(tmp_path, inside=tmp_path)])
    assert ([skill.name for skill in skills] == [name]) == (validate(folder) == []), ignored
    assert len(skills) + len(ignored) == 1


def test_names_and_descriptions_are_read(tmp_path: Path) -> None:
    write(tmp_path, "b", "---\nname: b\ndescription: >\n  Two\n  lines.\nmodel: x\n---\n", "skill.md")
    write(tmp_path, "deep/er/a", "\ufeff---\r\nname: a\r\ndescription: x\r\n---\r\n")
    skills, ignored = find_skills([SkillFolder(tmp_path)])
    assert [(skill.name, skill.description) for skill in skills] == [("a", "x"), ("b", "Two lines.")]
    assert ignored == []


def test_trusted_folders_come_before_the_workspace(tmp_path: Path) -> None:
    home, workspace, more = tmp_path / "home", tmp_path / "w", tmp_path / "more"
    for folder, text in (
        (home / ".agents" / "skills", "home"),
        (workspace / ".agents" / "skills", "agents"),
        (workspace / ".claude" / "skills", "claude"),
        (more, "more"),
    ):
        write(folder, "same", f"---\nname: same\ndescription: {text}\n---\n")
    folders = skill_folders(workspace, {"HOME": str(home)}, more)
    for used in ("more", "home", "agents", "claude"):
        [skill], ignored = find_skills(folders)
        assert skill.description == used and len(ignored) == len(folders) - 1
        folders = [folder for folder in folders if not skill.path.is_relative_to(folder.path)]


def test_a_folder_with_two_names_is_read_once(tmp_path: Path) -> None:
    write(tmp_path / ".agents" / "skills", "pdf-forms", GOOD)
    (tmp_path / ".claude").symlink_to(".agents")
    skills, ignored = find_skills(skill_folders(tmp_path, {}))
    assert (len(skills), ignored) == (1, [])


def test_a_workspace_cannot_name_files_outside_of_it(tmp_path: Path) -> None:
    outside, workspace = tmp_path / "outside", tmp_path / "w"
    write(outside, "pdf-forms", GOOD)
    skills = workspace / ".agents" / "skills"
    skills.mkdir(parents=True)
    (skills / "pdf-forms").symlink_to(outside / "pdf-forms")
    (skills / "fifo").mkdir()
    os.mkfifo(skills / "fifo" / "SKILL.md")
    (skills / "loop").symlink_to(skills)
    (skills / "folder" / "SKILL.md").mkdir(parents=True)
    found, ignored = find_skills(skill_folders(workspace, {}))
    assert found == [] and {each.path.parent.name for each in ignored} == {"pdf-forms", "fifo", "folder"}


def test_skills_can_be_chosen_and_hidden_from_models(tmp_path: Path) -> None:
    write(tmp_path, "pdf-forms", GOOD)
    write(tmp_path, "mine", "---\nname: mine\ndescription: x\ndisable-model-invocation: true\n---\n")
    assert [skill.name for skill in find_skills([SkillFolder(tmp_path)])[0]] == ["pdf-forms"]
    assert find_skills([SkillFolder(tmp_path)], ["other"]) == ([], [])


def test_too_many_skills_are_ignored(tmp_path: Path) -> None:
    for number in range(103):
        write(tmp_path, f"s{number}", f"---\nname: s{number}\ndescription: x\n---\n")
    skills, ignored = find_skills([SkillFolder(tmp_path)])
    assert (len(skills), len(ignored)) == (100, 3)


@pytest.mark.parametrize("sign", ["\0", "\x1b[2J", "\x85", "\u2028", "\u202e", "\r"])
def test_control_characters_do_not_reach_the_prompt(sign: str, tmp_path: Path) -> None:
    write(tmp_path, "pdf-forms", f"---\nname: pdf-forms\ndescription: Fill{sign}in\n---\n")
    outside = write(
        tmp_path / f"a{sign.replace(chr(0), chr(10))}b", "other", GOOD.replace("pdf-forms", "other")
    )
    found, ignored = find_skills([SkillFolder(tmp_path)])
    assert all(skill.description.isprintable() and str(skill.path).isprintable() for skill in found)
    assert outside / "SKILL.md" in [each.path for each in ignored]


@pytest.mark.parametrize("codec", ["latin-1", "utf-8-sig", "utf-16", "cp1252"])
def test_front_matter_is_decoded_as_files_are(codec: str, tmp_path: Path) -> None:
    path = write(tmp_path, "pdf-forms", "")
    text = "---\nname: pdf-forms\ndescription: Grüße für schöne Füße\n---\n"
    (path / "SKILL.md").write_bytes(text.encode(codec))
    [skill], _ = find_skills([SkillFolder(tmp_path)])
    assert skill.description == "Grüße für schöne Füße"


def test_broken_skills_that_are_not_wanted_are_not_reported(tmp_path: Path) -> None:
    write(tmp_path, "pdf-forms", GOOD)
    write(tmp_path, "broken", "no front matter")
    for wanted, reported in ((None, 1), (["broken"], 1), (["pdf-forms"], 0), ([], 0)):
        assert len(find_skills([SkillFolder(tmp_path)], wanted)[1]) == reported
