"""`python -m proxy` is the same as `lockgate`."""

from proxy.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
