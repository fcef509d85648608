"""Certificates that the tests make."""

from __future__ import annotations

import subprocess
from pathlib import Path


def signed(folder: Path, name: str, *, by: str | None = None, host: str = "") -> Path:
    """Makes a key, and a certificate that is its own authority or signed by another."""
    subject: list[str | Path] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subject += ["-keyout", folder / f"{name}.key", "-subj", f"/CN={name}"]
    made: list[str | Path] = [
        "openssl",
        "req",
        "-x509",
        *subject,
        "-days",
        "2",
        "-out",
        folder / f"{name}.pem",
    ]
    if by is not None:
        made += ["-CA", folder / f"{by}.pem", "-CAkey", folder / f"{by}.key"]
        made += ["-addext", f"subjectAltName=DNS:{host}", "-addext", "basicConstraints=CA:FALSE"]
    subprocess.run(made, check=True, capture_output=True)
    return folder / f"{name}.pem"
