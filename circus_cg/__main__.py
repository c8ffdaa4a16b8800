"""`circus-cg` and `python -m circus_cg`."""

import importlib
import signal


def main() -> None:
    # Python's own handler raises KeyboardInterrupt, which is lost when it strikes in a callback of the import system
    # ("Exception ignored in"): until the verbs are imported, an interrupt simply ends us. Nothing exists yet.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    verbs = importlib.import_module("circus_cg.cli.main").main
    verbs()


if __name__ == "__main__":
    main()
