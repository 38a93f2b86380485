"""An environment of Harbor that is a folder of this machine: its own `/logs`, `/tests`, `/installed-agent` and home."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path

from harbor.environments.base import BaseEnvironment, ExecResult

OWN = re.compile(r"(?<![\w/.-])/(logs|tests|solution|installed-agent|app|artifacts)(?=[/\s;'\"\]]|$)")


class LocalEnvironment(BaseEnvironment):
    @staticmethod
    def type() -> str:
        return "local"

    def _validate_definition(self) -> None:
        pass

    @property
    def root(self) -> Path:
        return Path(self.trial_paths.trial_dir) / "root"

    def _place(self, text: str) -> str:
        return OWN.sub(lambda match: f"{self.root}/{match[1]}", text)

    async def start(self, force_build: bool) -> None:
        for name in (
            "app",
            "home",
            "logs/agent",
            "logs/verifier",
            "logs/artifacts",
            "tests",
            "installed-agent",
        ):
            (self.root / name).mkdir(parents=True, exist_ok=True)

    async def stop(self, delete: bool) -> None:
        pass

    async def upload_file(self, source_path: Path | str, target_path: str) -> None:
        target = Path(self._place(target_path))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source_path, target)

    async def upload_dir(self, source_dir: Path | str, target_dir: str) -> None:
        shutil.copytree(source_dir, self._place(target_dir), dirs_exist_ok=True)

    async def download_file(self, source_path: str, target_path: Path | str) -> None:
        shutil.copy(self._place(source_path), target_path)

    async def download_dir(self, source_dir: str, target_dir: Path | str) -> None:
        shutil.copytree(self._place(source_dir), target_dir, dirs_exist_ok=True)

    async def exec(
        self,
        command: str,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        timeout_sec: int | None = None,
        user: str | int | None = None,
    ) -> ExecResult:
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            self._place(command),
            cwd=self._place(cwd or "/app"),
            env={"PATH": os.environ["PATH"], "HOME": str(self.root / "home")} | (self._merge_env(env) or {}),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), timeout_sec)
        return ExecResult(
            stdout=out.decode(errors="replace"),
            stderr=err.decode(errors="replace"),
            return_code=process.returncode or 0,
        )
