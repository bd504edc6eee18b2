"""What each kind of fact changes in the state; `evolve` says which function is whose."""
