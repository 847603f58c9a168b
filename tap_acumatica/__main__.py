"""Run the tap as a module: ``python -m tap_acumatica``."""

from __future__ import annotations

from tap_acumatica.cli.entry import singer

if __name__ == "__main__":
    singer()
