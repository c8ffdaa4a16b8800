"""The generated parts of the reference: `python -m docs.generate` writes them, `--check` fails if they are stale."""
