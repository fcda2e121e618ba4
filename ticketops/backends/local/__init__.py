"""Files on this machine, behind the ports."""
