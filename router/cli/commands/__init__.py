"""The words of the command line: what each command takes and says of itself; the work is done beside this folder."""
