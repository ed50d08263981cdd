"""The quick yes: never given where jsonschema finds something, and given to what stations have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropsafe.config_keys import keys
from dropsafe.config_rules import _validator
from dropsafe.schemas.quick import is_plainly_right
from dropsafe.spool import Limits, Spool

ROOT = os.path.abspath(os.sep)
PATH = os.path.join(ROOT, "data")
URL = "https://reports.example.com:8443/ingest/{name}"

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([PATH, URL, "reject", "POST", "info", "delete", f"move:{PATH}", "*", 10**400, 1.0, 200, "\x00"])
)
tables = st.dictionaries(st.sampled_from(["path", "pattern", "recursive", "after", "settle_seconds", "x"]), scalars)
values = scalars | tables | st.lists(scalars | tables, max_size=3)


@given(key=st.sampled_from(sorted(keys())), value=values)
def test_jsonschema_agrees_with_every_quick_yes(key: str, value: Any) -> None:
    if is_plainly_right(keys()[key].schema, value):
        assert list(_validator(key).iter_errors(value)) == []


@pytest.mark.parametrize("key", sorted(keys()))
def test_every_default_and_example_is_plainly_right(key: str) -> None:
    schema = keys()[key].schema
    likely = {"string": PATH, "array": [{"path": PATH}]}
    value = schema.get("default", schema.get("x-example", likely.get(schema["type"])))
    assert is_plainly_right(schema, value)


@pytest.mark.parametrize("key", sorted(keys()))
def test_a_keyword_that_is_not_known_is_no_yes(key: str) -> None:
    schema = keys()[key].schema
    assert not is_plainly_right({**schema, "not": {}}, schema.get("default", PATH))


def test_status_of_a_rightly_configured_station_does_not_wait_for_jsonschema(tmp_path: Path) -> None:
    Spool.create(tmp_path / "spool", group="", limits=Limits(min_free_bytes=0)).close()
    config = tmp_path / "dropsafe.toml"
    config.write_text(
        f"spool_dir = '{tmp_path / 'spool'}'\nstation_name = 'line-3'\n[destination]\nurl = '{URL}'\n"
        f"success_status = [200, 201]\n[[watch]]\npath = '{tmp_path}/drop'\npattern = '*.xml'\n"
    )
    script = (
        "import sys; from dropsafe.cli.main import main\n"
        f"code = main(['--config', {str(config)!r}, '--instance', 'quick', 'status'])\n"
        "sys.exit(code or ('jsonschema' in sys.modules) * 99)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done
