"""The desk in the browser: the pages that people work at, and the few questions that only those pages ask."""
