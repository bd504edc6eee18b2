"""The agents' link: who they are, what they may say, and everything that they are told, numbered."""
