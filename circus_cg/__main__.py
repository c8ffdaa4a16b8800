"""`python -m circus_cg` is `circus-cg`."""

from circus_cg.cli.main import main

main()
