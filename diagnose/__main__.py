"""`python -m diagnose`: the same as the console command."""

from diagnose.cli import main

if __name__ == "__main__":
    main()
