"""What a default install weighs: packages and megabytes, in a fresh environment with the locked versions.

Counts every distribution but pip and setuptools, and the disk space of their files with compiled bytecode.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "footprint"
LIMIT_PACKAGES, LIMIT_MB = 45, 450
_IGNORED = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence.pth")


def install() -> Path:
    """A fresh environment with Citewell and nothing else; its site-packages."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", FOLDER / "venv"], check=True)
    locked = re.findall(r"^([\w.-]+==[^\\\n]+)", (ROOT / "requirements/run.lock").read_text(), re.MULTILINE)
    constraints = FOLDER / "constraints.txt"
    constraints.write_text("\n".join(locked))
    python = FOLDER / "venv/bin/python"
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", constraints]
    subprocess.run([*command, ROOT / "packages/citewell-minilm", ROOT], check=True)
    return next((FOLDER / "venv/lib").glob("python3*/site-packages"))


def main() -> int:
    site = install()
    ours = [path for path in site.iterdir() if not path.name.startswith(_IGNORED)]
    sizes: dict[str, float] = {}
    for path in ours:
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        sizes[path.name] = sum(file.lstat().st_blocks * 512 for file in files) / 1e6
    packages = sorted(path.name.split("-")[0] for path in ours if path.name.endswith(".dist-info"))
    total = sum(sizes.values())
    print(f"{len(packages)} packages (at most {LIMIT_PACKAGES}): {', '.join(packages)}")
    for name, size in sorted(sizes.items(), key=lambda item: -item[1])[:10]:
        print(f"  {size:6.1f} MB  {name}")
    print(f"  {total:6.1f} MB  in all (at most {LIMIT_MB})")
    figures = ROOT / "build/figures/footprint.json"
    figures.parent.mkdir(parents=True, exist_ok=True)
    figures.write_text(json.dumps({"install.citewell.packages": len(packages), "install.citewell.mb": round(total, 1)}))
    shutil.rmtree(FOLDER)
    return int(len(packages) > LIMIT_PACKAGES or total > LIMIT_MB)


if __name__ == "__main__":
    sys.exit(main())
