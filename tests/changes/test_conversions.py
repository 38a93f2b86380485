"""Files that differ from their blobs, by rules that are elsewhere, another user's, or gone: the diffs apply all the
same.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from agent_runtime.changes import old_contents
from agent_runtime.git.ident import collapse_ident
from tests.changes.workspace import TrackedWorkspace, apply, bash, brief, snapshot

COMMIT = "git add -A; git commit -qm one"
OLDER = "find . -name .git -prune -o -exec touch -hd '1 hour ago' {} + && git update-index -q --refresh"
CHECKED_OUT = "{commit}; rm *.txt; git checkout -q -- .; {older}"
TEXTS = "printf 'one\\ntwo\\n' > a.txt; printf 'one\\r\\ntwo\\r\\n' > b.txt; seq 40 > c.txt"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 128\n"


@pytest.fixture(params=[False, True], ids=["few files", "many files"])
def many(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the workspace has more files than are compared by hash."""
    if request.param:
        monkeypatch.setattr(old_contents, "_FEW", 30)
    return bool(request.param)


@pytest.mark.parametrize(
    "prepare",
    [
        "echo '*.txt text eol=crlf' > .gitattributes; {checked_out}; git rm -q "
        "--cached .gitattributes; rm .gitattributes",
        "git config core.autocrlf true; {checked_out}; git config --unset core.autocrlf",
        "git -c core.autocrlf=true add -A; git commit -qm x; rm *.txt; "
        "git -c core.autocrlf=true checkout -q -- .; {older}",
        "git config filter.rot.clean 'tr a-z b-za'; git config filter.rot.smudge 'tr b-za a-z'; "
        "echo '*.txt filter=rot' > .gitattributes; {checked_out}; git config --remove-section filter.rot",
        "{commit}; {older}; git replace $(git rev-parse HEAD:a.txt) $(git rev-parse HEAD:c.txt)",
        "echo '*.txt ident' > .git/info/attributes; echo '$Id$' >> a.txt; {checked_out}; "
        "rm .git/info/attributes",
    ],
)
def test_diffs_of_converted_files_rebuild_the_tree(tmp_path: Path, prepare: str, many: bool) -> None:
    tracked = TrackedWorkspace(tmp_path, keep_git=False)
    tracked.sh(f"git init -q -b main; {TEXTS}")
    if many:
        tracked.sh("mkdir many; seq 40 | split -l 1 -a 4 - many/f")
    tracked.sh(
        prepare.replace("{checked_out}", CHECKED_OUT).replace("{commit}", COMMIT).replace("{older}", OLDER)
    )
    tracked.begin()
    tracked.run("for f in a b c; do printf 'more\\n' >> $f.txt; done")
    assert len(tracked.events) == 3
    assert all((event.additions, event.deletions) == (1, 0) for event in tracked.events)
    tracked.check()


def test_attributes_above_the_workspace(tmp_path: Path) -> None:
    tracked = TrackedWorkspace(tmp_path / "repository" / "packages", keep_git=False)
    top = tmp_path / "repository"
    tracked.sh(TEXTS)
    bash(f"git init -q; echo '*.txt text eol=crlf' > .gitattributes; {COMMIT}; rm packages/ws/*.txt; "
         f"git checkout -q -- .; {OLDER}", top)  # fmt: skip
    tracked.begin()
    (event,) = tracked.run("printf 'more\\r\\n' >> a.txt")
    assert (event.additions, event.deletions) == (1, 0) and "\n two\r\n+more\r\n" in event.diff


def test_a_large_file_of_the_size_of_its_pointer(tmp_path: Path, many: bool) -> None:
    tracked = TrackedWorkspace(tmp_path, keep_git=False)
    tracked.sh("git init -q -b main; echo '*.big filter=lfs' > .gitattributes")
    if many:
        tracked.sh("mkdir many; seq 40 | split -l 1 -a 4 - many/f")
    pointer = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], input=POINTER.encode(), cwd=tracked.ws, capture_output=True, check=True
    ).stdout.decode().strip()  # fmt: skip
    (tracked.ws / "x.big").write_text("line\n" * 40)
    data = ("line\n" * 40)[: len(POINTER) - 1] + "\n"
    (tracked.ws / "x.big").write_text(data)
    assert len(data) == len(POINTER)
    tracked.sh(f"git add .gitattributes; git update-index --add --cacheinfo 100644,{pointer},x.big; {OLDER}")
    tracked.sh("git -c filter.lfs.clean='cat >/dev/null; cat ../pointer' update-index -q --refresh || true")
    os.utime(tracked.ws / "x.big", (1, 1))
    tracked.begin()
    (event,) = tracked.run("echo more >> x.big")
    assert (event.additions, event.deletions) == (1, 0)
    tracked.check()


def test_an_object_is_replaced_in_the_run(tracked: TrackedWorkspace) -> None:
    tracked.keep_git = False
    tracked.sh(f"git init -q -b main; {TEXTS}; {COMMIT}; {OLDER}")
    tracked.begin()
    tracked.run("git replace $(git rev-parse HEAD:a.txt) $(git rev-parse HEAD:c.txt); echo more >> a.txt")
    assert brief(tracked.events, tracked.ws) == [("modify", "a.txt")]
    tracked.check()


@pytest.mark.parametrize(
    "change",
    [
        "echo more >> a.c",
        "sed -i 's/^.*Id.*$/& x/' a.c",
        "sed -i 1d a.c; echo '$Id$ $Id: 12 $' >> b.c",
        "rm a.c; mv b.c c.c; echo '$Id: mine $' >> c.c",
        "git checkout -q other",
        "chmod +x a.c; cp a.c d.c; echo more >> d.c",
    ],
)
@pytest.mark.parametrize("attributes", [".gitattributes", ".git/info/attributes"])
def test_diffs_of_files_with_the_attribute_ident_apply_in_the_repository(
    tracked: TrackedWorkspace, attributes: str, change: str
) -> None:
    texts = "for f in a b; do printf '/* $Id$ */\nint x;\n$Id$\n' > $f.c; seq 9 >> $f.c; done"
    tracked.sh(f"git init -q -b main; echo '*.c ident' > {attributes}; {texts}; {COMMIT}")
    tracked.sh("git checkout -qb other; sed -i 1i/**/ a.c; git commit -qam two; git checkout -q main")
    tracked.sh(f"rm *.c; git checkout -q .; {OLDER}")
    tracked.begin()
    tracked.run(change)
    tracked.finish()
    for event in tracked.events:
        apply(event, tracked.copy)
    ends = (
        {path: (mode, collapse_ident(data)) for path, (mode, data) in snapshot(tree).items()}
        for tree in (tracked.ws, tracked.copy)
    )
    assert next(ends) == next(ends)  # git writes the ids of the new blobs


def test_an_expanded_keyword_without_the_attribute_is_text(tracked: TrackedWorkspace) -> None:
    tracked.sh(f"git init -q -b main; echo '$Id: x.c,v 1.2 $' > x.c; {COMMIT}; {OLDER}")
    tracked.begin()
    (event,) = tracked.run("echo more >> x.c")
    assert " $Id: x.c,v 1.2 $\n+more\n" in event.diff
    tracked.check()
