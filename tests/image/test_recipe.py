"""What can be said of the image without building it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from pipeline.supervisor import GRACE_S
from tui.container.lacks import CACHES

ROOT = Path(__file__).parents[2]
RECIPE = (ROOT / "Dockerfile").read_text()


def test_what_it_copies_is_let_in() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if "!" in line}
    copied = set[str]()
    for names in re.findall(r"^COPY (?!--from)(.+) \S+$", RECIPE, re.MULTILINE):
        copied.update(names.split())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert copied == let_in
    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) < copied


def test_its_version_is_the_projects() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f'org.opencontainers.image.version="{version}"' in RECIPE


def test_caches_that_can_be_replaced_are_those_that_it_names() -> None:
    assert set(re.findall(r"(\w+)=/cache\b", RECIPE)) == set(CACHES)


def test_a_stopped_container_leaves_a_stage_the_time_that_its_supervisor_does() -> None:
    told = re.search(r"stop_grace_period: (\d+)s", (ROOT / "compose.yaml").read_text())
    assert told
    assert int(told[1]) > GRACE_S
    assert f"--stop-timeout {told[1]}" in (ROOT / "README.md").read_text()
