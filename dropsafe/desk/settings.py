"""The configuration as people see and change it: values with their origin, a check before, and a way back after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropsafe import config_file
from dropsafe.config import Config
from dropsafe.desk.trouble import told
from dropsafe.errors import ConfigError, DropsafeError

_WITH_QUERY = frozenset({"destination.url", "destination.proxy"})


@dataclass(frozen=True, slots=True)
class Change:
    """What was written. `undo` puts the file back as it was (one that was made for it stays, with hints and no settings);
    ConfigError if it cannot."""

    told: dict[str, Any]
    undo: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """One configuration file. `in_force` is what is worked with; `read` reads the file and the layers above it anew, and
    raises ConfigError. Secrets are in neither: what stands there is where they are."""

    path: Path
    in_force: Callable[[], Config]
    read: Callable[[], Config]
    instance: str | None = None

    def values(self, *, whole: bool) -> dict[str, Any]:
        """Every key that has a value. Unless `whole`, an address is shown without its query, which may hold a key."""
        config = self.in_force()
        return {
            "file": str(self.path),
            "values": {
                key: {"value": value if whole else _without_query(key, value), "origin": config.origin(key)}
                for key, value in config.items()
            },
        }

    def problems(self, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What would be wrong with the file if it had these values."""
        try:
            _put(self._inspected(), values)
        except ConfigError as error:
            return [found] if (found := told(error)) else []
        return []

    def change(self, values: Mapping[str, Any]) -> Change:
        """Write them, all or none; None: back to the default. A file is made where there is none. ConfigError, NoPermission."""
        before = self.in_force()
        _put(self._inspected(), values)  # a refused value must not leave a new file behind
        if not self.path.exists():
            Config.load_or_create(self.path)
        text = config_file.read(self.path).text
        config = Config.inspect(self.path)
        _put(config, values)
        config.save()
        try:
            after = self.read()
        except DropsafeError:  # it does not go together with what is said above the file
            config_file.write(self.path, text)
            raise
        changed = []
        for key in values:
            origin = after.origin(key)
            outvoted = "" if origin.startswith(("file", "default", "not set")) else origin
            changed.append(
                {"key": key, "old": before.get(key), "new": config.get(key), "outvoted_by": outvoted},
            )
        return Change({"file": str(self.path), "changed": changed}, lambda: config_file.write(self.path, text))

    def _inspected(self) -> Config:
        return Config.inspect(self.path) if self.path.exists() else Config(instance=self.instance)


def _put(config: Config, values: Mapping[str, Any]) -> None:
    for key in [key for key, value in values.items() if value is None]:
        del config[key]
    config.update({key: value for key, value in values.items() if value is not None})


def _without_query(key: str, value: Any) -> Any:
    if key not in _WITH_QUERY or not isinstance(value, str) or "?" not in value:
        return value
    return f"{value.partition('?')[0]}?…"
