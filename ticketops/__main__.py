"""`python -m ticketops` is the command `ticketops`."""

from ticketops.cli.main import main

if __name__ == "__main__":
    main()
