"""Scan folders: what fax servers and scanners drop becomes interactions."""
