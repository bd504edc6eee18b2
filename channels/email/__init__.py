"""Mail: SMTP and LMTP in, one smart host out."""
