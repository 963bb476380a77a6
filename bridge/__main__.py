"""`python -m bridge` is the command `mongooseim-bridge`."""

from bridge.cli.main import main

main()
