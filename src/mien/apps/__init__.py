"""The ways in: parse, call, print. No logic of their own."""
