"""The engine under virtual time: chance, people, faults and figures. Nothing here knows what time it really is."""
