"""`python -m simgen`; the guard and the late import keep spawned workers light."""

if __name__ == "__main__":
    import sys

    from simgen.cli.main import main

    sys.exit(main())
