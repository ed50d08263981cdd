"""`verify --all` and `repair --yes` beside a service that delivers: nothing is taken from its hands, nothing goes twice."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support.scene import scene

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stops its service by a signal")


def test_they_work_beside_a_service_that_is_delivering(tmp_path: Path) -> None:
    with scene(tmp_path, {"reports": {}}) as stage:
        for number in range(150):
            (stage.drop("reports") / f"{number}.xml").write_bytes(stage.expect(b"one of many: %d" % number))
        for _ in range(2):
            verified = stage.run("verify", "--all", "--json")
            assert verified.returncode == 0, verified.stdout + verified.stderr
            repaired = stage.run("repair", "--yes", "--json")
            assert repaired.returncode == 0, repaired.stdout + repaired.stderr
        stage.everything_arrives_once()
        last = json.loads(stage.run("verify", "--all", "--json").stdout.splitlines()[-1])["summary"]
        assert (last["differences"], last["equation"]["came_in"], last["equation"]["missing"]) == (0, 150, [])
