"""What the tests of the engine share: small offices, given/when/then, a naive matcher, and walks by chance."""
