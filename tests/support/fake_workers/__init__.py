"""Tiny workers, each of which does one thing well or badly. Imported by the spawned process under `fake_workers`."""
