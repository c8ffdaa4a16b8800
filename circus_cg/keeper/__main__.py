"""Run as a script by `boot.become_keeper`, without site-packages: only our own package is put on the path."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from circus_cg.keeper.main import main

main()
